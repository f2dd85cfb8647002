#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The whole interface of a running gmd over loopback, to the letter: who may call what, what is answered, each error.

    interface.py           GM_BUILD names the build

A line per row. What is expected stands here as the specifications have it; nothing of gmd's code is asked. At the end
tshark reads the capture of it all.
"""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time

import cbor2

import ace
import coap
import tshark_decrypt
from admin import ALL, Admin, CF_LINK, pattern
from creds import P256, KeyPair, PublicCred
from daemon import AS_URI, PROGRAMS, WRONG, Checklist, Daemon
from member import CheckFailed, Member, check

MARK = b'\x00the capture is complete up to here' # CoAP of version 0: ignored
GET, POST, PUT, DELETE, FETCH, PATCH, IPATCH = range(1, 8)
NAMES = {GET: 'GET', POST: 'POST', PUT: 'PUT', DELETE: 'DELETE', FETCH: 'FETCH', PATCH: 'PATCH', IPATCH: 'iPATCH'}
MEMBER, MONITOR, VERIFIER, OTHER = 'member', 'monitor', 'verifier', 'non-member'
FULL = {2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13}
# RFC 9594 section 9, draft-ietf-ace-key-groupcomm-oscore-21 section 12, draft-ietf-ace-oscore-gm-admin-17: our texts
TEXT = {0: 'open to group members only', 1: 'inconsistent with the current roles', 2: 'credential does not fit the group',
        3: 'proof of possession does not verify', 4: 'no sender id is free', 5: 'membership terminated', 6: 'group deleted',
        7: 'signatures are not used in this group', 8: 'open to signature verifiers only', 9: 'group is not active',
        10: 'group is active', 11: 'no group name can be given'}

# Resource below /ace-group/G -> method -> what each kind of caller gets, where the method is one of the resource:
# code, /error id, i: the parameters of a join (Content-Format 261).                                       KG 8.5
TABLE = {
    '/active': {GET: ('2.05', '2.05', '4.03', '4.03/0')},
    '/verif-data': {GET: ('4.03/8', '4.03/8', '2.05', '4.03/8')},
    '/creds': {GET: ('2.05', '2.05', '2.05', '4.03/0'), FETCH: ('2.05', '2.05', '2.05', '4.03/0')},
    '/kdc-cred': {GET: ('2.05', '2.05', '4.03/0', '4.03/0'), FETCH: ('4.03/8', '4.03/8', '2.05', '4.03/8')},
    '/stale-sids': {FETCH: ('2.05', '2.05', '4.03', '4.03/0')},
    '/policies': {GET: ('2.05', '2.05', '4.03', '4.03/0')},
    '/num': {GET: ('2.05', '2.05', '4.03', '4.03/0')},
    '/nodes/N': {GET: ('2.05', '2.05', '4.03', '4.03/0'), POST: ('2.04', '4.00/1', '4.03', '4.03/0'),
                 DELETE: ('2.02', '2.02', '4.03', '4.03/0')},
    '/nodes/N/cred': {POST: ('4.00', '4.00/1', '4.03', '4.03/0')},
    '': {GET: ('2.05', '2.05', '4.03', '4.03/0'), POST: ('4.00i', '4.00i', '4.03', '4.00i')},
}
PAYLOAD = {('/creds', FETCH): {4: [True, [2], []]}, ('/kdc-cred', FETCH): {6: b'12345678'}, ('/stale-sids', FETCH): 0}


def problem(number, detail=None):
    return cbor2.dumps({0: {0: number}, -2: detail or TEXT[number]})


def looks(answer, wanted):
    """'4.03/8': with exactly this error id and our text; '4.03': nothing but the code."""
    code, _, error = wanted.rstrip('i').partition('/')
    check(coap.dotted(answer.code) == code, '%s %s instead of %s' % (coap.dotted(answer.code), answer.payload[:80], wanted))
    form = answer.uint(coap.CONTENT_FORMAT)
    if error:
        check(form == 257, 'Content-Format %s' % form)
        check(answer.payload[:5].hex() == 'a200a100%02x' % int(error), 'error ' + answer.payload.hex())
        check(answer.payload == problem(int(error), cbor2.loads(answer.payload)[-2] if error == '12' else None),
              'error ' + answer.payload.hex())
    elif wanted.endswith('i'):
        check(form == 261 and {29, 30} <= set(cbor2.loads(answer.payload)), 'no parameters of a join')
    elif code[0] == '4' and wanted == code:
        check(form is None, 'Content-Format %s with a bare %s' % (form, code))
    if code[0] == '5' and error not in ('11', '12'): # to ask those again does not help
        check(1 <= (answer.uint(coap.MAX_AGE) or 0) <= 60, 'Max-Age %s' % answer.uint(coap.MAX_AGE))


class Scene:

    def __init__(self):
        self.list, self.daemon = Checklist(), Daemon('changes_per_minute: 0')
        self.keys, self.capture, self.clients = [], None, []
        if subprocess.run('dumpcap -D | grep -q "\\blo\\b"', shell=True, capture_output=True, check=False).returncode == 0:
            self.pcap = str(self.daemon.dir / 'run.pcap')
            self.capture = subprocess.Popen(['dumpcap', '-q', '-P', '-i', 'lo', '-B', '64', '-f', 'udp port %d'
                                             % self.daemon.port, '-w', self.pcap], stderr=subprocess.DEVNULL)
            end = time.monotonic() + 60
            while not (os.path.exists(self.pcap) and os.path.getsize(self.pcap)) and time.monotonic() < end:
                time.sleep(0.05) # its head is written when the filter is in place

    # Clients.

    def client(self, group='acc', roles=6, delivery='poll', entries=None, as_key=None, extra=None, lifetime=3600):
        """One with a token, which it has posted."""
        m = Member(self.daemon.gm, group, roles, delivery, emit=lambda **_: None, timeout=60.0)
        self.clients.append(m)
        self.give_token(m, entries or [(group, roles)], as_key, extra, lifetime)
        self.associate(m)
        return m

    def associate(self, m):
        m.authz_info()
        self.keys.append(m.keys_line(len(self.keys)))

    def give_token(self, m, entries, as_key=None, extra=None, lifetime=3600, tag=None):
        as_key, m.osc = as_key or self.daemon.as_key, {0: os.urandom(4), 2: os.urandom(16), 5: os.urandom(8)}
        scope = ace.scope(entries)
        claims = ace.osc_claims(as_key, cbor2.CBORTag(tag, scope) if tag else scope, m.osc, lifetime, extra)
        m.token = ace.mint(as_key, {k: v for k, v in claims.items() if v is not None})

    def joined(self, *args, **rest):
        m = self.client(*args, **rest)
        m.join()
        return m

    def admin(self, *entries):
        admin = Admin(self.daemon.gm, entries or ([True, ALL],), self.daemon.as_key)
        self.clients.append(admin)
        self.keys.append(admin.keys_line(len(self.keys)))
        return admin

    def posts(self, m):
        """Code and error of a token POST that is refused."""
        body = cbor2.dumps({1: m.token, 40: os.urandom(8), 43: os.urandom(2)})
        return self.plain(POST, '/authz-info', body, [(coap.CONTENT_FORMAT, b'\x13')])

    def plain(self, method, path, payload=b'', options=()):
        m = self.clients[0]
        return m.endpoint.request(coap.Message(method, coap.path_options(path) + list(options), payload), m.gm, 60.0)

    def prepare(self):
        self.boss = self.admin()
        for name in ('acc', 'old'):
            self.boss.create({'group_name': name, 'active': True})
        self.boss.create({'group_name': 'off', 'active': True})
        self.boss.create({'group_name': 'pw', 'active': True, 'group_mode': False})
        self.a, self.b, self.silent = self.joined(), self.joined(), self.joined(roles=8)
        self.verifier, self.other = self.client(roles=16), self.client()
        self.callers = {MEMBER: self.a, MONITOR: self.silent, VERIFIER: self.verifier, OTHER: self.other}
        self.rekeyed()

    def rekeyed(self, m=None):
        """The keys that m reads are new ones; without m, those of a."""
        m = m or self.a
        before = m.number()
        self.daemon.ctl('rekey', m.name)
        end = time.monotonic() + 60
        while m.number() == before:
            check(time.monotonic() < end, 'no rekey')
            time.sleep(0.02)

    def settled(self, group='acc'):
        """No rekey of it waits or runs: one for an earlier leave may come at any time, and be told, too."""
        end = time.monotonic() + 60
        while json.loads(self.daemon.ctl('--json', 'group', 'show', group))['state'] != 'idle':
            check(time.monotonic() < end, 'one rekey after the other')
            time.sleep(0.02)

    def while_current(self, ask):
        """What ask() gives between two moments at which the keys that a has are the current ones: a rekey for an
        earlier leave may come at any time."""
        for _ in range(20):
            self.a.take(self.body(self.a, GET, ''), 'get')
            answer = ask()
            if self.a.number() == self.a.version:
                return answer
        raise CheckFailed('one rekey after the other')

    # Who may call what.

    def row(self, leaf):
        methods = TABLE[leaf]
        for method in NAMES:
            for at, (kind, caller) in enumerate(self.callers.items()):
                if method == DELETE and leaf == '/nodes/N' and kind in (MEMBER, MONITOR):
                    caller = self.joined(roles=caller.roles)
                node = caller.node or self.a.node
                payload = cbor2.dumps(PAYLOAD[leaf, method]) if (leaf, method) in PAYLOAD else b''
                wanted = methods[method][at] if method in methods else '4.05'
                answer = caller.request(method, '/ace-group/acc' + leaf.replace('N', node), payload)
                try:
                    looks(answer, wanted)
                except CheckFailed as error:
                    raise CheckFailed('%s by a %s: %s' % (NAMES[method], kind, error)) from None
                if wanted == '2.04':
                    caller.sid = cbor2.loads(answer.payload)[21]
                if leaf == '' and wanted == '4.00i': # it came with a challenge, which counts from now on
                    caller.challenge = cbor2.loads(answer.payload).get(30, caller.challenge)

    def groups_row(self):
        for caller in self.callers.values():
            for method in NAMES:
                answer = caller.request(method, '/ace-group', cbor2.dumps({0: [b'x']}) if method == FETCH else b'')
                looks(answer, '2.05' if method == FETCH else '4.05')

    def others(self):
        """Those outside of the table: no token at all, one of an administrator, one for another group; no such thing."""
        for leaf in TABLE:
            for method in NAMES:
                looks(self.boss.request(method, '/ace-group/acc' + leaf), '4.03')
                looks(self.other.request(method, '/ace-group/old' + leaf), '4.03')
                looks(self.other.request(method, '/ace-group/nothing' + leaf), '4.03')
                check(coap.dotted(self.plain(method, '/ace-group/acc' + leaf).code) == '4.01', 'unprotected')
        looks(self.a.request(GET, '/ace-group/acc/nodes/' + self.b.node), '4.03')
        looks(self.a.request(DELETE, '/ace-group/acc/nodes/' + self.b.node), '4.03')
        for path in ('/ace-group/acc/nothing', '/ace-group/acc/nodes', '/nothing'):
            looks(self.a.request(GET, path), '4.04')
        ghost = self.client(entries=[('ghost', 6), ('acc', 6)])
        looks(ghost.request(GET, '/ace-group/ghost'), '4.04')

    # What is answered.

    def body(self, caller, method, leaf, payload=None, form=261, group='acc'):
        data = b'' if payload is None else cbor2.dumps(payload)
        answer = caller.request(method, '/ace-group/' + group + leaf if leaf is not None else '/ace-group', data)
        check(coap.dotted(answer.code) == '2.05', coap.dotted(answer.code))
        check(answer.uint(coap.CONTENT_FORMAT) == form, 'Content-Format %s' % answer.uint(coap.CONTENT_FORMAT))
        return cbor2.loads(answer.payload)

    def lookup(self):
        a = self.a
        gid = self.body(a, GET, '')[8][6]
        check(self.body(a, FETCH, None, {0: [gid, b'nothing']}) == {0: [gid], 1: ['acc'], 2: ['/ace-group/acc']}, 'lookup')
        check(self.body(a, FETCH, None, {0: [b'nothing']}) == b'', 'no match is not an empty byte string')
        check(self.body(self.client('old'), FETCH, None, {0: [gid]}) == b'', 'a group that the token does not name')
        for bad in (b'', b'\xa0', cbor2.dumps({0: []}), cbor2.dumps({0: [1]}), b'\xff'):
            looks(a.request(FETCH, '/ace-group', bad), '4.00')

    def keying(self):
        a, leaves = self.a, (('', FULL), ('/nodes/' + self.a.node, FULL | {7}))
        replies = self.while_current(lambda: [self.body(a, GET, leaf) for leaf, _ in leaves])
        for (_, key), reply in zip(leaves, replies):
            check(set(reply) in ({7, 8, 9, 10, 11, 12}, {7, 8, 9, 10, 11, 12, 20}), 'labels %s' % sorted(reply))
            check(set(reply[8]) == key, 'key %s' % sorted(reply[8]))
            check((reply[7], reply[9], reply[10], reply.get(20, 0)) == (1, a.version, 1, 0), 'gkty, num, profile')
            check(abs(reply[11] - time.time() - reply[12]) < 5, 'exp and exi differ')
            k = reply[8]
            check({n: k[n] for n in key - {2, 5, 6, 7}} == {3: 5, 4: 10, 8: 14, 9: 10, 10: -8, 11: [[1], [1, 6]], 12: -27,
                                                            13: [[1], [1, 4]]}, 'defaults: %s' % k)
            check(len(k[2]) >= 16 and len(k[5]) >= 8 and k.get(7, a.sid) == a.sid, 'ms, salt, Sender ID')
        check(7 not in self.body(self.silent, GET, '/nodes/' + self.silent.node)[8], 'a monitor has a Sender ID')

    def join_map(self):
        m = self.client()
        entry, nonce = cbor2.dumps(['acc', 6]), os.urandom(8)
        proof = m.keys.sign(ace.client_pop_input(entry, m.challenge, nonce))
        request = {3: entry, 5: m.keys.cred.raw, 6: nonce, 24: proof}
        for creds, extra in ((False, {}), (True, {4: None}), (True, {4: [True, [4], []]})):
            answer = m.request(POST, m.base, cbor2.dumps({**request, **extra, 99: 'unknown'}), 261)
            check(coap.dotted(answer.code) == ('2.04' if extra else '2.01'), coap.dotted(answer.code))
            location = answer.all(coap.LOCATION_PATH)
            check(location[:3] == [b'ace-group', b'acc', b'nodes'] and len(location) == 4, 'Location-Path')
            check(m.node in (None, location[3]), 'another node')
            m.node = location[3]
            reply = cbor2.loads(answer.payload)
            wanted = {7, 8, 9, 10, 11, 12, 16, 17, 18, 19} | ({13, 14, 15} if creds else set())
            check(wanted <= set(reply) <= wanted | {20}, 'labels %s' % sorted(reply))
            check(set(reply[8]) == FULL | {7} and reply[16] == {1: 3600, 2: 0}, 'key or policies')
            check(PublicCred(reply[17]).verify(reply[19], ace.kdc_pop_input(nonce, reply[18])), 'kdc_cred_verify')
            if creds:
                check(self.a.keys.cred.raw in reply[13] and m.keys.cred.raw not in reply[13], 'creds')
                check(reply[14][reply[13].index(self.a.keys.cred.raw)] == 6, 'peer_roles')
        m.node = m.node.decode()

    def creds_map(self):
        reply = self.body(self.verifier, GET, '/creds')
        check(set(reply) == {9, 13, 14, 15} and len(reply[13]) == len(reply[14]) == len(reply[15]), 'labels or lengths')
        at = reply[15].index(self.b.sid)
        check((reply[13][at], reply[14][at]) == (self.b.keys.cred.raw, 6), 'another credential or roles')
        reply = self.while_current(lambda: self.body(self.silent, FETCH, '/creds', {4: [True, [], [self.b.sid, b'nobody']]}))
        check(reply == {9: self.a.version, 13: [self.b.keys.cred.raw], 14: [6], 15: [self.b.sid]}, 'FETCH of one')
        check(self.body(self.a, FETCH, '/creds', {4: [True, [], [b'nobody']]}) == b'', 'not an empty byte string')
        for bad in ({4: [True, [], []]}, {4: None}, {4: [1, [2], []]}, {4: [True, [2]]}, {4: [True, [0], []]}, {}):
            looks(self.a.request(FETCH, self.a.base + '/creds', cbor2.dumps(bad), 261), '4.00')

    def kdc_cred(self):
        seen = set()
        for _ in range(2):
            reply = self.body(self.b, GET, '/kdc-cred')
            check(set(reply) == {17, 18, 19} and len(reply[18]) >= 8, 'labels')
            check(PublicCred(reply[17]).verify(reply[19], ace.kdc_pop_input(self.b.cnonce, reply[18])), 'proof for a member')
            fetched = self.body(self.verifier, FETCH, '/kdc-cred', {6: b'a nonce!'})
            check(PublicCred(fetched[17]).verify(fetched[19], ace.kdc_pop_input(b'a nonce!', fetched[18])), 'for a verifier')
            check(reply[17] == fetched[17] == self.b.gm_cred.raw, 'another credential')
            seen |= {reply[18], fetched[18]}
        check(len(seen) == 4, 'a nonce twice')
        looks(self.verifier.request(FETCH, '/ace-group/acc/kdc-cred', b'\xa0', 261), '4.00')

    def verif_data(self):
        keys, reply = self.while_current(lambda: (self.body(self.a, GET, ''), self.body(self.verifier, GET, '/verif-data')))
        check(set(reply) == {7, 8, 9, 10, 11, 12, 33}, 'labels %s' % sorted(reply))
        check(reply[8] == {n: keys[8][n] for n in (3, 4, 6, 8, 9, 10, 11, 12)}, 'key %s' % reply[8])
        check(reply[33] == self.a.group.sign_enc_key and (reply[7], reply[10]) == (1, 1), 'Signature Encryption Key')

    def small_ones(self):
        check(self.body(self.a, GET, '/policies') == {16: {1: 3600, 2: 0}}, 'policies')
        number = self.while_current(lambda: self.body(self.a, GET, '/num', form=60))
        check(number == self.a.version, 'num')
        check(self.body(self.a, GET, '/active', form=60) is True, 'active')

    def stale_sids(self):
        m = self.joined()
        self.settled()
        base = self.a.number()
        first = m.sid
        m.renew()
        m.leave()
        self.settled()
        now = self.a.number()
        check(now > base, 'no rekey for a leave')
        told = self.body(self.a, FETCH, '/stale-sids', base, 60)
        check({first, m.sid} <= set(told) and len(told) == len(set(told)), 'stale %s' % told)
        for bad in (now, now + 1, -1, 'x', [0]):
            looks(self.a.request(FETCH, '/ace-group/acc/stale-sids', cbor2.dumps(bad), 60), '4.00')
        looks(self.a.request(FETCH, '/ace-group/acc/stale-sids', b'', 60), '4.00')
        self.boss.patch('acc', {'max_stale_sets': 2})
        self.rekeyed()
        self.rekeyed()
        answer = self.a.request(FETCH, '/ace-group/acc/stale-sids', cbor2.dumps(base), 60)
        check(coap.dotted(answer.code) == '2.05' and not answer.payload, 'a set that is gone: %s' % answer.payload)

    def node(self):
        m = self.joined()
        self.settled() # else a rekey would do for the renewal
        old, answer = m.sid, m.request(POST, '%s/nodes/%s' % (m.base, m.node))
        check(coap.dotted(answer.code) == '2.04' and answer.uint(coap.CONTENT_FORMAT) == 261, 'renewal')
        reply = cbor2.loads(answer.payload)
        check(set(reply) == {21} and reply[21] != old, 'renewal %s' % reply)
        looks(m.request(POST, '%s/nodes/%s' % (m.base, m.node), b'\xa0', 261), '4.00')
        entry, nonce, m.keys = cbor2.dumps(['acc', 6]), os.urandom(8), KeyPair(m.keys.crv)
        upload = {5: m.keys.cred.raw, 6: nonce, 24: m.keys.sign(ace.client_pop_input(entry, m.challenge, nonce))}
        answer = m.request(POST, '%s/nodes/%s/cred' % (m.base, m.node), cbor2.dumps(upload), 261)
        check(coap.dotted(answer.code) == '2.04' and not answer.payload, 'upload answered ' + coap.dotted(answer.code))
        found = self.body(self.a, FETCH, '/creds', {4: [True, [], [reply[21]]]})
        check(found[13] == [m.keys.cred.raw], 'the new credential is not shown')
        answer = m.request(DELETE, '%s/nodes/%s' % (m.base, m.node))
        check(coap.dotted(answer.code) == '2.02' and not answer.payload, 'leave')
        looks(m.request(GET, m.base), '4.03/0')

    def pairwise_only(self):
        m, v = self.joined('pw'), self.client('pw', 16)
        reply = self.body(m, GET, '', group='pw')
        check(set(reply[8]) == {2, 3, 4, 5, 6, 8, 12, 13}, 'key %s' % sorted(reply[8]))
        reply = self.body(m, GET, '/kdc-cred', group='pw')
        check(reply[17] == m.gm_dh.raw, 'kdc_dh_creds named another credential')
        secret = m.keys.shared_secret(PublicCred(reply[17]))
        check(len(reply[19]) == 8 and ace.pop_mac(secret, ace.kdc_pop_input(m.cnonce, reply[18])) == reply[19], 'MAC of the Group Manager')
        looks(v.request(GET, '/ace-group/pw/verif-data'), '4.00/7')
        looks(v.request(FETCH, '/ace-group/pw/kdc-cred', cbor2.dumps({6: b'12345678'}), 261), '4.00/7')
        answer = self.client('pw').request(POST, '/ace-group/pw', b'')
        info = cbor2.loads(answer.payload)
        check(coap.dotted(answer.code) == '4.00' and {30, 31, 32} <= set(info) and 29 not in info, 'info %s' % sorted(info))
        check(info[32] == [['pw', 14, m.gm_dh.raw]] or info[32] == ['pw', 14, m.gm_dh.raw], 'kdc_dh_creds %s' % info[32])

    # Observe.

    def observe(self, m, path):
        token, got = os.urandom(5), []
        m.endpoint.observers[m.gm, token] = got.append
        answer, exchange, _ = m._exchange(GET, path, b'', None, [(coap.OBSERVE, b'')], token)
        check(coap.dotted(answer.code) == '2.05' and answer.get(coap.OBSERVE) is not None, 'not registered')
        return token, exchange, got

    def told(self, m, exchange, got, count):
        """The inner notifications once there are so many."""
        check(m.pump(60.0, lambda: len(got) >= count), '%d notifications of %d' % (len(got), count))
        return [m.context.unprotect_response(outer, exchange)[0] for outer in got]

    def observes(self, leaf, change, look):
        """Registered, told, deregistered by request, registered, ended by RST."""
        m = self.joined()
        path = m.base + leaf.replace('N', m.node)
        self.settled()
        token, exchange, got = self.observe(m, path)
        change()
        look(m, self.told(m, exchange, got, 1)[0])
        _, _, _ = m._exchange(GET, path, b'', None, [(coap.OBSERVE, b'\x01')], token)
        change()
        m.pump(0.5)
        check(len(got) == 1, 'told after deregistration')
        self.settled()
        token, exchange, got = self.observe(m, path)
        del m.endpoint.observers[m.gm, token] # whoever does not know a notification resets it
        change()
        check(m.pump(60.0, lambda: self.has_reset(m, token)), 'nothing was to be reset')
        m.number() # asked after the RST, so gmd has heard of that
        m.endpoint.observers[m.gm, token] = got.append
        change()
        m.pump(0.5)
        check(not got, 'told after RST')
        m.leave()

    @staticmethod
    def has_reset(m, token):
        log = m.endpoint.log
        mids = {d[2:4] for way, _, d in log if way == 'in' and d[4:4 + (d[0] & 15)] == token}
        return any(way == 'out' and d[0] >> 4 & 3 == coap.RST and d[2:4] in mids for way, _, d in log)

    def keys_told(self, m, inner):
        check(coap.dotted(inner.code) == '2.05' and inner.uint(coap.CONTENT_FORMAT) == 261, 'notification')
        reply = cbor2.loads(inner.payload)
        check({7, 8, 9, 10, 11, 12, 34} <= set(reply) and reply[9] > m.version, 'labels %s' % sorted(reply))

    def active_told(self, _, inner):
        check((inner.payload, inner.uint(coap.CONTENT_FORMAT)) == (b'\xf4', 60), 'not told that it is inactive')

    def toggle(self):
        now = self.boss.get('acc', 'active')['active']
        self.boss.patch('acc', {'active': not now})
        time.sleep(0.1)

    def evicted(self):
        m, c = self.joined(), self.joined(delivery='control')
        _, exchange, got = self.observe(m, '%s/nodes/%s' % (m.base, m.node))
        for who in (m, c):
            self.daemon.ctl('member', 'evict', 'acc', who.node, '--yes')
        inner = self.told(m, exchange, got, 1)[0]
        check(inner.get(coap.OBSERVE) is None and got[0].get(coap.OBSERVE) is None, 'an Observe option')
        looks(inner, '4.04/5')
        check(c.pump(60.0, lambda: c.evicted), 'no DELETE at control_uri')

    def deleted(self):
        m = self.joined('old')
        _, exchange, got = self.observe(m, m.base)
        self.boss.patch('old', {'active': False})
        self.boss.delete('old')
        inner = self.told(m, exchange, got, 1)[0]
        looks(inner, '4.04/6')
        check(inner.get(coap.OBSERVE) is None, 'an Observe option')

    # Blocks.

    def block2(self):
        whole = self.a.request(GET, self.a.base + '/creds').payload
        for szx in range(6):
            if len(whole) <= 16 << szx:
                break
            first = self.a._exchange(GET, self.a.base + '/creds', b'', None, [(coap.BLOCK2, coap.block(0, 0, szx))])[0]
            check(first.uint(coap.SIZE2) == len(whole) and first.get(coap.ETAG), 'Size2, ETag')
            check(len(first.payload) == 16 << szx, 'a block of %d bytes' % len(first.payload))
            check(self.a._gather(first, GET, self.a.base + '/creds').payload == whole, 'other bytes by blocks')
        check(szx > 2, 'only %d bytes' % len(whole))
        links = '/.well-known/core'
        self.a._exchange(GET, links, b'', None, [(coap.BLOCK2, coap.block(0, 0, 0))])
        other = [(coap.URI_QUERY, b'rt=core.osc.gm'), (coap.BLOCK2, coap.block(1, 0, 0))]
        looks(self.a._exchange(GET, links, b'', None, other)[0], '4.08') # a block of another answer
        late = self.a._exchange(GET, self.a.base + '/num', b'', None, [(coap.BLOCK2, coap.block(3, 0, 2))])[0]
        looks(late, '4.08')

    def by_block1(self, m, path, payload, size=64, skip=None):
        szx = size.bit_length() - 5
        for at in range(0, len(payload), size):
            if at == skip:
                continue
            more = at + size < len(payload)
            answer = m._exchange(POST, path, payload[at:at + size], 261, [(coap.BLOCK1, coap.block(at // size, more, szx))])[0]
            if coap.dotted(answer.code) != '2.31':
                return answer
            check(more and answer.get(coap.BLOCK1) == coap.block(at // size, True, szx), 'Block1 of a 2.31')
        return answer

    def block1(self):
        m = self.client()
        entry, nonce = cbor2.dumps(['acc', 6]), os.urandom(8)
        request = cbor2.dumps({3: entry, 5: m.keys.cred.raw, 6: nonce,
                               24: m.keys.sign(ace.client_pop_input(entry, m.challenge, nonce))})
        looks(self.by_block1(m, m.base, request, skip=64), '4.08')
        answer = self.by_block1(m, m.base, request)
        check(coap.dotted(answer.code) == '2.01', 'a Join by blocks answered ' + coap.dotted(answer.code))
        answer = self.by_block1(m, m.base, bytes(9000), 1024)
        check(coap.dotted(answer.code) == '4.13' and answer.uint(coap.SIZE1) == 8192, 'too long: ' + coap.dotted(answer.code))

    # Tokens.

    def rights(self):
        m = self.client(roles=2)
        looks(m.request(POST, m.base, cbor2.dumps({3: cbor2.dumps(['acc', 4]), 6: b'12345678', 5: b'x', 24: b'x'}), 261), '4.03')
        key = self.daemon.as_key

        def update(kid, roles):
            claims = ace.osc_claims(key, ace.scope([('acc', roles)]), m.osc)
            claims[8] = {3: kid}
            return m.request(POST, '/authz-info', cbor2.dumps({1: ace.mint(key, claims)}), 19)

        check(coap.dotted(update(b'other', 6).code) == '4.01', 'a token of another key')
        answer = update(m.osc[0], 6)
        check(coap.dotted(answer.code) == '2.01' and not answer.payload, 'update answered ' + coap.dotted(answer.code))
        m.roles = 6
        m.join()
        check(coap.dotted(update(m.osc[0], 16).code) == '2.01', 'fewer rights')
        looks(m.request(GET, m.base), '4.03')

    @staticmethod
    def unknown(m, what):
        """Its association has gone, once that is on the disk and the worker knows: the answer is not protected."""
        def ask():
            return m.endpoint.request(m.context.protect_request(coap.Message(GET, coap.path_options(m.base)))[0], m.gm, 60.0)

        end, answer = time.monotonic() + 60, ask()
        while answer.get(coap.OSCORE) is not None and time.monotonic() < end:
            time.sleep(0.05)
            answer = ask()
        check(coap.dotted(answer.code) == '4.01', '%s: %s' % (what, coap.dotted(answer.code)))

    def exi(self):
        number = int(time.time())
        for exi in (2, 8, 32): # a busy machine may need longer than 2 seconds for what has to happen meanwhile
            cti, begun = b'gm.example' + (number + exi).to_bytes(5, 'big'), time.monotonic()
            m = self.client(extra={4: None, 40: exi, 7: cti})
            try:
                m.join()
                check(coap.dotted(m.request(GET, m.base + '/num').code) == '2.05', 'exi')
                break
            except WRONG:
                if exi == 32 or time.monotonic() - begun < exi - 1: # it is counted in whole seconds
                    raise
        time.sleep(exi)
        self.unknown(m, 'after its time')
        check(coap.dotted(self.posts(m).code) == '4.01', 'its sequence number is taken again')

    def extended_scope(self):
        m = self.client()
        self.give_token(m, [('acc', 6)], tag=1668547115)
        self.associate(m)
        m.join()

    def servers(self):
        """Several Authorization Servers; one wants its tokens to have a cnonce from the hints."""
        second = self.daemon.authorization_server('as2.json', 'as2.example')
        self.daemon.ctl('as', 'add', 'second', '--key=%s/as2.json' % self.daemon.dir, '--cnonce')
        m = Member(self.daemon.gm, 'acc', 6, 'poll', emit=lambda **_: None, timeout=60.0)
        self.clients.append(m)
        self.give_token(m, [('acc', 6)], second)
        check(coap.dotted(self.posts(m).code) == '4.01', 'a token without cnonce')
        self.daemon.ctl('as', 'remove', 'demo', '--yes')
        hints = cbor2.loads(self.plain(GET, '/ace-group/acc', b'x' * 99).payload)
        check(len(hints.get(39, b'')) >= 8, 'hints %s' % hints)
        self.give_token(m, [('acc', 6)], second, {39: hints[39]})
        self.associate(m)
        m.join()
        self.give_token(m, [('acc', 6)], second, {39: b'12345678'})
        check(coap.dotted(self.posts(m).code) == '4.01', 'a cnonce that was never given out')
        self.daemon.ctl('as', 'remove', 'second', '--yes')
        self.unknown(m, 'a member of a server that is not trusted any more')

    def bad_tokens(self):
        m, key = self.client(), self.daemon.as_key
        for code, extra, entries in (('4.01', {1: 'elsewhere'}, None), ('4.01', {4: 1}, None), ('4.03', {3: 'elsewhere'}, None),
                                     ('4.01', {5: int(time.time()) + 500}, None), ('4.00', {9: b'\xff'}, None),
                                     ('4.00', {9: None}, None), ('4.00', {8: None}, None), ('4.00', {4: None}, None)):
            self.give_token(m, entries or [('acc', 6)], key, extra)
            answer = self.posts(m)
            check(coap.dotted(answer.code) == code, '%s: %s' % (extra, coap.dotted(answer.code)))
            if code == '4.00':
                check(answer.uint(coap.CONTENT_FORMAT) == 19 and set(cbor2.loads(answer.payload)) <= {30, 31}, 'error body')
        self.give_token(m, [('acc', 6)], {**key, 'key': bytes(16)})
        check(coap.dotted(self.posts(m).code) == '4.01', 'another key')
        for method in NAMES:
            if method != POST:
                check(coap.dotted(self.plain(method, '/authz-info').code) == '4.05', 'authz-info takes ' + NAMES[method])

    def moved(self):
        """A member that comes from elsewhere is the same member, and rekeying messages follow it."""
        m = self.joined(delivery='control')
        former, m.endpoint = m.endpoint, coap.Endpoint('127.0.0.1', 0)
        m.endpoint.on_request = m._on_request
        check(coap.dotted(m.request(GET, m.base + '/num').code) == '2.05', 'from elsewhere')
        former.close()
        m.addr = m.endpoint.addr
        m.join(again=True) # control_uri names its address
        before = m.version
        self.daemon.ctl('rekey', 'acc')
        check(m.pump(60.0, lambda: m.version > before), 'no rekeying message')
        m.control_path = '/nowhere'
        body = {3: cbor2.dumps(['acc', 6]), 5: b'', 6: b'12345678', 26: 'coap://192.0.2.1/x'}
        check(coap.dotted(m.request(POST, m.base, cbor2.dumps(body), 261).code) == '2.04', 'control_uri of somebody else')
        heard = len(m.endpoint.log)
        self.rekeyed()
        m.pump(0.3)
        check(len(m.endpoint.log) == heard, 'something was sent to a member whose control_uri is not its own')

    # Discovery and administration.

    def discovery(self):
        group = '</ace-group/%s>;rt="core.osc.gm";if="ace.group";osc'
        root, manage, authz = '</ace-group>;if="ace.groups";osc', '</manage>;rt="core.osc.gcoll";osc', '</authz-info>;rt="ace.ai"'
        groups = {group % name for name in ('acc', 'old', 'off', 'pw')}
        rows = {'': {root, manage, authz} | groups, 'rt=core.osc.gm': groups, 'if=ace.group*': {root} | groups,
                'rt=ace.ai': {authz}, 'rt=core.osc.gcoll': {manage}, 'if=ace.groups': {root}, 'href=/ace-group/acc': {group % 'acc'},
                'href=/nothing': set()}
        for query, links in rows.items():
            options = [(coap.URI_QUERY, query.encode())] if query else []
            answer = self.a.request(GET, '/.well-known/core', extra=options)
            check(answer.uint(coap.CONTENT_FORMAT) == CF_LINK and coap.dotted(answer.code) == '2.05', 'protected')
            found = set(answer.payload.decode().split(',')) - {''}
            check(found == links, '%s: %s' % (query, found))
            body, number, more = b'', 0, True
            while more:
                m, block = self.a, [(coap.BLOCK2, coap.block(number, 0, 1))] if number else []
                request = coap.Message(GET, coap.path_options('/.well-known/core') + options + block)
                part = m.endpoint.request(request, m.gm, 60.0)
                check(len(part.encode()) <= 3 * len(request.encode()), 'more than three times the request')
                body, value = body + part.payload, part.get(coap.BLOCK2)
                more = value is not None and coap.unblock(value)[1]
                number = len(body) // 32
                check(not more or len(body) % 32 == 0, 'a block that is not full')
            check(body == answer.payload, 'unprotected: %s' % body)
        check(coap.dotted(self.plain(GET, '/.well-known/core', options=[(coap.ACCEPT, b'\x3c')]).code) == '4.06', 'Accept')

    def manage(self):
        boss, weak = self.boss, self.admin([pattern('adm.*'), 31], ['acc', 1])
        made = weak.create({'group_name': 'adm1', 'active': True})
        check(made['joining_uri'].endswith('/ace-group/adm1') and made['as_uri'] == AS_URI, 'created %s' % made)
        check(weak.list() == ['acc', 'adm1'] and weak.list({'active': True, 'group_name': 'adm1'}) == ['adm1'], 'lists')
        check(weak.read('adm1')['rt'] == 'core.osc.gconf' and weak.get('adm1', 'hkdf') == {'hkdf': 5}, 'reads')
        weak.overwrite('adm1', {'group_description': 'x'})
        check(boss.get('adm1', 'active', 'group_description') == {'active': False, 'group_description': 'x'}, 'overwrite')
        for method in (PATCH, IPATCH):
            weak.patch('adm1', {'app_groups_diff': [[], ['r%d' % method]]}, method)
        check(boss.get('adm1', 'app_groups') == {'app_groups': ['r6', 'r7']}, 'patches')
        for path, methods in (('/manage', (PUT, DELETE, PATCH, IPATCH)), ('/manage/adm1', (PUT,))):
            for method in methods:
                looks(weak.request(method, path), '4.05')
        for method in (GET, FETCH, POST, PATCH, IPATCH, DELETE):
            looks(weak.request(method, '/manage/acc'), '4.03')
            looks(self.a.request(method, '/manage/acc'), '4.01')
            looks(boss.request(method, '/manage/nothing', b'\xa0' if method not in (GET, DELETE) else b''), '4.04')
        weak.delete('adm1')
        looks(boss.request(GET, '/manage/adm1'), '4.04')

    # Errors.

    def join_request(self, m, **changes):
        entry, nonce = cbor2.dumps([m.name, m.roles]), os.urandom(8)
        request = {3: entry, 5: m.keys.cred.raw, 6: nonce, 24: m._prove(ace.client_pop_input(entry, m.challenge, nonce))}
        request.update({int(k[1:]): v for k, v in changes.items()})
        return m.request(POST, m.base, cbor2.dumps({k: v for k, v in request.items() if v is not None}), 261)

    def error_1(self):
        for leaf in ('', '/cred'):
            looks(self.silent.request(POST, '/ace-group/acc/nodes/' + self.silent.node + leaf), '4.00/1')

    def error_2(self):
        m, other = self.client(), KeyPair(P256)
        for bad in (other.cred.raw, b'\xa0', b'x', cbor2.dumps({8: {1: {1: 1, -1: 6, -2: b'\x01' + bytes(31)}}})):
            looks(self.join_request(m, _5=bad), '4.00/2')
            looks(self.b.request(POST, '/ace-group/acc/nodes/%s/cred' % self.b.node,
                                 cbor2.dumps({5: bad, 6: b'12345678', 24: bytes(64)}), 261), '4.00/2')

    def error_3(self):
        m = self.client()
        for bad in (b'', bytes(64), bytes(8)):
            looks(self.join_request(m, _24=bad), '4.00/3')
            looks(self.b.request(POST, '/ace-group/acc/nodes/%s/cred' % self.b.node,
                                 cbor2.dumps({5: self.b.keys.cred.raw, 6: b'12345678', 24: bad}), 261), '4.00/3')
        looks(self.join_request(self.client('pw', 6), _24=bytes(8)), '4.00/3')

    def error_4(self):
        """One byte of Sender ID, and a member that does not answer: while a rekey is on its way, which is a minute, none becomes
        free. Many renew at a time: a disk takes as long for all of them as for one."""
        self.daemon.ctl('group', 'create', 'few', '--max-members=100')
        deaf, late = self.joined('few', delivery='control'), self.client('few')
        several = [self.joined('few') for _ in range(32)]
        self.rekeyed(several[0])
        with concurrent.futures.ThreadPoolExecutor(len(several)) as pool:
            for answer in pool.map(self.renewed, several):
                looks(answer, '5.03/4')
        looks(self.join_request(late), '5.03/4')
        check(not deaf.rekeys, 'somebody answered')

    @staticmethod
    def renewed(m):
        """As often as it goes: the answer that says no."""
        for _ in range(300):
            answer = m.request(POST, '%s/nodes/%s' % (m.base, m.node))
            if coap.dotted(answer.code) != '2.04':
                break
        return answer

    def error_9(self):
        m = self.joined('off')
        self.boss.patch('off', {'active': False})
        looks(self.join_request(self.client('off')), '5.03/9')
        for leaf in ('', '/cred'):
            looks(m.request(POST, '/ace-group/off/nodes/' + m.node + leaf), '5.03/9')
        for leaf in ('', '/num', '/creds', '/active', '/policies', '/kdc-cred', '/nodes/' + m.node):
            check(coap.dotted(m.request(GET, '/ace-group/off' + leaf).code) == '2.05', 'an inactive group does not answer ' + leaf)

    def errors_of_administration(self):
        looks(self.boss.request(DELETE, '/manage/acc'), '4.00/10')
        one = self.admin(['acc', 31])
        looks(one.ask(POST, '/manage', {'group_name': 'acc'}), '5.03/11')
        for method, path, fields in ((POST, '/manage', {'group_name': 'new', 'gp_enc_alg': 99}),
                                     (POST, '/manage/acc', {'gp_enc_alg': 99}), (PATCH, '/manage/acc', {'cred_fmt': 34}),
                                     (IPATCH, '/manage/acc', {'hkdf': 'mine'})):
            looks(self.boss.ask(method, path, fields), '5.03/12')
        answer = self.boss.ask(PATCH, '/manage/acc', {'sign_alg': -7})
        check(coap.dotted(answer.code) == '4.09' and answer.payload, 'no 4.09 with a reason')
        looks(self.boss.ask(GET, '/manage/acc', extra=[(coap.IF_MATCH, b'x')]), '4.12')

    def info(self):
        m = self.client()
        for changes in ({'_3': None}, {'_3': cbor2.dumps(['other', 6])}, {'_3': cbor2.dumps(['acc', 10])}, {'_6': None}, {'_5': None},
                        {'_3': cbor2.dumps(['acc', 1])}, {'_4': [True, [], []]}, {'_4': [False, [2], []]}, {'_5': b''},
                        {'_6': 5}, {'_24': None}):
            answer = self.join_request(m, **changes)
            looks(answer, '4.00i')
            reply = cbor2.loads(answer.payload)
            check(reply[29] == [['acc', -8, [1], [1, 6], 14]] or reply[29] == ['acc', -8, [1], [1, 6], 14], 'sign_info %s' % reply)
            check(reply[31] in ([['acc', -27, [1], [1, 4], 14]], ['acc', -27, [1], [1, 4], 14]), 'ecdh_info')
            check(len(reply[30]) >= 8 and 32 not in reply, 'challenge')
            m.challenge = reply[30]
        m.join()

    def hints(self):
        answer = self.plain(GET, '/ace-group/acc', b'x' * 99)
        check((coap.dotted(answer.code), answer.uint(coap.CONTENT_FORMAT)) == ('4.01', 19), 'hints')
        check(cbor2.loads(answer.payload) == {1: AS_URI, 5: 'gm.example'}, 'hints %s' % cbor2.loads(answer.payload))
        for path in ('/manage', '/ace-group', '/ace-group/acc/nodes/x'):
            small = self.plain(GET, path)
            check(coap.dotted(small.code) == '4.01' and len(small.encode()) <= 3 * (10 + len(path)), 'a small request')

    def options(self):
        a = self.a
        looks(a.request(GET, a.base + '/num', extra=[(9999, b'x')]), '4.02')
        looks(a.request(GET, a.base + '/num', extra=[(5, b'')]), '4.02')
        check(coap.dotted(a.request(GET, a.base + '/num', extra=[(9998, b'x')]).code) == '2.05', 'an elective option')
        for path, good in (('', 261), ('/num', 60), ('/active', 60), ('/creds', 261), ('/policies', 261), ('/nodes/' + a.node, 261)):
            for number in (good, 40, 50):
                answer = a.request(GET, a.base + path, extra=[(coap.ACCEPT, coap.uint_bytes(number))])
                check(coap.dotted(answer.code) == ('2.05' if number == good else '4.06'), 'Accept %d of %s: %s' % (
                    number, path, coap.dotted(answer.code)))
        answer = self.client().request(POST, a.base, b'\xa0', 261, [(coap.ACCEPT, b'\x3c')])
        looks(answer, '4.06')
        for path, method in (('/ace-group', FETCH), (a.base + '/creds', FETCH), (a.base, POST), ('%s/nodes/%s/cred' % (a.base, a.node), POST)):
            looks(a.request(method, path, b'\xa0', 60), '4.15')

    def oscore_errors(self):
        """Errors of OSCORE are not protected and have their text (RFC 8613 section 8.2)."""
        a = self.a
        outer, _ = a.context.protect_request(coap.Message(GET, coap.path_options(a.base)))
        changed = outer.payload[:-1] + bytes([outer.payload[-1] ^ 1])
        good = outer.get(coap.OSCORE)
        for option, payload, code, text in ((good, changed, '4.00', b'Decryption failed'), (b'\xff', outer.payload, '4.02', b'Failed to decode COSE'),
                                            (good[:2] + b'nobo', outer.payload, '4.01', b'Security context not found')):
            request = coap.Message(POST, [(coap.OSCORE, option)], payload)
            answer = a.endpoint.request(request, a.gm, 60.0)
            check((coap.dotted(answer.code), answer.payload) == (code, text), '%s %s' % (coap.dotted(answer.code), answer.payload))
            check(answer.uint(coap.MAX_AGE) == 0 and answer.get(coap.OSCORE) is None, 'Max-Age')
        a.replay()

    # The capture.

    def decrypts(self):
        end, found = time.monotonic() + 60, False
        while not found and time.monotonic() < end: # what dumpcap has not written when it is told to stop is lost
            self.clients[0].endpoint.sock.sendto(MARK, self.daemon.gm)
            time.sleep(0.1)
            found = MARK in pathlib.Path(self.pcap).read_bytes()
        check(found, 'the capture is not written')
        self.capture.send_signal(2)
        self.capture.wait(60)
        result = tshark_decrypt.decrypt(self.pcap, self.keys, [self.daemon.port])
        print('      %d of %d messages, %s' % (result['decrypted'], result['frames'], dict(result['codes'])))
        check(result['decrypted'] > result['frames'] // 2, 'most is not decrypted: %s' % dict(result['messages']))
        check(result['tag_failures'] == 1, '%d tags are wrong, one was changed' % result['tag_failures'])
        for path in ('/ace-group', '/ace-group/acc', '/ace-group/acc/verif-data', '/ace-group/acc/stale-sids', '/manage/acc'):
            check(result['paths'][path], 'none of ' + path)

    def run(self):
        check_ = self.list.check
        if not check_('groups, members, a monitor, a verifier, a non-member', self.prepare):
            return
        print('Who may call what')
        check_('/ace-group: each method by each kind of caller', self.groups_row)
        for leaf in TABLE:
            check_('/ace-group/G%s: each method by each kind of caller' % leaf, self.row, leaf)
        check_('callers outside of the table, nodes of others, what does not exist', self.others)
        print('What is answered')
        for what, step in (('FETCH of /ace-group', self.lookup), ('the keys of a group and of a node', self.keying),
                           ('Join Responses, first and again', self.join_map), ('creds', self.creds_map),
                           ('kdc-cred for members and for verifiers', self.kdc_cred), ('verif-data', self.verif_data),
                           ('policies, num and active', self.small_ones), ('stale-sids', self.stale_sids),
                           ('Key Renewal, another credential, leave', self.node), ('a group of pairwise mode alone', self.pairwise_only),
                           ('discovery with each filter', self.discovery), ('/manage and /manage/G', self.manage)):
            check_(what, step)
        print('Observe, blocks, tokens')
        check_('observers of a group: told, deregistered, reset', self.observes, '', self.rekeyed, self.keys_told)
        check_('observers of a node: told, deregistered, reset', self.observes, '/nodes/N', self.rekeyed, self.keys_told)
        check_('observers of active: told, deregistered, reset', self.observes, '/active', self.toggle, self.active_told)
        for what, step in (('answers by blocks of each size', self.block2), ('requests by blocks', self.block1),
                           ('update of rights', self.rights), ('tokens that count seconds', self.exi), ('extended scope', self.extended_scope),
                           ('tokens that are refused', self.bad_tokens), ('a member that moved', self.moved)):
            check_(what, step)
        print('Errors; 0, 7 and 8 are in the rows above, each with its bytes')
        for what, step in (('1: a monitor renews or uploads', self.error_1),
                           ('2: a credential that does not fit', self.error_2), ('3: a proof that does not verify', self.error_3),
                           ('4: no Sender ID is free', self.error_4), ('5: who is evicted is told once', self.evicted),
                           ('6: observers of a group that is deleted', self.deleted),
                           ('9: an inactive group', self.error_9), ('10, 11, 12, 4.09 and 4.12 for administrators', self.errors_of_administration),
                           ('4.00 with the parameters of a join', self.info), ('4.01 with hints', self.hints),
                           ('4.02, 4.06 and 4.15', self.options), ('errors of OSCORE', self.oscore_errors),
                           ('several Authorization Servers, one with cnonce', self.servers)):
            check_(what, step)
        if self.capture:
            check_('tshark decrypts the capture of all that', self.decrypts)
        else:
            self.list.skip('tshark: nothing can be captured here')

    def close(self):
        if self.capture and self.capture.poll() is None:
            self.capture.kill()
        for m in self.clients:
            m.endpoint.close()
        self.list.check('gmd stops in order', self.daemon.stop)
        return self.list.tally()


def main():
    if not all(p.exists() for p in PROGRAMS):
        sys.exit('gmd is not built')
    scene = Scene()
    try:
        scene.run()
    finally:
        code = scene.close()
    return code


if __name__ == '__main__':
    sys.exit(main())
