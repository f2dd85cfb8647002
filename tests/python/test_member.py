# SPDX-License-Identifier: Apache-2.0
"""member.py against the small Group Manager of fake_gm.py and against a second member."""

import tempfile
import threading
import unittest

import coap
import fake_gm
import live
import member
import pcap
from oscore import OscoreError

AS_KEY = {'kid': b'as', 'alg': 'AES-CCM-16-64-128', 'key': bytes(range(16)), 'iss': 'as', 'aud': 'gm'}


def join_group(test, gm, delivery='control'):
    """A member that has joined; `lines` holds what it reports."""
    lines = []
    m = member.Member(gm.addr, 'g1', delivery=delivery, emit=lambda **f: lines.append(f), timeout=60.0)
    m.lines = lines
    test.addCleanup(m.endpoint.close)
    m.mint(AS_KEY)
    m.authz_info()
    m.join()
    if delivery == 'observe':
        m.register()
    return m


class MemberAgainstFakeGm(unittest.TestCase):

    def start(self, **options):
        gm = fake_gm.FakeGm(AS_KEY, **options)
        gm.start()
        self.addCleanup(setattr, gm, 'running', False)
        return gm

    def test_joins_over_block2_and_leaves(self):
        gm = self.start()
        m = join_group(self, gm)
        self.assertGreater(m.lines[-1]['bytes'], gm.block_size)
        m.get_group()
        m.get_node()
        self.assertEqual(m.number(), 0)
        m.leave()

    def test_sees_replays_and_wrong_proofs_refused(self):
        m = join_group(self, self.start())
        m.replay()
        m.bad_proof()
        m.call(coap.GET, '/ace-group/g1/nothing', '4.04')
        with self.assertRaisesRegex(member.CheckFailed, '2.05'):
            m.call(coap.GET, '/ace-group/g1/num', '4.03')

    def test_verifies_captured_group_messages_without_being_a_member(self):
        gm = self.start()
        a, b = join_group(self, gm), join_group(self, gm)
        stop = threading.Event()
        server = threading.Thread(target=lambda: b.endpoint.pump(120.0, stop.is_set), daemon=True)
        server.start()
        a.ping(b.addr)
        a.ping(b.addr, b.sid)
        stop.set()
        a.endpoint.send(coap.Message(type=coap.NON), b.addr)
        server.join(60.0)
        verifier = member.Member(gm.addr, 'g1', 16, emit=lambda **f: None, timeout=60.0)
        self.addCleanup(verifier.endpoint.close)
        verifier.mint(AS_KEY)
        verifier.authz_info()
        verifier.verif_data()
        ends = {'in': (b.addr, a.addr), 'out': (a.addr, b.addr)}
        with tempfile.NamedTemporaryFile() as file:
            pcap.write_pcap(file.name, [(*ends[way], d) for way, peer, d in a.endpoint.log if peer == b.addr])
            verifier.verify(file.name)
            verifier.creds[a.sid] = verifier.creds[b.sid]
            with self.assertRaisesRegex(OscoreError, 'countersignature'):
                verifier.verify(file.name)

    def test_answers_an_echo_challenge(self):
        m = join_group(self, self.start(echo=True))
        self.assertIn('echo', [line['step'] for line in m.lines])

    def test_keeps_its_node_name_and_changes_its_sender_id_at_a_rejoin(self):
        m = join_group(self, self.start())
        before = m.sid
        m.join(again=True)
        self.assertNotEqual(m.sid, before)

    def test_every_delivery_brings_a_rekey_and_drops_the_leaver(self):
        for delivery in ('control', 'observe', 'poll'):
            with self.subTest(delivery=delivery):
                gm = self.start()
                leaver = join_group(self, gm)
                m = join_group(self, gm, delivery)
                self.assertIn(leaver.sid, m.creds)
                leaver.leave()
                m.wait_rekey()
                self.assertEqual((m.version, m.group.gid), (1, gm.gid))
                self.assertNotIn(leaver.sid, m.creds)

    def test_catches_up_after_missed_rekeys(self):
        gm = self.start()
        leaver, m = join_group(self, gm), join_group(self, gm)
        gm.skip_delivery = True
        leaver.leave()
        gm.calls.put(gm.rekey)
        while m.number() < 2:
            pass
        gm.skip_delivery = False
        gm.calls.put(gm.rekey)
        m.wait_rekey()
        self.assertEqual(m.version, 3)
        self.assertIn('stale-sids', [line['step'] for line in m.lines])
        self.assertNotIn(leaver.sid, m.creds)

    def test_refuses_what_a_group_manager_must_not_do(self):
        with self.assertRaisesRegex(member.CheckFailed, 'kdc_cred_verify'):
            join_group(self, self.start(flaws=('kdc_proof',)))
        for flaw, text in (('same_gid', 'change Gid'), ('stale_self', 'called stale')):
            gm = self.start(flaws=(flaw,))
            m = join_group(self, gm)
            gm.calls.put(gm.rekey)
            with self.assertRaisesRegex(member.CheckFailed, text):
                m.wait_rekey()
        gm = self.start(flaws=('old_notification',))
        m = join_group(self, gm, 'observe')
        gm.calls.put(gm.rekey)
        with self.assertRaisesRegex(member.CheckFailed, 'newer Partial IV'):
            m.wait_rekey(2)
        with self.assertRaisesRegex(member.CheckFailed, 'replay was answered'):
            join_group(self, self.start(flaws=('replays',))).replay()

    def test_members_talk_in_the_modes_of_the_group(self):
        for kind, modes in (('eddsa', ('group', 'pairwise')), ('es256', ('group', 'pairwise')),
                            ('pairwise', ('pairwise',))):
            with self.subTest(kind=kind):
                gm = self.start(kind=kind)
                a, b = join_group(self, gm), join_group(self, gm)
                stop = threading.Event()
                server = threading.Thread(target=lambda: b.endpoint.pump(120.0, stop.is_set), daemon=True)
                server.start()
                for mode in modes:
                    sid = b.sid if mode == 'pairwise' else None
                    self.assertEqual(a.ping(b.addr, sid), b.sid)
                    self.assertEqual(a.ping(b.addr, sid, b'hello'), b.sid)
                stop.set()
                a.endpoint.send(coap.Message(type=coap.NON), b.addr)
                server.join(60.0)
                served = [(line['mode'], line['payload']) for line in b.lines if line['step'] == 'served']
                self.assertEqual(served, [(mode, text) for mode in modes for text in (b'pong', b'hello')])


class WholeLife(unittest.TestCase):

    def test_the_live_scene_passes_and_fails(self):
        for flaws in ((), ('same_gid',)):
            gm = fake_gm.FakeGm(AS_KEY, flaws=flaws)
            gm.start()
            self.addCleanup(setattr, gm, 'running', False)
            scene = live.Scene(gm.addr, AS_KEY, 'g1', emit=lambda **f: None, reads=False)
            self.addCleanup(scene.close)
            if flaws:
                self.assertRaisesRegex(member.CheckFailed, 'change Gid', scene.run)
            else:
                scene.run()


class Endpoints(unittest.TestCase):
    """The messaging layer, on two sockets."""

    def test_separate_responses_retransmissions_and_duplicates(self):
        client, server = coap.Endpoint(), coap.Endpoint()
        self.addCleanup(client.close)
        self.addCleanup(server.close)
        served = []

        def later(message, peer):
            served.append(message.mid)
            server.send(coap.Message(coap.code('2.05'), [], b'late', token=message.token), peer)

        server.on_request = later
        stop = threading.Event()
        thread = threading.Thread(target=lambda: server.pump(120.0, stop.is_set), daemon=True)
        thread.start()
        request = coap.Message(coap.GET, coap.path_options('/a'))
        self.assertEqual(client.request(request, server.addr, 60.0).payload, b'late')
        client.sock.sendto(request.encode(), server.addr)
        client.pump(0.2)
        self.assertEqual(len(served), 1)
        stop.set()
        client.send(coap.Message(type=coap.NON), server.addr)
        thread.join(60.0)

    def test_a_notification_that_crosses_the_end_of_its_observation_is_no_answer_to_that(self):
        client, server = coap.Endpoint(), coap.Endpoint()
        self.addCleanup(client.close)
        self.addCleanup(server.close)
        number, token, told = coap.uint_bytes(7), b'observe', []

        def observed(message, peer):
            if message.uint(coap.OBSERVE) == 0:
                return coap.Message(coap.code('2.05'), [(coap.OBSERVE, number)], b'first')
            server.send(coap.Message(coap.code('2.05'), [(coap.OBSERVE, number)], b'crossing', token=token), peer)
            return coap.Message(coap.code('2.05'), [], b'end')

        server.on_request = observed
        stop = threading.Event()
        thread = threading.Thread(target=lambda: server.pump(60.0, stop.is_set), daemon=True)
        thread.start()
        client.observers[server.addr, token] = told.append
        for observe, payload in ((b'', b'first'), (b'\x01', b'end')):
            request = coap.Message(coap.GET, [(coap.OBSERVE, observe)], token=token)
            self.assertEqual(client.request(request, server.addr, 60.0).payload, payload)
        self.assertEqual([m.payload for m in told], [b'crossing'])
        stop.set()
        client.send(coap.Message(type=coap.NON), server.addr)
        thread.join(60.0)

    def test_malformed_messages_are_refused(self):
        for text in ('', '40', '80010000', '49010000', '4001000011', '40010000ff', '40010000f0', '4000000001',
                     '40010000d1'):
            with self.assertRaises(ValueError):
                coap.Message.decode(bytes.fromhex(text))
        message = coap.Message(1, [(60, b'x' * 300), (11, b''), (2000, b'y')], b'p', coap.CON, 7, b'tok')
        self.assertEqual(coap.Message.decode(message.encode()).encode(), message.encode())

    def test_malformed_options_of_oscore_are_refused(self):
        for text in ('40', '06000000000000', '02', '10', '1902', '010000'):
            with self.assertRaises(OscoreError):
                member.decode_option(bytes.fromhex(text))


if __name__ == '__main__':
    unittest.main()
