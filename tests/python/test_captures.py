# SPDX-License-Identifier: Apache-2.0
"""nonce_check.py and tshark_decrypt.py on recorded foreign traffic and on a run of the small Group Manager."""

import contextlib
import io
import json
import os
import shutil
import tempfile
import unittest

import fake_gm
import nonce_check
import pcap
import tshark_decrypt
from test_member import AS_KEY, join_group
from test_vectors import VECTORS, load

LIBCOAP = os.path.join(VECTORS, 'peers', 'oscore', 'libcoap-client_aiocoap-server.pcapng')
RISE = os.path.join(VECTORS, 'peers', 'rise-gm-join.pcapng')
LIBCOAP_KEYS = {'kid': '00', 'id1': '01', 'id_context': '63747841', 'ms': '0102030405060708090a0b0c0d0e0f10',
                'salt': '489e7ca92223786340484e314e314e314e31484e324e324e324e32'}


def rise_keys():
    v = load('peers/rise-gm-join.json')
    return {'kid': v['id2'], 'id1': v['id1'], 'ms': v['ms'], 'salt': v['master_salt']}


class NonceCheck(unittest.TestCase):

    def test_catches_what_it_must_and_nothing_else(self):
        nonce_check.selftest()

    def test_opens_recorded_traffic(self):
        report = nonce_check.check_capture(RISE, [nonce_check.Keys(rise_keys())], 1.0)
        self.assertTrue(report['ok'] and report['decrypted'] == 32, report)
        # One request in this capture has a wrong tag by intention, answered with an unprotected 4.01.
        report = nonce_check.check_capture(LIBCOAP, [nonce_check.Keys(LIBCOAP_KEYS)], 0.95)
        self.assertTrue(report['ok'] and report['undecryptable'] == 1, report)


class LiveRun(unittest.TestCase):
    """A member with every kind of delivery at the small Group Manager, captured at the GM's socket."""

    def run_members(self, path):
        gm = fake_gm.FakeGm(AS_KEY, echo=True)
        gm.start()
        members = [join_group(self, gm, delivery) for delivery in ('control', 'control', 'observe')]
        members[0].leave()
        for member in members[1:]:
            member.wait_rekey()
            member.get_node()
        gm.running = False
        gm.join(60.0)
        ends = {'in': lambda peer: (peer, gm.addr), 'out': lambda peer: (gm.addr, peer)}
        pcap.write_pcap(path, [(*ends[way](peer), data) for way, peer, data in gm.endpoint.log])
        return [member.keys_line(number) for number, member in enumerate(members)], gm.addr[1]

    def test_both_tools_open_everything(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'run.pcap')
            lines, port = self.run_members(path)
            report = nonce_check.check_capture(path, [nonce_check.Keys(line) for line in lines], 1.0)
            self.assertTrue(report['ok'] and report['contexts'] == 3, report)
            if shutil.which('tshark'):
                result = tshark_decrypt.decrypt(path, lines, [port])
                self.assertEqual((result['tag_failures'], result['codes']['4.01']), (0, 3), result)
                self.assertEqual(result['paths']['/ace-group/g1/node'], 1, result)
                self.assertEqual(result['decrypted'], report['messages'], result)


@unittest.skipUnless(shutil.which('tshark'), 'needs tshark')
class Tshark(unittest.TestCase):

    def test_decrypts_recorded_traffic(self):
        result = tshark_decrypt.decrypt(RISE, [rise_keys()])
        self.assertEqual((result['frames'], result['decrypted'], result['tag_failures']), (32, 32, 0))
        self.assertEqual(result['paths']['/ace-group/feedca570000/creds'], 4)

    def test_reports_the_wrong_tag(self):
        result = tshark_decrypt.decrypt(LIBCOAP, [LIBCOAP_KEYS])
        self.assertEqual(result['tag_failures'], 1)
        self.assertGreater(result['decrypted'], 10)

    def test_wrong_keys_do_not_decrypt(self):
        with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
            file.write(json.dumps({**rise_keys(), 'ms': '00' * 16}))
            file.flush()
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(tshark_decrypt.main([RISE, file.name]), 1)


if __name__ == '__main__':
    unittest.main()
