# SPDX-License-Identifier: Apache-2.0
"""Datagrams: malformed, mutated, replayed, spoofed; blocks, observations, contexts of others; and after a kill."""

import os
import select
import time

import cbor2

from rig import Client, ace, coap, decoded, drain, error_of, oscore, udp_socket


def unprotected(attack):
    """What an unprotected request gets, and what a message gets that is none."""
    client = attack.client()
    rows = [
        (coap.GET, '/ace-group', '4.01'), (coap.GET, '/ace-group/g1', '4.01'), (coap.POST, '/ace-group/g1', '4.01'),
        (coap.DELETE, '/ace-group/g1/nodes/x', '4.01'), (coap.FETCH, '/ace-group/nowhere/creds', '4.01'),
        (coap.GET, '/authz-info', '4.05'), (coap.PUT, '/authz-info', '4.05'), (coap.POST, '/authz-info', '4.00'),
        (coap.GET, '/', '4.04'), (coap.GET, '/nothing', '4.04'), (coap.GET, '/' + '/'.join('a' * 60), '4.04'),
    ]
    for method, path, want in rows:
        attack.expect(client.plain(method, path), want, 'method %d on %s without protection' % (method, path[:20]))
    for number in (1, 5, 13, 21, 35, 39, 65001, 65535):
        answer = client.plain(coap.GET, '/authz-info', options=[(number, b'x')])
        want = '5.05' if number in (35, 39) else '4.02'  # RFC 7252 sections 5.10.2 and 5.4.1
        attack.expect(answer, want, 'critical option %d is refused' % number)
    bad_oscore_options(attack, client)
    raw_messages(attack, client)


def bad_oscore_options(attack, client):
    rows = [(b'', '4.02'), (b'\x09', '4.02'), (b'\x0e' + bytes(6), '4.02'), (b'\x0f' + bytes(7), '4.02'),
            (b'\x80\1', '4.02'),
            (b'\x40\1', '4.02'), (b'\xff' * 20, '4.02'), (b'\x19\1\xff', '4.02'), (b'\x01\0', '4.02'),
            (b'\x08abcd', '4.02'),
            (b'\x09\0', '4.01'), (b'\x09\0abcd', '4.01'), (b'\x29\0abcd', '4.01'),
            (b'\x09\0' + bytes(200), ('4.01', '4.02')),
            (b'\x09\0\xff\xff\xff\xff', '4.01'), (b'\x19\0\0abcd', '4.01')]
    for value, want in rows:
        answer = client.exchange(coap.Message(coap.POST, [(coap.OSCORE, value)], os.urandom(20)))
        want = (want,) if isinstance(want, str) else want
        attack.tally.check(error_of(answer)[0] in want, 'OSCORE option %s is refused' % value[:8].hex(),
                           error_of(answer))
    other = attack.client([('g1', 6)])
    for size in (0, 1, 7, 8, 9, 1100):
        message = coap.Message(coap.POST, [(coap.OSCORE, b'\x09\0' + other.ctx.sender_id)], bytes(size))
        attack.tally.check(error_of(client.exchange(message))[0] in ('4.00', '4.02'),
                           'a ciphertext of %d zeros is refused' % size)
    attack.expect(other.ask(coap.GET, '/ace-group/g1/num'), '4.03', 'its owner is not disturbed')


def ask_raw(client, data, seconds=0.15):
    client.send(data)
    return drain(client.sock, seconds)


def answers_to(client, message):
    """Every response to a message: those that come until 0.1 s after the first."""
    client.send(message.encode())
    got, end = [], time.monotonic() + client.patience
    while time.monotonic() < end and not got:
        got = [m for m in map(decoded, drain(client.sock, 0.1)) if m and m.is_response()]
    for answer in got:
        if answer.type == coap.CON:
            client.send(coap.Message(type=coap.ACK, mid=answer.mid).encode())
    return got


def raw_messages(attack, client):
    """All types with all codes; what is no request gets a RST or silence, never a response."""
    for type_ in range(4):
        for code in range(256):
            client.send(coap.Message(code, [], b'', type_, 0x1000 + code, b'' if code == 0 else b'tkn').encode())
        for answer in map(decoded, drain(client.sock, 0.3)):
            asked = answer.mid - 0x1000
            request = 1 <= asked < 32 and type_ in (coap.CON, coap.NON)
            good = request if answer.code else type_ == coap.CON and answer.type == coap.RST
            if type_ == coap.NON and answer.code:
                good = True
            attack.tally.check(good, 'type %d code %d answered' % (type_, asked), (answer.type, answer.code))
    header = b'\x40\1\x12\x34'
    malformed = [b'', b'\x40', b'\x40\1\x12', b'\0\1\x12\x34', b'\x80\1\x12\x34', b'\xc0\1\x12\x34', header + b'\xff',
                 header + b'\xf0', header + b'\x0f', header + b'\xd0', header + b'\xe0\xff',
                 header + b'\xee\xff\xff\xff\xff',
                 header + b'\x3d', header + b'\x3e\xff\xff', header + b'\xbd\xffabc',
                 header + b'\xe0\xff\xff\xe0\xff\xff',
                 b'\x40\0\x12\x34\xff', b'\x41\0\x12\x34t', header + bytes(1000), header + b'\xff' + bytes(60000)]
    malformed += [bytes([0x40 | n]) + b'\1\x12\x34' + bytes(n) for n in range(9, 16)]
    for data in malformed:
        for answer in map(decoded, ask_raw(client, data, 0.02)):
            good = answer and (answer.code == 0 and answer.type == coap.RST or coap.dotted(answer.code)[0] == '4')
            attack.tally.check(good, 'a malformed message gets RST or silence', data[:12].hex())
    attack.tally.check(bool(ask_raw(client, b'\x40\0\x12\x34')), 'a CoAP ping gets its RST')


def recorded(attack):
    """All datagrams that the clients of this run sent, shuffled and at most so many."""
    found = [data for client in attack.clients for data in client.sent if len(data) > 8]
    attack.dice.shuffle(found)
    return found[:4000]


def is_protected(data):
    message = decoded(data)
    return bool(message and message.is_request() and message.get(coap.OSCORE) is not None)


def mutate(dice, data):
    """One to three random edits."""
    out = bytearray(data)
    for _ in range(dice.randrange(1, 4)):
        if not out:
            break
        at, kind = dice.randrange(len(out)), dice.randrange(8)
        if kind < 3:
            out[at] ^= 1 << dice.randrange(8)
        elif kind == 3:
            out[at] = dice.choice((0, 1, 0x7f, 0x80, 0xff, 0xd0, 0xe0, 0xdd, 0xee, 0x5b, 0x9f))
        elif kind == 4:
            del out[at:at + dice.randrange(1, 9)]
        elif kind == 5:
            out[at:at] = dice.randbytes(dice.randrange(1, 9))
        elif kind == 6:
            out = out[:at]
        else:
            out += out[at:at + 64] * dice.randrange(1, 4)
    return bytes(out[:60000])


def with_other_options(dice, data):
    """The message again with an option added, changed, repeated or left out."""
    message = decoded(data)
    if message is None:
        return data
    options = list(message.options)
    at = dice.randrange(len(options)) if options else 0
    kind = dice.randrange(4)
    if kind == 0 or not options:
        options.append((dice.choice((1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 17, 23, 27, 28, 35, 39, 60, 252, 258, 292,
                                     65535)),
                        dice.randbytes(dice.choice((0, 1, 2, 3, 8, 13, 255, 300)))))
    elif kind == 1:
        options[at] = options[at][0], dice.randbytes(dice.randrange(20))
    elif kind == 2:
        options += [options[at]] * dice.randrange(1, 20)
    else:
        del options[at]
    message.options = options
    try:
        return message.encode()
    except OverflowError:  # a number that no option can have
        return data


def mutations(attack, count):
    """Mutated packets of the run from a stranger's address: no protected answer to any of them."""
    packets = recorded(attack)
    stranger = Client(attack.server)
    cuts = attack.dice.choice([p for p in packets if is_protected(p)] or packets)
    todo = [cuts[:n] for n in range(len(cuts))]
    while len(todo) < count:
        data = attack.dice.choice(packets)
        kind = attack.dice.randrange(10)
        todo.append(attack.dice.randbytes(attack.dice.randrange(200)) if kind == 0 else
                    with_other_options(attack.dice, data) if kind < 4 else mutate(attack.dice, data))
    got = []
    for n, data in enumerate(todo):
        stranger.sock.sendto(data, attack.server.addr)
        if n % 8 == 7:
            got += drain(stranger.sock, 0.002)
    got += drain(stranger.sock, 0.3)
    for raw in got:
        answer = decoded(raw)
        if not attack.tally.check(answer is not None, 'answers are CoAP', raw[:20].hex()):
            continue
        attack.tally.check(answer.get(coap.OSCORE) is None, 'a mutation gets no protected answer', raw.hex())
        attack.tally.check(answer.code == 0 or answer.is_response(), 'a mutation gets a response or an empty message',
                           raw[:20].hex())
    attack.tally.check(bool(got), 'mutations are answered at all')
    stranger.close()


def replays(attack):
    """Every captured protected packet from elsewhere; a client's own again from its own address."""
    stranger = udp_socket()
    packets = [p for p in recorded(attack) if is_protected(p)]
    for n, data in enumerate(packets):
        stranger.sendto(data, attack.server.addr)
        if n % 16 == 15 or n + 1 == len(packets):
            for answer in map(decoded, drain(stranger, 0.01)):
                attack.tally.check(answer.get(coap.OSCORE) is None, 'a replay from elsewhere gets nothing protected',
                                   coap.dotted(answer.code))
                attack.tally.check(coap.dotted(answer.code) in ('4.01', '4.00', '4.02', '0.00'),
                                   'a replay from elsewhere gets 4.01',
                                   coap.dotted(answer.code))
    stranger.close()
    own_replays(attack)


def own_replays(attack):
    client = attack.client([('g1', 6)])
    del client.sent[:]
    steps = (lambda: client.join('g1'), lambda: client.ask(coap.GET, '/ace-group/g1'),
             lambda: client.ask(coap.POST, '/ace-group/g1/nodes/' + client.node),
             lambda: client.ask(coap.GET, '/ace-group/g1/num'),
             lambda: client.ask(coap.POST, '/ace-group/g1', b''))
    seen, history = {}, []
    for step in steps:
        answer = step()
        last = client.sent[-1]
        seen[last] = answer.raw
        history.append(last)
        for _ in range(3):
            again = ask_raw(client, last, 0.1)
            attack.tally.check(len(again) == 1, 'a repeat of the last request is answered', len(again))
            for raw in again:
                own_piv = oscore.decode_option(decoded(raw).get(coap.OSCORE) or b'').piv is not None
                attack.tally.check(raw == seen[last] or own_piv,
                                   'a repeat gets the same bytes, or a Partial IV of its own', raw.hex())
        for old in history[:-1]:
            for raw in ask_raw(client, old, 0.05):
                attack.tally.check(decoded(raw).get(coap.OSCORE) is None, 'an older request gets nothing protected')
        elsewhere = Client(attack.server)
        for raw in ask_raw(elsewhere, last, 0.05):
            attack.tally.check(decoded(raw).get(coap.OSCORE) is None,
                               'the last request from elsewhere gets nothing protected')
        changed = decoded(last)
        changed.mid = changed.mid + 7 & 0xffff
        for raw in ask_raw(client, changed.encode(), 0.05):
            attack.tally.check(decoded(raw).get(coap.OSCORE) is None,
                               'a replay under a new Message ID gets nothing protected')
        changed.type = coap.NON
        for raw in ask_raw(client, changed.encode(), 0.05):
            attack.tally.check(decoded(raw).get(coap.OSCORE) is None, 'a replay as NON gets nothing protected')
        elsewhere.close()
    attack.expect(client.ask(coap.GET, '/ace-group/g1'), '2.05', 'the client works on')


class Listener:
    """A member whose control_uri names its own socket; it does not answer unless told."""

    def __init__(self, attack):
        self.client = attack.client([('g1', 6)])
        port = self.client.sock.getsockname()[1]
        answer = self.client.join('g1', extra={26: 'coap://127.0.0.1:%d/ctl' % port})
        attack.expect(answer, '2.01', 'a member with a control_uri joins')

    def next(self, seconds=3.0):
        """The next confirmable request of the GM."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.client.sock], [], [], 0.05)[0]:
                message = decoded(self.client.sock.recv(65536))
                if message and message.is_request():
                    return message
        return None

    def settle(self, message):
        """A good answer, so that the delivery ends."""
        _, exchange = self.client.ctx.unprotect_request(message)
        sealed = self.client.ctx.protect_response(coap.Message(coap.code('2.04')), exchange)
        sealed.type, sealed.mid, sealed.token = coap.ACK, message.mid, message.token
        self.client.send(sealed.encode())


def spoofed_answers(attack):
    """A rekeying message in flight: what others say about it, and what is not sealed, does not end it."""
    stranger = udp_socket()
    deleted = coap.code('4.04')
    spoofs = {
        'an ACK from elsewhere': lambda m: [coap.Message(0, [], b'', coap.ACK, m.mid)],
        'a RST from elsewhere': lambda m: [coap.Message(0, [], b'', coap.RST, m.mid)],
        'all ACKs from elsewhere': lambda m: [coap.Message(0, [], b'', coap.ACK,
                                                           m.mid + n & 0xffff) for n in range(-200, 200)],
        'an error from elsewhere': lambda m: [coap.Message(deleted, [], b'', coap.ACK, m.mid, m.token)],
        'a separate error from elsewhere': lambda m: [coap.Message(deleted, [], b'', coap.CON, 77, m.token)],
        'an unsealed 2.04 from elsewhere': lambda m: [coap.Message(coap.code('2.04'), [], b'', coap.NON, 78, m.token)],
        'a badly sealed 2.04 from elsewhere': lambda m: [coap.Message(coap.code('2.04'), [(coap.OSCORE, b'')],
                                                                      bytes(9), coap.ACK,
                                                                     m.mid, m.token)],
        'a bad OSCORE option from elsewhere': lambda m: [coap.Message(coap.code('2.04'), [(coap.OSCORE, b'\xff')],
                                                                      bytes(9), coap.NON,
                                                                     79, m.token)],
        'wrong tokens from elsewhere': lambda m: [coap.Message(deleted, [], b'', coap.ACK, m.mid,
                                                               m.token[:-1] + bytes([m.token[-1] ^ 1])),
                                                  coap.Message(deleted, [], b'', coap.ACK, m.mid, bytes(8)),
                                                  coap.Message(deleted, [], b'', coap.ACK, m.mid, m.token[:4])],
    }
    for what, make in spoofs.items():
        listener = Listener(attack)
        attack.server.ctl('rekey', 'g1', '--compromised')
        message = listener.next()
        if not attack.tally.check(message is not None, 'a rekeying message arrives'):
            continue
        for spoof in make(message):
            stranger.sendto(spoof.encode(), attack.server.addr)
        again = listener.next(2.5)
        attack.tally.check(again is not None and again.mid == message.mid, '%s does not end a delivery' % what)
        listener.settle(again or message)
        left = listener.client.ask(coap.DELETE, '/ace-group/g1/nodes/' + listener.client.node)
        attack.tally.check(error_of(left)[0] == '2.02', 'the member can leave', error_of(left))
    stranger.close()
    one_listener_lies(attack)


def one_listener_lies(attack):
    """From the right address: wrong MID, a sealed answer to another request, codes of all kinds."""
    listener = Listener(attack)
    attack.server.ctl('rekey', 'g1', '--compromised')
    message = listener.next()
    for lie in (coap.Message(0, [], b'', coap.ACK, message.mid + 1 & 0xffff),
                coap.Message(0, [], b'', coap.RST, message.mid + 1 & 0xffff),
                coap.Message(coap.code('2.04'), [(coap.OSCORE, b'')], b'', coap.ACK, message.mid + 1 & 0xffff,
                             message.token),
                coap.Message(coap.code('2.04'), [(coap.OSCORE, b'\x01\0')], bytes(20), coap.ACK, message.mid,
                             message.token),
                coap.Message(coap.code('2.04'), [(coap.OSCORE, b'')], os.urandom(20), coap.ACK, message.mid,
                             message.token)):
        listener.client.send(lie.encode())
    again = listener.next(2.5)
    attack.tally.check(again is not None, 'a lie from the right address does not count as an answer')
    listener.settle(again or message)
    attack.expect(listener.client.ask(coap.GET, '/ace-group/g1'), '2.05', 'the member works on')


def observations(attack):
    client = attack.client([('g1', 6)])
    attack.expect(client.join('g1'), '2.01', 'an observer joins')
    base = '/ace-group/g1'
    for size in range(9):
        token = os.urandom(size) if size else b''
        outer, exchange = client.protect(coap.GET, base, options=[(coap.OBSERVE, b'')])
        Client.mid += 1
        outer.mid, outer.token = Client.mid & 0xffff, token
        got = answers_to(client, outer)
        attack.tally.check(len(got) == 1 and got[0].token == token,
                           'an Observe with a token of %d bytes is answered' % size, len(got))
        if got:
            inner, _ = client.ctx.unprotect_response(got[0], exchange)
            attack.expect(inner, '2.05', 'an observation with a token of %d bytes' % size)
    for n in range(60):
        client.ask(coap.GET, base, options=[(coap.OBSERVE, b'')])
    for value in (b'\2', b'\xff\xff\xff', b'\xff' * 4, b'\1', b'\0', b'x' * 200):
        answer = client.ask(coap.GET, base, options=[(coap.OBSERVE, value)])
        attack.tally.check(error_of(answer)[0] in ('2.05', '4.00', '4.02'), 'a strange Observe value is harmless',
                           error_of(answer))
    for path in ('/num', '/active', '/creds', '/policies', '/nodes/' + client.node, '/nodes/nobody', '/nothing'):
        answer = client.ask(coap.GET, base + path, options=[(coap.OBSERVE, b'')])
        attack.tally.check(error_of(answer)[0] in ('2.05', '4.03', '4.04', '4.05'), 'Observe on %s' % path,
                           error_of(answer))
    for method in (coap.POST, coap.DELETE, coap.FETCH, coap.PUT):
        answer = client.ask(method, base, options=[(coap.OBSERVE, b'')])
        attack.tally.check(error_of(answer)[0][0] == '4', 'Observe with method %d' % method, error_of(answer))
    client.ask(coap.GET, base, options=[(coap.OBSERVE, b'')])
    drain(client.sock, 0.1)
    attack.server.ctl('rekey', 'g1', '--compromised')
    got = [m for m in map(decoded, drain(client.sock, 0.25)) if m and m.is_response()]
    tokens = {m.token for m in got}
    attack.tally.check(len(tokens) <= 1, 'many registrations of one member are one observation', len(tokens))
    for message in got:
        client.send(coap.Message(0, [], b'', coap.ACK, message.mid).encode())
    drain(client.sock, 0.5)
    attack.expect(client.ask(coap.GET, base), '2.05', 'the observer works on')


def blocks(attack):
    client = attack.client([('g1', 6)])
    attack.expect(client.join('g1'), '2.01', 'a member joins')
    base = '/ace-group/g1'
    values = [b'', b'\6', b'\7', b'\x0f', b'\x17', b'\xff\xff\xf0', b'\xff\xff\xff', b'\x10', b'\x16', b'\x26',
              b'\xff' * 4, b'\xff' * 8]
    for path in ('', '/creds', '/num', '/nodes/' + client.node, '/nothing', '/nodes/nobody'):
        for value in values:
            for number in (coap.BLOCK2, coap.BLOCK1):
                answer = client.ask(coap.GET, base + path, options=[(number, value)])
                code = error_of(answer)[0]
                attack.tally.check(code[0] in '24', 'block option %d %s on %s' % (number, value.hex(), path[:7]), code)
                if value == b'\7' and number == coap.BLOCK2 and path == '':
                    attack.tally.check(code[0] == '4', 'block size 7 is refused', code)
    body = cbor2.dumps(client.join_body('g1'))
    for value in (b'\6', b'\x0e', b'\x1e', b'\7', b'\xff\xff\xff'):
        answer = client.ask(coap.POST, base, body, ace.CF_GROUPCOMM, [(coap.BLOCK1, value)])
        attack.tally.check(error_of(answer)[0] in ('4.13', '4.08', '4.02', '4.00', '2.04', '2.31'), 'Block1 on a Join',
                           error_of(answer))

    def outer_block(number, value):
        def change(outer):
            outer.options = outer.options + [(number, value)]
        return change
    for number in (coap.BLOCK1, coap.BLOCK2):
        for value in values:
            answer = client.ask(coap.GET, base, outer_change=outer_block(number, value))
            attack.tally.check(error_of(answer)[0][0] in '24n', 'outer block option %d' % number, error_of(answer))
    for value in (b'', b'x', bytes(8), bytes(40), os.urandom(8)):
        attack.expect(client.ask(coap.GET, base, options=[(coap.ECHO, value)]), '2.05',
                      'an Echo nobody asked for is ignored')
    attack.expect(client.ask(coap.GET, base), '2.05', 'the member works on')


def contexts_of_others(attack):
    """Requests that name a context of somebody else, and contexts that nobody has."""
    owner, thief = attack.client([('g1', 6)]), attack.client([('g1', 6)])
    attack.expect(owner.join('g1'), '2.01', 'the owner joins')
    before = attack.server.ctl('member', 'show', 'g1', owner.node)
    mine = thief.ctx.sender_id
    ids = [owner.ctx.sender_id] + [(int.from_bytes(mine, 'big') ^ 1 << bit).to_bytes(4, 'big') for bit in range(32)]
    for number, kid in enumerate(ids):
        def other_kid(outer, kid=kid):
            option = oscore.decode_option(outer.get(coap.OSCORE))
            outer.options = [(coap.OSCORE, oscore.encode_option(option.piv, kid))]
        answer = thief.ask(coap.DELETE, '/ace-group/g1/nodes/' + owner.node, outer_change=other_kid)
        attack.tally.check(answer is not None and answer.bare and error_of(answer)[0] in ('4.00', '4.01'),
                           'a request under the context of another is refused', (number, error_of(answer)))
    for piv in (b'\xff\xff\xff\xff\xff', b'\0\0', b'\0\0\0\0\1'):
        answer = thief.exchange(coap.Message(coap.POST, [(coap.OSCORE,
                                                          oscore.encode_option(piv, owner.ctx.sender_id))], bytes(30)))
        attack.tally.check(error_of(answer)[0] in ('4.00', '4.01', '4.02'), 'a forged Partial IV is refused',
                           error_of(answer))
    after = attack.server.ctl('member', 'show', 'g1', owner.node)
    attack.tally.check(before == after, 'the owner is what it was', (before, after))
    attack.expect(owner.ask(coap.GET, '/ace-group/g1'), '2.05', 'a forged Partial IV does not move the window')
    thief.ctx.ssn = 2 ** 40 - 2
    attack.tally.check(error_of(thief.ask(coap.GET, '/ace-group/g1/num'))[0] == '4.03',
                       'the last Partial IVs can be used')
    odd = attack.client([('g1', 6)])
    for inner in (b'', b'\0', b'\x40', b'\x45', b'\xff', b'\1\xff', b'\1\xf0', b'\1\xd0', b'\1\xbd\xff',
                  b'\1' + b'\xe0\xff\xff' * 3,
                  b'\1' + b'\xb1a' * 300, b'\5\xff' + b'\x81' * 900, b'\1' + bytes(900), os.urandom(500)):
        exchange = oscore.Exchange(odd.ctx.sender_id, odd.ctx.next_piv())
        nonce = oscore.make_nonce(odd.ctx.common_iv, exchange.kid, exchange.piv)
        sealed = oscore.seal(10, odd.ctx.sender_key, nonce, odd.ctx.aad(exchange), inner)
        answer = odd.exchange(coap.Message(coap.POST, [(coap.OSCORE,
                                                        oscore.encode_option(exchange.piv, exchange.kid))], sealed))
        code = error_of(answer)[0]
        if answer and answer.get(coap.OSCORE) is not None:
            code = error_of(odd.ctx.unprotect_response(answer, exchange)[0])[0]
        attack.tally.check(code[0] == '4', 'a strange plaintext %s is refused' % inner[:6].hex(), code)
    attack.expect(odd.ask(coap.GET, '/ace-group/g1'), '4.03', 'and its context works on')


def after_a_kill(attack, honest):
    """Replay windows are gone: recorded requests get an Echo challenge at most, forged Echo values do not help."""
    packets = [p for p in recorded(attack) if is_protected(p)][:600]
    before = attack.server.ctl('group', 'list')
    attack.server.kill()
    attack.server.start()
    stranger, codes = udp_socket(), {}
    for n, data in enumerate(packets):
        stranger.sendto(data, attack.server.addr)
        if n % 8 == 7 or n + 1 == len(packets):
            for answer in map(decoded, drain(stranger, 0.01)):
                codes[coap.dotted(answer.code)] = codes.get(coap.dotted(answer.code), 0) + 1
                if answer.get(coap.OSCORE) is not None:
                    piv = oscore.decode_option(answer.get(coap.OSCORE)).piv
                    attack.tally.check(piv is not None, 'an Echo challenge has a Partial IV of its own')
    attack.tally.check(bool(packets) and set(codes) <= {'4.01', '4.00', '4.02', '2.04', '0.00'}, 'codes after a kill',
                       codes)
    stranger.close()
    for echo in (b'', bytes(8), os.urandom(8), os.urandom(40)):
        outer, exchange = honest.protect(coap.GET, '/ace-group/quiet', options=[(coap.ECHO, echo)])
        inner, _ = honest.ctx.unprotect_response(honest.exchange(outer), exchange)
        attack.tally.check(coap.dotted(inner.code) == '4.01' and inner.get(coap.ECHO), 'a forged Echo gets a challenge',
                           coap.dotted(inner.code))
    attack.expect(honest.ask(coap.GET, '/ace-group/quiet'), '2.05', 'the honest member talks on after a kill')
    attack.tally.check([(r['group'], r['version'], r['members']) for r in before] ==
                       [(r['group'], r['version'], r['members']) for r in attack.server.ctl('group', 'list')],
                       'replays changed nothing')
