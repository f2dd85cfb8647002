# SPDX-License-Identifier: Apache-2.0
"""What the attack stands on: a gmd of its own, clients with raw sockets, the control socket, counted checks."""

import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'python'))

import cbor2  # noqa: E402

import ace  # noqa: E402
import coap  # noqa: E402
import creds  # noqa: E402
import oscore  # noqa: E402

HOST = '127.0.0.1'
REPORT_MARKS = (b'AddressSanitizer', b'runtime error:', b'LeakSanitizer', b'assertion', b'Assertion')


class Tally:
    """Checks, counted; each kind of failure is printed once with its first example, later ones are only counted."""

    def __init__(self):
        self.passed, self.failed, self.kinds = 0, 0, {}
        self.lock = threading.Lock()

    def check(self, good, what, example=''):
        with self.lock:
            if good:
                self.passed += 1
                return True
            self.failed += 1
            self.kinds[what] = self.kinds.get(what, 0) + 1
            if self.kinds[what] == 1:
                print('FAILED: %s %s' % (what, example), flush=True)
        return False

    def end(self):
        for what, count in sorted(self.kinds.items()):
            print('%6d times: %s' % (count, what))
        print('%d passed, %d failed' % (self.passed, self.failed))
        return 1 if self.failed else 0


def udp_socket(host=HOST, port=0):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    return sock


class Server:
    """gmd with a store of its own; its log is kept."""

    def __init__(self, build, config=()):
        self.build, self.dir = build, tempfile.mkdtemp(prefix='gmd-attack.')
        probe = udp_socket()
        self.port = probe.getsockname()[1]
        probe.close()
        self.addr = (HOST, self.port)
        self.log_path = self.path('gmd.log')
        lines = ['audience: gm.test', 'changes_per_minute: 0', 'listen: ["%s:%d"]' % self.addr, 'state_dir: ' + self.path('state'),
                 'key_file: ' + self.path('key'), 'control_socket: ' + self.path('sock'), *config]
        with open(self.path('conf'), 'w', encoding='utf-8') as file:
            file.write('\n'.join(lines) + '\n')
        self.run('gmas', 'keygen', '--alg', 'AES-CCM-16-64-128', '--iss', 'as.test', '--aud', 'gm.test', '-o',
                 self.path('as.json'))
        self.run('gmd', 'init', '-c', self.path('conf'))
        self.as_key = ace.load_as_key(self.path('as.json'))
        self.process = None
        self.start()
        self.ctl('as', 'add', 'as1', '--key=' + self.path('as.json'))

    def path(self, name):
        return os.path.join(self.dir, name)

    def run(self, program, *args):
        return subprocess.run([os.path.join(self.build, program), *args], check=True, capture_output=True,
                              timeout=120).stdout.decode()

    def ctl(self, *args):
        """Rows of a command, as gmctl --json prints them."""
        text = self.run('gmctl', '-s', self.path('sock'), '--json', *args)
        return [json.loads(line) for line in text.splitlines() if line.startswith('{')]

    def start(self):
        env = dict(os.environ, ASAN_OPTIONS='quarantine_size_mb=8:detect_leaks=1', UBSAN_OPTIONS='print_stacktrace=1')
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen([os.path.join(self.build, 'gmd'), 'run', '-c', self.path('conf')],
                                            stdout=log, stderr=log, env=env)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                self.ctl('status')
                return
            except subprocess.CalledProcessError:
                time.sleep(0.05)
        raise RuntimeError('gmd does not start: ' + self.log().decode()[-2000:])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Exit code of an orderly end."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return 'does not stop'

    def alive(self):
        return self.process.poll() is None

    def log(self):
        with open(self.log_path, 'rb') as file:
            return file.read()

    def reports(self):
        """The sanitizers' lines in the log."""
        return [line for line in self.log().splitlines() if any(mark in line for mark in REPORT_MARKS)]

    def rss_kib(self):
        with open('/proc/%d/status' % self.process.pid, encoding='ascii') as file:
            return int(next(line for line in file if line.startswith('VmRSS')).split()[1])

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def drain(sock, seconds):
    """All datagrams that arrive until there are none for so long."""
    got = []
    while select.select([sock], [], [], seconds)[0]:
        got.append(sock.recv(65536))
    return got


def decoded(data):
    try:
        return coap.Message.decode(data)
    except ValueError:
        return None


class WipedKey(Exception):
    """An answer that anybody can read."""


class Client:
    """An ACE client that does what the attack wants, on a socket of its own. `sent` holds its datagrams."""

    mid, patience = 0, 5.0

    def __init__(self, server, host=HOST):
        self.server, self.sock, self.sent = server, udp_socket(host), []
        self.keys, self.ctx, self.n_s, self.osc, self.node = creds.KeyPair(), None, b'', None, None

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sent.append(data)
        self.sock.sendto(data, self.server.addr)

    def exchange(self, message, timeout=None):
        """The response to a message, or None."""
        timeout = timeout or self.patience
        Client.mid = Client.mid + 1 & 0xffff
        message.mid, message.token = message.mid or Client.mid, message.token or os.urandom(4)
        data = message.encode()
        for _ in range(2):
            self.send(data)
            end = time.monotonic() + timeout / 2
            while time.monotonic() < end and select.select([self.sock], [], [], end - time.monotonic())[0]:
                raw = self.sock.recv(65536)
                answer = decoded(raw)
                if answer and answer.token == message.token and answer.is_response():
                    if answer.type == coap.CON:
                        self.send(coap.Message(type=coap.ACK, mid=answer.mid).encode())
                    answer.raw = raw
                    return answer
        return None

    def plain(self, method, path, payload=b'', content_format=None, options=()):
        options = coap.path_options(path) + list(options)
        if content_format is not None:
            options.append((coap.CONTENT_FORMAT, coap.uint_bytes(content_format)))
        return self.exchange(coap.Message(method, options, payload))

    # Tokens.

    def new_osc(self, id_size=4):
        self.osc = {0: os.urandom(id_size), 2: os.urandom(16), 5: os.urandom(8)}
        return self.osc

    def claims(self, entries, **osc):
        return ace.osc_claims(self.server.as_key, ace.scope(entries), self.new_osc(**osc))

    def post(self, token, nonce1=None, id1=None, extra=None):
        """POST to authz-info; when it says 2.01 the context stands."""
        nonce1, id1 = os.urandom(8) if nonce1 is None else nonce1, os.urandom(2) if id1 is None else id1
        body = {1: token, 40: nonce1, 43: id1, **(extra or {})}
        answer = self.plain(coap.POST, '/authz-info', cbor2.dumps(body), ace.CF_ACE)
        if answer and coap.dotted(answer.code) == '2.01':
            reply = cbor2.loads(answer.payload)
            self.n_s = reply.get(46, b'')
            self.ctx = ace.client_context(self.osc, nonce1, reply[42], id1, reply[44])
        return answer

    def enter(self, entries):
        answer = self.post(ace.mint(self.server.as_key, self.claims(entries)))
        if not answer or coap.dotted(answer.code) != '2.01':
            raise RuntimeError('no token: %s' % (answer and coap.dotted(answer.code)))
        return self

    # Protected requests.

    def protect(self, method, path, payload=b'', content_format=None, options=(), type_=coap.CON):
        options = coap.path_options(path) + list(options)
        if content_format is not None:
            options.append((coap.CONTENT_FORMAT, coap.uint_bytes(content_format)))
        outer, exchange = self.ctx.protect_request(coap.Message(method, options, payload))
        outer.type = type_
        return outer, exchange

    def open(self, answer, exchange):
        """The inner answer; WipedKey where it was sealed with a key of zeros."""
        try:
            return self.ctx.unprotect_response(answer, exchange)[0]
        except oscore.OscoreError:
            key, self.ctx.recipient_key = self.ctx.recipient_key, bytes(16)
            iv, self.ctx.common_iv = self.ctx.common_iv, bytes(13)
            for self.ctx.common_iv in (bytes(13), iv):
                try:
                    self.ctx.unprotect_response(answer, exchange)
                    raise WipedKey(answer.raw.hex()) from None
                except oscore.OscoreError:
                    continue
                finally:
                    self.ctx.recipient_key, self.ctx.common_iv = bytes(16), iv
            self.ctx.recipient_key = key
            raise

    def ask(self, method, path, payload=b'', content_format=None, options=(), outer_change=None):
        """The inner answer; an unprotected one is marked; None when there is none."""
        for _ in range(2):
            outer, exchange = self.protect(method, path, payload, content_format, options)
            if outer_change:
                outer_change(outer)
            answer = self.exchange(outer)
            if outer_change:  # never accepted: a mutation that undoes the change would be a good request
                self.sent = [data for data in self.sent if data[2:4] != outer.mid.to_bytes(2, 'big')]
            if answer is None:
                return None
            if answer.get(coap.OSCORE) is None:
                answer.bare = True
                return answer
            inner = self.open(answer, exchange)
            inner.bare, inner.raw = False, answer.raw
            if inner.get(coap.ECHO) is None:
                break
            options = [*options, (coap.ECHO, inner.get(coap.ECHO))]
        return inner

    def join_body(self, group, roles=6, entry=None, cnonce=None, cred=None, signed_scope=None, signed_cnonce=None):
        entry = cbor2.dumps([group, roles]) if entry is None else entry
        cnonce = os.urandom(8) if cnonce is None else cnonce
        proof = ace.client_pop_input(signed_scope or entry, self.n_s, signed_cnonce or cnonce)
        return {3: entry, 5: self.keys.cred.raw if cred is None else cred, 6: cnonce, 24: self.keys.sign(proof)}

    def join(self, group, roles=6, **more):
        body = {**self.join_body(group, roles), **more.get('extra', {})}
        answer = self.ask(coap.POST, '/ace-group/' + group, cbor2.dumps(body), ace.CF_GROUPCOMM)
        if answer and answer.code in (coap.code('2.01'), coap.code('2.04')) and not answer.bare:
            self.node = answer.all(coap.LOCATION_PATH)[-1].decode()
        return answer


class Patient(Client):
    """Is always answered, on a busy machine too. It shows its address when challenged (RFC 9175), and comes again when told."""

    patience = 60.0

    def plain(self, method, path, payload=b'', content_format=None, options=()):
        answer = super().plain(method, path, payload, content_format, options)
        if answer is None or coap.dotted(answer.code) != '4.01' or answer.get(coap.ECHO) is None:
            return answer
        return super().plain(method, path, payload, content_format, [*options, (coap.ECHO, answer.get(coap.ECHO))])

    def served(self, ask):
        """The answer of ask(), which is repeated as long as it is 5.03 and there is patience."""
        end = time.monotonic() + self.patience
        while True:
            answer = ask()
            if error_of(answer)[0] != '5.03' or time.monotonic() > end:
                return answer
            time.sleep(answer.uint(coap.MAX_AGE) or 1)

    def post(self, *what, **more):
        return self.served(lambda: Client.post(self, *what, **more))

    def join(self, *what, **more):
        return self.served(lambda: Client.join(self, *what, **more))


class Control:
    """A raw connection to the control socket."""

    def __init__(self, path, timeout=60.0):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)

    def frame(self, body):
        self.sock.sendall(struct.pack('>I', len(body)) + body)

    def answer(self):
        """Decoded frames until an end or an error; None where the server closed or says nothing."""
        rows = []
        while True:
            head = self._take(4)
            body = self._take(struct.unpack('>I', head)[0]) if head else None
            if body is None:
                return None
            rows.append(cbor2.loads(body))
            if 'row' not in rows[-1]:
                return rows

    def _take(self, n):
        data = b''
        while len(data) < n:
            try:
                part = self.sock.recv(n - len(data))
            except (TimeoutError, ConnectionError):
                return None
            if not part:
                return None
            data += part
        return data

    def close(self):
        self.sock.close()


def error_of(answer):
    """(code, Content-Format, ace-groupcomm error id or None) of an answer."""
    if answer is None:
        return 'no answer', None, None
    form, error = answer.uint(coap.CONTENT_FORMAT), None
    if form == ace.CF_PROBLEM:
        error = ace.problem_id(answer.payload)
    return coap.dotted(answer.code), form, error


