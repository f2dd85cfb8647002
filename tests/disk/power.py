#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Power cuts: what a real gmd writes under load is recorded, and disks are made of the record as a power cut may leave them.

    power.py [--images N] [--seed S] [--seconds T]     default 500, 1, 1
    power.py --show-broken                             a store that does not sync: the check has to notice
    power.py --record DIR                              images of a record that an earlier run left (--keep)

Of each file everything up to its last sync that ended is there; of what was written later any part may be, in sectors of 512
bytes; names are there up to the sync of their directory, later ones up to any. Each image is opened by the code that gmd
starts with, and compared with what members and operators had been told by then.
"""

import argparse
import hashlib
import json
import os
import random
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
BUILD = os.environ.get('GM_BUILD', os.path.join(ROOT, 'build', 'fast'))
HOST = '127.0.0.1'
SECTOR = 512
OPENED, WRITE, SYNCED_RANGE, SYNCED, LENGTH, RENAMED, REMOVED, SENT = range(1, 9)
MADE = 1 << 63
HEAD = struct.Struct('=IIQQQQ')
GROUPS = ('g1', 'g2')


# ---- the recording

def free_port():
    """Below those that the kernel gives to others in the meantime."""
    while True:
        port = random.randint(20000, 31999)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((HOST, port))
                return port
            except OSError:
                pass


class Site:
    """gmd, gmload and an operator, all writing down what they are told."""

    def __init__(self, directory, lazy):
        self.dir, self.port = directory, free_port()
        self.env = dict(os.environ, LD_PRELOAD=os.path.join(BUILD, 'preload_record.so'), GM_RECORD=self.path('record'),
                        GM_RECORD_DIR=directory, **({'GM_RECORD_LAZY': '1'} if lazy else {}))
        with open(self.path('conf'), 'w', encoding='ascii') as file:
            file.write('audience: gm.test\nport: mmsg\nworkers: 2\nchanges_per_minute: 0\nrekey_window_ms: 30\n'
                       'rekey_deadline_ms: 200\nack_timeout_ms: 500\nlisten: ["%s:%d"]\nstate_dir: %s\nkey_file: %s\ncontrol_socket: %s\n'
                       % (HOST, self.port, self.path('state'), self.path('key'), self.path('sock')))
        self.acks = open(self.path('operator'), 'w', encoding='ascii')
        self.run('gmas', 'keygen', '--alg', 'AES-CCM-16-64-128', '--iss', 'as.test', '--aud', 'gm.test', '-o', self.path('as.json'))
        self.told('init', lambda: self.run('gmd', 'init', '-c', self.path('conf')))
        self.start()
        self.told('as', lambda: self.ctl('as', 'add', 'as1', '--key=' + self.path('as.json')))
        for group in GROUPS:
            self.told('create', lambda g=group: self.ctl('group', 'create', g), group=group)
        self.load = subprocess.Popen(
            [os.path.join(BUILD, 'gmload'), '--server', '%s:%d' % (HOST, self.port), '--as', self.path('as.json'), '--port',
             str(free_port()), '--acks', self.path('acks'), '--keys', self.path('keys'), '--tries', '30'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.path('gmload.log'), 'ab'), text=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def run(self, program, *args):
        return subprocess.run([os.path.join(BUILD, program), *args], check=True, capture_output=True, timeout=60, env=self.env).stdout

    def ctl(self, *args):
        text = self.run('gmctl', '-s', self.path('sock'), '--json', *args).decode()
        return [json.loads(line) for line in text.splitlines() if line.startswith('{')]

    def told(self, what, do, **more):
        """What was done is written down, with the moments before and after."""
        began = time.monotonic_ns()
        try:
            answer = do()
        except subprocess.CalledProcessError:
            answer = None
        self.acks.write(json.dumps({'what': what, 'ok': answer is not None, 'began_ns': began, 'at_ns': time.monotonic_ns(), **more}) + '\n')
        return answer

    def start(self):
        with open(self.path('gmd.log'), 'ab') as log:
            self.gmd = subprocess.Popen([os.path.join(BUILD, 'gmd'), 'run', '-c', self.path('conf')], stdout=log, stderr=log, env=self.env)
        end = time.monotonic() + 60
        while subprocess.run([os.path.join(BUILD, 'gmctl'), '-s', self.path('sock'), 'status'], capture_output=True, check=False).returncode:
            if time.monotonic() > end or self.gmd.poll() is not None:
                raise RuntimeError('gmd does not start')
            time.sleep(0.02)

    def ask(self, *words):
        self.load.stdin.write(' '.join(words) + '\n')
        self.load.stdin.flush()
        return json.loads(self.load.stdout.readline())

    def evict(self, how_many):
        for group in GROUPS:
            for row in self.ctl('member', 'list', group)[:how_many]:
                self.told('evict', lambda g=group, n=row['node']: self.ctl('member', 'evict', g, n, '--yes'), group=group, node=row['node'])

    def operate(self, stop):
        """Groups come and go, keys change, copies are made, while members churn."""
        n = 0
        while not stop.is_set():
            n += 1
            name = 'x%d.%d' % (self.gmd.pid, n)
            self.told('create', lambda g=name: self.ctl('group', 'create', g), group=name)
            self.told('rekey', lambda g=GROUPS[n % 2]: self.ctl('rekey', g, '--compromised'), group=GROUPS[n % 2])
            if n % 2:
                self.told('delete', lambda g=name: self.ctl('group', 'delete', g, '--yes'), group=name)
            if n % 8 == 1:
                self.told('backup', lambda g=name: self.ctl('backup', self.path('copy.' + g)), file=self.path('copy.' + name))
            stop.wait(0.02)

    def churn(self, seconds, end):
        stop = threading.Event()
        thread = threading.Thread(target=self.operate, args=(stop,))
        thread.start()
        self.load.stdin.write('churn %g --window 32\n' % seconds)
        self.load.stdin.flush()
        time.sleep(seconds * 0.7)
        if end:
            stop.set()
            thread.join()
            end()
        self.load.stdout.readline()
        stop.set()
        thread.join()

    def again(self):
        self.gmd.kill()
        self.gmd.wait()
        self.start()

    def close(self):
        self.load.stdin.close()
        self.load.wait(120)
        self.gmd.send_signal(signal.SIGTERM)
        status = self.gmd.wait(120)
        self.acks.close()
        return status


def record(directory, seconds, lazy):
    site = Site(directory, lazy)
    try:
        answer = site.ask('join', '60', '--groups', ','.join(GROUPS), '--roles', 'mix')
        if not answer.get('ok'):
            raise RuntimeError('members do not join: %s' % answer)
        site.churn(seconds, site.again)
        site.evict(3)
        site.ask('join', '20', '--groups', ','.join(GROUPS), '--roles', 'mix')
        site.again()
        site.churn(seconds, None)
        site.evict(2)
    finally:
        status = site.close()
    return status


# ---- what was told

def json_lines(path):
    with open(path, encoding='ascii') as file:
        return [json.loads(line) for line in file if line.endswith('\n')]


class Told:
    """What has to be so at a moment, by what members and operators knew then."""

    def __init__(self, directory):
        self.members, self.versions, self.groups, self.evicted, self.backups = {}, [], {}, {}, []
        self.begins = None
        for ack in json_lines(os.path.join(directory, 'acks')):
            if ack['what'] == 'keys':
                self.versions.append((ack['at_ns'], ack['group'], ack['version']))
                continue
            ack['ok'] = ack['code'] >> 5 == 2
            self.members.setdefault((ack['group'], ack['member']), []).append(ack)
            if ack['ok'] and ack['what'] == 'join':
                self.versions.append((ack['at_ns'], ack['group'], ack['version']))
        for ack in json_lines(os.path.join(directory, 'operator')):
            if ack['what'] == 'init':
                self.begins = ack['at_ns']
            elif ack['what'] in ('create', 'delete'):
                self.groups.setdefault(ack['group'], []).append(ack)
            elif ack['what'] == 'evict':
                self.evicted.setdefault((ack['group'], ack['node']), []).append(ack)
            elif ack['what'] == 'backup' and ack['ok']:
                self.backups.append(ack)
        self.versions.sort()

    @staticmethod
    def last(acks, now):
        """The last that was known to be so; None where something may have happened since."""
        known = None
        for ack in acks:
            if ack['at_ns'] <= now:
                known = ack if ack['ok'] else None
            elif ack['began_ns'] <= now:
                return None
        return known

    def wrong_members(self, now, state):
        for (group, member), acks in self.members.items():
            known = self.last(acks, now)
            if not known:
                continue
            evictions = self.evicted.get((group, known['node']), ())
            if known['what'] == 'join' and not any(e['began_ns'] <= now for e in evictions):
                sid = state.members.get((group, known['node']))
                if sid is None:
                    yield 'member %d, %s/%s: an acknowledged Join is lost' % (member, group, known['node'])
                elif sid != known['sid']:
                    yield 'member %d, %s/%s: Sender ID %s, it was told %s' % (member, group, known['node'], sid, known['sid'])
            elif known['what'] == 'leave' and (group, acks_node(acks, known)) in state.members:
                yield 'member %d, %s: an acknowledged Leave is lost' % (member, group)
        for (group, node), acks in self.evicted.items():
            known = self.last(acks, now)
            if known and (group, node) in state.members:
                yield '%s/%s: an acknowledged eviction is lost' % (group, node)

    def wrong_groups(self, now, state):
        for group, acks in self.groups.items():
            known = self.last(acks, now)
            if known and (known['what'] == 'create') != (group in state.groups):
                yield '%s: an acknowledged %s is lost' % (group, known['what'])
        for at, group, version in self.versions:
            if at > now:
                break
            if state.groups.get(group, -1) < version:
                yield '%s: version %s, a member has %d' % (group, state.groups.get(group), version)
                break

    def wrong(self, now, state):
        yield from self.wrong_members(now, state)
        yield from self.wrong_groups(now, state)


def acks_node(acks, leave):
    """The node that a leave has ended: of the last Join before."""
    node = None
    for ack in acks:
        if ack is leave:
            return node
        if ack['ok'] and ack['what'] == 'join':
            node = ack['node']
    return node


# ---- numbers on the wire

def piv_of(datagram):
    """The Partial IV of a message under OSCORE; None: there is none."""
    if len(datagram) < 5 or datagram[0] >> 6 != 1:
        return None
    at, number = 4 + (datagram[0] & 15), 0
    while at < len(datagram) and datagram[at] != 0xff:
        delta, size = datagram[at] >> 4, datagram[at] & 15
        at += 1
        if delta >= 13:
            more = delta - 12
            delta = int.from_bytes(datagram[at:at + more], 'big') + (13 if more == 1 else 269)
            at += more
        if size >= 13:
            more = size - 12
            size = int.from_bytes(datagram[at:at + more], 'big') + (13 if more == 1 else 269)
            at += more
        number += delta
        if number == 9:
            n = datagram[at] & 7 if size else 0
            return int.from_bytes(datagram[at + 1:at + 1 + n], 'big') if n else None
        at += size
    return None


class Numbers:
    """The highest sequence number that gmd has sent so far, by shard of the member's context."""

    def __init__(self, directory):
        self.shards, self.highest, self.seen = {}, {}, 0
        with open(os.path.join(directory, 'keys'), encoding='ascii') as file:
            for line in file:
                context = json.loads(line)
                self.shards.setdefault(context['addr'], set()).add(int(context['kid'][:2], 16))

    def sent(self, data, name_len):
        family, port = struct.unpack_from('=H', data)[0], struct.unpack_from('>H', data, 2)[0]
        ip = data[4:8] if family == socket.AF_INET else data[20:24]  # gmd's sockets take IPv4 as mapped, too
        piv = piv_of(data[name_len:])
        shards = self.shards.get('%s:%d' % (socket.inet_ntoa(ip), port), ())
        if piv is None or not shards:
            return
        self.seen += 1
        key = frozenset(shards)
        self.highest[key] = max(piv, self.highest.get(key, -1))

    def wrong(self, leases):
        for shards, piv in self.highest.items():
            if all(piv >= leases.get(shard, 0) for shard in shards):
                yield 'number %d was used, and the lease of shard %s ends at %s' % (piv, set(shards), [leases.get(s) for s in shards])


# ---- the disk

class File:
    def __init__(self):
        self.sure, self.later = bytearray(), []

    @staticmethod
    def apply(content, change):
        offset, data = change
        if data is None:
            del content[offset:]
            content.extend(bytes(offset - len(content)))
            return
        if len(content) < offset + len(data):
            content.extend(bytes(offset + len(data) - len(content)))
        content[offset:offset + len(data)] = data

    def sync(self):
        for change in self.later:
            self.apply(self.sure, change)
        self.later.clear()

    def sync_range(self, offset, length):
        for change in [c for c in self.later if c[1] is not None and c[0] == offset and len(c[1]) == length]:
            self.apply(self.sure, change)
            self.later.remove(change)

    def maybe(self, dice):
        """Its bytes after a power cut."""
        content, how = bytearray(self.sure), dice.randrange(6)
        if how == 0 or not self.later:
            return content
        if how == 1:
            chosen = self.later
        elif how == 2:
            chosen = self.later[:dice.randrange(len(self.later) + 1)]
        elif how in (3, 4):
            share = dice.random()
            chosen = [c for c in self.later if dice.random() < share]
        else:
            share = dice.random()
            chosen = [piece for c in self.later for piece in self.torn(c) if dice.random() < share]
        if dice.randrange(4) == 0:  # its length may have come without its bytes
            grown = max([c[0] + len(c[1]) for c in self.later if c[1] is not None], default=0)
            content.extend(bytes(max(0, grown - len(content))))
        for change in chosen:
            self.apply(content, change)
        return content

    @staticmethod
    def torn(change):
        offset, data = change
        if data is None:
            return [change]
        pieces, at = [], 0
        while at < len(data):
            n = min(SECTOR - (offset + at) % SECTOR, len(data) - at)
            pieces.append((offset + at, data[at:at + n]))
            at += n
        return pieces


class Disk:
    def __init__(self):
        self.files, self.sure, self.later, self.dirs = {}, {}, [], {}

    def apply(self, names, change):
        kind, path, what = change
        if kind == OPENED:
            names[path] = what
        elif kind == REMOVED:
            names.pop(path, None)
        elif path in names:
            names[what] = names.pop(path)

    def step(self, kind, inode, offset, length, data):
        file = self.files.get(inode & ~MADE)
        if kind == OPENED:
            path = data.decode()
            if os.path.isdir(path):
                self.dirs[inode & ~MADE] = path
                return
            if inode & MADE or not file:
                file = self.files[inode & ~MADE] = File()
                self.later.append((OPENED, path, file))
        elif kind == SYNCED and inode in self.dirs:
            path = self.dirs[inode]
            for change in [c for c in self.later if os.path.dirname(c[2] if c[0] == RENAMED else c[1]) == path]:
                self.apply(self.sure, change)
                self.later.remove(change)
        elif kind == RENAMED:
            source, _, target = data.decode().partition('\0')
            self.later.append((RENAMED, source, target))
        elif kind == REMOVED:
            self.later.append((REMOVED, data.decode(), None))
        elif file and kind == WRITE:
            file.later.append((offset, data))
        elif file and kind == LENGTH:
            file.later.append((length, None))
        elif file and kind == SYNCED:
            file.sync()
        elif file and kind == SYNCED_RANGE:
            file.sync_range(offset, length)

    def image(self, dice):
        """(path, bytes) of what a power cut leaves."""
        names = dict(self.sure)
        for change in self.later[:dice.randrange(len(self.later) + 1)]:
            self.apply(names, change)
        return [(path, file.maybe(dice)) for path, file in names.items()]


class State:
    """What gmd would know after the cut."""

    def __init__(self, lines):
        self.members, self.groups, self.leases, self.bad = {}, {}, {}, None
        for line in lines:
            word, _, rest = line.partition(' ')
            parts = rest.split(' ')
            if word == 'member':
                self.members[parts[0], parts[1]] = parts[2]
            elif word == 'group':
                self.groups[parts[0]] = int(parts[1])
            elif word == 'lease':
                self.leases[int(parts[0])] = int(parts[1])
            elif word == 'bad':
                self.bad = rest


class Looker:
    def __init__(self):
        self.process = subprocess.Popen([os.path.join(BUILD, 'store_state')], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def look(self, directory):
        self.process.stdin.write('%s/state %s/key %s/state/witness\n' % (directory, directory, directory))
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line == '.\n':
                return State(lines)
            lines.append(line.rstrip('\n'))
        status = self.process.wait()
        self.__init__()
        state = State([])
        state.bad = 'the start ends with status %d' % status
        return state


def records(path):
    with open(path, 'rb') as file:
        data = file.read()
    at = 0
    while at + HEAD.size <= len(data):
        kind, n, when, inode, offset, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        yield kind, when, inode, offset, length, data[at:at + n]
        at += n


def place(image, base, to):
    shutil.rmtree(to, ignore_errors=True)
    os.makedirs(os.path.join(to, 'state'))
    for path, content in image:
        if os.path.basename(path) in ('lock', 'lock.mdb', 'copy'):
            continue
        fd = os.open(os.path.join(to, os.path.relpath(path, base)), os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, content)
        os.close(fd)


def wrong_backups(told, now, to, base):
    for ack in told.backups:
        if ack['at_ns'] > now:
            continue
        file = os.path.join(to, os.path.relpath(ack['file'], base))
        if not os.path.exists(file):
            yield 'a backup that was acknowledged is lost'
            continue
        with open(file, 'rb') as f:
            data = f.read()
        if data[-32:] != hashlib.sha256(data[:-64]).digest():
            yield 'a backup that was acknowledged is damaged'


def check_images(base, images, seed, until_failed=False):
    """How many images were wrong; the first few are told."""
    told, numbers, disk, dice = Told(base), Numbers(base), Disk(), random.Random(seed)
    log = list(records(os.path.join(base, 'record')))
    places = [i for i, r in enumerate(log) if r[0] != SENT and r[1] > told.begins]
    cuts = sorted(dice.choices(places, k=images))
    to = tempfile.mkdtemp(prefix='gm-power.', dir='/dev/shm' if os.access('/dev/shm', os.W_OK) else None)
    looker, wrong, at = Looker(), 0, 0
    counts = dict(opened=0, sure=0)
    try:
        for number, cut in enumerate(cuts):
            for kind, _, inode, offset, length, data in log[at:cut]:
                if kind == SENT:
                    numbers.sent(data, length)
                else:
                    disk.step(kind, inode, offset, length, data)
            at = cut
            now = log[cut][1]
            image = disk.image(random.Random('%s.%d' % (seed, number)))
            place(image, base, to)
            state = looker.look(to)
            faults = [state.bad] if state.bad else [*told.wrong(now, state), *numbers.wrong(state.leases), *wrong_backups(told, now, to, base)]
            counts['opened'] += not state.bad
            if faults:
                wrong += 1
                if wrong <= 5:
                    print('✗ image %d of seed %d, before record %d of %d: %s%s' % (number, seed, cut, len(log), faults[0],
                          ' and %d more' % (len(faults) - 1) if len(faults) > 1 else ''))
                if until_failed:
                    break
    finally:
        looker.process.stdin.close()
        looker.process.wait()
        shutil.rmtree(to, ignore_errors=True)
    kinds = [r[0] for r in log]
    text = ('%d images of %d writes, %d syncs and %d datagrams with numbers of ours; %d joins and leaves, %d doings of operators; %d opened, %d wrong'
          % (number + 1, kinds.count(WRITE), kinds.count(SYNCED) + kinds.count(SYNCED_RANGE), numbers.seen,
             sum(a['ok'] for acks in told.members.values() for a in acks),
             sum(map(len, told.groups.values())) + sum(map(len, told.evicted.values())) + len(told.backups), counts['opened'], wrong))
    return wrong, text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', type=int, default=500)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--seconds', type=float, default=1)
    parser.add_argument('--show-broken', action='store_true')
    parser.add_argument('--record')
    parser.add_argument('--keep', action='store_true')
    args = parser.parse_args()
    base = args.record or tempfile.mkdtemp(prefix='gmd-power.')
    try:
        if not args.record and record(base, args.seconds, args.show_broken) != 0:
            print('✗ gmd does not stop in order')
            print('0 passed, 1 failed, 0 skipped')
            return 1
        wrong, text = check_images(base, args.images, args.seed, args.show_broken)
    finally:
        if args.keep:
            print('kept: ' + base)
        elif not args.record:
            shutil.rmtree(base, ignore_errors=True)
    good = bool(wrong) == args.show_broken
    if not good and args.show_broken:
        print('✗ a store that does not sync is not noticed')
    if good:
        print('  ✓ a store that does not sync is noticed' if args.show_broken else '  ✓ no power cut takes away what was acknowledged')
    print('      ' + text)
    print('%d passed, %d failed, 0 skipped' % (good, not good))
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
