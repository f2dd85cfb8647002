#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Looks for secrets in the memory of processes.

    search.py           GM_BUILD names the build; needs the right to read gmd's memory, which root has

gmd runs with groups and members. No program but gmd ever holds a secret of a group, of a member or of an Authorization Server: each is
searched while it serves or at its very end. gmd leaves no core, holds keys of clients in locked pages, and wipes what has ended.
A program is a row of PROGRAMS: one more is searched with a row more.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'python'))
# pylint: disable=wrong-import-position
from daemon import BUILD, Checklist, Daemon, free_port  # noqa: E402
from image import finds, image, image_at_exit  # noqa: E402
from many import Load  # noqa: E402
from member import check  # noqa: E402
from terminal import Terminal  # noqa: E402

MEMBERS = 6
GROUPS = ['image-a', 'image-b']
GRACE = 10  # seconds after which what has ended is not in memory any more


def backup_secrets(daemon):
    """{(whose, what): secret} of all that gmd has, by a backup and the store's key."""
    place = daemon.dir / 'opened'
    place.mkdir()
    whole = daemon.dir / 'backup'
    daemon.ctl('backup', whole)
    (place / 'data.mdb').write_bytes(whole.read_bytes()[:-64])
    whole.unlink()
    lines = daemon.run('secrets', place, daemon.dir / 'store.key').splitlines()
    subprocess.run(['rm', '-r', str(place)], check=True)
    secrets = {}
    for line in lines:
        whose, what, text = line.split()
        secrets[whose, what] = bytes.fromhex(text)
    return secrets


class Live:
    """A program that runs until it is told to end: the image of what it holds after `work` of it."""

    def __init__(self, daemon, words, typed=(), until=None):
        self.terminal = Terminal([str(BUILD / 'gmctl'), '--socket', str(daemon.dir / 'gmd.sock'), *words])
        if until:
            self.terminal.until(until)
        for line, pattern in typed:
            self.terminal.type(line)
            self.terminal.until(pattern)

    def image(self):
        return image(self.terminal.pid)

    def end(self):
        os.kill(self.terminal.pid, signal.SIGTERM)
        self.terminal.end()


ONE = lambda *words: ('gmctl ' + ' '.join(words), lambda d: image_of_one(d, words))  # noqa: E731
PROGRAMS = [
    ONE('status'), ONE('health'), ONE('group', 'list'), ONE('group', 'show', GROUPS[0]), ONE('member', 'list', GROUPS[0]),
    ('gmctl member show', lambda d: image_of_one(d, ('member', 'show', GROUPS[0], node_of(d, GROUPS[0])))),
    ONE('as', 'list'), ONE('as', 'show', 'demo'), ONE('config', 'show'), ONE('config', 'diff'), ONE('rekey', 'status'), ONE('rekey', GROUPS[0]),
    ('gmctl backup', lambda d: image_of_one(d, ('backup', str(d.dir / 'searched')))),
    ('gmctl top', lambda d: image_of_live(Live(d, ['top'], until=b'q leaves'))),
    ('gmctl watch', lambda d: image_of_watch(d)),
    ('gmd-status', lambda d: image_of_status(d)),
    ('gmctl shell', lambda d: image_of_live(Live(d, [], [
        (b'group show %s\n' % GROUPS[0].encode(), b'max_members.*gmctl> '), (b'member list %s\n' % GROUPS[0].encode(), b'NODE.*gmctl> '),
        (b'config show\n', b'audience.*gmctl> ')], until=b'gmctl> '))),
]


def image_of_status(daemon):
    """gmd-status, which has served its page and its figures."""
    port = free_port()
    process = subprocess.Popen([BUILD / 'gmd-status', '-s', daemon.dir / 'gmd.sock', '-l', '127.0.0.1:%d' % port],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                for path in ('/', '/metrics'):
                    with urllib.request.urlopen('http://127.0.0.1:%d%s' % (port, path), timeout=10) as answer:
                        check(answer.status == 200 and answer.read(), path)
                return image(process.pid)
            except urllib.error.URLError:
                check(time.monotonic() < end and process.poll() is None, 'gmd-status does not serve')
                time.sleep(0.1)
    finally:
        process.kill()
        process.wait()


def node_of(daemon, group):
    return next(row['node'] for row in rows(daemon, 'member', 'list', group))


def image_of_one(daemon, words):
    parts, code = image_at_exit([str(BUILD / 'gmctl'), '--socket', str(daemon.dir / 'gmd.sock'), *words])
    check(code == 0, 'exit code %d' % code)
    return parts


def image_of_live(live):
    parts = live.image()
    live.end()
    return parts


def image_of_watch(daemon):
    live = Live(daemon, ['watch'], until=b'watching')
    daemon.ctl('rekey', GROUPS[0])
    live.terminal.until(b'rekey')
    return image_of_live(live)


def rows(daemon, *words):
    return [json.loads(line) for line in daemon.ctl('--json', *words).splitlines()]


def holds_none(daemon, secrets, take):
    """What can be seen is seen - the path of gmd's socket -, and no secret is."""
    parts = take(daemon)
    check(finds(parts, b'gmd.sock'), 'the search does not see what it holds')
    for name, secret in secrets.items():
        check(not finds(parts, secret), '%s %s' % name)


def gmd_holds(daemon, secrets):
    parts = image(daemon.process.pid)
    for name, secret in secrets.items():
        check(finds(parts, secret), '%s %s is not found' % name)


# What lies in gmd's ordinary memory too, which no dump has because gmd leaves none, and which may be swapped out: workers' and core's
# records of groups and of Authorization Servers.
NOT_LOCKED = {'master-secret', 'master-salt', 'private-key', 'key'}


def gmd_keeps_them_apart(daemon, secrets):
    """Locked, and in no core dump: every place where one stands."""
    parts = image(daemon.process.pid)
    for name, secret in secrets.items():
        outside = [str(area) for area, _ in finds(parts, secret) if not {'dd', 'lo'} <= area.flags]
        check(name[1] in NOT_LOCKED or not outside, '%s %s in %s' % (*name, outside))


def gone_from_gmd(daemon, secrets):
    """Wiped within GRACE seconds."""
    left, end = dict(secrets), time.monotonic() + GRACE
    check(left, 'there is nothing to look for')
    while left and time.monotonic() < end:
        parts = image(daemon.process.pid)
        places = {name: finds(parts, secret) for name, secret in left.items()}
        left = {name: left[name] for name in left if places[name]}
        time.sleep(0.2 if left else 0)
    check(not left, 'still there: %s' % ', '.join('%s %s in %s' % (*name, ['%s at %#x' % (a, at) for a, at in places[name]]) for name in left))


def lost(daemon, before):
    """What the store has no more, once there is such: some ends wait for confirmations."""
    end, gone = time.monotonic() + 60, {}
    while not gone and time.monotonic() < end:
        time.sleep(0.5)
        after = backup_secrets(daemon)
        gone = {name: secret for name, secret in before.items() if secret not in after.values()}
    return gone


def no_core(daemon):
    limits = pathlib.Path('/proc/%d/limits' % daemon.process.pid).read_text(encoding='ascii')
    check(any(line.split()[-3:-1] == ['0', '0'] for line in limits.splitlines() if line.startswith('Max core file size')), limits)


def run(checks, daemon, load):
    for group in GROUPS:
        daemon.ctl('group', 'create', group)
    load.ask('join', MEMBERS, '--groups', ','.join(GROUPS))
    secrets = backup_secrets(daemon)
    checks.check('gmd holds %d secrets, and the search finds each' % len(secrets), gmd_holds, daemon, secrets)
    checks.check('keys of clients in locked pages that no dump has, and nowhere else', gmd_keeps_them_apart, daemon, secrets)
    checks.check('and there is no core', no_core, daemon)
    for name, take in PROGRAMS:
        if not (BUILD / name.split()[0]).exists():
            checks.skip(name + ': not built')
            continue
        checks.check('%s holds none' % name, holds_none, daemon, secrets, take)

    ends = [('a rekey wipes the keys before it', ('rekey', GROUPS[0])),
            ('an eviction wipes the keys of its association', ('member', 'evict', GROUPS[1], node_of(daemon, GROUPS[1]), '--yes')),
            ('a deleted group leaves nothing', ('group', 'delete', GROUPS[1], '--yes')),
            ('an Authorization Server that is removed leaves nothing', ('as', 'remove', 'demo', '--yes'))]
    for what, words in ends:
        secrets = backup_secrets(daemon)
        daemon.ctl(*words)
        checks.check(what, gone_from_gmd, daemon, lost(daemon, secrets))


def main():
    checks = Checklist()
    if os.geteuid() != 0:
        checks.skip('the memory of gmd: only root may read it')
        return checks.tally() and 0
    daemon = Daemon('changes_per_minute: 0')
    load = Load(daemon, 2 * MEMBERS)
    try:
        run(checks, daemon, load)
    finally:
        load.process.kill()
        load.process.wait()
        daemon.stop()
    return checks.tally()


if __name__ == '__main__':
    sys.exit(main())
