# SPDX-License-Identifier: Apache-2.0
"""Bad frames on the control socket."""

import os
import shutil
import struct
import subprocess
import time

import cbor2

from rig import Control, error_of


def request(verb='status', ident=1, args=None):
    return cbor2.dumps({'id': ident, 'verb': verb, 'args': args or {}})


def bodies(dice):
    yield from (b'', b'\0', b'\xff', b'\xa0', b'\x80', b'\x81' * 100000, b'\xa1' * 5000, b'\xc1' * 50000, b'\xbf',
                b'\x9f' * 1000,
                b'\xbb' + b'\xff' * 8, b'\xa1\x62id\x5b' + b'\xff' * 8, b'\x7f' * 100, os.urandom(1000))
    for value in (-1, 'x', b'x', None, 1.5, [], {}, 2 ** 64 - 1, True):
        yield cbor2.dumps({'id': value, 'verb': 'group list', 'args': {}})
        yield cbor2.dumps({'id': 1, 'verb': value, 'args': {}})
        yield cbor2.dumps({'id': 1, 'verb': 'group show', 'args': value})
        yield request('group show', args={'group': value})
        yield request('group create', args={'group': 'zz', 'max-members': value})
        yield request('as add', args={'name': 'zz', 'key': value})
        yield request('group list', args={'after': value})
    for verb in ('', 'nonsense', 'status\0', 'x' * 31, 'x' * 32, 'x' * 5000, 'group', 'group show more'):
        yield request(verb)
    for name in ('', '/', 'a/b', '..', 'x' * 255, 'x' * 256, 'x' * 100000, 'a\0b', 'a b', '\n', '"', '%s%n', '\u202e',
                 'g1\x1b[2J'):
        yield request('group show', args={'group': name})
        yield request('group create', args={'group': name, 'max-members': 0})
        yield request('member evict', args={'group': 'g1', 'node': name})
        yield request('device evict', args={'device': name})
        yield request('as remove', args={'name': name})
    for key in (b'', bytes(15), bytes(17), bytes(500), bytes(32)):
        for alg in ('', 'AES-CCM-16-64-128', 'EdDSA', 'ES256', 'x' * 255):
            yield request('as add', args={'name': 'x' * 256, 'key': key, 'alg': alg, 'kid': bytes(300)})
    yield request('status', args={str(n): n for n in range(100)})
    yield request('status', args={'x' * 1000: 1})
    yield b'\xa3\x62id\1\x64verb\x66status\x64verb\x66status'
    whole = request('group show', args={'group': 'g1'})
    yield from (whole[:cut] for cut in range(len(whole)))
    for _ in range(200):
        mutated = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            mutated[dice.randrange(len(mutated))] = dice.randrange(256)
        yield bytes(mutated)


def extremes(attack):
    """Groups with the largest and smallest numbers: refused or working, and gone again."""
    names = ('max-members', 'rekey-every', 'max-stale-sets', 'key-lifetime')
    for name in names:
        for value in (0, 1, 2, 255, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 2 ** 63 - 1, 2 ** 63,
                      2 ** 64 - 1):
            before = attack.server.rss_kib()
            done = operator(attack, 'group', 'create', 'odd', '--%s=%d' % (name, value))
            if done == 0:
                attack.tally.check(operator(attack, 'rekey', 'odd') in (0, 1),
                                   'a group with %s=%d can be rekeyed' % (name, value))
                member = attack.client([('odd', 6)])
                code = error_of(member.join('odd'))[0]
                attack.tally.check(code in ('2.01', '5.03'), 'a group with %s=%d takes members' % (name, value), code)
                attack.tally.check(operator(attack, 'group', 'delete', 'odd', '--yes') == 0,
                                   'a group with %s=%d can go' % (name, value))
            grown = attack.server.rss_kib() - before
            attack.tally.check(grown < 64 << 10, 'a group with %s=%d costs little' % (name, value), '%d KiB' % grown)
            if not attack.tally.check(attack.server.alive(), 'gmd survives %s=%d' % (name, value)):
                return


def operator(attack, *args):
    return subprocess.run([os.path.join(attack.server.build, 'gmctl'), '-s', attack.server.path('sock'), *args],
                          capture_output=True,
                          timeout=30, check=False).returncode


def all_of_it(attack):
    extremes(attack)
    path = attack.server.path('sock')
    for body in bodies(attack.dice):
        connection = Control(path)
        connection.frame(body)
        rows = connection.answer()
        attack.tally.check(rows is not None and ('error' in rows[-1] or 'end' in rows[-1]),
                           'a bad frame gets an answer', body[:60])
        connection.close()
        if not attack.tally.check(attack.server.alive(), 'gmd survives a bad frame', body[:80]):
            return
    lengths(attack, path)
    many_in_one(attack, path)
    half_frames(attack, path)
    another_user(attack, path)
    attack.tally.check(attack.server.ctl('group', 'show', 'quiet')[0]['group'] == 'quiet',
                       'the control socket works on')
    names = {row.get('group') for row in attack.server.ctl('group', 'list')}
    attack.tally.check({'quiet', 'busy', 'g1', 'asleep', 'signed'} <= names, 'no group is lost', names)
    attack.tally.check(all(n and n.isprintable() and '/' not in n and ' ' not in n for n in names),
                       'group names are path segments', names)


def lengths(attack, path):
    for length in (0, 1 << 20, (1 << 20) + 1, 1 << 31, (1 << 32) - 1):
        connection = Control(path, 60.0 if length > 1 << 20 else 1.0)
        connection.sock.sendall(struct.pack('>I', length) + b'\xa0' * 10)
        rows = connection.answer()
        if length > 1 << 20:
            attack.tally.check(rows is not None and 'error' in rows[-1], 'an impossible length is refused', length)
        connection.close()


def many_in_one(attack, path):
    """500 requests at once, never read, then gone; and a listing nobody reads."""
    connection = Control(path, 2.0)
    frame = request('status')
    try:
        connection.sock.sendall((struct.pack('>I', len(frame)) + frame) * 500)
    except TimeoutError:
        pass
    attack.tally.check(bool(attack.server.ctl('status')), 'a client that does not read keeps nobody waiting')
    connection.close()


def half_frames(attack, path):
    """200 connections with half a frame; the operator is served while they stay, or once they are given up."""
    held = []
    for _ in range(200):
        try:
            connection = Control(path, 0.5)
            connection.sock.sendall(b'\0\0\0\x20\xa3\x62')
            held.append(connection)
        except OSError:
            break
    start = time.monotonic()
    try:
        served = bool(attack.server.ctl('status'))
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        served = False
    attack.tally.check(served, 'half frames on %d connections leave room for the operator' % len(held),
                       '%.1f s' % (time.monotonic() - start))
    for connection in held:
        connection.close()
    time.sleep(0.3)
    attack.tally.check(bool(attack.server.ctl('status')), 'connections that close make room')


def another_user(attack, path):
    """Root only: as nobody, with the socket's mode in the way and without."""
    if os.geteuid() != 0 or not shutil.which('setpriv'):
        return
    command = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
               os.path.join(attack.server.build, 'gmctl'),
               '-s', path, 'group', 'delete', 'busy', '--yes']
    modes = os.stat(attack.server.dir).st_mode, os.stat(path).st_mode
    attack.tally.check(modes[1] & 0o007 == 0, 'the socket is closed to others', oct(modes[1]))
    attack.tally.check(subprocess.run(command, capture_output=True, timeout=20, check=False).returncode != 0,
                       'nobody may not enter')
    os.chmod(attack.server.dir, 0o755)
    os.chmod(path, 0o666)
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    attack.tally.check(done.returncode != 0, 'nobody is refused by its uid', done.stdout + done.stderr)
    os.chmod(attack.server.dir, modes[0] & 0o7777)
    os.chmod(path, modes[1] & 0o7777)
