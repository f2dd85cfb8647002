# SPDX-License-Identifier: Apache-2.0
"""A Group Manager just large enough to test member.py: one group, no access control, runs in a thread."""

import os
import queue
import threading
import time

import cbor2

import ace
import coap
import creds
import group_oscore
import oscore
from member import CHANGED, CONTENT, CREATED, DELETED

# Signature algorithm, curve of the credentials, capabilities of the signature key.
KINDS = {'eddsa': (-8, creds.ED25519, [1, 6]), 'es256': (-7, creds.P256, [2, 1]), 'pairwise': (None, creds.X25519, [])}


class Client:
    """What the GM knows of one association."""

    def __init__(self, addr, context, challenge):
        self.addr, self.context, self.challenge = addr, context, challenge
        self.sid = self.cred = self.roles = self.control = self.observation = self.body = None
        self.echoed = False


class FakeGm(threading.Thread):
    """`kind` is 'eddsa', 'es256' (both modes) or 'pairwise' (pairwise mode only, X25519).
    `flaws` makes it misbehave: 'kdc_proof', 'same_gid', 'stale_self', 'replays', 'old_notification'. `calls` holds what
    the thread shall do."""

    def __init__(self, as_key, group='g1', kind='eddsa', echo=False, flaws=(), block_size=64):
        super().__init__(daemon=True)
        self.as_key, self.name, self.echo, self.flaws, self.block_size = as_key, group, echo, flaws, block_size
        self.endpoint = coap.Endpoint()
        self.endpoint.on_request = self.serve
        self.addr = self.endpoint.addr
        self.sign_alg, curve, self.caps = KINDS[kind]
        self.keys = creds.KeyPair(curve)
        self.clients, self.stale, self.version = {}, [set()], 0
        self.calls, self.running, self.next_sid = queue.Queue(), True, 0
        self.skip_delivery = False
        self.new_material()

    def new_material(self):
        self.ms, self.salt, self.gid = os.urandom(16), os.urandom(8), b'G' + self.version.to_bytes(2, 'big')

    def run(self):
        while self.running:
            self.endpoint.pump(0.05, lambda: not self.calls.empty() or not self.running)
            while not self.calls.empty():
                self.calls.get()()
        self.endpoint.close()

    def material(self, sid=None):
        key = {2: self.ms, 3: 5, 5: self.salt, 6: self.gid, 8: 14, 4: 10, 12: -27,
               13: [[2], [2, 1]] if self.sign_alg == -7 else [[1], [1, 4]]}
        if self.sign_alg:
            key.update({9: 10, 10: self.sign_alg, 11: [self.caps[:1], self.caps]})
        if sid:
            key[7] = sid
        return {7: 1, 8: key, 9: self.version, 10: 1, 11: int(time.time()) + 60, 12: 60}

    def members(self):
        return [c for c in self.clients.values() if c.sid]

    def lists(self, clients):
        return {13: [c.cred.raw for c in clients], 14: [c.roles for c in clients], 15: [c.sid for c in clients]}

    def rekey(self):
        stale = self.stale[-1]
        self.version += 1
        gid = self.gid
        self.new_material()
        self.gid = gid if 'same_gid' in self.flaws else self.gid
        self.stale.append(set())
        if self.skip_delivery:
            return
        for client in self.members():
            self.deliver(client, sorted(stale) + [client.sid] * ('stale_self' in self.flaws))

    def deliver(self, client, stale):
        if client.control:
            body = {7: 1, 8: {2: self.ms, 5: self.salt, 6: self.gid}, 9: self.version, 10: 1, 12: 60, 34: stale}
            request = coap.Message(coap.POST, coap.path_options(client.control) + [
                (coap.CONTENT_FORMAT, coap.uint_bytes(261))], cbor2.dumps(body))
            outer, exchange = client.context.protect_request(request)
            outer.token = os.urandom(8)
            answer, _ = client.context.unprotect_response(self.endpoint.request(outer, client.addr), exchange)
            assert answer.code == CHANGED
        elif client.observation:
            token, exchange = client.observation
            note = self.answer(CONTENT, {**self.material(), 34: stale}, client, [(coap.OBSERVE, b'\x01')])
            outer = client.context.protect_response(note, exchange, own_piv=True)
            outer.token = token
            for _ in range(2 if 'old_notification' in self.flaws else 1):
                self.endpoint.send(outer, client.addr)

    def serve(self, outer, peer):
        if outer.get(coap.OSCORE) is None:
            return self.authz_info(outer, peer)
        client = self.clients.get(oscore.decode_option(outer.get(coap.OSCORE)).kid)
        if client is None:
            return coap.Message(coap.code('4.01'))
        if 'replays' in self.flaws:
            client.context.window = oscore.ReplayWindow()
        try:
            inner, exchange = client.context.unprotect_request(outer)
        except oscore.OscoreError:
            return coap.Message(coap.code('4.01'))
        if self.echo and not client.echoed:
            client.echoed = inner.get(coap.ECHO) == b'fresh'
            if not client.echoed:
                challenge = coap.Message(coap.code('4.01'), [(coap.ECHO, b'fresh')])
                return client.context.protect_response(challenge, exchange, own_piv=True)
        answer = self.route(inner, client, exchange)
        return client.context.protect_response(answer, exchange)

    def authz_info(self, outer, peer):
        body = cbor2.loads(outer.payload)
        osc = ace.open_token(self.as_key, body[1])[8][4]
        n2, id2, challenge = os.urandom(8), os.urandom(4), os.urandom(8)
        salt = ace.master_salt(osc[5], body[40], n2)
        self.clients[id2] = Client(peer, oscore.Context(osc[2], salt, body[43], id2), challenge)
        curve = [2, 1] if self.sign_alg == -7 else [1, 4]
        reply = {42: n2, 44: id2, 46: challenge, 47: [[self.name, -27, curve[:1], curve, 14]]}
        if self.sign_alg:
            reply[45] = [[self.name, self.sign_alg, self.caps[:1], self.caps, 14]]
        else:
            reply[48] = [[self.name, 14, self.keys.cred.raw]]
        return coap.Message(CREATED, [(coap.CONTENT_FORMAT, b'\x13')], cbor2.dumps(reply))

    def answer(self, code, body, client, options=(), content_format=261):
        """With Block2 when the body needs it; the rest is kept for the client's next requests."""
        options = [*options, (coap.CONTENT_FORMAT, coap.uint_bytes(content_format))]
        client.body = code, options, cbor2.dumps(body)
        return self.block(client, 0)

    def block(self, client, number):
        code, options, body = client.body
        size = self.block_size
        if len(body) <= size:
            return coap.Message(code, options, body)
        more = len(body) > (number + 1) * size
        part = body[number * size:(number + 1) * size]
        options = [o for o in options if not number or o[0] not in (coap.OBSERVE, coap.LOCATION_PATH)]
        place = coap.block(number, more, size.bit_length() - 5)
        return coap.Message(code, options + [(coap.BLOCK2, place), (coap.ETAG, b'e')], part)

    def route(self, inner, client, exchange):
        if inner.uint(coap.BLOCK2):
            return self.block(client, coap.unblock(inner.get(coap.BLOCK2))[0])
        base, path = '/ace-group/' + self.name, inner.path()
        if (inner.code, path) == (coap.POST, base):
            return self.admit(cbor2.loads(inner.payload), client)
        if path == base + '/verif-data' and client.sid:
            return self.answer(coap.code('4.03'), {0: {0: 8}}, client, content_format=257)
        if path == base + '/verif-data':
            body = self.material()
            group = group_oscore.Group(self.ms, self.salt, self.gid, self.keys.cred.raw, sign_alg=self.sign_alg)
            body[8] = {k: v for k, v in body[8].items() if k not in (2, 5, 13)}
            return self.answer(CONTENT, {**body, 33: group.sign_enc_key}, client)
        if path == base + '/kdc-cred':
            nonce = os.urandom(8)
            proof = self.keys.sign(ace.kdc_pop_input(cbor2.loads(inner.payload)[6], nonce))
            return self.answer(CONTENT, {17: self.keys.cred.raw, 18: nonce, 19: proof}, client)
        if path == base + '/creds':
            return self.answer(CONTENT, {9: self.version, **self.lists(self.members())}, client)
        if client.sid is None:
            return self.answer(coap.code('4.03'), {0: {0: 0}}, client, content_format=257)
        if inner.code == coap.DELETE:
            self.stale[-1].add(client.sid)
            client.sid = client.control = client.observation = None
            self.calls.put(self.rekey)
            return coap.Message(DELETED)
        if inner.code == coap.GET and path == base:
            options = []
            if inner.get(coap.OBSERVE) is not None:
                client.observation = inner.token, exchange
                options = [(coap.OBSERVE, b'')]
            return self.answer(CONTENT, self.material(), client, options)
        if inner.code == coap.POST and path.startswith(base + '/nodes/'):
            self.stale[-1].add(client.sid)
            self.next_sid += 1
            client.sid = bytes([self.next_sid])
            return self.answer(CHANGED, {21: client.sid}, client)
        return self.read(inner, client, path[len(base):])

    def read(self, inner, client, rest):
        if rest == '/stale-sids':
            missed = self.stale[cbor2.loads(inner.payload):]
            return self.answer(CONTENT, sorted(set().union(*missed)), client, content_format=60)
        if rest == '/num':
            return self.answer(CONTENT, self.version, client, content_format=60)
        if rest.startswith('/nodes/'):
            return self.answer(CONTENT, self.material(client.sid), client)
        return coap.Message(coap.code('4.04'))

    def admit(self, body, client):
        roles = cbor2.loads(body[3])[1]
        peers = [c for c in self.members() if c is not client]
        if body.get(5):
            client.cred = creds.PublicCred(body[5])
            data = ace.client_pop_input(body[3], client.challenge, body[6])
            if not (client.cred.verify(body[24], data) if self.sign_alg
                    else body[24] == ace.pop_mac(self.keys.shared_secret(client.cred), data)):
                return self.answer(coap.code('4.00'), {0: {0: 3}}, client, content_format=257)
        new, self.next_sid = client.sid is None, self.next_sid + 1
        if not new:
            self.stale[-1].add(client.sid)
        client.sid, client.roles = bytes([self.next_sid]), roles
        client.control = '/' + body[26].split('/', 3)[3] if 26 in body else None
        nonce = os.urandom(8)
        data = ace.kdc_pop_input(body[6], nonce) + b'x' * ('kdc_proof' in self.flaws)
        proof = (self.keys.sign(data) if self.sign_alg
                 else ace.pop_mac(self.keys.shared_secret(client.cred), data))
        reply = {**self.material(client.sid), 16: {1: 3600, 2: 0}, 17: self.keys.cred.raw, 18: nonce, 19: proof}
        if 4 in body:
            reply.update(self.lists(peers))
        location = coap.path_options('/ace-group/%s/nodes/n%d' % (self.name, self.clients_index(client)),
                                     coap.LOCATION_PATH)
        return self.answer(CREATED if new else CHANGED, reply, client, location)

    def clients_index(self, client):
        return list(self.clients.values()).index(client)
