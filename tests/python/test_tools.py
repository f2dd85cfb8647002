# SPDX-License-Identifier: Apache-2.0
"""gmas and gmload against the oracles. Runs when GM_BUILD names the folder that holds the two programs."""

import json
import os
import subprocess
import tempfile
import unittest

import ace
import fake_gm
import nonce_check
import pcap
from daemon import free_port

BUILD = os.environ.get('GM_BUILD', '')


@unittest.skipUnless(BUILD, 'needs GM_BUILD')
class Tools(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_tool(self, name, *arguments):
        return subprocess.run([os.path.join(BUILD, name), *arguments], capture_output=True, text=True, timeout=300,
                              check=True).stdout

    def test_gmas_mints_tokens_that_open(self):
        for alg in ('AES-CCM-16-64-128', 'HMAC256', 'EdDSA', 'ES256'):
            with self.subTest(alg=alg):
                path = self.path(alg)
                self.run_tool('gmas', 'keygen', '--alg', alg, '--iss', 'as1', '--aud', 'gm1', '-o', path)
                line = json.loads(self.run_tool('gmas', 'mint', '-k', path, '--group', 'g1=requester,responder'))
                claims = ace.open_token(ace.load_as_key(path), bytes.fromhex(line['token']))
                osc = claims[8][4]
                self.assertEqual([osc[label].hex() for label in (0, 2, 5)], [line['id'], line['ms'], line['salt']])
                self.assertEqual((claims[1], claims[3], claims[4], claims[9]),
                                 ('as1', 'gm1', line['exp'], ace.scope([('g1', 6)])))

    def test_gmload_lives_with_the_small_group_manager(self):
        key, keys, capture = self.path('as.json'), self.path('keys.jsonl'), self.path('run.pcap')
        self.run_tool('gmas', 'keygen', '--alg', 'EdDSA', '--iss', 'as1', '--aud', 'gm1', '-o', key)
        gm = fake_gm.FakeGm(ace.load_as_key(key), echo=True, block_size=1024)
        gm.start()
        self.run_tool('gmload', '-s', '%s:%d' % gm.addr, '-a', key, '--port', str(free_port()), '--max', '100', '--keys', keys,
                      'join 6 --groups g1 --roles requester,responder', 'get 3 g1', 'leave 1 g1', 'sleep 1',
                      'await-rekey g1 1 --timeout 60', 'rejoin 1 g1')
        gm.running = False
        gm.join(60.0)
        ends = {'in': lambda peer: (peer, gm.addr), 'out': lambda peer: (gm.addr, peer)}
        pcap.write_pcap(capture, [(*ends[way](peer), data) for way, peer, data in gm.endpoint.log])
        report = nonce_check.check_capture(capture, nonce_check.load_keys(keys), 1.0)
        self.assertTrue(report['ok'] and report['contexts'] == 6, report)


if __name__ == '__main__':
    unittest.main()
