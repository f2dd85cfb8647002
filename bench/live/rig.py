# SPDX-License-Identifier: Apache-2.0
"""A gmd of the bench's own and gmload beside it, on loopback or with two veth pairs in namespaces; what they cost."""

import ctypes
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('GM_BUILD', ROOT / 'build/bench')).resolve()
TICK = os.sysconf('SC_CLK_TCK')
CORES = os.cpu_count()
EAL = '--no-huge --no-shconf --no-telemetry --no-pci -m 64 --vdev '
XDP = (BUILD / 'steer.bpf.o').exists()  # built with the program that net_af_xdp needs
AF_PACKET = EAL + 'net_af_packet0,iface=va'
DPDK_ARGS = EAL + 'net_af_xdp0,iface=va' if XDP else AF_PACKET


class Failed(Exception):
    """The bench cannot go on: something it needs is missing, or was not done."""


def free_port():
    while True:
        port = random.randint(20000, 31999)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.bind(('0.0.0.0', port))
                return port
            except OSError:
                pass


class Loopback:
    """gmd on 127.0.0.1, members on 127.1.0.0/16 and on."""

    near = far = ()

    def __init__(self):
        self.server, self.first, self.source = '127.0.0.1:%d' % free_port(), '127.1.0.0', ()

    def close(self):
        pass


class Veth:
    """Two namespaces: gmd's interface va in the one, 65,536 addresses behind vb in the other. Needs root."""

    def __init__(self):
        name = 'gmd-%d-%d' % (os.getpid(), random.randint(0, 99999))
        self.names = [name + '-near', name + '-far']
        self.near, self.far = [('ip', 'netns', 'exec', n) for n in self.names]
        self.server, self.first, self.source = '10.77.0.1:5683', '10.78.0.0', ('--from', '10.78.0.0')
        if XDP:  # sockets would be the slower end
            self.source += ('--io', 'dpdk:' + EAL + 'net_af_xdp0,iface=vb')
        near, far = self.names
        try:
            for words in ('netns add ' + near, 'netns add ' + far,
                          '-n %s link add va type veth peer name vb netns %s' % (near, far),
                          '-n %s link set lo up' % near, '-n %s link set lo up' % far,
                          '-n %s addr add 10.77.0.1/24 dev va' % near, '-n %s addr add 10.77.0.2/24 dev vb' % far,
                          '-n %s link set va up' % near, '-n %s link set vb up' % far,
                          '-n %s route add local 10.78.0.0/16 dev lo' % far,
                          '-n %s route add local 10.82.0.0/16 dev lo' % far, # of members beyond 65,536
                          '-n %s route add 10.78.0.0/16 via 10.77.0.2' % near,
                          '-n %s route add 10.82.0.0/16 via 10.77.0.2' % near):
                subprocess.run(['ip'] + words.split(), check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            raise Failed('no namespaces with a veth pair: ' + (getattr(error, 'stderr', '') or str(error)).strip()) \
                from error

    def close(self):
        for name in self.names:
            subprocess.run(['ip', 'netns', 'del', name], check=False, capture_output=True)


class Load:
    """A gmload that takes commands."""

    def __init__(self, path, log, *options):
        self.log = open(log, 'ab')
        self.process = subprocess.Popen([*path.far, BUILD / 'gmload', '--server', path.server, *path.source, *options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)

    def tell(self, command):
        self.process.stdin.write(command + '\n')
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed('gmload has gone')
        return json.loads(line)

    def has_answered(self):
        return bool(select.select([self.process.stdout], [], [], 0)[0])

    def ask(self, command, must=True):
        self.tell(command)
        return self.checked(command, must)

    def checked(self, command, must=True):
        answer = self.hear()
        if must and not answer['ok']:
            raise Failed('gmload: %s: %s' % (command, json.dumps(answer)))
        return answer

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Rig:
    """gmd with one worker and an authorization server it trusts, and gmload. `lines`: more of the configuration."""

    def __init__(self, port, *lines, dpdk_args=DPDK_ARGS):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='gmd.'))
        self.port, self.gmd, self.load, self.others, self.path = port, None, None, {}, None
        try:
            self.path = Veth() if port == 'dpdk' else Loopback()
            if port == 'dpdk':
                lines = *lines, 'dpdk_args: "%s"' % dpdk_args
            self.configure(lines)
            self.run('gmas', 'keygen', '--alg', 'AES-CCM-16-64-128', '--iss', 'as.example', '--aud', 'gm.example', '-o',
                     self.dir / 'as.json')
            self.run('gmd', 'init', '-c', self.dir / 'gmd.conf')
            self.start()
            self.ctl('as', 'add', 'demo', '--key=%s/as.json' % self.dir)
            self.load = self.generator(131072)
        except BaseException:
            self.close()
            raise

    def generator(self, most, *options):
        return Load(self.path, self.dir / 'gmload.log', '--as', str(self.dir / 'as.json'), '--port', str(free_port()), '--max', str(most),
                    *options)

    def beside(self, name, *options):
        """A generator for others: what they wait for is gmd, and not that the first one gets round to them. None: there is one interface."""
        if self.port == 'dpdk':
            return None
        if name not in self.others:
            self.others[name] = self.generator(16384, *options)
        return self.others[name]

    def configure(self, lines):
        (self.dir / 'gmd.conf').write_text('\n'.join((
            'audience: gm.example', 'listen: ["%s"]' % self.path.server, 'workers: 1', 'port: ' + self.port,
            'state_dir: %s/state' % self.dir, 'key_file: %s/store.key' % self.dir,
            'control_socket: %s/gmd.sock' % self.dir, 'pace: 0', 'changes_per_minute: 0', 'log_level: warn', *lines, '')))

    def run(self, program, *words):
        try:
            return subprocess.run([BUILD / program, *words], check=True, capture_output=True, text=True).stdout
        except subprocess.CalledProcessError as error:
            raise Failed('%s: %s' % (program, error.stderr.strip())) from error

    def ctl(self, *words):
        return self.run('gmctl', '--json', '-s', self.dir / 'gmd.sock', *words)

    def rows(self, what):
        """Rows of `gmctl status` of one kind."""
        return [row for row in map(json.loads, self.ctl('status').splitlines()) if row.get('what') == what]

    def group(self, name):
        return json.loads(self.ctl('group', 'show', name))

    def start(self):
        with open(self.dir / 'gmd.log', 'ab') as log:
            self.gmd = subprocess.Popen([*self.path.near, BUILD / 'gmd', 'run', '-c', self.dir / 'gmd.conf'], stdout=log,
                                        stderr=log)
        end = time.monotonic() + 60
        while time.monotonic() < end and self.gmd.poll() is None:
            try:
                self.ctl('status')
                return
            except Failed:
                time.sleep(0.02)
        raise Failed('gmd does not start: ' + (self.dir / 'gmd.log').read_text()[-400:])

    def crash(self):
        """kill -9, and up again on the same store."""
        self.gmd.send_signal(signal.SIGKILL)
        self.gmd.wait()
        time.sleep(0.3)
        self.start()

    def memory(self):
        """Bytes that are gmd's own, and of mapped files."""
        with open('/proc/%d/status' % self.gmd.pid, encoding='ascii') as file:
            rows = dict(line.split(':', 1) for line in file)
        kib = {key: int(rows[key].split()[0]) for key in ('RssAnon', 'RssShmem', 'RssFile')}
        return 1024 * (kib['RssAnon'] + kib['RssShmem']), 1024 * kib['RssFile']

    def join(self, members, group='g1', **options):
        """A new group with so many members, all called at control_uri."""
        self.ctl('group', 'create', group, '--max-members', '65536')
        return self.load.ask(joining(members, group, **options)) if members else None

    def close(self):
        for load in (*self.others.values(), self.load):
            if load:
                load.close()
        if self.gmd and self.gmd.poll() is None:
            self.gmd.terminate()
            try:
                self.gmd.wait(20)
            except subprocess.TimeoutExpired:
                self.gmd.kill()
                self.gmd.wait()
        if self.path:
            self.path.close()
        if os.environ.get('KEEP'):
            print('kept: %s' % self.dir, file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Waits:
    """Microseconds that a thread of gmd, or the generator, waits for a processor each time it is to run, while `with` lasts."""

    def __init__(self, rig, generator):
        self.gmd, self.generator, self.us = rig.gmd.pid, generator.process.pid, {}

    def look(self):
        rows = {}
        for pid in (self.gmd, self.generator):
            for task in os.listdir('/proc/%d/task' % pid):
                with open('/proc/%d/task/%s/schedstat' % (pid, task), encoding='ascii') as file:
                    _, waited, times = map(int, file.read().split())
                name = 'generator' if pid == self.generator else 'core' if int(task) == pid else 'worker'
                old = rows.get(name, (0, 0))
                rows[name] = old[0] + waited, old[1] + times
        return rows

    def __enter__(self):
        self.before = self.look()
        return self

    def __exit__(self, *_):
        for name, (waited, times) in self.look().items():
            old = self.before[name]
            self.us[name] = (waited - old[0]) / 1e3 / max(1, times - old[1])


def joining(members, group, **options):
    words = ''.join(' --%s %s' % pair for pair in options.items())
    return 'join %d --group %s --post 100 --roles requester,responder --verify later%s' % (members, group, words)


def signature():
    """A message of 100 bytes, its signature and its key, and how libsodium verifies it."""
    sodium = ctypes.CDLL('libsodium.so.23')
    public, private, by, text = (ctypes.create_string_buffer(n) for n in (32, 64, 64, 100))
    sodium.crypto_sign_seed_keypair(public, private, bytes(32))
    sodium.crypto_sign_detached(by, None, text, ctypes.c_ulonglong(100), private)
    return sodium.crypto_sign_verify_detached, (by, text, ctypes.c_ulonglong(100), public)


VERIFY, SIGNED = signature()


def verifications(seconds=0.02):
    """Signatures a second that libsodium verifies now on a processor while all do: what the machine gives, others on it and its host
    left to it."""
    counts, end = [0] * CORES, time.monotonic() + seconds

    def count(i):
        while time.monotonic() < end:
            if VERIFY(*SIGNED) != 0:
                raise Failed('libsodium refuses its own signature')
            counts[i] += 1

    threads = [threading.Thread(target=count, args=(i,)) for i in range(CORES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(1, sum(counts)) / seconds / CORES


class Cost:
    """CPU seconds of gmd's threads, and of everybody, while `with` lasts. Workers are all but the first thread."""

    def __init__(self, rig, *others):
        self.pids = [rig.gmd.pid, rig.load.process.pid] + [process.pid for process in others]
        self.worker = self.core = self.foreign = self.seconds = 0.0

    @staticmethod
    def threads(pid):
        ns = {}
        for task in os.listdir('/proc/%d/task' % pid):
            with open('/proc/%d/task/%s/schedstat' % (pid, task), encoding='ascii') as file:
                ns[int(task)] = int(file.read().split()[0])
        return ns

    @staticmethod
    def everybody():
        with open('/proc/stat', encoding='ascii') as file:
            user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
        return (user + nice + system + irq + softirq + steal) / TICK

    def look(self):
        return [self.threads(pid) for pid in self.pids], self.everybody(), time.monotonic()

    def __enter__(self):
        self.before = self.look()
        return self

    def __exit__(self, *_):
        threads, busy, now = self.look()
        used = [{t: ns - old.get(t, 0) for t, ns in new.items()} for new, old in zip(threads, self.before[0])]
        gmd = self.pids[0]
        self.core = used[0].get(gmd, 0) / 1e9
        self.worker = sum(ns for t, ns in used[0].items() if t != gmd) / 1e9
        self.seconds = now - self.before[2]
        ours = sum(sum(of.values()) for of in used) / 1e9
        self.foreign = max(0.0, busy - self.before[1] - ours) / (self.seconds * CORES)
        self.verified = verifications()
