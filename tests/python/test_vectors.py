# SPDX-License-Identifier: Apache-2.0
"""The oracles against published vectors and against traffic that foreign implementations left behind."""

import json
import os
import unittest

import cbor2

import ace
import coap
import creds
import group_oscore
import oscore
import oscore_vectors

VECTORS = os.path.join(os.path.dirname(__file__), '..', 'vectors')
H = bytes.fromhex


def load(name):
    with open(os.path.join(VECTORS, name), encoding='utf-8') as file:
        return [json.loads(line) for line in file] if name.endswith('l') else json.load(file)


MS, SALT, IDCTX = H('0102030405060708090a0b0c0d0e0f10'), H('9e7ca92223786340'), H('37cbf3210017a2d3')


class Rfc8613(unittest.TestCase):
    """RFC 8613 Appendix C."""

    KEYS = [  # salt, sender ID, recipient ID, ID Context, sender key, recipient key, Common IV
        (SALT, '', '01', None, 'f0910ed7295e6ad4b54fc793154302ff', 'ffb14e093c94c9cac9471648b4f98710',
         '4622d4dd6d944168eefb54987c'),
        (b'', '00', '01', None, '321b26943253c7ffb6003b0b64d74041', 'e57b5635815177cd679ab4bcec9d7dda',
         'be35ae297d2dace910c52e99f9'),
        (SALT, '', '01', IDCTX, 'af2a1300a5e95788b356336eeecd2b92', 'e39a0c7c77b43f03b4b39ab9a268699f',
         '2ca58fb85ff1b81c0b7181b85e'),
    ]
    REQUESTS = [  # keys, unprotected, protected
        (0, '44015d1f00003974396c6f63616c686f737483747631',
         '44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e'),
        (1, '440171c30000b932396c6f63616c686f737483747631',
         '440271c30000b932396c6f63616c686f737463091400ff4ed339a5a379b0b8bc731fffb0'),
        (2, '44012f8eef9bbf7a396c6f63616c686f737483747631',
         '44022f8eef9bbf7a396c6f63616c686f73746b19140837cbf3210017a2d3ff72cd7273fd331ac45cffbe55c3'),
    ]
    RESPONSE = '64455d1f00003974ff48656c6c6f20576f726c6421'

    def context(self, index, server=False):
        salt, sender, recipient, id_context = self.KEYS[index][:4]
        ids = (H(recipient), H(sender)) if server else (H(sender), H(recipient))
        return oscore.Context(MS, salt, *ids, id_context)

    def test_c1_to_c3_derive_keys(self):
        for index, row in enumerate(self.KEYS):
            context = self.context(index)
            self.assertEqual((context.sender_key.hex(), context.recipient_key.hex(), context.common_iv.hex()), row[4:])
            self.assertEqual(self.context(index, True).sender_key.hex(), row[5])
        nonce = oscore.make_nonce(self.context(0).common_iv, H('01'), b'\0')
        self.assertEqual(nonce.hex(), '4722d4dd6d944169eefb54987c')

    def test_c4_to_c6_requests(self):
        for index, plain, protected in self.REQUESTS:
            client, server = self.context(index), self.context(index, True)
            client.ssn = 20
            outer, _ = client.protect_request(coap.Message.decode(H(plain)), send_context=index == 2)
            self.assertEqual(outer.encode().hex(), protected)
            inner, _ = server.unprotect_request(coap.Message.decode(H(protected)))
            self.assertEqual(inner.encode().hex(), plain)

    def test_c7_and_c8_responses(self):
        wanted = ['64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106',
                  '64445d1f00003974920100ff4d4c13669384b67354b2b6175ff4b8658c666a6cf88e']
        exchange = oscore.Exchange(b'', H('14'))
        for own_piv, protected in enumerate(wanted):
            client, server = self.context(0), self.context(0, True)
            outer = server.protect_response(coap.Message.decode(H(self.RESPONSE)), exchange, own_piv)
            self.assertEqual(outer.encode().hex(), protected)
            inner, piv = client.unprotect_response(outer, exchange)
            self.assertEqual((inner.encode().hex(), piv), (self.RESPONSE, 0 if own_piv else None))

    def test_replays_and_changed_bytes_are_refused(self):
        server, protected = self.context(0, True), H(self.REQUESTS[0][2])
        with self.assertRaisesRegex(oscore.OscoreError, 'decryption'):
            server.unprotect_request(coap.Message.decode(protected[:-1] + bytes([protected[-1] ^ 1])))
        server.unprotect_request(coap.Message.decode(protected))
        with self.assertRaisesRegex(oscore.OscoreError, 'replay'):
            server.unprotect_request(coap.Message.decode(protected))

    def test_notifications_stay_bound_to_the_registration(self):
        client, server = self.context(0), self.context(0, True)
        outer, mine = client.protect_request(coap.Message(coap.GET, [(coap.OBSERVE, b'')] + coap.path_options('/x')))
        self.assertEqual((outer.code, outer.get(coap.OBSERVE)), (coap.FETCH, b''))
        inner, theirs = server.unprotect_request(outer)
        self.assertEqual((inner.path(), inner.uint(coap.OBSERVE)), ('/x', 0))
        for number in range(3):
            note = coap.Message(coap.code('2.05'), [(coap.OBSERVE, b'%d' % number)], b'n')
            outer = server.protect_response(note, theirs, own_piv=True)
            self.assertEqual(coap.dotted(outer.code), '2.05')
            inner, piv = client.unprotect_response(outer, mine)
            self.assertEqual((piv, inner.get(coap.OBSERVE), inner.payload), (number, b'', b'n'))


class Algorithms(unittest.TestCase):
    """tests/vectors/oscore-algs.json, which the Group Manager is held against."""

    def test_the_file_is_what_its_maker_makes(self):
        self.assertEqual(load('oscore-algs.json')['rows'], oscore_vectors.rows())

    def test_both_ends_understand_each_other_with_every_algorithm(self):
        for alg in oscore_vectors.PAIRWISE:
            for hkdf in (5, 7):
                client, server = (oscore.Context(MS, SALT, *ids, None, alg, hkdf) for ids in ((b'a', b'b'), (b'b', b'a')))
                outer, mine = client.protect_request(coap.Message(coap.GET, coap.path_options('/x')))
                inner, theirs = server.unprotect_request(outer)
                self.assertEqual(inner.path(), '/x')
                answer = server.protect_response(coap.Message(coap.code('2.05'), [], b'n'), theirs)
                self.assertEqual(client.unprotect_response(answer, mine)[0].payload, b'n')


class GroupVectors(unittest.TestCase):
    """tests/vectors/group-oscore.json."""

    def setUp(self):
        self.v = load('group-oscore.json')
        i = self.v['inputs']
        self.group = group_oscore.Group(H(i['master_secret']), H(i['master_salt']), H(i['gid']), H(i['GM']['cred_ccs']))
        self.keys = {n: creds.KeyPair(creds.ED25519, H(i[n]['seed']), H(i[n]['cred_ccs'])) for n in ('A', 'B', 'GM')}
        self.a = group_oscore.Party(self.group, b'\x0a', self.keys['A'], {b'\x51': self.keys['B'].cred})
        self.b = group_oscore.Party(self.group, b'\x51', self.keys['B'], {b'\x0a': self.keys['A'].cred})

    def test_derived_keys(self):
        d, g, k = self.v['derived'], self.group, self.keys
        self.assertEqual(g.sender_key(b'\x0a').hex(), d['sender_key_A'])
        self.assertEqual(g.sender_key(b'\x51').hex(), d['sender_key_B'])
        self.assertEqual(g.common_iv.hex(), d['common_iv'])
        self.assertEqual(g.sign_enc_key.hex(), d['signature_encryption_key'])
        secret = k['A'].shared_secret(k['B'].cred)
        self.assertEqual(secret.hex(), d['shared_secret_AB'])
        self.assertEqual(secret, k['B'].shared_secret(k['A'].cred))
        self.assertEqual(g.pairwise_key(b'\x0a', k['A'].cred.raw, k['B'].cred.raw, secret).hex(), d['pairwise_A_to_B'])
        self.assertEqual(g.pairwise_key(b'\x51', k['B'].cred.raw, k['A'].cred.raw, secret).hex(), d['pairwise_B_to_A'])

    def test_requests(self):
        message = coap.Message(coap.GET, [(coap.URI_PATH, b'a')])
        for name, peer in (('group_mode_request', None), ('pairwise_mode_request', b'\x51')):
            v = self.v[name]
            self.a.ssn = 5
            outer, exchange = self.a.protect_request(message, peer)
            option = outer.get(coap.OSCORE)
            self.assertEqual(option.hex(), v['oscore_option'])
            self.assertEqual(self.group.external_aad(exchange, option, self.keys['A'].cred.raw).hex(),
                             v['external_aad_bstr'])
            self.assertEqual(outer.payload.hex(), v['ciphertext'] + v.get('enc_signature_5el', ''))
            inner, exchange = group_oscore.Party(self.group, b'\x51', self.keys['B'],
                                                 self.b.creds).unprotect_request(outer)
            self.assertEqual((inner.code, inner.path(), exchange.group), (coap.GET, '/a', peer is None))

    def test_every_mode_answers_every_mode(self):
        for peer in (None, b'\x51'):
            for group_mode in (True, False):
                outer, mine = self.a.protect_request(coap.Message(coap.POST, [], b'q'), peer)
                _, theirs = self.b.unprotect_request(outer)
                answer = self.b.protect_response(coap.Message(coap.code('2.04'), [], b'r'), theirs, group_mode)
                inner, sender = self.a.unprotect_response(answer, mine)
                self.assertEqual((inner.payload, sender), (b'r', b'\x51'))

    def test_a_changed_countersignature_is_refused(self):
        outer, _ = self.a.protect_request(coap.Message(coap.GET))
        outer.payload = outer.payload[:-1] + bytes([outer.payload[-1] ^ 1])
        with self.assertRaisesRegex(oscore.OscoreError, 'countersignature'):
            self.b.unprotect_request(outer)

    def test_proofs_of_possession(self):
        p = self.v['pop']
        client = ace.client_pop_input(H(p['scope_bstr_value']), H(p['N_S']), H(p['N_C']))
        kdc = ace.kdc_pop_input(H(p['N_C']), H(p['N_KDC']))
        self.assertEqual((client.hex(), kdc.hex()), (p['client_pop_input'], p['kdc_pop_input']))
        self.assertEqual(self.keys['A'].sign(client).hex(), p['client_cred_verify_ed25519(A)'])
        self.assertEqual(self.keys['GM'].sign(kdc).hex(), p['kdc_cred_verify_ed25519(GM)'])
        m = self.v['pop_pairwise_only']
        alice = creds.KeyPair(creds.X25519, H(m['client_x25519_priv(RFC7748 6.1 Alice)']))
        bob = creds.KeyPair(creds.X25519, H(m['gm_x25519_priv(Bob)']))
        secret = alice.shared_secret(bob.cred)
        self.assertEqual(secret.hex(), m['IKM'])
        self.assertEqual(ace.pop_mac(secret, client).hex(), m['client_cred_verify_mac8'])
        self.assertEqual(ace.pop_mac(bob.shared_secret(alice.cred), kdc).hex(), m['kdc_cred_verify_mac8'])

    def test_rfc9203_context(self):
        r = self.v['rfc9203']
        osc = {2: H(r['master_secret']), 5: H(r['input_salt'])}
        n1, n2 = H(r['nonce1']), H(r['nonce2'])
        self.assertEqual(ace.master_salt(osc[5], n1, n2).hex(), r['master_salt'])
        context = ace.client_context(osc, n1, n2, H(r['ace_client_recipientid']), H(r['ace_server_recipientid']))
        self.assertEqual(context.recipient_key.hex(), r['rs_sender_key(id=1645)'])
        self.assertEqual(context.sender_key.hex(), r['rs_recipient_key(id=0000)'])
        self.assertEqual(context.common_iv.hex(), r['common_iv'])


class Rfc9203Tokens(unittest.TestCase):
    """mint() and open_token() agree for each protection and form."""

    def test_round_trips(self):
        private = H('397ceb5a8d21d74a9258c20c33fc45ab152b02cf479b2e3081285f77454cf347')
        for alg, key in (('AES-CCM-16-64-128', {'key': bytes(16)}), ('HMAC256', {'key': bytes(32)}),
                         ('EdDSA', {'priv': private}), ('ES256', {'priv': private})):
            as_key = {'kid': b'k', 'alg': alg, **key}
            claims = ace.osc_claims(as_key, ace.scope([('g1', 6)]), {0: b'1', 2: bytes(16), 5: b'salt'})
            for form in ('strict', 'tagged', 'cose', 'untagged'):
                token = ace.mint(as_key, claims, form)
                self.assertEqual(ace.open_token(as_key, token), claims)
                self.assertEqual(token[:2] == b'\xd8\x3d', form in ('strict', 'tagged'))
                if form == 'strict':
                    self.assertEqual(cbor2.loads(token).value.value[1], {})
        self.assertEqual(ace.scope([('g1', 6)]).hex(), '818262673106')


class RecordedJoin(unittest.TestCase):
    """A whole join at the Group Manager of RISE (tests/vectors/peers/rise-gm-join.*)."""

    def setUp(self):
        self.v = load('peers/rise-gm-join.json')
        self.frames = [coap.Message.decode(H(f['hex'])) for f in load('peers/rise-gm-join.wire.jsonl')]

    def test_every_frame_re_encodes_to_itself(self):
        for frame, row in zip(self.frames, load('peers/rise-gm-join.wire.jsonl')):
            self.assertEqual(frame.encode().hex(), row['hex'])

    def test_token_and_association(self):
        v = self.v
        claims = ace.open_token({'alg': 'AES', 'key': H(v['as_rs_key'])}, H(v['token']))
        osc = claims[8][4]
        self.assertEqual((osc[2].hex(), osc[5].hex()), (v['ms'], v['input_salt']))
        self.assertIn([v['group'], 6], [[e[0], e[1] & 6] for e in cbor2.loads(claims[9])])
        request, response = cbor2.loads(self.frames[0].payload), cbor2.loads(self.frames[2].payload)
        self.assertEqual(request[1].hex(), v['token'])
        self.assertEqual((response[42].hex(), response[44].hex(), response[46].hex()),
                         (v['n2'], v['id2'], v['kdcchallenge']))
        context = ace.client_context(osc, request[40], response[42], request[43], response[44])
        self.assertEqual((context.sender_key.hex(), context.recipient_key.hex(), context.common_iv.hex()),
                         (v['oscore_sender_key_client'], v['oscore_recipient_key_client'], v['common_iv']))

    def test_all_exchanges_decrypt(self):
        v = self.v
        salt, ms = H(v['master_salt']), H(v['ms'])
        client = oscore.Context(ms, salt, H(v['id2']), H(v['id1']))
        server = oscore.Context(ms, salt, H(v['id1']), H(v['id2']))
        pairs = list(zip(self.frames[6::2], self.frames[7::2]))
        self.assertEqual(len(pairs), len(v['steps']) + 1)
        done = []
        for request, response in pairs:
            inner, exchange = server.unprotect_request(request)
            answer, _ = client.unprotect_response(response, exchange)
            done.append((inner, answer))
            again = server.protect_response(answer, exchange)
            self.assertEqual(again.payload, response.payload)
        for (inner, answer), step in zip(done[1:], v['steps']):
            self.assertEqual((inner.path(), inner.payload.hex()), (step['path'], step['request_payload']))
            self.assertEqual((coap.dotted(answer.code), answer.uint(coap.CONTENT_FORMAT), answer.payload.hex()),
                             (step['code'][:4], step['content_format'], step['payload']))
        self.check_join(*done[0])

    def check_join(self, inner, answer):
        v = self.v
        request, response = cbor2.loads(inner.payload), cbor2.loads(answer.payload)
        self.assertEqual(answer.payload.hex(), v['join_response'])
        own, gm = creds.PublicCred(request[5]), creds.PublicCred(response[17])
        self.assertEqual(own.raw.hex(), v['cred_ccs'])
        self.assertTrue(own.verify(request[24], ace.client_pop_input(request[3], H(v['kdcchallenge']), request[6])))
        self.assertTrue(gm.verify(response[19], ace.kdc_pop_input(request[6], response[18])))
        self.assertFalse(gm.verify(response[19], ace.kdc_pop_input(request[6], bytes(8))))


class RecordedGroupTraffic(unittest.TestCase):
    """aiocoap and Californium (tests/vectors/peers/group-oscore-cross.*): every frame verifies and decrypts."""

    def test_all_frames(self):
        runs = {row['port']: row for row in load('peers/group-oscore-cross.json')}
        parties, exchanges, count = {}, {}, {'group': 0, 'pairwise': 0}
        for row in load('peers/group-oscore-cross.wire.jsonl'):
            frame = coap.Message.decode(H(row['hex']))
            port = row['dst'] if row['dst'] in runs else row['src']
            if port not in parties:
                parties[port] = self.both(runs[port])
            option = oscore.decode_option(frame.get(coap.OSCORE))
            count['group' if option.group else 'pairwise'] += 1
            if frame.is_request():
                receiver = next(p for sid, p in parties[port].items() if sid != option.kid)
                inner, exchange = receiver.unprotect_request(frame)
                self.assertIn(inner.code, (coap.GET, coap.POST, coap.PUT))
                exchanges[port, frame.token] = exchange._replace(peer=receiver.sid)
            else:
                exchange = exchanges[port, frame.token]
                inner, sender = parties[port][exchange.kid].unprotect_response(frame, exchange)
                self.assertNotEqual(sender, exchange.kid)
                self.assertTrue(inner.is_response() and inner.code < 0x60)
        self.assertEqual(count, {'group': 10, 'pairwise': 14})

    def test_a_verifier_without_keys_checks_the_group_mode(self):
        runs = {row['port']: row for row in load('peers/group-oscore-cross.json')}
        exchanges, count = {}, 0
        for row in load('peers/group-oscore-cross.wire.jsonl'):
            frame = coap.Message.decode(H(row['hex']))
            run = runs[row['dst'] if row['dst'] in runs else row['src']]
            public = group_oscore.public_creds({H(sid): H(m['ccs']) for sid, m in run['members'].items()})
            key = self.both(run)[b'\x0a'].group.sign_enc_key
            verifier = group_oscore.Verifier(H(run['gid']), key, H(run['gm_cred']))
            if not oscore.decode_option(frame.get(coap.OSCORE)).group:
                continue
            if frame.is_request():
                exchanges[frame.token] = verifier.verify_request(frame, public)
            elif frame.token in exchanges:
                verifier.verify_response(frame, exchanges[frame.token], public)
            count += 1
            frame.payload = b'x' + frame.payload[1:]
            with self.assertRaises(oscore.OscoreError):
                verifier.verify_request(frame, public)
        self.assertEqual(count, 10)

    def both(self, run):
        a = run['algs']
        group = group_oscore.Group(H(run['ms']), H(run['salt']), H(run['gid']), H(run['gm_cred']), a['aead'],
                                   a['gp_enc'], a['sign'], a['ecdh'], a['hkdf'])
        if 'signature_encryption_key' in run:
            self.assertEqual(group.sign_enc_key.hex(), run['signature_encryption_key'])
        keys = {H(sid): creds.KeyPair(creds.ED25519, H(m['ed25519_private']), H(m['ccs']))
                for sid, m in run['members'].items()}
        public = {sid: pair.cred for sid, pair in keys.items()}
        return {sid: group_oscore.Party(group, sid, pair, public) for sid, pair in keys.items()}


if __name__ == '__main__':
    unittest.main()
