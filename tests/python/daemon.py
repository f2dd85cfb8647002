# SPDX-License-Identifier: Apache-2.0
"""A gmd of a test's own on loopback, and checks that are counted. GM_BUILD names the build, else build/fast."""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import tempfile
import time

import ace
import coap
from member import CheckFailed
from oscore import OscoreError

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('GM_BUILD', ROOT / 'build/fast')).resolve()
PROGRAMS = [BUILD / name for name in ('gmd', 'gmctl', 'gmas')]
AS_URI = 'coap://as.example/token'
WRONG = (CheckFailed, OscoreError, coap.Timeout, OSError, KeyError, IndexError, TypeError, ValueError, AssertionError,
         subprocess.CalledProcessError)


def free_port():
    while True:
        port = random.randint(20000, 31999)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.bind(('127.0.0.1', port))
                return port
            except OSError:
                pass


class Daemon:
    """A gmd in a directory of its own, with one authorization server; `lines` are more lines of its configuration."""

    def __init__(self, *lines):
        self.folder = tempfile.TemporaryDirectory(prefix='gmd.')
        self.dir, self.port = pathlib.Path(self.folder.name), free_port()
        self.gm = ('127.0.0.1', self.port)
        (self.dir / 'gmd.conf').write_text(
            'audience: gm.example\nlisten: ["127.0.0.1:%d"]\nworkers: 2\nstate_dir: %s/state\nkey_file: %s/store.key\n'
            'control_socket: %s/gmd.sock\nrekey_window_ms: 100\n%s\n'
            % (self.port, self.dir, self.dir, self.dir, '\n'.join(lines)))
        self.as_key = self.authorization_server('as.json', 'as.example')
        self.run('gmd', 'init', '-c', self.dir / 'gmd.conf')
        self.start()
        self.ctl('as', 'add', 'demo', '--key=%s/as.json' % self.dir, '--uri=' + AS_URI)

    def authorization_server(self, name, issuer, alg='AES-CCM-16-64-128'):
        """Makes the key of one; `as add` is the caller's."""
        self.run('gmas', 'keygen', '--alg', alg, '--iss', issuer, '--aud', 'gm.example', '-o', self.dir / name)
        return ace.load_as_key(self.dir / name)

    def run(self, program, *arguments):
        return subprocess.run([BUILD / program, *arguments], check=True, capture_output=True, text=True).stdout

    def ctl(self, *arguments):
        return self.run('gmctl', '--socket', self.dir / 'gmd.sock', *arguments)

    def status(self, what):
        """Rows of `gmctl status` of one kind."""
        rows = [json.loads(line) for line in self.ctl('--json', 'status').splitlines()]
        return [row for row in rows if row.get('what') == what]

    def rss(self):
        """Bytes of memory that gmd has now."""
        with open('/proc/%d/status' % self.process.pid, encoding='ascii') as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith('VmRSS'))

    def start(self):
        with open(self.dir / 'gmd.log', 'a', encoding='utf-8') as log:
            self.process = subprocess.Popen([BUILD / 'gmd', 'run', '--config', self.dir / 'gmd.conf'], stdout=log,
                                            stderr=log)
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.ctl('status')
                return
            except subprocess.CalledProcessError:
                time.sleep(0.05)
        raise AssertionError((self.dir / 'gmd.log').read_text())

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        end = time.monotonic() + 60
        while self.port_is_held() and time.monotonic() < end:  # what an io_uring held goes a moment after the process
            time.sleep(0.02)

    def port_is_held(self):
        tables = (pathlib.Path('/proc/net/' + name) for name in ('udp', 'udp6'))
        return any(':%04X ' % self.port in table.read_text(encoding='ascii') for table in tables if table.exists())

    def stop(self):
        self.process.terminate()
        code = self.process.wait(120)
        log = (self.dir / 'gmd.log').read_text()
        self.folder.cleanup()
        assert code == 0, log


class Checklist:
    """One line a check, counted, as the scripts write them."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, what, function, *arguments):
        """True when function(*arguments) finds nothing wrong."""
        try:
            function(*arguments)
        except WRONG as error:
            self.failed += 1
            print('  ✗ %s\n      %s' % (what, str(error) or repr(error)), flush=True)
            return False
        self.passed += 1
        print('  ✓ ' + what, flush=True)
        return True

    def skip(self, what):
        self.skipped += 1
        print('  - ' + what, flush=True)

    def tally(self):
        """The last line; the exit code."""
        print('%d passed, %d failed, %d skipped' % (self.passed, self.failed, self.skipped))
        return 1 if self.failed or not self.passed else 0
