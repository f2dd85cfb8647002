# SPDX-License-Identifier: Apache-2.0
"""An authorization server that turns on gmd: garbage on the link, about references, in lists of revoked tokens."""

import hashlib
import json
import os
import select
import threading
import time

import cbor2

from rig import Client, ace, coap, decoded, drain, error_of, oscore, udp_socket

CF_TRL = 262
BLOCK = 1024


def sealed_as(ctx, plaintext, exchange, option, request, kind=coap.ACK):
    """A response of any bytes and any OSCORE option, under the nonce of the request."""
    nonce = oscore.make_nonce(ctx.common_iv, exchange.kid, exchange.piv)
    payload = oscore.seal(ctx.alg, ctx.sender_key, nonce, ctx.aad(exchange), plaintext)
    return coap.Message(coap.code('2.04'), [(coap.OSCORE, option)], payload, kind, request.mid, request.token).encode()


class HostileServer(threading.Thread):
    """The server's end of a link (RFC 8613 App. B.2). What it answers is that of `answer(request)`; `before(...)` gives
    datagrams that go out ahead of each answer, `change(message)` spoils the answer itself."""

    def __init__(self, attack, name, *options, alg=10, answer=None):
        super().__init__(daemon=True)
        self.attack, self.server, self.name, self.options, self.alg = attack, attack.server, name, options, alg
        self.sock, self.running = udp_socket(), True
        self.ms, self.salt, self.ours, self.theirs = os.urandom(16), os.urandom(8), b'\1', b'\0'
        self.ctx, self.r2, self.old, self.asked, self.hellos = None, None, [], [], 0
        self.answer = (lambda request: answer(self, request)) if answer else self.good_answer
        self.before, self.change, self.reference = None, None, b''
        self.claims, self.body, self.lock, self.observer = {}, {}, threading.Lock(), None
        path = self.server.path(name + '.json')
        self.key = {'kid': os.urandom(4).hex(), 'alg': 'AES-CCM-16-64-128', 'key': os.urandom(16).hex(), 'iss': name,
                    'aud': 'gm.test'}
        self.write(path, self.key)
        self.link = {'addr': '127.0.0.1:%d' % self.sock.getsockname()[1], 'ms': self.ms.hex(), 'salt': self.salt.hex(),
                     'sid': self.theirs.hex(), 'rid': self.ours.hex(), 'alg': alg}
        self.write(self.server.path(name + '.link'), self.link)

    @staticmethod
    def write(path, what):
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(what, file)

    def __enter__(self):
        self.start()
        self.server.ctl('as', 'add', self.name, '--key=' + self.server.path(self.name + '.json'),
                        '--link=' + self.server.path(self.name + '.link'), *self.options)
        return self

    def __exit__(self, *_):
        self.server.ctl('as', 'remove', self.name, '--yes')
        self.running = False
        self.join(5)
        self.sock.close()

    def shown(self):
        return self.server.ctl('as', 'show', self.name)[0]

    def until(self, true, seconds=60.0):
        end = time.monotonic() + seconds
        while not true(self) and time.monotonic() < end:
            time.sleep(0.02)
        return true(self)

    def context(self, id_context):
        return oscore.Context(self.ms, self.salt, self.ours, self.theirs, id_context, self.alg)

    def run(self):
        while self.running:
            if not select.select([self.sock], [], [], 0.1)[0]:
                continue
            data, peer = self.sock.recvfrom(65536)
            message = decoded(data)
            if not message or not message.is_request():
                continue
            try:
                with self.lock:
                    self.take(message, peer)
            except oscore.OscoreError:
                continue  # a repeat
            except Exception as error:
                self.attack.tally.check(False, 'a hostile server meets %s' % type(error).__name__, repr(error))

    def take(self, outer, peer):
        option, self.peer = oscore.decode_option(outer.get(coap.OSCORE)), peer
        fresh = cbor2.loads(option.kid_context) if option.kid_context is not None else None
        if fresh is not None and len(fresh) == 8:
            self.hello(outer, fresh, peer)
            return
        if fresh is not None and not (self.ctx and self.ctx.id_context == fresh):
            if fresh[:-8] != self.r2:
                return
            self.ctx = self.context(fresh)
        if not self.ctx:
            return
        inner, exchange = self.ctx.unprotect_request(outer)
        self.asked.append(inner)
        self.reply(outer, exchange, self.ctx, self.answer(inner), peer)

    def hello(self, outer, r1, peer):
        _, exchange = self.context(r1).unprotect_request(outer)
        self.hellos, self.r2 = self.hellos + 1, os.urandom(8)
        self.reply(outer, exchange, self.context(self.r2 + r1), coap.Message(coap.code('4.01')), peer,
                   cbor2.dumps(self.r2))

    def reply(self, outer, exchange, ctx, inner, peer, kid_context=None):
        for data in self.before(self, outer, exchange, ctx, kid_context) if self.before else ():
            self.sock.sendto(data, peer)
        if inner is None:
            return
        message = ctx.protect_response(inner, exchange, own_piv=inner.get(coap.OBSERVE) is not None)
        if kid_context is not None:
            message.options = [(coap.OSCORE, oscore.encode_option(kid_context=kid_context))]
        message.type, message.mid, message.token = coap.ACK, outer.mid, outer.token
        if inner.get(coap.OBSERVE) is not None:
            self.observer = outer.token, exchange, peer
        data = self.change(message) if self.change else message.encode()
        if data:
            self.sock.sendto(data, peer)
            self.old = [data] + self.old[:20]

    def notify(self, body, number=None, ends=False):
        with self.lock:
            token, exchange, peer = self.observer
            options = [(coap.CONTENT_FORMAT, coap.uint_bytes(CF_TRL))] + ([] if ends else [(coap.OBSERVE, b'\1')])
            if number is not None:
                self.ctx.ssn = number
            message = self.ctx.protect_response(coap.Message(coap.code('2.05'), options, body), exchange, own_piv=True)
            message.type, message.mid, message.token = coap.NON, int.from_bytes(os.urandom(2), 'big'), token
            data = message.encode()
            self.sock.sendto(data, peer)
            self.old = [data] + self.old[:20]

    # What it says.

    def good_answer(self, request):
        if request.path() == '/introspect':
            reference = cbor2.loads(request.payload).get(11) if request.payload else self.reference
            self.reference = reference
            found = self.claims.get(reference)
            body = cbor2.dumps({10: True, **found} if found else {10: False})
            return self.in_blocks(request, '2.01', 19, body)
        diff = any(q.startswith(b'diff') for q in request.all(coap.URI_QUERY))
        return self.a_list(request, cbor2.dumps({1: [], 2: 1, 3: False} if diff else {0: [], 2: 1}))

    def a_list(self, request, body):
        answer = self.in_blocks(request, '2.05', CF_TRL, body)
        if request.get(coap.OBSERVE) == b'':
            answer.options.append((coap.OBSERVE, b'\1'))
        return answer

    def in_blocks(self, request, code, form, body, size=BLOCK):
        options, number = [(coap.CONTENT_FORMAT, coap.uint_bytes(form))], 0
        if len(body) > size:
            if request.get(coap.BLOCK2) is not None:
                number, _, size = coap.unblock(request.get(coap.BLOCK2))
            more = len(body) > (number + 1) * size
            options.append((coap.BLOCK2, coap.block(number, more, size.bit_length() - 5)))
            body = body[number * size:(number + 1) * size]
        return coap.Message(coap.code(code), options, body)

    def knows(self, client, **change):
        """A reference of the client's, and what is said of it."""
        claims = client.claims([('g1', 6)])
        for label, value in change.items():
            claims[int(label[1:])] = value
        claims[1] = self.name
        reference = b'\xf0' + os.urandom(15)
        self.claims[reference] = claims
        return reference


def code_of(client, reference):
    return error_of(client.post(reference))[0]


def works(attack, hostile, what):
    client = attack.client()
    code = code_of(client, hostile.knows(client))
    if attack.tally.check(code == '2.01', 'a reference opens an association ' + what, code):
        answer = client.ask(coap.GET, '/ace-group/g1/num')
        attack.tally.check(error_of(answer)[0] == '4.03' and not answer.bare, 'which works ' + what, error_of(answer))


# ---- what is posted

def references(attack):
    """Garbage, nested and long references: what is no COSE object is asked about, once a post, and nothing else is."""
    client = attack.client()
    now = [('nothing', b''), ('a byte', b'\0'), ('text', b'token'), ('a bomb', b'\x81' * 512), ('tags', b'\xc1' * 512),
           ('maps', b'\xa1\0' * 256), ('an open map', b'\xbf' * 500), ('512 bytes', b'\xf0' * 512),
           ('513 bytes', b'\xf0' * 513),
           ('1000 bytes', b'\xf0' * 1000), ('2^64 bytes', b'\x5b' + b'\xff' * 8),
           ('a token in a token', cbor2.dumps({1: b'x', 40: b'y'})),
           ('an empty COSE', cbor2.dumps(cbor2.CBORTag(16, [b'', {}, b'']))), ('zeros', bytes(500)),
           ('a CWT in a text', cbor2.dumps(str(os.urandom(20))))]
    with HostileServer(attack, 'hostile', '--introspect') as hostile:
        for what, reference in now:
            code = code_of(client, reference)
            attack.tally.check(code in ('4.00', '4.01'), 'a reference that is %s is refused' % what, code)
        for _ in range(100):
            attack.tally.check(code_of(client, os.urandom(1 + attack.dice.randrange(300))) in ('4.00', '4.01'),
                               'a random reference is refused')
        works(attack, hostile, 'after garbage')
        flood(attack, hostile)


def flood(attack, hostile, count=600):
    """The server is silent and thousands are posted: few wait, the others are told to come later."""
    before, hostile.answer = attack.server.rss_kib(), lambda request: None
    client, codes = attack.client(), {}
    for n in range(count):
        body = cbor2.dumps({1: b'\xf1' + os.urandom(300), 40: bytes(8), 43: b'ab'})
        client.send(coap.Message(coap.POST, coap.path_options('/authz-info') + [(coap.CONTENT_FORMAT, b'\x13')], body,
                                 mid=n, token=n.to_bytes(4, 'big')).encode())
        if n % 16 == 15:
            for answer in map(decoded, drain(client.sock, 0.002)):
                codes[answer.code] = codes.get(answer.code, 0) + 1
    asked = len(hostile.asked)
    other = attack.client()
    attack.expect(other.post(ace.mint(attack.server.as_key, other.claims([('g1', 6)]))), '2.01',
                  'a CWT is taken while references wait')
    hostile.answer = hostile.good_answer  # and knows none of them
    for answer in map(decoded, drain(client.sock, 2.0)):
        codes[answer.code] = codes.get(answer.code, 0) + 1
    attack.tally.check(set(codes) <= {coap.code('5.03'), coap.code('4.01'), 0},
                       'references nobody answers for are refused', codes)
    attack.tally.check(len(hostile.asked) - asked <= 1000, 'a silent server is not flooded', len(hostile.asked) - asked)
    grown = attack.server.rss_kib() - before
    attack.tally.check(grown < 8192, 'a flood of references costs little memory', '%d KiB' % grown)


# ---- what is said of it

def introspections(attack):
    """The table of answers: what each is, and what the client that posted the reference gets."""
    client, now = attack.client(), int(time.time())
    maps, silent, refused = ('2.01', 19), ('5.03',), ('4.00', '4.01', '4.03')

    def claims(**change):
        c = {10: True, **client.claims([('g1', 6)]), 1: 'hostile'}
        for label, value in change.items():
            c[int(label[1:])] = value
            if value is None:
                del c[int(label[1:])]
        return cbor2.dumps(c)

    def osc(**change):
        c = client.claims([('g1', 6)])
        c[8][4].update({int(k[1:]): v for k, v in change.items()})
        return cbor2.dumps({10: True, **c, 1: 'hostile'})

    rows = [
        ('nothing', *maps, b'', silent), ('an array', *maps, b'\x80', silent), ('a text', *maps, b'\x61a', silent),
        ('a bomb', *maps, b'\x81' * 1000, silent),
        ('a bomb in a claim', *maps, b'\xa2\x0a\xf5\x19\x99\x99' + b'\x81' * 900 + b'\0', silent + refused),
        ('an open map', *maps, b'\xbf\x0a\xf5\xff', silent + refused),
        ('2^64 pairs', *maps, b'\xbb' + b'\xff' * 8, silent),
        ('active twice', *maps, b'\xa2\x0a\xf4\x0a\xf5', silent),
        ('active as a number', *maps, cbor2.dumps({10: 1}), silent),
        ('active as text', *maps, cbor2.dumps({10: 'true'}), silent),
        ('active undefined', *maps, b'\xa1\x0a\xf7', silent),
        ('no active', *maps, claims(c10=None), silent), ('only active', *maps, cbor2.dumps({10: True}), refused),
        ('inactive with claims', *maps, claims(c10=False), refused),
        ('bytes after it', *maps, claims() + b'\0', silent), ('ended early', *maps, claims()[:-3], silent),
        ('of code 2.04', '2.04', 19, claims(), silent), ('of code 2.05', '2.05', 19, claims(), silent),
        ('of code 4.04', '4.04', 19, claims(), silent), ('of code 5.00', '5.00', 19, claims(), silent),
        ('of code 4.01 without Echo', '4.01', 19, b'', silent), ('of code 2.31', '2.31', 19, claims(), silent),
        ('in format 60', '2.01', 60, claims(), silent), ('in format 65535', '2.01', 65535, claims(), silent),
        ('expired', *maps, claims(c4=now - 10), refused), ('of text expiry', *maps, claims(c4='now'), refused + silent),
        ('of negative expiry', *maps, claims(c4=-1), refused + silent),
        ('of expiry 2^64-1', *maps, claims(c4=2 ** 64 - 1), refused + ('2.01',)),
        ('for another audience', *maps, claims(c3='other'), refused),
        ('for audiences that are numbers', *maps, claims(c3=[1, 2]), refused + silent),
        ('for an audience of 3000 bytes', *maps, claims(c3='x' * 3000), refused),
        ('for 900 audiences', *maps, claims(c3=['x'] * 900), refused),
        ('of 5000 bytes', *maps, claims(c999=bytes(5000)), silent + ('2.01',)),
        ('of 70000 bytes', *maps, claims(c999=bytes(70000)), silent),
        ('of another issuer', *maps, claims(c1='as1'), refused + ('2.01',)),
        ('without cnf', *maps, claims(c8=None), refused),
        ('with cnf of a number', *maps, claims(c8=5), refused + silent),
        ('with cnf of a kid', *maps, claims(c8={3: b'x'}), refused),
        ('with a scope of a bomb', *maps, claims(c9=b'\x81' * 800), refused),
        ('with a text scope', *maps, claims(c9='g1'), refused + silent),
        ('with an osc id of 33 bytes', *maps, osc(c0=bytes(33)), refused),
        ('with an osc id of 3000 bytes', *maps, osc(c0=bytes(3000)), refused),
        ('with an ms of 3000 bytes', *maps, osc(c2=bytes(3000)), refused + ('2.01',)),
        ('with an ms of nothing', *maps, osc(c2=b''), refused + ('2.01',)),
        ('with a salt of 3500 bytes', *maps, osc(c5=bytes(3500)), refused + ('2.01', '5.03')),
        ('with a context id of 3000 bytes', *maps, osc(c6=bytes(3000)), refused + ('2.01', '5.03')),
        ('with a nonsense profile', *maps, claims(c38=77), refused + ('2.01',)),
        ('with a cnonce nobody gave', *maps, claims(c39=b'xyz'), refused + ('2.01',)),
        ('with an exi and no cti', *maps, claims(c40=5, c7=None), refused),
        ('with an exi of 2^63', *maps, claims(c40=2 ** 63), refused + silent + ('2.01',)),
    ]
    with HostileServer(attack, 'hostile', '--introspect') as hostile:
        for what, code, form, body, want in rows:
            hostile.answer = lambda request, c=code, f=form, b=body: hostile.in_blocks(request, c, f, b)
            got = code_of(client, os.urandom(20))
            attack.tally.check(got in want, 'an answer that is %s' % what, 'got %s, not %s' % (got, want))
        for _ in range(150):
            body = bytearray(claims())
            for _ in range(attack.dice.randrange(1, 6)):
                body[attack.dice.randrange(len(body))] = attack.dice.randrange(256)
            hostile.answer = lambda request, b=bytes(body): hostile.in_blocks(request, '2.01', 19, b)
            got = code_of(client, os.urandom(20))
            attack.tally.check(got in (*refused, *silent, '2.01'), 'a mutated answer is judged', got)
        hostile.answer = hostile.good_answer
        works(attack, hostile, 'after wrong answers')
        blocks(attack, hostile, client)
        works(attack, hostile, 'after wrong blocks')


def blocks(attack, hostile, client):
    """Bodies in blocks that are wrong: each reference gets its answer, after no more than a few requests for blocks."""
    body, count = cbor2.dumps({10: False, 99: bytes(3000)}), [0]

    def part(number, more, szx, size=None, etag=None, echo=None, code='2.01', observe=False):
        def answer(_):
            count[0] += 1
            n = count[0] - 1 if number is None else number
            options = [(coap.CONTENT_FORMAT, b'\x13'), (coap.BLOCK2, coap.uint_bytes(n << 4 | more << 3 | szx))]
            options += [(coap.ETAG, os.urandom(8) if etag == 'new' else etag)] if etag else []
            options += [(coap.ECHO, os.urandom(8))] if echo else []
            options += [(coap.OBSERVE, b'\1')] if observe else []
            return coap.Message(coap.code(code), options, bytes(size if size is not None else 16 << szx))
        return answer

    rows = [('begin with number 1', part(1, 1, 6), 4), ('begin with number 2^20-1', part(2 ** 20 - 1, 1, 6), 4),
            ('come as number 0 always', part(0, 1, 6), 8),
            ('have a size of 7', part(0, 1, 7, 1024), 4), ('are short', part(0, 1, 6, 1000), 4),
            ('are empty', part(0, 1, 6, 0), 4),
            ('never end', part(None, 1, 6), 70),('never end, of 64 bytes', part(None, 1, 2), 1100),
            ('change their ETag', part(None, 1, 6, etag='new'), 8), ('shrink', part(None, 1, 3, 1024), 4),
            ('ask for Echo always', part(0, 0, 6, code='4.01', echo=True), 4),
            ('observe', part(0, 0, 6, observe=True), 4)]
    for what, answer, most in rows:
        count[0], hostile.answer = 0, answer
        got = code_of(client, os.urandom(20))
        attack.tally.check(got in ('5.03', '4.01'), 'blocks that %s' % what, got)
        attack.tally.check(0 < count[0] <= most, 'blocks that %s are not asked for without end' % what, count[0])
    hostile.answer = lambda request: hostile.in_blocks(request, '2.01', 19, body, 16)
    attack.tally.check(code_of(client, os.urandom(20)) == '4.01', 'an answer in 190 blocks is read')
    hostile.answer = hostile.good_answer


# ---- the wire

def junk(hostile, outer, exchange, ctx, kid_context):
    """Ahead of each answer: none of it is one, and none of it ends the request."""
    good = bytes([coap.code('4.01')])
    token, mid = outer.token, outer.mid
    for option in (b'', b'\x80', b'\x40', b'\xff' * 30, b'\x06' + bytes(6), b'\x07' + bytes(7), b'\x01', b'\x10',
                   b'\x10\xff', b'\x20', b'\x28abc',
                   b'\x10\0', b'\x10\x01\x40', b'\x10\x09\x48' + bytes(8), b'\x10\x42\x58\x40' + bytes(64),
                   b'\x10\x43\x58\x41' + bytes(65),
                   b'\x10\x09\x5b' + b'\xff' * 8, b'\x10\x02\x81\x81', b'\x01\0', b'\x05' + b'\xff' * 5):
        yield coap.Message(coap.code('2.04'), [(coap.OSCORE, option)], os.urandom(20), coap.ACK, mid, token).encode()
        yield coap.Message(coap.code('2.04'), [(coap.OSCORE, option)], b'', coap.NON, mid, token).encode()
        yield coap.Message(coap.code('2.04'), [(coap.OSCORE, option)], b'x' * 7, coap.CON, mid, token).encode()
    own = oscore.encode_option(kid_context=kid_context) if kid_context is not None else b''
    for plain in (b'', b'\0', b'\1', b'\x02\xb5abcde', b'\x1f', b'\x21', b'\x60', b'\xff', good + b'\xff',
                  good + b'\xe0', good + b'\xdf' * 30, good + b'\x0f'):
        yield sealed_as(ctx, plain, exchange, own, outer)
    right = sealed_as(ctx, good, exchange, own, outer)
    for cut in (1, 2, 4, 7, 8):
        yield right[:-cut]
    yield right[:-1] + bytes([right[-1] ^ 1])
    for size in (0, 1, 6, 8):
        wrong = coap.Message.decode(right)
        wrong.token = (token + b'\0')[:size]
        yield wrong.encode()
    wrong = coap.Message.decode(right)
    wrong.mid = mid + 1 & 0xffff
    yield wrong.encode()
    wrong.mid, wrong.token = mid, os.urandom(7)
    yield wrong.encode()
    wrong.token = bytes([token[0] ^ 1]) + token[1:]  # another worker's
    yield wrong.encode()
    for place in (1, 63, 64, 255):
        wrong.token = token[:1] + bytes([token[1] ^ place]) + token[2:]
        yield wrong.encode()
    for code in ('2.01', '2.05', '2.31'):
        yield coap.Message(coap.code(code), [(coap.CONTENT_FORMAT, b'\x13')], cbor2.dumps({10: True}), coap.ACK, mid,
                           token).encode()
    for code in ('1.00', '3.01', '6.01', '7.31'):
        yield coap.Message(coap.code(code), [], b'x', coap.ACK, mid, token).encode()
    for method in (1, 2, 5, 31):
        yield coap.Message(method, coap.path_options('/introspect'), b'', coap.CON, mid, token).encode()
        yield coap.Message(method, [(coap.OSCORE, b'\x09\0' + hostile.ours)], bytes(30), coap.NON, mid, token).encode()
    yield coap.Message(type=coap.CON, mid=mid).encode()
    yield coap.Message(type=coap.RST, mid=mid + 1 & 0xffff).encode()
    yield coap.Message(type=coap.ACK, mid=mid + 1 & 0xffff).encode()
    yield right + bytes(30000)
    yield os.urandom(1400)
    yield from hostile.old


def wire(attack):
    """Junk ahead of each answer; answers from elsewhere and twice; errors nobody protects; first answers on and on."""
    for alg in (10, 24):
        with HostileServer(attack, 'hostile', '--introspect', alg=alg) as hostile:
            hostile.before = junk
            works(attack, hostile, 'through junk, algorithm %d' % alg)
            works(attack, hostile, 'through junk again, algorithm %d' % alg)
            attack.tally.check(hostile.hellos == 1, 'junk costs no context', hostile.hellos)
    with HostileServer(attack, 'hostile', '--introspect') as hostile:
        elsewhere(attack, hostile)
        hostile.change = lambda message: (hostile.sock.sendto(message.encode(), hostile.peer), message.encode())[1]
        works(attack, hostile, 'when each answer comes twice')
        hostile.change = as_con(hostile)
        works(attack, hostile, 'when answers are confirmable, and come thrice')
        hostile.change = None
        unprotected_errors(attack, hostile)
    first_answers(attack)


def as_con(hostile):
    def change(message):
        message.type, message.mid = coap.CON, int.from_bytes(os.urandom(2), 'big')
        for _ in range(2):
            hostile.sock.sendto(message.encode(), hostile.peer)
        return message.encode()
    return change


def elsewhere(attack, hostile):
    """The right bytes from a wrong address."""
    other = udp_socket()

    def moved(message):
        other.sendto(message.encode(), hostile.peer)
        return None

    works(attack, hostile, 'at first')
    client = attack.client()
    hostile.change = moved
    reference = hostile.knows(client)
    code = code_of(client, reference)
    attack.tally.check(code in ('no answer', '5.03'), 'an answer from another address is none', code)
    hostile.change = None
    other.close()


def unprotected_errors(attack, hostile):
    for code in ('4.01', '4.04', '5.03'):
        times = [0]

        def bare(_, outer, *__):
            times[0] += 1
            if times[0] == 1:
                yield coap.Message(coap.code(code), [], b'', coap.ACK, outer.mid, outer.token).encode()
        hostile.before = bare
        client = attack.client()
        got = code_of(client, hostile.knows(client))
        attack.tally.check(got in ('2.01', '5.03', 'no answer'), 'an unprotected %s is no answer' % code, got)
        hostile.before = None
    end = time.monotonic() + 60
    while time.monotonic() < end and code_of(client, hostile.knows(client)) != '2.01':
        time.sleep(0.5)
    works(attack, hostile, 'after unprotected errors')


def first_answers(attack):
    """The server asks for a new context again and again, with any R2."""
    with HostileServer(attack, 'hostile', '--introspect') as hostile:
        works(attack, hostile, 'at first')
        def restart(_, outer, exchange, ctx, kid_context):
            if kid_context is None:  # any request is answered with a new R2, under the keys of the two
                r2 = os.urandom(attack.dice.choice((1, 8, 64)))
                new = hostile.context(r2 + ctx.id_context)
                hostile.r2 = r2
                yield sealed_as(new, bytes([coap.code('4.01')]), exchange,
                                oscore.encode_option(kid_context=cbor2.dumps(r2)), outer)
        before = len(hostile.asked)
        hostile.before, hostile.answer = restart, lambda request: None
        client = attack.client()
        code = code_of(client, hostile.knows(client))
        attack.tally.check(code in ('5.03', 'no answer'), 'a server that always wants a new context is given up', code)
        time.sleep(1.0)
        attack.tally.check(len(hostile.asked) - before <= 30, 'and not asked without end', len(hostile.asked) - before)
        hostile.before, hostile.answer = None, hostile.good_answer


# ---- lists of revoked tokens

def hashes(count, seed=0):
    return [b'\1' + hashlib.sha256(b'%d %d' % (seed, n)).digest() for n in range(count)]


def lists(attack):
    """Full and diff sets that are none; lists at their limits."""
    good = hashes(3)
    full = [('both sets', cbor2.dumps({0: [], 1: []})),
            ('a short hash', cbor2.dumps({0: [b'\1' + bytes(31)], 2: 1})),
            ('a hash of text', cbor2.dumps({0: ['x' * 33], 2: 1})), ('2^64 hashes', b'\xa1\0\x9b' + b'\xff' * 8),
            ('a cursor of 2^64', cbor2.dumps({0: good, 2: 2 ** 64})),
            ('bytes after it', cbor2.dumps({0: good, 2: 1}) + b'\0'),
            ('a diff for a full query', cbor2.dumps({1: [[[], good]] * 65, 2: 1, 3: False}))]
    for what, body in full:
        with HostileServer(attack, 'hostile', '--trl', answer=lambda h, request,
                           b=body: h.a_list(request, b)) as hostile:
            attack.tally.check(hostile.until(lambda h: h.shown()['failed'] >= 1),
                               'a list that is %s is refused' % what, hostile.shown())
            attack.tally.check(hostile.shown().get('revoked', 0) == 0, 'and nothing of it taken', hostile.shown())
    diffs(attack)
    long_lists(attack)
    endless_more(attack)
    notifications(attack)


def diffs(attack):
    good = hashes(2)
    rows = [[[[], [], []]], [[[b'x'], []]], [[[], good]] * 65]
    for diff in rows:
        def answer(hostile, request, d=diff):
            body = {1: d, 2: 5, 3: False} if request.all(coap.URI_QUERY) else {0: good, 2: 2 ** 64 - 1}
            return hostile.a_list(request, cbor2.dumps(body))
        with HostileServer(attack, 'hostile', '--trl', answer=answer) as hostile:
            attack.tally.check(hostile.until(lambda h: h.shown()['failed'] >= 1),
                               'a diff set %s is refused' % str(diff)[:20], hostile.shown())
    asked = [q for request in hostile.asked for q in request.all(coap.URI_QUERY)]
    attack.tally.check(b'cursor=18446744073709551615' in asked, 'the largest cursor comes back', asked)

    def full_alone(hostile, request):
        largest = cbor2.dumps({0: good, 2: 2 ** 64 - 1})
        return None if request.all(coap.URI_QUERY) else hostile.a_list(request, largest)

    with HostileServer(attack, 'hostile', '--trl', answer=full_alone) as hostile:
        attack.tally.check(hostile.until(lambda h: h.shown()['trl_cursor'] == '18446744073709551615'),
                           'and is shown', hostile.shown())


def long_lists(attack):
    for count, size in ((1800, BLOCK), (300, 16), (20000, BLOCK)):
        def answer(hostile, request, b=cbor2.dumps({0: hashes(count), 2: 1}), s=size):
            return hostile.good_answer(request) if request.all(coap.URI_QUERY) else hostile.in_blocks(request, '2.05',
                                                                                                      CF_TRL, b, s)
        before = attack.server.rss_kib()
        with HostileServer(attack, 'hostile', '--trl', answer=answer) as hostile:
            done = (lambda h: h.shown()['trl_listed'] == count or count > 10000 and h.shown()['failed'])
            attack.tally.check(hostile.until(done), 'a list of %d in blocks of %d is judged' % (count, size),
                               hostile.shown())
            attack.tally.check(attack.server.rss_kib() - before < 16384, 'a long list costs little',
                               attack.server.rss_kib() - before)


def endless_more(attack):
    """There is always more, with a new cursor and new hashes each time."""
    serial = [0]

    def answer(hostile, request):
        serial[0] += 1
        if not request.all(coap.URI_QUERY):
            return hostile.good_answer(request)
        return hostile.a_list(request, cbor2.dumps({1: [[[], hashes(20, 1000 + serial[0])]], 2: serial[0], 3: True}))

    with HostileServer(attack, 'hostile', '--trl', answer=answer) as hostile:
        before = attack.server.rss_kib()
        time.sleep(1.0)
        attack.tally.check(hostile.until(lambda _: serial[0] > 3), 'what is more is asked for', serial[0])
        attack.tally.check(attack.server.rss_kib() - before < 32768, 'endless more costs bounded memory',
                           attack.server.rss_kib() - before)


def notifications(attack, count=400):
    """Observe floods, out of order, replayed, of garbage."""
    with HostileServer(attack, 'hostile', '--trl') as hostile:
        if not attack.tally.check(hostile.until(lambda h: h.shown()['trl'] == 'observing'), 'the list is observed',
                                  hostile.shown()):
            return
        before = attack.server.rss_kib()
        for n in range(count):
            hostile.notify(cbor2.dumps({1: [[[], hashes(1, n)]], 2: n, 3: False}))
            if n % 50 == 49:
                time.sleep(0.02)
        attack.tally.check(hostile.until(lambda h: h.shown()['trl'] == 'observing'), 'a flood ends no observation',
                           hostile.shown())
        for data in hostile.old:
            hostile.sock.sendto(data, hostile.peer)
        shown = hostile.shown()
        hostile.notify(cbor2.dumps({1: [[[], hashes(1, 77777)]], 2: 5, 3: False}), number=3)  # older
        time.sleep(0.2)
        attack.tally.check(hostile.shown()['trl_cursor'] == shown['trl_cursor'], 'an older notification is not taken',
                           (shown, hostile.shown()))
        hostile.notify(b'garbage', number=1 << 39)
        attack.tally.check(hostile.until(lambda h: h.shown()['failed'] >= 1), 'a notification of garbage is refused',
                           hostile.shown())
        attack.tally.check(attack.server.rss_kib() - before < 16384, 'a flood of notifications costs little',
                           attack.server.rss_kib() - before)

