# SPDX-License-Identifier: Apache-2.0
"""POST /authz-info with what no Authorization Server would issue, or what somebody recorded."""

import os
import time

import cbor2

from rig import Patient, ace, coap, decoded, drain, error_of, oscore

SCOPE = [('g1', 6)]


def wrapped(server, plaintext, key=None, tag=16, kid=None, alg=10, iv=None, extra_protected=None):
    """COSE_Encrypt0 of any bytes."""
    protected = cbor2.dumps({1: alg, **(extra_protected or {})})
    iv = os.urandom(13) if iv is None else iv
    sealed = oscore.seal(10, key or server.as_key['key'], iv if len(iv) == 13 else bytes(13),
                         ace.oscore_enc_structure(protected), plaintext)
    body = [protected, {4: server.as_key['kid'] if kid is None else kid, 5: iv}, sealed]
    return cbor2.dumps(cbor2.CBORTag(61, cbor2.CBORTag(tag, body)))


def wrong_tokens(attack):
    """The table of requirements 3.2: what, how it is made, which code it gets."""
    client, server, now = attack.client(), attack.server, int(time.time())
    key = server.as_key

    def minted(**change):
        claims = client.claims(SCOPE)
        for label, value in change.items():
            label = int(label[1:])
            if value is None:
                claims.pop(label, None)
            else:
                claims[label] = value
        return ace.mint(key, claims)

    def osc(**change):
        claims = client.claims(SCOPE)
        for label, value in change.items():
            claims[8][4][int(label[1:])] = value
            if value is None:
                del claims[8][4][int(label[1:])]
        return ace.mint(key, claims)

    def bytes_of(change):
        return wrapped(server, change(cbor2.dumps(client.claims(SCOPE))))

    good = minted()
    other_key = dict(key, key=os.urandom(16))
    rows = [
        ('expired', minted(c4=now - 10), '4.01'),
        ('expires now', minted(c4=now), '4.01'),
        ('expires at the largest integer', minted(c4=2 ** 64 - 1), ('2.01', '4.00')),
        ('expires in the far past', minted(c4=-2 ** 63), ('4.00', '4.01')),
        ('expires at a fraction', minted(c4=1.5), ('4.00', '4.01')),
        ('expires at not a number', minted(c4=float('nan')), ('4.00', '4.01')),
        ('expires at infinity', minted(c4=float('inf')), ('2.01', '4.00', '4.01')),
        ('expires as text', minted(c4='tomorrow'), '4.00'),
        ('not yet valid', minted(c5=now + 1000), '4.01'),
        ('valid from the largest integer', minted(c5=2 ** 64 - 1), ('4.00', '4.01')),
        ('for another audience', minted(c3='other'), '4.03'),
        ('for an audience that starts like ours', minted(c3='gm.test2'), '4.03'),
        ('for an audience with a zero byte', minted(c3='gm.test\0'), '4.03'),
        ('without audience', minted(c3=None), '4.03'),
        ('with an array of other audiences', minted(c3=['gm.other', 'gm.more']), ('4.00', '4.03')),
        ('of another issuer', minted(c1='as.other'), '4.01'),
        ('of an issuer that is a number', minted(c1=5), '4.00'),
        ('without expiry', minted(c4=None), '4.00'),
        ('without confirmation', minted(c8=None), '4.00'),
        ('without scope', minted(c9=None), '4.00'),
        ('with a text scope', minted(c9='g1'), '4.00'),
        ('with an empty scope', minted(c9=b''), '4.00'),
        ('with a scope of nothing', minted(c9=b'\x80'), ('4.00', '2.01')),
        ('with a scope of one entry', minted(c9=cbor2.dumps(['g1', 6])), '4.00'),
        ('with a scope and more', minted(c9=ace.scope(SCOPE) + b'\0'), '4.00'),
        ('with a scope of unknown bits', minted(c9=ace.scope([('g1', 1 << 40)])), ('4.00', '2.01')),
        ('with an exi that is no number', minted(c40='soon'), '4.00'),
        ('with an exi and a cti of no number', minted(c40=100, c7=os.urandom(40)), '4.00'),
        ('with an unknown profile', minted(c38=77), ('4.00', '2.01')),
        ('of another key', ace.mint(other_key, client.claims(SCOPE)), '4.01'),
        ('of another kid', ace.mint(dict(key, kid=b'nobody'), client.claims(SCOPE)), '4.01'),
        ('with a wrong tag', good[:-1] + bytes([good[-1] ^ 1]), '4.01'),
        ('as a Mac0', wrapped(server, cbor2.dumps(client.claims(SCOPE)), tag=17), ('4.00', '4.01')),
        ('as an unknown COSE type', wrapped(server, cbor2.dumps(client.claims(SCOPE)), tag=96), ('4.00', '4.01')),
        ('with another algorithm', wrapped(server, cbor2.dumps(client.claims(SCOPE)), alg=11), ('4.00', '4.01')),
        ('with a short nonce', wrapped(server, cbor2.dumps(client.claims(SCOPE)), iv=b'1'), ('4.00', '4.01')),
        ('with an unknown critical header', wrapped(server, cbor2.dumps(client.claims(SCOPE)),
                                                    extra_protected={2: [99], 99: 1}), ('4.00', '4.01')),
        ('with bytes after it', good + b'\0', ('4.00', '4.01')),
        ('with bytes after its claims', bytes_of(lambda c: c + b'\0'), '4.00'),
        ('without claims', wrapped(server, b''), '4.00'),
        ('whose claims are an array', bytes_of(lambda c: b'\x80'), '4.00'),
        ('whose claims end early', bytes_of(lambda c: c[:-1]), '4.00'),
        ('with a claim twice', bytes_of(lambda c: bytes([c[0] + 1]) + c[1:] + b'\x04\x1a\x7f\xff\xff\xff'), '4.00'),
        ('with claims of open length', bytes_of(lambda c: b'\xbf' + c[1:] + b'\xff'), ('4.00', '2.01')),
        ('nested in its claims', bytes_of(lambda c: b'\xa1\x18\x63' + b'\x81' * 600 + b'\0'), '4.00'),
        ('with a claim of 2^64 bytes', bytes_of(lambda c: b'\xa1\x03\x5b' + b'\xff' * 8), '4.00'),
        ('with 2^64 claims', bytes_of(lambda c: b'\xbb' + b'\xff' * 8), '4.00'),
        ('with an array of 2^63 entries', bytes_of(lambda c: b'\xa1\x08\x9b\x80' + bytes(7)), '4.00'),
        ('whose osc lacks id', osc(o0=None), '4.00'),
        ('whose osc lacks ms', osc(o2=None), '4.00'),
        ('whose osc has an id of 255 bytes', osc(o0=bytes(255)), '4.00'),
        ('whose osc has an algorithm whose nonces are too short', osc(o4=12), '4.00'),
        ('whose osc has an unknown algorithm', osc(o4=25), '4.00'),
        ('whose osc has an unknown hkdf', osc(o3=6), '4.00'),
        ('whose osc has version 2', osc(o1=2), '4.00'),
        ('whose osc has a text id', osc(o0='id'), '4.00'),
        ('whose osc has unknown members', osc(o99=1), ('4.00', '2.01')),
        ('whose osc has a huge ms', osc(o2=bytes(600)), ('4.00', '2.01')),
        ('whose osc has an empty ms', osc(o2=b''), ('4.00', '2.01')),
        ('whose osc has a huge context id', osc(o6=bytes(255)), ('4.00', '2.01')),
        ('whose osc has a huge salt', osc(o5=bytes(300)), ('4.00', '2.01', '5.03')),
    ]
    for what, token, want in rows:
        got = error_of(client.post(token))[0]
        attack.tally.check(got in ((want,) if isinstance(want, str) else want), 'a token %s is refused' % what,
                           'got %s, not %s' % (got, want))
    for size in (0, 1, 32):
        got = error_of(client.post(ace.mint(key, client.claims(SCOPE, id_size=size))))[0]
        attack.tally.check(got in ('2.01', '4.00'), 'an osc id of %d bytes is judged' % size, got)
    wrong_bodies(attack)


def wrong_bodies(attack):
    """The request around a good token."""
    client = attack.client()

    def token():
        return ace.mint(attack.server.as_key, client.claims(SCOPE))

    n1, id1 = os.urandom(8), b'ab'
    rows = [
        ('nothing', b''), ('text', b'\x65hello'), ('an empty map', b'\xa0'), ('an open map', b'\xbf'),
        ('a deep bomb', b'\x81' * 1000), ('a bomb of maps', b'\xa1\0' * 500), ('a bomb of tags', b'\xc1' * 1000),
        ('open arrays', b'\x9f' * 1000), ('a break', b'\xff'), ('2^64 pairs', b'\xbb' + b'\xff' * 8),
        ('no nonce1', cbor2.dumps({1: token(), 43: id1})), ('no id1', cbor2.dumps({1: token(), 40: n1})),
        ('no token', cbor2.dumps({40: n1, 43: id1})), ('a text nonce1', cbor2.dumps({1: token(), 40: 'x', 43: id1})),
        ('an empty nonce1', cbor2.dumps({1: token(), 40: b'', 43: id1})),
        ('a huge nonce1', cbor2.dumps({1: token(), 40: bytes(300), 43: id1})),
        ('an id1 of 8 bytes', cbor2.dumps({1: token(), 40: n1, 43: bytes(8)})),
        ('an id1 of 255 bytes', cbor2.dumps({1: token(), 40: n1, 43: bytes(255)})),
        ('sign_info that is not null', cbor2.dumps({1: token(), 40: n1, 43: id1, 45: 1})),
        ('a label twice', b'\xa4' + cbor2.dumps({1: token(), 40: n1, 43: id1})[1:] + b'\x18\x28\x41x'),
        ('bytes after it', cbor2.dumps({1: token(), 40: n1, 43: id1}) + b'\0'),
        ('a token of 1100 bytes', cbor2.dumps({1: bytes(1100), 40: n1, 43: id1})),
    ]
    for what, body in rows:
        answer = client.plain(coap.POST, '/authz-info', body, ace.CF_ACE)
        code = error_of(answer)[0]
        wanted = ('4.00', '4.01') if what.startswith('a token') else ('4.00',)
        attack.tally.check(code in wanted, 'a token request with %s is refused' % what, code)
    for form in (0, 41, 60, 261, 65535):
        code = error_of(client.plain(coap.POST, '/authz-info', cbor2.dumps({1: token(), 40: n1, 43: id1}), form))[0]
        attack.tally.check(code == '4.15', 'a token request in format %d is refused' % form, code)
    taken_ids(attack)


def taken_ids(attack):
    """The client asks to be called what the server would call it: both IDs of a context have to differ."""
    client = attack.client()
    answer = client.post(ace.mint(attack.server.as_key, client.claims(SCOPE)))
    number = int.from_bytes(client.ctx.sender_id, 'big')
    for step in range(1, 40):
        for worker in (0, 1 << 24, 1 << 23, 128 << 16):
            asked = ((number + step + worker) & 0xffffffff).to_bytes(4, 'big')
            answer = client.post(ace.mint(attack.server.as_key, client.claims(SCOPE)), id1=asked)
            if answer is None or coap.dotted(answer.code) != '2.01':
                attack.expect(answer, '2.01', 'a token with an id1 of 4 bytes is taken')
                return
            attack.tally.check(client.ctx.sender_id != client.ctx.recipient_id, 'both IDs of a context differ')


def one_token_often(attack):
    """100 times the same token: four contexts wait, the rest is told to come later, and it stays usable."""
    client = attack.client()
    token = ace.mint(attack.server.as_key, client.claims(SCOPE))
    codes = [error_of(client.post(token))[0] for _ in range(100)]
    attack.tally.check(codes.count('2.01') <= 4 or codes[4:].count('2.01') == 96 and codes[0] == '2.01',
                       'few contexts wait for one token', codes[:8])
    attack.tally.check(set(codes) <= {'2.01', '5.03', '4.01'}, 'a token posted often is told to come later, or to show its address',
                       set(codes))
    answer = client.ask(coap.GET, '/ace-group/g1/num')
    attack.tally.check(error_of(answer)[0] == '4.03' and not answer.bare, 'the last context of 100 posts works',
                       error_of(answer))
    a_stranger_posts_it(attack)


def a_stranger_posts_it(attack):
    """Tokens travel in clear: who has seen one must not keep its owner from posting it again."""
    owner, stranger = attack.client(), attack.client()
    token = ace.mint(attack.server.as_key, owner.claims(SCOPE))
    stranger.osc = owner.osc
    owner.post(token)
    owner.ask(coap.GET, '/ace-group/g1/num')
    for _ in range(8):
        stranger.post(token)
    answer = owner.ask(coap.GET, '/ace-group/g1/num')
    attack.tally.check(error_of(answer)[0] == '4.03' and not answer.bare, 'strangers do not end an association')
    attack.expect(owner.post(token), '2.01', 'a recorded token does not lock its owner out')


def codes_of(sock, count, seconds):
    """Codes of the answers to tokens counted from 0; a port used before may get answers of then."""
    answers = [decoded(data) for data in drain(sock, seconds)]
    return {m.code for m in answers if len(m.token) == 4 and int.from_bytes(m.token, 'big') < count}


def unused_tokens(attack, count=3000):
    """Thousands of good tokens that nobody uses: bounded, refused with 5.03 at most, and others still come in."""
    client, before = attack.client(), attack.server.rss_kib()
    seen, body = set(), None
    for n in range(count):
        body = cbor2.dumps({1: ace.mint(attack.server.as_key, client.claims(SCOPE)), 40: os.urandom(8), 43: b'ab'})
        client.send(coap.Message(coap.POST, coap.path_options('/authz-info') + [(coap.CONTENT_FORMAT, b'\x13')], body,
                                 mid=n, token=n.to_bytes(4, 'big')).encode())
        if n % 16 == 15:
            seen |= codes_of(client.sock, count, 0.002)
    seen |= codes_of(client.sock, count, 0.3)
    attack.tally.check(seen <= {coap.code('2.01'), coap.code('5.03')}, 'unused tokens get 2.01 or 5.03', seen)
    grown = attack.server.rss_kib() - before
    attack.tally.check(grown < count * 16 + 8192, 'an unused token costs little memory', '%d KiB' % grown)
    attack.clients.append(Patient(attack.server).enter([('g1', 6)]))
