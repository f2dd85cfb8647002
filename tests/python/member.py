#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A group member, independent of the Group Manager's code. Each step and each check is one JSON line on stdout.

    member.py --gm 127.0.0.1:5683 --as-key as.json --group g1 join get-group wait-rekey:1 serve:10 leave

Steps, done in order:
    join rejoin get-group get-node num active policies creds kdc-cred stale:VERSION renew register leave
    replay  repeat  bad-proof  wait-rekey[:COUNT[:SECONDS]]  expect-evicted[:SECONDS]
    serve:SECONDS  serve-until:FILE    (till that file is there)
    ping-group:IP:PORT[:TEXT]  ping-pairwise:IP:PORT:SID[:TEXT]    (SID in hex, or * for the only responder)
    call:METHOD:PATH:CODE[:ERROR[:HEX[:FORMAT]]]     any protected request, with the code and error id to expect
    verif-data  verify:CAPTURE     a signature verifier (token with --roles verifier, no join)
"""

import argparse
import json
import os
import sys
import time

import cbor2

import ace
import coap
import creds
import group_oscore
import pcap
from oscore import OscoreError, decode_option

REQUESTER, RESPONDER, MONITOR = 2, 4, 8
METHODS = {'GET': coap.GET, 'POST': coap.POST, 'PUT': coap.PUT, 'DELETE': coap.DELETE, 'FETCH': coap.FETCH,
           'PATCH': coap.PATCH, 'IPATCH': coap.IPATCH}
CHANGED, CREATED, CONTENT, DELETED = (coap.code(c) for c in ('2.04', '2.01', '2.05', '2.02'))


class CheckFailed(Exception):
    """The other side did something that the specifications do not allow."""


def emit_json(**fields):
    text = json.dumps(fields, default=lambda v: v.hex() if isinstance(v, bytes) else str(v))
    sys.stdout.write(text + '\n')
    sys.stdout.flush()


def check(condition, what):
    if not condition:
        raise CheckFailed(what)


def join_host_port(addr):
    return ('[%s]:%d' if ':' in addr[0] else '%s:%d') % addr


def fields_of(answer, content_format=ace.CF_GROUPCOMM):
    """The CBOR map or item of a success, after looking at its Content-Format."""
    check(answer.uint(coap.CONTENT_FORMAT) == content_format,
          'Content-Format %s instead of %d' % (answer.uint(coap.CONTENT_FORMAT), content_format))
    return cbor2.loads(answer.payload)


class Member:
    """One client of the Group Manager and one endpoint of one group."""

    def __init__(self, gm, group, roles=REQUESTER | RESPONDER, delivery='control', host='127.0.0.1', port=0,
                 emit=emit_json, control_path=None, timeout=60.0):
        self.gm, self.name, self.roles, self.delivery, self.emit = gm, group, roles, delivery, emit
        self.timeout = timeout
        self.endpoint = coap.Endpoint(host, port)
        self.endpoint.on_request = self._on_request
        self.addr = self.endpoint.addr
        self.control_path = control_path or '/ace-group/%s/node' % group
        self.base = '/ace-group/' + group
        self.context = self.party = self.keys = self.node = self.params = None
        self.creds, self.roles_of = {}, {}
        self.version, self.rekeys, self.configurations = None, 0, 0
        self.evicted = self.deleted = False
        self.gm_cred = self.cnonce = None
        self.cred_fmt = creds.KCCS
        self.failures = []
        self._registration = self._last = None

    # The association with the Group Manager.

    def mint(self, as_key, form='tagged', lifetime=3600, roles=None, alg=None, hkdf=None):
        """A token of our own making, for our group; alg and hkdf of the association, None: the defaults."""
        self.osc = {0: os.urandom(4), 2: os.urandom(16), 5: os.urandom(8)}
        self.osc.update({label: number for label, number in ((3, hkdf), (4, alg)) if number is not None})
        claims = ace.osc_claims(as_key, ace.scope([(self.name, roles or self.roles)]), self.osc, lifetime)
        self.token = ace.mint(as_key, claims, form)

    def load_token(self, path, as_key=None):
        """The first token of a file: {"token", "id", "ms", "salt", optional "contextId"}, all hex, and optional
        numbers "alg" and "hkdf", as gmas writes it.
        Only the token is needed when the AS key can open it."""
        with open(path, encoding='utf-8') as file:
            data, _ = json.JSONDecoder().raw_decode(file.read())
        self.token = bytes.fromhex(data['token'])
        if 'ms' in data:
            labels = {'id': 0, 'ms': 2, 'salt': 5, 'contextId': 6}
            self.osc = {labels[k]: bytes.fromhex(v) for k, v in data.items() if k in labels}
            self.osc.update({label: data[k] for k, label in (('hkdf', 3), ('alg', 4)) if k in data})
        else:
            self.osc = ace.open_token(as_key, self.token)[8][4]

    def authz_info(self):
        """POST the token, derive the pairwise context, learn N_S and what the group signs with."""
        nonce1, id1 = os.urandom(8), os.urandom(2)
        body = {1: self.token, 40: nonce1, 43: id1, 45: None, 47: None, 48: None}
        request = coap.Message(coap.POST, coap.path_options('/authz-info') +
                               [(coap.CONTENT_FORMAT, coap.uint_bytes(ace.CF_ACE))], cbor2.dumps(body))
        answer = self.endpoint.request(request, self.gm, self.timeout)
        check(answer.code == CREATED, 'authz-info answered %s' % coap.dotted(answer.code))
        reply = fields_of(answer, ace.CF_ACE)
        check(len(reply[42]) >= 8, 'nonce2 shorter than 8 bytes')
        check(reply[44] != id1, 'both recipient IDs are equal')
        check(len(reply[44]) == 4, 'GM recipient ID is not 4 bytes')
        if self.roles & (REQUESTER | RESPONDER):
            check(len(reply.get(46, b'')) >= 8, 'no kdcchallenge of at least 8 bytes')
        self.challenge = reply.get(46)
        self.context = ace.client_context(self.osc, nonce1, reply[42], id1, reply[44])
        self.master_salt = ace.master_salt(self.osc[5], nonce1, reply[42])
        self._choose_keys(reply)
        self.emit(step='authz-info', gm_kid=reply[44], id1=id1, token_bytes=len(self.token))

    def _entry(self, entries):
        """The entry of sign_info, ecdh_info or kdc_dh_creds that names our group."""
        return next((e for e in entries or [] if e[0] == self.name or self.name in e[0] and isinstance(e[0], list)),
                    None)

    def _choose_keys(self, reply):
        sign, dh = self._entry(reply.get(45)), self._entry(reply.get(48))
        check(sign or dh, 'neither sign_info nor kdc_dh_creds names the group')
        self.cred_fmt = sign[4] if sign else dh[1]
        self.gm_dh = None if sign else creds.PublicCred(dh[2], self.cred_fmt)
        if self.keys is None:
            curve = creds.CURVE_OF[sign[1]] if sign else self.gm_dh.crv
            self.keys = creds.KeyPair(curve, fmt=self.cred_fmt)

    def keys_line(self, number=0):
        """What nonce_check.py and tshark_decrypt.py want to know about this context."""
        return {'kid': self.context.sender_id.hex(), 'id1': self.context.recipient_id.hex(),
                'id_context': self.context.id_context.hex() if self.context.id_context else None,
                'ms': self.osc[2].hex(), 'salt': self.master_salt.hex(), 'alg': self.context.alg,
                'hkdf': self.context.hkdf_alg, 'member': number, 'addr': join_host_port(self.addr)}

    def _exchange(self, method, path, payload, content_format, extra, token=b''):
        """One protected request; repeats it once with the Echo option when the GM asks for that."""
        options = coap.path_options(path) + list(extra)
        if content_format is not None:
            options.append((coap.CONTENT_FORMAT, coap.uint_bytes(content_format)))
        for attempt in range(2):
            outer, exchange = self.context.protect_request(coap.Message(method, options, payload))
            outer.token, self._last = token, exchange
            answer, piv = self.context.unprotect_response(self.endpoint.request(outer, self.gm, self.timeout), exchange)
            echo = answer.get(coap.ECHO)
            if answer.code != coap.code('4.01') or echo is None or attempt:
                return answer, exchange, piv
            check(piv is not None, 'an Echo challenge must have its own Partial IV')
            self.emit(step='echo', path=path)
            options.append((coap.ECHO, echo))

    def request(self, method, path, payload=b'', content_format=None, extra=()):
        """A protected request; a Block2 body is fetched whole. The first block's code and options count."""
        answer, _, _ = self._exchange(method, path, payload, content_format, extra)
        return self._gather(answer, method, path, payload, content_format)

    def _gather(self, answer, method, path, payload=b'', content_format=None):
        body, value = answer.payload, answer.get(coap.BLOCK2)
        while value is not None and coap.unblock(value)[1]:
            number, _, size = coap.unblock(value)
            check(len(body) == (number + 1) * size, 'a block that is not full')
            following = coap.uint_bytes(number + 1 << 4 | size.bit_length() - 5)
            again = payload if method == coap.FETCH else b''
            part, _, _ = self._exchange(method, path, again, content_format, [(coap.BLOCK2, following)])
            value = part.get(coap.BLOCK2)
            check(part.code == answer.code and value is not None, 'block %d answered with %s'
                  % (number + 1, coap.dotted(part.code)))
            check(coap.unblock(value)[0] == number + 1, 'blocks out of order')
            check(part.get(coap.ETAG) == answer.get(coap.ETAG), 'the body changed between blocks')
            body += part.payload
        answer.payload = body
        return answer

    def _expect(self, answer, code, what):
        text = ''
        if answer.uint(coap.CONTENT_FORMAT) == ace.CF_PROBLEM:
            text = ' error %s' % ace.problem_id(answer.payload)
        check(answer.code == code, '%s answered %s%s' % (what, coap.dotted(answer.code), text))
        return answer

    # Joining, and the material of the group.

    def join(self, again=False):
        """POST /ace-group/G; with `again` a re-join that uses the stored credential."""
        entry, self.cnonce = cbor2.dumps([self.name, self.roles]), os.urandom(8)
        body = {3: entry, 4: None, 6: self.cnonce}
        if again:
            body[5] = b''
        elif self.roles != MONITOR:
            proof = ace.client_pop_input(entry, self.challenge, self.cnonce)
            body[5] = self.keys.cred.wire
            body[24] = self._prove(proof)
        if self.delivery == 'control':
            body[26] = 'coap://%s%s' % (join_host_port(self.addr), self.control_path)
        answer = self.request(coap.POST, self.base, cbor2.dumps(body), ace.CF_GROUPCOMM)
        self._expect(answer, CHANGED if again else CREATED, 'join')
        location = [v.decode() for v in answer.all(coap.LOCATION_PATH)]
        check(location[:3] == ['ace-group', self.name, 'nodes'] and len(location) == 4, 'Location-Path %s' % location)
        check(not again or self.node == location[3], 'the node name changed with the re-join')
        self.node = location[3]
        reply = fields_of(answer)
        old_sid = self.party.sid if again and self.party else None
        self._check_join(reply)
        self._install(reply[9], reply[8], reply[8].get(7))
        check(old_sid is None or self.party.sid != old_sid or reply[9] != self.version, 're-join kept the Sender ID')
        self.emit(step='rejoin' if again else 'join', node=self.node, version=self.version, gid=self.group.gid,
                  sid=self.sid, peers=sorted(s.hex() for s in self.creds), bytes=len(answer.payload))

    def bad_proof(self):
        """A Join whose proof is that of another nonce must fail with error 3, and leave no trace."""
        entry = cbor2.dumps([self.name, self.roles])
        body = {3: entry, 5: self.keys.cred.wire, 6: os.urandom(8),
                24: self._prove(ace.client_pop_input(entry, self.challenge, bytes(8)))}
        self.call(coap.POST, self.base, '4.00', 3, cbor2.dumps(body), ace.CF_GROUPCOMM)

    def _prove(self, data):
        return ace.pop_mac(self.keys.shared_secret(self.gm_dh), data) if self.gm_dh else self.keys.sign(data)

    def _check_kdc_proof(self, reply, nonce):
        cred, data = creds.PublicCred(reply[17], self.cred_fmt), ace.kdc_pop_input(nonce, reply[18])
        check(len(reply[18]) >= 8, 'kdc_nonce shorter than 8 bytes')
        good = (ace.pop_mac(self.keys.shared_secret(cred), data) == reply[19] if self.gm_dh
                else cred.verify(reply[19], data))
        check(good, 'kdc_cred_verify does not verify')
        return cred

    def _check_keying(self, reply):
        check(reply.get(7) == 1 and reply.get(10) == 1, 'gkty or profile is not 1')
        check(isinstance(reply.get(9), int) and reply[9] >= 0, 'num is missing')
        check(isinstance(reply.get(12), int), 'exi is missing')
        key = reply[8]
        check(isinstance(key.get(2), bytes) and isinstance(key.get(6), bytes), 'ms or contextId is missing')
        return key

    def _check_join(self, reply):
        key = self._check_keying(reply)
        group_mode = [label in key for label in (9, 10, 11)]
        pairwise = [label in key for label in (4, 12, 13)]
        check(8 in key and all(group_mode) == any(group_mode) and all(pairwise) == any(pairwise)
              and (any(group_mode) or any(pairwise)), 'the key object has the wrong members: %s' % sorted(key))
        check((7 in key) == (self.roles != MONITOR), 'group_SenderId against the role')
        check(all(label in reply for label in (13, 14, 15)), 'creds were asked for')
        check(len(reply[13]) == len(reply[14]) == len(reply[15]), 'creds are not parallel')
        self.gm_cred = self._check_kdc_proof(reply, self.cnonce)
        self.params = key
        self.creds, self.roles_of = {}, {}
        self._learn(reply)
        wanted = (RESPONDER if self.roles & REQUESTER else 0) | (REQUESTER if self.roles & (RESPONDER | MONITOR) else 0)
        check(all(r & wanted for r in reply[14]), 'a credential that this role does not need')

    def _learn(self, reply):
        """Take up creds, roles and Sender IDs (all three or none)."""
        present = [label in reply for label in (13, 14, 15)]
        check(all(present) == any(present), 'creds, peer_roles, peer_identifiers: all or none')
        for raw, roles, sid in zip(*(reply.get(label, []) for label in (13, 14, 15))):
            self.creds[sid], self.roles_of[sid] = creds.PublicCred(raw, self.cred_fmt), roles

    def _install(self, version, key, sid=None):
        """New keying material: fresh Sender Sequence Number and replay windows; no salt means the empty salt."""
        p = self.params
        self.sid = sid if sid is not None else getattr(self, 'sid', None)
        self.group = group_oscore.Group(key[2], key.get(5, b''), key[6], self.gm_cred.raw, p.get(4), p.get(9),
                                        p.get(10), p.get(12), p.get(3, 5))
        self.party = group_oscore.Party(self.group, self.sid, self.keys, self.creds)
        self.version = version

    def _drop(self, sids):
        for sid in sids:
            self.creds.pop(sid, None)
            self.roles_of.pop(sid, None)

    def take(self, reply, via):
        """Keying material from a rekeying message, a notification or a GET (requirements 6.7)."""
        key = self._check_keying(reply)
        new = reply[9]
        if new <= self.version:
            check(new < self.version or key[6] == self.group.gid and key[2] == self.group.ms,
                  'the same version with other keys')
            return False
        check(key[6] != self.group.gid and key[2] != self.group.ms, 'a rekey must change Gid and Master Secret')
        if via == 'control':
            check(set(key) <= {2, 5, 6}, 'a rekeying message with more than ms, contextId and salt')
            check(34 in reply, 'stale_node_ids is missing')
        check(11 not in reply or 12 in reply, 'exp without exi')
        if 34 in reply and new == self.version + 1:
            stale = reply[34]
        else:
            stale = self.stale(self.version)
        check(stale is None or self.sid not in stale, 'our own Sender ID is called stale')
        known = set(self.creds)
        self._drop(known if stale is None else stale)
        before, salted = self.version, 5 in key
        check(key.get(7, self.sid) == self.sid, 'the Sender ID changed with the rekey')
        if 8 in key:  # in full: also what the configuration has become
            self.params = key
        self._install(new, key)
        self._learn(reply)
        self.rekeys += 1
        self.emit(step='rekey', via=via, version=new, before=before, gid=key[6], salt=salted, stale=stale,
                  dropped=sorted(s.hex() for s in known - set(self.creds)), creds=len(reply.get(13, [])),
                  exi=reply[12])
        return True

    def take_configuration(self, reply):
        """Changed algorithms, ahead of the keys they are used with (draft-ietf-ace-oscore-gm-admin-17, 6.6.2): the
        context goes on with the same secret, Sender Sequence Number and replay windows."""
        key = reply[8]
        check(set(reply) == {7, 8, 9, 10, 11}, 'a configuration with the labels %s' % sorted(reply))
        check(reply[7] == 1 and reply[10] == 1, 'gkty or profile is not 1')
        group_mode, pairwise = 10 in key, 12 in key
        check(set(key) == {3, 8} | ({9, 10, 11} if group_mode else set()) | ({4, 12, 13} if pairwise else set()),
              'a configuration whose key has the labels %s' % sorted(key))
        self.configurations += 1
        if reply[9] < self.version:
            return
        kept = {label: self.params[label] for label in (2, 5, 6, 7) if label in self.params}
        self.params = {**kept, **key}
        old, g = self.party, self.group
        self.group = group_oscore.Group(g.ms, g.salt, g.gid, self.gm_cred.raw, key.get(4), key.get(9), key.get(10),
                                        key.get(12), key[3])
        self.party = group_oscore.Party(self.group, self.sid, self.keys, self.creds)
        self.party.ssn, self.party.windows = old.ssn, old.windows
        self.emit(step='configuration', version=reply[9], key=key)

    def stale(self, version):
        """FETCH stale-sids: a list, or None for "purge everything"."""
        answer = self.request(coap.FETCH, self.base + '/stale-sids', cbor2.dumps(version), ace.CF_CBOR)
        self._expect(answer, CONTENT, 'stale-sids')
        stale = fields_of(answer, ace.CF_CBOR) if answer.payload else None
        check(stale is None or len(set(stale)) == len(stale), 'duplicates in stale-sids')
        self.emit(step='stale-sids', asked=version, stale=stale)
        return stale

    # Delivery of rekeys.

    def register(self):
        """Observe /ace-group/G."""
        token = os.urandom(8)
        self.endpoint.observers[self.gm, token] = self._notified
        answer, exchange, piv = self._exchange(coap.GET, self.base, b'', None, [(coap.OBSERVE, b'')], token)
        self._expect(answer, CONTENT, 'registration')
        check(answer.get(coap.OBSERVE) is not None, 'the registration was not accepted')
        self._registration = [exchange, -1 if piv is None else piv]
        reply = fields_of(self._gather(answer, coap.GET, self.base))
        self.emit(step='register', version=reply[9])
        self.take(reply, 'registration')

    def _notified(self, outer):
        self._guard('notification', self._take_notification, outer)

    def _take_notification(self, outer):
        exchange, last = self._registration
        inner, piv = self.context.unprotect_response(outer, exchange)
        if inner.code != CONTENT:
            self.evicted = True
            self.emit(step='observation-ended', code=coap.dotted(inner.code), error=ace.problem_id(inner.payload)
                      if inner.uint(coap.CONTENT_FORMAT) == ace.CF_PROBLEM else None)
            return
        check(piv is not None and piv > last, 'a notification needs a newer Partial IV')
        check(inner.get(coap.OBSERVE) == b'', 'a notification needs the empty inner Observe')
        self._registration[1] = piv
        self.take(fields_of(self._gather(inner, coap.GET, self.base)), 'observe')

    def _guard(self, what, function, *arguments):
        """Run a callback; what it finds wrong is reported and makes the run fail at its next step."""
        try:
            return function(*arguments)
        except (CheckFailed, OscoreError, coap.Timeout, KeyError, TypeError, ValueError) as error:
            self.failures.append('%s: %r' % (what, error))
            self.emit(step=what, ok=False, error=repr(error))
            return None

    def _on_request(self, outer, peer):
        raw = outer.get(coap.OSCORE)
        if raw is None:
            return coap.Message(coap.code('4.01'))
        try:
            option = decode_option(raw)
        except OscoreError:
            return coap.Message(coap.code('4.02'))
        if self.context and option.kid == self.context.recipient_id and option.kid_context in (
                None, self.context.id_context):
            return self._guard('control', self._control, outer)
        return self._answer_peer(outer, option)

    def _control(self, outer):
        """A request of the Group Manager to our control path."""
        check(outer.type == coap.CON, 'the rekeying message is not confirmable')
        inner, exchange = self.context.unprotect_request(outer)
        check(inner.path() == self.control_path, 'the GM called %s' % inner.path())
        code = CHANGED
        if inner.code == coap.DELETE:
            self.evicted, code = True, DELETED
            self.emit(step='evicted', via='control')
        else:
            check(inner.code == coap.POST, 'the GM used method %d' % inner.code)
            fields = fields_of(inner)
            if fields.get(8) == {}:
                check(fields == {7: 1, 8: {}, 10: 1}, 'the end of the group is told with %s' % fields)
                self.deleted = True
                self.emit(step='deleted', body=inner.payload)
            elif 8 in fields and 2 not in fields[8]:
                self.take_configuration(fields)
            else:
                self.take(fields, 'control')
        return self.context.protect_response(coap.Message(code), exchange)

    def pump(self, seconds, until=None):
        """Serve the socket; CheckFailed when a callback found something wrong."""
        done = self.endpoint.pump(seconds, lambda: self.failures or until and until())
        check(not self.failures, '; '.join(self.failures))
        return done

    def wait_rekey(self, count=1, seconds=120.0):
        """Until `count` more rekeys are installed; asks for them when the delivery is by polling."""
        goal, end = self.rekeys + count, time.monotonic() + seconds
        while self.rekeys < goal:
            check(time.monotonic() < end, 'only %d of %d rekeys arrived' % (self.rekeys - goal + count, count))
            if self.delivery == 'poll':
                self.get_node()
                self.pump(0.5)
            else:
                self.pump(end - time.monotonic(), lambda: self.rekeys >= goal)

    # Reads.

    def get_group(self):
        reply = fields_of(self._expect(self.request(coap.GET, self.base), CONTENT, 'GET group'))
        check(7 not in self._check_keying(reply), 'GET group must not name a Sender ID')
        return self._read('get-group', reply)

    def get_node(self):
        answer = self.request(coap.GET, '%s/nodes/%s' % (self.base, self.node))
        reply = fields_of(self._expect(answer, CONTENT, 'GET node'))
        check(self._check_keying(reply).get(7) == self.sid, 'GET node names another Sender ID')
        return self._read('get-node', reply)

    def _read(self, step, reply):
        self.emit(step=step, version=reply[9], gid=reply[8][6])
        self.take(reply, step)
        return reply

    def number(self):
        answer = self._expect(self.request(coap.GET, self.base + '/num'), CONTENT, 'GET num')
        value = fields_of(answer, ace.CF_CBOR)
        self.emit(step='num', version=value)
        return value

    def active(self):
        answer = self._expect(self.request(coap.GET, self.base + '/active'), CONTENT, 'GET active')
        value = fields_of(answer, ace.CF_CBOR)
        check(isinstance(value, bool), 'active is not a boolean')
        self.emit(step='active', active=value)
        return value

    def policies(self):
        answer = self._expect(self.request(coap.GET, self.base + '/policies'), CONTENT, 'GET policies')
        value = cbor2.loads(answer.payload)
        check(value == b'' or isinstance(value.get(16), dict), 'no group_policies')
        self.emit(step='policies', policies=value and value[16])

    def get_creds(self, sids=None):
        """GET all credentials, or FETCH those of some Sender IDs."""
        if sids is None:
            answer = self.request(coap.GET, self.base + '/creds')
        else:
            body = cbor2.dumps({4: [True, [], list(sids)]})
            answer = self.request(coap.FETCH, self.base + '/creds', body, ace.CF_GROUPCOMM)
        reply = cbor2.loads(self._expect(answer, CONTENT, 'creds').payload)
        if reply != b'':
            check(set(reply) == {9, 13, 14, 15}, 'creds has members %s' % sorted(reply))
            self._learn(reply)
        self.emit(step='creds', asked=sids and [s.hex() for s in sids],
                  sids=[s.hex() for s in reply[15]] if reply else [])

    def look_up(self, sid):
        """The credential of a Sender ID we met; all credentials from a GM that has no FETCH."""
        try:
            self.get_creds([sid])
        except CheckFailed as error:
            self.emit(step='creds', sid=sid, warning=repr(error))
            self.get_creds()

    def kdc_cred(self):
        reply = fields_of(self._expect(self.request(coap.GET, self.base + '/kdc-cred'), CONTENT, 'GET kdc-cred'))
        cred = self._check_kdc_proof(reply, self.cnonce)
        check(cred.raw == self.gm_cred.raw, 'the GM has another credential')
        self.emit(step='kdc-cred')

    def renew(self):
        """Key Renewal: a new Sender ID, or a rekey that was due anyway."""
        answer = self.request(coap.POST, '%s/nodes/%s' % (self.base, self.node))
        reply = fields_of(self._expect(answer, CHANGED, 'Key Renewal'))
        if 21 in reply:
            check(set(reply) == {21} and reply[21] != self.sid, 'Key Renewal must give a new Sender ID only')
            self.sid = reply[21]
            self.party = group_oscore.Party(self.group, self.sid, self.keys, self.creds)
        else:
            self.take(reply, 'control')
        self.emit(step='renew', sid=self.sid)

    def call(self, method, path, code, error=None, payload=b'', content_format=None):
        """Any protected request, with the code and the error id that must come back."""
        answer = self.request(method, path, payload, content_format)
        self._expect(answer, coap.code(code), '%d %s' % (method, path))
        if error is not None:
            check(answer.uint(coap.CONTENT_FORMAT) == ace.CF_PROBLEM, 'an error without problem details')
            check(ace.problem_id(answer.payload) == error, 'error %s' % ace.problem_id(answer.payload))
        self.emit(step='call', path=path, code=code, error=error)
        return answer

    def replay(self):
        """An old protected request in a new CoAP message must be refused, and without a new sealed answer."""
        outer, _ = self.context.protect_request(coap.Message(coap.GET, coap.path_options(self.base + '/num')))
        self.endpoint.request(outer, self.gm, self.timeout)
        self.number()
        outer.token = b''
        answer = self.endpoint.request(outer, self.gm, self.timeout)
        check(coap.dotted(answer.code) == '4.01' and answer.get(coap.OSCORE) is None,
              'a replay was answered with %s' % coap.dotted(answer.code))
        self.emit(step='replay')

    def repeat(self):
        """The last request again, byte for byte: the same bytes come back, or the same under a fresh Partial IV. Where the
        answer took its time, that is the empty ACK ahead of it."""
        log = self.endpoint.log
        data = next(d for way, peer, d in reversed(log) if way == 'out' and peer == self.gm and 0 < d[1] < 32)

        def answers(since):
            return [d for way, peer, d in log[since:] if way == 'in' and peer == self.gm and d[0] >> 4 & 3 == coap.ACK
                    and d[2:4] == data[2:4]]

        before, start = answers(0)[0], len(log)
        self.endpoint.sock.sendto(data, self.gm)
        check(self.pump(60.0, lambda: answers(start)), 'no answer to a repeated request')
        again = answers(start)[0]
        after, first = coap.Message.decode(again), coap.Message.decode(before)
        if again != before:
            check(decode_option(after.get(coap.OSCORE)).piv is not None, 'other bytes under the nonce of the request')
            same = [self.context.unprotect_response(m, self._last)[0] for m in (after, first)]
            check(same[0].code == same[1].code, 'a repeat was answered differently')
        self.emit(step='repeat', same_bytes=again == before)

    # A signature verifier, which is no member (requirements 7.8).

    def verif_data(self):
        """Algorithms and Signature Encryption Key, the GM's credential with its proof, and all credentials."""
        reply = fields_of(self._expect(self.request(coap.GET, self.base + '/verif-data'), CONTENT, 'verif-data'))
        key = reply[8]
        check({3, 6, 8, 9, 10, 11} <= set(key) <= {3, 4, 6, 8, 9, 10, 11, 12}, 'verif-data has key %s' % sorted(key))
        nonce = os.urandom(8)
        answer = self.request(coap.FETCH, self.base + '/kdc-cred', cbor2.dumps({6: nonce}), ace.CF_GROUPCOMM)
        self.gm_cred = self._check_kdc_proof(fields_of(self._expect(answer, CONTENT, 'FETCH kdc-cred')), nonce)
        self.verifier = group_oscore.Verifier(key[6], reply[33], self.gm_cred.raw, key.get(4), key[9], key[10],
                                              key.get(12), key[3])
        self.get_creds()
        self.emit(step='verif-data', version=reply[9], gid=key[6])

    def verify(self, path):
        """Check every group mode message under our Gid in a capture."""
        exchanges, count = {}, 0
        for source, target, data in pcap.udp_datagrams(path):
            try:
                message = coap.Message.decode(data)
                option = decode_option(message.get(coap.OSCORE))
            except (ValueError, OscoreError):
                continue
            if message.is_request() and option.group and option.kid_context == self.verifier.gid:
                exchanges[source, target, message.token] = self.verifier.verify_request(message, self.creds)
            elif message.is_response() and option.group and (target, source, message.token) in exchanges:
                self.verifier.verify_response(message, exchanges[target, source, message.token], self.creds)
            else:
                continue
            count += 1
        check(count, 'no group mode message in the capture')
        self.emit(step='verify', messages=count)

    def leave(self):
        answer = self.request(coap.DELETE, '%s/nodes/%s' % (self.base, self.node))
        self._expect(answer, DELETED, 'leave')
        check(not answer.payload, 'the answer to a leave has a payload')
        self.emit(step='leave')
        refused = self.request(coap.GET, self.base)
        check(coap.dotted(refused.code) == '4.03' and ace.problem_id(refused.payload) == 0,
              'GET group after the leave answered %s' % coap.dotted(refused.code))

    # Group traffic.

    def _answer_peer(self, outer, option):
        """The echo service: GET or POST /ping."""
        if self.party is None or option.kid is None:
            return coap.Message(coap.code('4.01'))
        if option.kid not in self.creds and option.kid_context == self.group.gid:
            self._guard('creds', self.look_up, option.kid)
        try:
            inner, exchange = self.party.unprotect_request(outer)
        except OscoreError as error:
            self.emit(step='dropped', kid=option.kid, error=str(error))
            return None
        code = {coap.GET: CONTENT, coap.POST: CHANGED}.get(inner.code)
        if inner.path() != '/ping' or code is None:
            code, payload = coap.code('4.04'), b''
        else:
            payload = inner.payload or b'pong'
        self.emit(step='served', sid=option.kid, mode='group' if option.group else 'pairwise', payload=payload)
        return self.party.protect_response(coap.Message(code, [], payload), exchange)

    def ping(self, peer_addr, sid=None, text=b''):
        """Group mode, or pairwise mode to `sid`; the answer's mode, code and payload are checked."""
        if sid is not None and sid not in self.creds:
            self.look_up(sid)
        message = coap.Message(coap.POST if text else coap.GET, [(coap.URI_PATH, b'ping')], text)
        outer, exchange = self.party.protect_request(message, sid)
        answer = self.endpoint.request(outer, peer_addr, self.timeout)
        option = decode_option(answer.get(coap.OSCORE) or b'')
        if option.kid is not None and option.kid not in self.creds:
            self.look_up(option.kid)
        inner, sender = self.party.unprotect_response(answer, exchange)
        check(option.group == exchange.group, 'the answer came in the other mode')
        check(inner.code == (CHANGED if text else CONTENT), 'ping answered %s' % coap.dotted(inner.code))
        check(inner.payload == (text or b'pong'), 'ping answered %r' % inner.payload)
        self.emit(step='ping', mode='group' if exchange.group else 'pairwise', responder=sender)
        return sender


def host_port(text):
    host, _, port = text.rpartition(':')
    return host.strip('[]'), int(port)


def do_step(member, text):
    """One step of the command line."""
    name, *args = text.split(':')
    plain = {'join': member.join, 'rejoin': lambda: member.join(again=True), 'get-group': member.get_group,
             'get-node': member.get_node, 'num': member.number, 'active': member.active, 'policies': member.policies,
             'creds': member.get_creds, 'kdc-cred': member.kdc_cred, 'renew': member.renew,
             'register': member.register, 'leave': member.leave, 'replay': member.replay, 'repeat': member.repeat,
             'bad-proof': member.bad_proof, 'verif-data': member.verif_data}
    if name in plain:
        plain[name]()
        if name == 'join' and member.delivery == 'observe':
            member.register()
    elif name == 'stale':
        member.stale(int(args[0]))
    elif name == 'wait-rekey':
        member.wait_rekey(int(args[0]) if args else 1, float(args[1]) if len(args) > 1 else 120.0)
    elif name == 'serve':
        member.pump(float(args[0]))
    elif name == 'serve-until':
        end = time.monotonic() + 300
        while not os.path.exists(args[0]):
            check(time.monotonic() < end, 'nobody made ' + args[0])
            member.pump(0.05)
    elif name == 'expect-evicted':
        check(member.pump(float(args[0]) if args else 30.0, lambda: member.evicted), 'no notice of an eviction')
    elif name == 'verify':
        member.verify(':'.join(args))
    elif name == 'call':
        error = int(args[3]) if args[3:] and args[3] else None
        payload = bytes.fromhex(args[4]) if args[4:] else b''
        member.call(METHODS[args[0]], args[1], args[2], error, payload, int(args[5]) if args[5:] else None)
    elif name == 'ping-group':
        member.ping((args[0], int(args[1])), None, ':'.join(args[2:]).encode())
    elif name == 'ping-pairwise':
        responders = [s for s, r in member.roles_of.items() if r & RESPONDER]
        check(args[2] != '*' or len(responders) == 1, '%d responders are known' % len(responders))
        sid = responders[0] if args[2] == '*' else bytes.fromhex(args[2])
        member.ping((args[0], int(args[1])), sid, ':'.join(args[3:]).encode())
    else:
        raise CheckFailed('unknown step ' + text)


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--gm', type=host_port, default=('127.0.0.1', 5683))
    parser.add_argument('--listen', type=host_port, default=('127.0.0.1', 0), help='our address (default: any port)')
    parser.add_argument('--group', default='g1')
    parser.add_argument('--roles', type=ace.roles_bits, default=6, help='e.g. requester,responder')
    parser.add_argument('--as-key', help='JSON file of the AS key, to mint a token')
    parser.add_argument('--token-file', help='JSON file with a token, instead of minting one')
    parser.add_argument('--token-form', default='tagged', choices=['tagged', 'strict', 'cose', 'untagged'])
    parser.add_argument('--osc-alg', type=int, help='AEAD of the association, of a token that is minted')
    parser.add_argument('--osc-hkdf', type=int, help='and its HKDF: 5 or 7')
    parser.add_argument('--delivery', default='control', choices=['control', 'observe', 'poll'])
    parser.add_argument('--control-path', help='default: /ace-group/GROUP/node')
    parser.add_argument('--timeout', type=float, default=60.0, help='seconds to wait for a response')
    parser.add_argument('--keys-out', help='append our context to this keys file')
    parser.add_argument('steps', nargs='*', default=['join', 'get-group', 'get-node', 'leave'])
    return parser.parse_args(argv)


def main(argv=None):
    args = arguments(argv)
    member = Member(args.gm, args.group, args.roles, args.delivery, *args.listen, control_path=args.control_path,
                    timeout=args.timeout)
    emit_json(step='listen', addr=join_host_port(member.addr))
    current = 'token'
    try:
        as_key = ace.load_as_key(args.as_key) if args.as_key else None
        if args.token_file:
            member.load_token(args.token_file, as_key)
        else:
            check(as_key, 'needs --as-key or --token-file')
            member.mint(as_key, args.token_form, alg=args.osc_alg, hkdf=args.osc_hkdf)
        current = 'authz-info'
        member.authz_info()
        if args.keys_out:
            with open(args.keys_out, 'a', encoding='utf-8') as file:
                file.write(json.dumps(member.keys_line()) + '\n')
        for current in args.steps:
            do_step(member, current)
            check(not member.failures, '; '.join(member.failures))
    except (CheckFailed, OscoreError, coap.Timeout, OSError, KeyError, TypeError, ValueError) as error:
        emit_json(step=current, ok=False, error=repr(error))
        return 1
    emit_json(step='end', ok=True, version=member.version, rekeys=member.rekeys)
    return 0


if __name__ == '__main__':
    sys.exit(main())
