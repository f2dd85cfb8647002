# SPDX-License-Identifier: Apache-2.0
"""The floor: as many datagrams, as long, between bench_floor and a gmload that knows no protocol here."""

import json
import pathlib
import subprocess
import tempfile

from rig import AF_PACKET, BUILD, Failed, Load, Loopback, Veth, free_port, verifications

TRIES = 3
WINDOWS = (64, 256, 512, 1024, 4096)

# Cycles of an exchange that io_uring, sendmmsg or DPDK cost one core of an EPYC (Zen 4, 2.6 GHz) whose other end cost
# nothing, and of an echo with a kernel's client at the other end. A floor that takes a quarter more of this machine's
# cycles says more of the machine's day than of the path.
CYCLES = {('push', 'sockets'): 14200, ('push', 'dpdk'): 5210, ('serve', 'sockets'): 10060, ('serve', 'dpdk'): 6070}
TOLERANCE = 1.25


class Lost(Exception):
    """Not every datagram had its answer."""


def cpu():
    """Its model, and cycles a second of its time stamp counter, near enough."""
    with open('/proc/cpuinfo', encoding='ascii') as file:
        rows = dict((part.strip() for part in line.split(':', 1)) for line in file if ':' in line)
    return rows.get('model name', 'unknown'), float(rows.get('cpu MHz', 0)) * 1e6


class Floor:
    """what: 'push', gmd asks and members answer, or 'serve'. ask, answer: bytes of the two datagrams."""

    def __init__(self, port, what, n, ask, answer, dpdk_args=AF_PACKET):
        self.port, self.what, self.n, self.ask, self.answer, self.dpdk_args = port, what, n, ask, answer, dpdk_args
        self.dir = tempfile.TemporaryDirectory(prefix='gmd.')
        self.path = Veth() if port == 'dpdk' else Loopback()
        self.members = free_port()
        self.load = Load(self.path, pathlib.Path(self.dir.name) / 'log', '--port', str(self.members))
        self.load.ask('status')  # it is there
        self.ranks = []

    def once(self, port, window):
        words = [self.what, '-p', port, '-l', self.path.server, '-n', self.n, '-b', self.ask if self.what == 'push' else
                 self.answer, '-w', window, '-m', '%s:%d' % (self.path.first, self.members)]
        if port == 'dpdk':
            words += ['-a', self.dpdk_args]
        command = 'bare-answer %d %d' % (self.answer, self.n) if self.what == 'push' else \
            'bare-ask %d %d --open %d' % (self.ask, self.n, window)
        near = [*self.path.near, BUILD / 'bench_floor', *map(str, words)]
        if self.what == 'push':
            self.load.tell(command)
            self.load.hear()  # it is ready
        with subprocess.Popen(near, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            if self.what == 'serve':
                while (line := process.stderr.readline()) and line != 'listening\n':
                    pass  # DPDK has much to say before
                self.load.tell(command)
            peer = self.load.hear()
            out, err = process.communicate()
        if out and (process.returncode or not peer['ok']):
            raise Lost()
        if process.returncode:
            raise Failed('floor: %s %s %s' % (out, err, peer))
        row = json.loads(out)
        return {'seconds': row['seconds'] if self.what == 'push' else peer['seconds'], 'port': port, 'window': window,
                'cpu_seconds': row['cpu_seconds'], 'peer': peer['generator']}

    def calibrate(self, quick=False):
        """For the port and for sendmmsg, its windows, the best one first; quick: some window. One that lost something once does so
        again: DPDK's af_xdp driver gives the kernel 2,048 buffers, and who sleeps finds what came since in no more."""
        ports = ('dpdk',) if self.port == 'dpdk' else tuple(dict.fromkeys((self.port, 'mmsg')))
        windows, times = ((256,), 1) if quick else (WINDOWS, 2)
        self.ranks = []
        for port in ports:
            tries = [[self.unless_lost(port, window) for _ in range(times)] for window in windows]
            best = [min(rows, key=lambda row: row['seconds']) for rows in tries if all(rows)]
            self.ranks.append(sorted(best, key=lambda row: row['seconds']))
        if not any(self.ranks):
            raise Failed('floor: datagrams are lost whatever the window')

    def unless_lost(self, port, window):
        """None: a buffer was too small for this window today. Nothing is sent again here."""
        try:
            return self.once(port, window)
        except Lost:
            return None

    def measure(self):
        """The best of both, now. Windows that lose something again and again give way to the next best."""
        while any(self.ranks):
            for _ in range(TRIES):
                rows = [self.unless_lost(rank[0]['port'], rank[0]['window']) for rank in self.ranks if rank]
                if any(rows):
                    return {**min((row for row in rows if row), key=lambda row: row['seconds']), 'verified': verifications()}
            self.ranks = [rank[1:] for rank in self.ranks]
        raise Failed('floor: datagrams are lost')

    def faults(self, rows):
        """Why it is void, if it is."""
        kind = 'dpdk' if self.port == 'dpdk' else 'sockets'
        cycles = sorted(row['cpu_seconds'] for row in rows)[len(rows) // 2] * cpu()[1] / self.n
        most = TOLERANCE * CYCLES[self.what, kind]
        return ['floor: %.0f cycles an exchange, more than %.0f' % (cycles, most)] if cycles > most else []

    def close(self):
        self.load.close()
        self.path.close()
        self.dir.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
