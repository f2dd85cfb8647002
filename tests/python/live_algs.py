#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The life that live.py leads, once for each kind of group and of association, at a gmd of its own on loopback.

    live_algs.py --build build/fast [ROW ...]

A row is a name of ROWS or OSC_ROWS, or osc-refused; without one all run. One line per row; exit 1 when one fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import ace
import coap
from daemon import free_port
from live import Scene
from member import CheckFailed, Member, emit_json
from oscore import OscoreError

BOTH = ('group', 'pairwise')
# name -> modes of the group, arguments of `gmctl group create`
ROWS = {
    'eddsa': (BOTH, ''),
    'es256': (BOTH, '--sign-alg ES256'),
    'es384': (BOTH, '--sign-alg ES384'),
    'es512': (BOTH, '--sign-alg ES512'),
    'eddsa-sha512': (BOTH, '--hkdf sha512'),
    'es256-sha512': (BOTH, '--sign-alg ES256 --hkdf sha512 --alg AES-CCM-16-128-256 --gp-enc-alg A256GCM'),
    'ctr': (BOTH, '--gp-enc-alg A128CTR'),
    'ctr-192': (BOTH, '--gp-enc-alg A192CTR --alg A192GCM'),
    'ctr-256': (BOTH, '--gp-enc-alg A256CTR --alg ChaCha20/Poly1305'),
    'chacha': (BOTH, '--gp-enc-alg 24 --alg A128GCM'),
    'ccm-64': (BOTH, '--gp-enc-alg AES-CCM-64-64-128 --alg AES-CCM-64-128-256 --max-members 50'),
    'signature-only': (BOTH[:1], '--signature-only --sign-alg ES256'),
    'pairwise-x25519': (BOTH[1:], '--pairwise-only'),
    'pairwise-p256': (BOTH[1:], '--pairwise-only --ecdh-curve P-256'),
    'pairwise-p384': (BOTH[1:], '--pairwise-only --ecdh-curve P-384 --hkdf sha512'),
    'pairwise-p521': (BOTH[1:], '--pairwise-only --ecdh-curve P-521'),
}
# name -> AEAD and HKDF of the associations, in a group as created without arguments
OSC_ROWS = {
    **{'osc-%d' % alg: ((alg, 5 if alg % 2 else 7),) for alg in (1, 2, 3, 10, 11, 24, 30, 31)},
    'osc-mixed': ((10, 5), (24, 7), (3, 5), (30, 7), (None, None)),
}
# of nonces that leave no room for the Group Manager's IDs, or not AEADs, or hashes it does not have
OSC_REFUSED = ((12, 5), (13, 7), (32, 5), (33, 5), (4, 5), (-65534, 5), (10, 6), (10, -10), ('A128GCM', 5))
AS_KEY = {'kid': '6173', 'alg': 'AES-CCM-16-64-128', 'key': '000102030405060708090a0b0c0d0e0f', 'iss': 'as',
          'aud': 'gm.example'}
WRONG = (CheckFailed, OscoreError, coap.Timeout, OSError, KeyError, TypeError, ValueError)


class Daemon:
    """gmd in a directory of its own, with one Authorization Server."""

    def __init__(self, build, folder, port):
        self.build, self.folder = os.path.abspath(build), folder
        self.write('gmd.conf', 'audience: gm.example\nlisten: ["127.0.0.1:%d"]\nstate_dir: %s/state\nkey_file: %s/key\n'
                   'control_socket: %s/sock\nworkers: 1\nrekey_window_ms: 200\n' % (port, folder, folder, folder))
        self.write('as.json', json.dumps(AS_KEY))
        self.call('gmd', 'init', '-c', folder + '/gmd.conf')
        with open(folder + '/gmd.log', 'w', encoding='utf-8') as log:
            self.process = subprocess.Popen([self.build + '/gmd', 'run', '-c', folder + '/gmd.conf'], stdout=log,
                                            stderr=log)
        self.wait()
        self.ctl('as', 'add', 'as', '--key', folder + '/as.json')

    def write(self, name, text):
        with open(os.path.join(self.folder, name), 'w', encoding='utf-8') as file:
            file.write(text)

    def call(self, program, *words):
        subprocess.run([os.path.join(self.build, program), *words], check=True, cwd=self.folder,
                       stdout=subprocess.DEVNULL)

    def ctl(self, *words):
        self.call('gmctl', '-s', self.folder + '/sock', *words)

    def wait(self):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            if subprocess.run([self.build + '/gmctl', '-s', self.folder + '/sock', 'status'], capture_output=True,
                              check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise OSError('gmd does not start')

    def end(self):
        self.process.terminate()
        return self.process.wait(120)


def live(daemon, gm, name):
    """None, or what went wrong in this row."""
    modes, words = ROWS.get(name, (BOTH, ''))
    daemon.ctl('group', 'create', name, *words.split())
    scene = Scene(gm, ace.load_as_key(daemon.folder + '/as.json'), name, emit=lambda **fields: None, modes=modes,
                  osc=OSC_ROWS.get(name, ((None, None),)))
    try:
        scene.run()
    except WRONG as error:
        return repr(error)
    finally:
        scene.close()
    return None


def refusals(daemon, gm):
    """None, or the first of OSC_REFUSED that was not answered with 4.00."""
    as_key = ace.load_as_key(daemon.folder + '/as.json')
    for alg, hkdf in OSC_REFUSED:
        member = Member(gm, 'g', emit=lambda **fields: None)
        member.mint(as_key, alg=alg, hkdf=hkdf)
        try:
            member.authz_info()
            return '%s/%s was taken' % (alg, hkdf)
        except CheckFailed as error:
            if str(error) != 'authz-info answered 4.00':
                return '%s/%s: %s' % (alg, hkdf, error)
        finally:
            member.endpoint.close()
    return None


def run(daemon, gm, name):
    return refusals(daemon, gm) if name == 'osc-refused' else live(daemon, gm, name)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=os.environ.get('GM_BUILD', 'build/fast'))
    parser.add_argument('--port', type=int, default=free_port())
    every = [*ROWS, *OSC_ROWS, 'osc-refused']
    parser.add_argument('rows', nargs='*', metavar='ROW', help=', '.join(every))
    args = parser.parse_args(argv)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(args.build, folder, args.port)
        try:
            for name in args.rows or every:
                fault = run(daemon, ('127.0.0.1', args.port), name)
                failed += fault is not None
                emit_json(row=name, ok=fault is None, **({'error': fault} if fault else {}))
        finally:
            ended = daemon.end()
    emit_json(ok=not failed and ended == 0, rows=len(args.rows or every), failed=failed)
    return 1 if failed or ended else 0


if __name__ == '__main__':
    sys.exit(main())
