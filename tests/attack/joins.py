# SPDX-License-Identifier: Apache-2.0
"""Joins with every field wrong, and the other resources: code, Content-Format and error id of each answer."""

import os

import cbor2

from rig import Client, ace, coap, creds, decoded, drain, error_of, udp_socket

ABSENT = '4.05'  # what gmd does not offer yet: see README.md
INFO = ('4.00', ace.CF_GROUPCOMM)
BAD_CRED, BAD_POP = ('4.00', ace.CF_PROBLEM, 2), ('4.00', ace.CF_PROBLEM, 3)
P = creds.P25519
ORDER = 2 ** 252 + 27742317777372353535851937790883648493


def try_join(client, body, group='g1', content_format=ace.CF_GROUPCOMM):
    payload = body if isinstance(body, bytes) else cbor2.dumps(body)
    return client.ask(coap.POST, '/ace-group/' + group, payload, content_format)


def info_is_whole(attack, answer, what):
    """The info body of requirements 4.3."""
    if error_of(answer)[:2] != INFO:
        return
    body = cbor2.loads(answer.payload)
    attack.tally.check(29 in body and set(body) <= {29, 30, 31}, 'the info says how the group signs',
                       (what, sorted(body)))


def malformed(attack):
    client = attack.client([('g1', 6), ('asleep', 6), ('nowhere', 6)])
    before = attack.members('g1')
    good = client.join_body('g1')

    def but(**change):
        body = dict(client.join_body('g1'))
        for label, value in change.items():
            body[int(label[1:])] = value
        return body

    def without(*labels):
        return {k: v for k, v in client.join_body('g1').items() if k not in labels}

    def scope(entry):
        return client.join_body('g1', entry=entry if isinstance(entry, bytes) else cbor2.dumps(entry))

    rows = [
        ('nothing', b''), ('a number', b'\1'), ('an array', b'\x80'), ('a break', b'\xff'), ('an empty map', b'\xa0'),
        ('no scope', without(3)), ('no cnonce', without(6)), ('no credential', without(5, 24)),
        ('no credential but a proof', without(5)), ('an empty credential and a proof', but(l5=b'')),
        ('an empty credential', {**without(24), 5: b''}), ('a text scope', but(l3='g1')), ('a scope of 5', but(l3=5)),
        ('a scope array', but(l3=['g1', 6])), ('no bytes in the scope', scope(b'')),
        ('two scope entries', scope([['g1', 6]])), ('a scope and more', scope(cbor2.dumps(['g1', 6]) + b'\0')),
        ('a scope of three', scope(['g1', 6, 6])), ('a scope of one', scope(['g1'])),
        ('the scope of another group', scope(['asleep', 6])), ('a group name in bytes', scope([b'g1', 6])),
        ('a group name with a zero', scope(['g1\0', 6])), ('a long group name', scope(['g' * 200, 6])),
        ('open scope', scope(b'\x9f\x62g1\x06')), ('a text role', scope(['g1', 'requester'])),
        ('a negative role', scope(['g1', -7])), ('role as a float', scope(['g1', 6.0])),
        ('a cnonce of text', but(l6='nonce')), ('a cnonce of null', but(l6=None)),
            ('a huge cnonce', but(l6=bytes(700))),
        ('a credential of text', but(l5='cred')), ('a credential of null', but(l5=None)),
        ('a proof of a number', but(l24=5)), ('a proof of null', but(l24=None)),
        ('get_creds true', but(l4=True)), ('get_creds of nothing', but(l4=[])),
            ('no roles asked', but(l4=[True, [], []])),
        ('ids asked', but(l4=[True, [2], [b'a']])), ('roles not asked', but(l4=[False, [2], []])),
        ('short get_creds', but(l4=[True, [2]])), ('no role array', but(l4=[True, 2, []])),
        ('a map get_creds', but(l4={})), ('text roles asked', but(l4=[True, ['a'], []])),
        ('a map of 2^64 pairs', b'\xbb' + b'\xff' * 8), ('a deep bomb', b'\xa1\x18\x63' + b'\x81' * 700),
        ('bytes after it', cbor2.dumps(good) + b'\0'), ('control_uri as a number', but(l26=7)),
        ('a label twice', b'\xa5' + cbor2.dumps(client.join_body('g1'))[1:] + b'\x06\x41x'),
    ]
    rows += [('the roles %d' % r, scope(['g1', r])) for r in (0, 1, 3, 5, 7, 10, 12, 14, 16, 18, 20, 22, 32, 64, 38,
                                                            255, 256 + 6, 1 << 16, (1 << 32) + 6, 2 ** 64 - 1)]
    for what, body in rows:
        answer = try_join(client, body)
        attack.expect(answer, INFO, 'a Join with %s gets the info' % what)
        info_is_whole(attack, answer, what)
    whole = cbor2.dumps(good)
    for cut in range(len(whole)):
        attack.expect(try_join(client, whole[:cut]), INFO, 'a Join that ends early gets the info')
    for form in (0, 19, 60, 65535):
        attack.expect(try_join(client, good, content_format=form), '4.15', 'a Join in another format is refused')
    attack.expect(try_join(client, client.join_body('asleep'), 'asleep'), ('5.03', ace.CF_PROBLEM, 9),
                  'a Join of an inactive group is refused')
    attack.expect(try_join(client, b'', 'asleep'), ('5.03', ace.CF_PROBLEM, 9), 'inactive comes before form')
    attack.expect(try_join(client, client.join_body('nowhere'), 'nowhere'), '4.04', 'there is no such group')
    attack.expect(try_join(client, client.join_body('quiet'), 'quiet'), '4.03', 'a Join needs a token for the group')
    attack.expect(try_join(client, b'', 'quiet'), '4.03', 'the token comes before form')
    some = attack.client([('g1', 2)])
    for roles in (4, 6, 8):
        attack.expect(try_join(some, some.join_body('g1', roles)), '4.03', 'roles beyond the token are refused')
    split = attack.client([('g1', 2), ('g1', 4)])
    code = error_of(try_join(split, split.join_body('g1', 6)))[0]
    attack.tally.check(code == '4.03', 'one entry has to cover the roles', code)
    verifier = attack.client([('g1', 16)])
    attack.expect(try_join(verifier, verifier.join_body('g1', 6)), '4.03', 'a verifier cannot join')
    attack.tally.check(attack.members('g1') == before, 'failed Joins leave no member')
    attack.expect(client.join('g1'), '2.01', 'a good Join after all of them works')


def ccs(key):
    return cbor2.dumps({8: {1: key}})


def credentials(attack):
    client = attack.client([('g1', 6)])
    x = os.urandom(32)
    rows = [
        ('garbage', b'garbage'), ('an empty map', b'\xa0'), ('a P-256 key', creds.KeyPair(creds.P256).cred.raw),
        ('an X25519 key', ccs({1: 1, -1: 4, -2: x})), ('31 bytes', ccs({1: 1, -1: 6, -2: x[1:]})),
        ('33 bytes', ccs({1: 1, -1: 6, -2: x + b'\0'})), ('no x', ccs({1: 1, -1: 6})),
            ('a text x', ccs({1: 1, -1: 6, -2: 'x' * 32})),
        ('key type 2', ccs({1: 2, -1: 6, -2: x})), ('algorithm ES256', ccs({1: 1, 3: -7, -1: 6, -2: x})),
        ('no confirmation', cbor2.dumps({2: 'me'})), ('a tag', b'\xd8\x3d' + client.keys.cred.raw),
        ('bytes after it', client.keys.cred.raw + b'\0'), ('an array', cbor2.dumps([1, 2])),
            ('a certificate', b'0\x82\1\0' + x),
        ('a private key of 2^64 bytes', b'\xa1\x08\xa1\x01\xa1\x23\x5b' + b'\xff' * 8), ('depth', b'\x81' * 500),
        ('2^64 pairs', b'\xbb' + b'\xff' * 8),
    ]
    for what, raw in rows:
        attack.expect(try_join(client, client.join_body('g1', cred=raw)), BAD_CRED,
                      'a credential with %s gets error 2' % what)
    huge = try_join(client, client.join_body('g1', cred=cbor2.dumps({2: 'a' * 600, 8: {1: {1: 1, -1: 6, -2: x}}})))
    attack.tally.check(error_of(huge)[0] == '4.00', 'a huge credential is refused', error_of(huge))
    points = {'y = 1': 1, 'y = -1': P - 1, 'y = 0': 0, 'y = p': P, 'y = p + 1': P + 1, 'y = 2^255 - 1': 2 ** 255 - 1,
              'order 8': 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd83d3d706a17c7 & 2 ** 255 - 1}
    for what, y in points.items():
        for sign in (0, 1 << 255):
            raw = ccs({1: 1, -1: 6, -2: (y % 2 ** 256 | sign).to_bytes(32, 'little')})
            # R = identity, S = 0 is a signature of any message for a key of small order
            for proof in ((1).to_bytes(32, 'little') + bytes(32), bytes(64), raw[-32:] + bytes(32)):
                answer = try_join(client, {**client.join_body('g1', cred=raw), 24: proof})
                attack.expect(answer, '4.00', 'a key with %s is refused' % what)
    attack.expect(client.join('g1'), '2.01', 'a good Join after bad credentials works')


def proofs(attack):
    client, other = attack.client([('g1', 6)]), attack.client([('g1', 6)])
    good = client.join_body('g1')
    s = int.from_bytes(good[24][32:], 'little')
    rows = [
        ('empty', b''), ('zero', bytes(64)), ('random', os.urandom(64)), ('63 bytes', good[24][:63]),
        ('65 bytes', good[24] + b'\0'), ('with S + L', good[24][:32] + (s + ORDER).to_bytes(32, 'little')),
        ('with R of small order', (1).to_bytes(32, 'little') + good[24][32:]), ('a MAC', os.urandom(8)),
        ('of another key', other.keys.sign(ace.client_pop_input(good[3], client.n_s, good[6]))),
        ('of another challenge', client.keys.sign(ace.client_pop_input(good[3], other.n_s, good[6]))),
        ('of nothing', client.keys.sign(b'')), ('1000 bytes', bytes(800)),
    ]
    for what, proof in rows:
        attack.expect(try_join(client, {**good, 24: proof}), BAD_POP, 'a proof %s gets error 3' % what)
    attack.expect(try_join(client, {**good, 6: os.urandom(8)}), BAD_POP, 'a proof with another cnonce gets error 3')
    attack.expect(try_join(client, {**good, 3: cbor2.dumps(['g1', 2])}), BAD_POP,
                  'a proof with another scope gets error 3')
    attack.expect(try_join(client, {**good, 5: other.keys.cred.raw}), BAD_POP,
                  'a proof with another credential gets error 3')
    long_form = b'\x82\x78\x02g1\x06'  # the same entry in other bytes: refused, or proved as received
    code = error_of(try_join(client, client.join_body('g1', entry=long_form)))[0]
    attack.tally.check(code in ('4.00', '2.01'), 'a scope in a longer form is judged', code)
    attack.expect(try_join(other, client.join_body('g1')), BAD_POP, 'a proof for another association gets error 3')
    joined = client.join('g1')
    attack.tally.check(error_of(joined)[0] in ('2.01', '2.04'), 'a good Join works', error_of(joined))
    attack.expect(try_join(client, good), '2.04', 'the same proof in a new request of its maker is a re-join')
    body = {k: v for k, v in client.join_body('g1').items() if k != 24}
    attack.expect(try_join(client, {**body, 5: b''}), '2.04', 'a re-join with the stored credential works')
    attack.expect(try_join(client, {**body, 5: other.keys.cred.raw}), INFO,
                  'a re-join with an unproved credential is refused')
    attack.expect(try_join(client, {**client.join_body('g1'), 24: b''}), BAD_POP,
                  'a re-join with an empty proof gets error 3')


def control_uris(attack):
    """A member decides where rekeys go, but only to the address it speaks from; anything else is ignored."""
    victim = udp_socket('127.0.0.2')
    port = victim.getsockname()[1]
    own = attack.server.port
    uris = ['coap://127.0.0.2:%d/x' % port, 'coap://127.0.0.2:%d' % port, 'coap://[::ffff:127.0.0.2]:%d/x' % port,
            'coap://255.255.255.255/x', 'coap://224.0.1.187/x', 'coap://[ff02::fd]/x', 'coap://0.0.0.0/x',
            'coap://localhost/x',
            'coap://127.0.0.1:0/x', 'coap://127.0.0.1:65535/x', 'coap://127.0.0.1:65536/x',
            'coap://127.0.0.1:99999999999/x',
            'coap://127.0.0.1:-1/x', 'coap://127.0.0.1:%d/authz-info' % own,
            'coap://127.0.0.1:%d/ace-group/g1/node' % own,
            'coap://127.0.0.1/' + 'x' * 500, 'coap://127.0.0.1/' + '/' * 300, 'coap://127.0.0.1/%',
            'coap://127.0.0.1/%zz/%00',
            'coap://127.0.0.1/x?q=1', 'coap://u@127.0.0.1/x', 'coaps://127.0.0.1/x', 'coap+tcp://127.0.0.1/x',
            'http://127.0.0.1/',
            'coap:', 'coap://', 'coap://[::1', 'coap://1.2.3/x', 'coap://127.0.0.1:/x', 'x', '',
            'coap://127.0.0.1/ace-group/g1']
    members = []
    for uri in uris:
        client = attack.client([('g1', 6)])
        answer = client.join('g1', extra={26: uri})
        attack.tally.check(error_of(answer)[0] in ('2.01', '4.00'), 'a control_uri elsewhere is ignored',
                           (uri, error_of(answer)))
        members.append(client)
    bad_text = attack.client([('g1', 6)])
    body = cbor2.dumps({**bad_text.join_body('g1'), 26: 'coap://XX'}).replace(b'XX', b'\xff\xfe')
    attack.tally.check(error_of(try_join(bad_text, body))[0] in ('2.01', '4.00'), 'a control_uri in no UTF-8 is judged')
    for _ in range(2):
        attack.server.ctl('rekey', 'g1', '--compromised')
        got = drain(victim, 1.0)
        attack.tally.check(not got, 'nobody gets rekeys that a stranger named', '%d datagrams' % len(got))
    victim.close()
    for client in members:
        if client.node:
            attack.expect(client.ask(coap.DELETE, '/ace-group/g1/nodes/' + client.node), '2.02', 'they can leave again')


def other_resources(attack):
    client, peer = attack.client([('g1', 6)]), attack.client([('g1', 6)])
    monitor, verifier = attack.client([('g1', 8)]), attack.client([('g1', 16)])
    stranger, admin = attack.client([('g1', 6)]), attack.client([('g1', 7)])
    for member, roles in ((client, 6), (peer, 6), (monitor, 8)):
        attack.expect(member.join('g1', roles), '2.01', 'they join')
    base = '/ace-group/g1'
    mine, others = base + '/nodes/%s' % client.node, base + '/nodes/%s' % peer.node
    get, post, put, delete, fetch, patch, ipatch = range(1, 8)
    not_member, verifiers_only = ('4.03', ace.CF_PROBLEM, 0), ('4.03', ace.CF_PROBLEM, 8)
    rows = [
        (client, get, others, '4.03'), (client, delete, others, '4.03'), (client, post, others, '4.03'),
        (client, get, base + '/nodes/nobody', '4.03'), (client, get, base + '/nothing', '4.04'),
            (client, get, base + '/nodes', '4.04'),
        (client, get, '/nothing', '4.04'), (client, get, '/ace-group', '4.05'), (client, put, base, '4.05'),
        (client, delete, base, '4.05'), (client, patch, base, '4.05'), (client, ipatch, base, '4.05'),
        (client, post, base + '/num', '4.05'), (client, put, mine, '4.05'), (client, fetch, mine, '4.05'),
        (client, get, '/ace-group/quiet', '4.03'), (client, get, '/ace-group/nowhere', '4.03'),
        (client, get, '/' + '/'.join('a' * 30), '4.04'), (client, get, '/ace-group/' + 'g' * 255, '4.03'),
        (client, get, base + '/verif-data', verifiers_only), (stranger, get, base, not_member),
        (stranger, get, base + '/num', not_member), (stranger, get, base + '/creds', not_member),
        (stranger, fetch, base + '/stale-sids', not_member), (stranger, get, others, not_member),
        (stranger, post, mine, not_member), (stranger, delete, mine, not_member), (verifier, get, base, '4.03'),
        (verifier, get, base + '/num', '4.03'), (verifier, delete, mine, '4.03'), (admin, get, base, '4.03'),
        (monitor, post, base + '/nodes/%s' % monitor.node, ('4.00', ace.CF_PROBLEM, 1)),
        (monitor, post, base + '/nodes/%s/cred' % monitor.node, ('4.00', ace.CF_PROBLEM, 1)),
    ]
    absent = (verifiers_only, *(row[3] for row in rows if row[1] == post))
    for who, method, path, want in rows:
        answer = who.ask(method, path)
        if error_of(answer)[0] == ABSENT and want in absent:
            continue
        attack.expect(answer, want, 'method %d on %s' % (method, path.replace(client.node, 'MINE')
                      .replace(peer.node, 'OTHERS').replace(monitor.node, 'MONITOR')[:60]))
    for method in (8, 20, 31):
        outer = client.ask(method, base)
        attack.tally.check(error_of(outer)[0][0] in '4', 'unknown method %d is refused' % method, error_of(outer))
    fetches(attack, client, base)
    attack.expect(client.ask(coap.GET, mine), '2.05', 'the member works on')
    code = error_of(client.ask(coap.POST, '/authz-info', b'\xa0', ace.CF_ACE))[0]
    attack.tally.check(code in ('4.00', ABSENT), 'a protected token request without token is refused', code)


def fetches(attack, client, base):
    bodies = [b'', b'\xff', b'\x18', b'\x20', b'\x80', b'\x61a', b'\x1b' + b'\xff' * 8, b'\0\0', b'\xf6',
              b'\xfb' + bytes(8), b'\x9f']
    for body in bodies:
        attack.expect(client.ask(coap.FETCH, base + '/stale-sids', body, ace.CF_CBOR), '4.00',
                      'a bad stale-sids version %s' % body.hex())
    for value in ([True, [], []], [False, [], []], [1, [2], []], [True, 2, []], [True, [2]], [True, [2], [1]], None, 7,
                  [True, ['a'], []], [True, [-1], []], [True, [2], ['id']]):
        body = cbor2.dumps({4: value})
        code = error_of(client.ask(coap.FETCH, base + '/creds', body, ace.CF_GROUPCOMM))[0]
        attack.tally.check(code in ('4.00', '4.05', '4.04'), 'a creds filter %r is refused' % (value,), code)
    for body in (b'', b'\xa0', b'\xa1\0\x80', b'\xa1\0\x40', b'\xa1\0\x81\1', b'\xa1\0\x9f',
                 b'\xa1\0\x9b' + b'\xff' * 8,
                 cbor2.dumps({0: ['g1']})):
        attack.expect(client.ask(coap.FETCH, '/ace-group', body, ace.CF_GROUPCOMM), '4.00',
                      'a bad Gid lookup %s' % body.hex())
    many = client.ask(coap.FETCH, '/ace-group', cbor2.dumps({0: [b'%d' % n for n in range(200)]}), ace.CF_GROUPCOMM)
    attack.tally.check(error_of(many)[0] in ('2.05', '4.00', '4.13'), 'many Gids are bounded', error_of(many))


def pipelined(attack):
    """The first two requests of a context before any answer: one association, one membership."""
    for second in (coap.GET, coap.POST):
        client = attack.client([('g1', 6)])
        before = attack.members('g1')
        one, first = client.protect(coap.POST, '/ace-group/g1', cbor2.dumps(client.join_body('g1')), ace.CF_GROUPCOMM)
        two, next_ = client.protect(second, '/ace-group/g1',
                                    cbor2.dumps(client.join_body('g1')) if second == coap.POST else b'',
                                    ace.CF_GROUPCOMM)
        for n, message in enumerate((one, two)):
            Client.mid += 1
            message.mid, message.token = Client.mid & 0xffff, bytes([n])
            client.send(message.encode())
        answers = {m.token[0]: m for m in map(decoded, drain(client.sock, 1.0)) if m and m.token}
        codes = [coap.dotted(client.ctx.unprotect_response(answers[n], x)[0].code) for n, x in enumerate((first, next_))
                 if n in answers]
        attack.tally.check(codes and codes[0] == '2.01', 'the first of two requests in flight joins', codes)
        attack.tally.check(attack.members('g1') == before + 1, 'two requests in flight make one member', codes)
        attack.expect(client.ask(coap.GET, '/ace-group/g1'), '2.05', 'and it can read')
