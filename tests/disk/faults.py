#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Disk and memory fail gmd: the k-th write, sync, file or allocation fails, once or from then on, for every k.

    faults.py [--of NAME] [--kinds KIND,...] [--sample N] [--seed S] [--only KIND:K[+]:ERRNO] [--piece I/N]

NAME: serve (start, a group, three joins, a rekey, a leave, an eviction, a backup, stop), init, backup (gmctl's side), restore, recover,
rotate-key; all of them if not given. KIND: write sync length open rename map memory. --sample: so many faults, drawn by the seed.
After each run a store_state that nothing happens to opens what is left: nothing acknowledged may be missing. The program has to end in order or go on, to
name what failed, and to tell no secret.
"""

import argparse
import concurrent.futures
import errno
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get('GM_BUILD', os.path.join(ROOT, 'build', 'fast')))
sys.path[:0] = [os.path.join(ROOT, 'tests', 'attack'), os.path.join(ROOT, 'tests', 'python')]

import cbor2  # noqa: E402

import ace  # noqa: E402
import coap  # noqa: E402
import power  # noqa: E402
import rig  # noqa: E402

KINDS = {'write': ('ENOSPC', 'EIO'), 'sync': ('EIO', 'ENOSPC'), 'length': ('ENOSPC', 'EIO'), 'open': ('ENOSPC', 'EIO'),
         'rename': ('EIO',), 'map': ('ENOMEM',), 'memory': ('ENOMEM',)}
LASTING = ('ENOSPC', 'EIO')  # these also fail from then on
REPORTS = (b'AddressSanitizer', b'runtime error:', b'LeakSanitizer')
SANITIZED = os.path.exists(os.path.join(BUILD, 'CMakeCache.txt')) and 'GM_SANITIZE:STRING=address' in open(os.path.join(BUILD, 'CMakeCache.txt'), encoding='utf-8').read()


def preload():
    """Ours stands behind the sanitizer's, which calls the next one for files; what it allocates is its own."""
    own = os.path.join(BUILD, 'preload_fault.so')
    if not SANITIZED:
        return own
    library = subprocess.run(['gcc', '-print-file-name=libasan.so'], capture_output=True, text=True, check=True).stdout.strip()
    return os.path.realpath(library) + ' ' + own


PRELOAD = preload()


class Place:
    """A directory with a configuration, and what was acknowledged there."""

    def __init__(self, template=None):
        self.dir = tempfile.mkdtemp(prefix='gm-fault.', dir='/dev/shm' if os.access('/dev/shm', os.W_OK) else None)
        if template:
            shutil.copytree(template.dir, self.dir, dirs_exist_ok=True, ignore=shutil.ignore_patterns('sock', 'sock.*', 'log'))
        self.port = power.free_port()
        self.addr = (power.HOST, self.port)
        with open(self.path('conf'), 'w', encoding='ascii') as file:
            file.write('audience: gm.test\nport: mmsg\nworkers: 1\nchanges_per_minute: 0\nrekey_window_ms: 1\nrekey_deadline_ms: 100\n'
                       'contexts_max: 1024\nmembers_max: 1024\nlisten: ["%s:%d"]\nstate_dir: %s\nkey_file: %s\ncontrol_socket: %s\n'
                       % (*self.addr, self.path('state'), self.path('key'), self.path('sock')))
        self.as_key = ace.load_as_key(self.path('as.json')) if template else None
        self.groups, self.members, self.gone, self.version, self.backup = set(), {}, set(), 0, False
        self.secrets = []

    def path(self, name):
        return os.path.join(self.dir, name)

    def program(self, name, *args, fault=None, counts=False):
        """(status, what it said); a fault as GM_FAULT has it."""
        env = dict(os.environ, ASAN_OPTIONS='detect_leaks=0:abort_on_error=0:exitcode=99', UBSAN_OPTIONS='print_stacktrace=1')
        if fault or counts:
            env.update(LD_PRELOAD=PRELOAD, **({'GM_FAULT': fault} if fault else {}),
                       **({'GM_FAULT_COUNTS': self.path('counts')} if counts else {}))
        done = subprocess.run([os.path.join(BUILD, name), *args], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        return done.returncode, done.stdout

    def counts(self):
        with open(self.path('counts'), encoding='ascii') as file:
            return {kind: int(n) for kind, n in (line.split() for line in file)}

    def state(self):
        done = subprocess.run([os.path.join(BUILD, 'store_state')], input='%s/state %s/key %s/state/witness\n' % ((self.dir,) * 3),
                              capture_output=True, text=True, timeout=120, check=False)
        state = power.State(done.stdout.splitlines())
        if done.returncode:
            state.bad = 'the start ends with status %d: %s' % (done.returncode, done.stderr[-300:])
        return state

    def wrong_state(self):
        state = self.state()
        if state.bad:
            yield 'afterwards: ' + state.bad
            return
        for group in self.groups - set(state.groups):
            yield 'the acknowledged group %s is lost' % group
        for node in self.members:
            if ('g1', node) not in state.members:
                yield 'the acknowledged member %s is lost' % node
        for node in self.gone:
            if ('g1', node) in state.members:
                yield 'the acknowledged end of member %s is lost' % node
        if 'g1' in self.groups and state.groups['g1'] < self.version:
            yield 'version %d is lost, it is %d' % (self.version, state.groups['g1'])
        if self.backup:
            status, said = Place.restored(self)
            if status:
                yield 'the acknowledged backup cannot be restored: %s' % said

    def restored(self):
        other = Place(self)
        try:
            shutil.rmtree(other.path('state'))
            return other.program('gmd', 'restore', '-c', other.path('conf'), other.path('copy'))
        finally:
            other.remove()

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def template():
    place = Place()
    place.program('gmas', 'keygen', '--alg', 'AES-CCM-16-64-128', '--iss', 'as.test', '--aud', 'gm.test', '-o', place.path('as.json'))
    status, said = place.program('gmd', 'init', '-c', place.path('conf'))
    if status:
        raise RuntimeError(said)
    with Daemon(place) as gmd:
        gmctl(place, 'as', 'add', 'as1', '--key=' + place.path('as.json'))
        if gmd.stop():
            raise RuntimeError('gmd does not stop')
    os.unlink(place.path('log'))
    return place


def gmctl(place, *args):
    status, said = place.program('gmctl', '-s', place.path('sock'), '--json', *args)
    return said if status == 0 else None


class Daemon:
    def __init__(self, place, fault=None, counts=False):
        env = dict(os.environ, LD_PRELOAD=PRELOAD, ASAN_OPTIONS='detect_leaks=0:abort_on_error=0:exitcode=99')
        if fault:
            env['GM_FAULT'] = fault
        if counts:
            env['GM_FAULT_COUNTS'] = place.path('counts')
        self.place = place
        with open(place.path('log'), 'wb') as log:
            self.process = subprocess.Popen([os.path.join(BUILD, 'gmd'), 'run', '-c', place.path('conf')], stdout=log, stderr=log, env=env)
        self.control = None
        end = time.monotonic() + 60
        while self.alive() and not self.control and time.monotonic() < end:
            try:
                self.control = rig.Control(place.path('sock'))
            except OSError:
                time.sleep(0.003)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.control:
            self.control.close()
        self.process.kill()
        self.process.wait()

    def alive(self):
        return self.process.poll() is None

    def ask(self, verb, **args):
        """Rows, or None: refused or no answer."""
        if not self.control or not self.alive():
            return None
        try:
            self.control.frame(cbor2.dumps({'id': 1, 'verb': verb, 'args': args}))
            rows = self.control.answer()
        except OSError:
            return None
        return rows if rows and 'error' not in rows[-1] else None

    def stop(self):
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


class Member(rig.Client):
    """Gives up soon: gmd may have ended."""

    def __init__(self, gmd):
        super().__init__(gmd.place)
        self.gmd = gmd

    def exchange(self, message, timeout=5.0):
        return super().exchange(message, 0.6) if self.gmd.alive() else None

    def good(self, answer, *codes):
        return answer is not None and not getattr(answer, 'bare', False) and coap.dotted(answer.code) in codes


def members_do(gmd, place):
    """Three join; the keys change; one leaves, one is put out."""
    nodes = []
    for _ in range(3):
        member = Member(gmd)
        nodes.append(member)
        answer = member.post(ace.mint(place.as_key, member.claims([('g1', 6)])))
        place.secrets.append(member.osc[2])
        if not answer or coap.dotted(answer.code) != '2.01':
            continue
        answer = member.join('g1')
        if member.good(answer, '2.01', '2.04'):
            place.members[member.node] = True
            reply = cbor2.loads(answer.payload)
            place.version = max(place.version, reply.get(9, 0))
            place.secrets += [v for v in reply[8].values() if isinstance(v, bytes) and len(v) == 16] if isinstance(reply.get(8), dict) else []
    if gmd.ask('rekey', group='g1', compromised=True):
        rows = gmd.ask('group show', group='g1')
        place.version = max(place.version, rows[0]['row']['version']) if rows else place.version
    leaver, outcast = nodes[0], nodes[1]
    if leaver.node in place.members:
        del place.members[leaver.node]
        if leaver.good(leaver.ask(coap.DELETE, '/ace-group/g1/nodes/' + leaver.node), '2.02'):
            place.gone.add(leaver.node)
    if outcast.node in place.members:
        del place.members[outcast.node]
        if gmd.ask('member evict', group='g1', node=outcast.node):
            place.gone.add(outcast.node)
    for member in nodes:
        member.close()


def serve(place, fault, counts=False):
    with Daemon(place, fault, counts) as gmd:
        if gmd.ask('group create', group='g1'):
            place.groups.add('g1')
            members_do(gmd, place)
        if gmd.alive() and gmctl(place, 'backup', place.path('copy')) is not None:
            place.backup = True
        went_on = gmd.alive()
        status = gmd.stop()
    with open(place.path('log'), 'rb') as file:
        return status, file.read(), went_on and status == 0


def offline(*words):
    def run(place, fault, counts=False):
        status, said = place.program('gmd', words[0], '-c', place.path('conf'), *[place.path(w[1:]) if w[0] == '@' else w for w in words[1:]],
                                     fault=fault, counts=counts)
        return status, said, status == 0
    return run


def backup(place, fault, counts=False):
    with Daemon(place) as gmd:
        status, said = place.program('gmctl', '-s', place.path('sock'), 'backup', place.path('copy'), fault=fault, counts=counts)
        place.backup = status == 0
        gmd.stop()
    return status, said, status == 0


def run_again(run):
    """What failed half way is done again, and then it works."""
    def both(place, fault, counts=False):
        status, said, good = run(place, fault, counts)
        if fault and not good:
            again, why, _ = run(place, None)
            if again != 0:
                return again, said + b'; again: ' + why, True
        return status, said, good
    return both


def nothing_yet(place):
    shutil.rmtree(place.path('state'))
    os.unlink(place.path('key'))


def no_store(place):
    os.unlink(place.path('state/data.mdb'))


def as_it_is(place):
    del place


RUNS = {'serve': (serve, as_it_is), 'init': (run_again(offline('init')), nothing_yet), 'backup': (backup, as_it_is),
        'restore': (run_again(offline('restore', '@copy')), no_store), 'recover': (run_again(offline('recover', '--rekey-all')), as_it_is),
        'rotate-key': (run_again(offline('rotate-key')), as_it_is)}


def known_secrets(place):
    with open(place.path('key'), encoding='ascii') as file:
        yield file.read().strip().encode()
    for secret in place.secrets:
        yield secret.hex().encode()
        yield secret


def judge(place, status, said, good):
    """What is wrong with how it ended."""
    if b'libcrypto' in said.partition(b'fault:')[2].partition(b'\n')[0] and b'core.loaded' not in said:
        return  # it may crash where memory fails its own start: nobody has been served yet
    if status < 0 or status >= 128:
        yield 'it ended by signal %s' % (-status if status < 0 else status - 128)
    if any(mark in said for mark in REPORTS):
        yield 'the sanitizer reports'
    own = [line for line in said.splitlines() if not line.startswith(b'fault:')]
    if b' commit.failed ' in said and any(os.path.exists(place.path(name)) for name in ('sock', 'sock.handover')):
        yield 'a socket is left behind'
    if not good and status != 0 and not any(b'reason=' in line or line.startswith((b'gmd:', b'gmctl:')) for line in own):
        yield 'it says nothing about what failed'
    if os.path.exists(place.path('key')) and any(secret and secret in said for secret in known_secrets(place)):
        yield 'a secret in the log'


def one(base, name, fault):
    """(faults found, the end of what was said)"""
    run, prepare = RUNS[name]
    place = Place(base)
    try:
        prepare(place)
        status, said, good = run(place, fault)
        wrong = [*judge(place, status, said, good)]
        wrong += place.wrong_state()
        return wrong, said
    except Exception as error:  # pylint: disable=broad-except  # a surprise is a finding
        return ['%s: %s' % (type(error).__name__, error)], open(place.path('log'), 'rb').read() if os.path.exists(place.path('log')) else b''
    finally:
        place.remove()


@functools.lru_cache(None)
def count(base, name):
    """How many calls of each kind there are without a fault; and how many of them before gmd has read its configuration."""
    run, prepare = RUNS[name]
    place = Place(base)
    try:
        prepare(place)
        status, said, _ = run(place, None, True)
        wrong = [*judge(place, status, said, status == 0), *place.wrong_state()]
        if status or wrong:
            raise RuntimeError('%s without a fault: status %s, %s, %s' % (name, status, wrong, said[-500:]))
        calls = place.counts()
        place.program('gmd', 'check', '-c', place.path('conf'), counts=True)
        return calls, place.counts()
    finally:
        place.remove()


def faults_of(base, name, kinds):
    """Each, and how many calls there are. What the libraries allocate at every start is left out but for serve."""
    for kind in kinds:
        calls, before = count(base, name)
        first = before[kind] + 1 if name in ('init', 'restore', 'recover', 'rotate-key') and kind == 'memory' else 1
        for error in KINDS[kind]:
            for k in range(first, calls[kind] + 1):
                yield '%s:%d:%d' % (kind, k, getattr(errno, error))
                if error in LASTING:
                    yield '%s:%d+:%d' % (kind, k, getattr(errno, error))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--of', choices=RUNS)
    parser.add_argument('--kinds', default=','.join(KINDS))
    parser.add_argument('--sample', type=int)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--only')
    parser.add_argument('--from', type=int, default=1, dest='first', help='leave out the calls before')
    parser.add_argument('--piece', default='1/1')
    args = parser.parse_args()
    base, failed, summary = template(), 0, []
    try:
        if not args.of or args.of in ('restore', 'recover', 'rotate-key'):  # these begin with a store that has members
            full = Place(base)
            serve(full, None)
            os.unlink(full.path('log'))
        names = [args.of] if args.of else list(RUNS)
        jobs = []
        for name in names:
            source = full if name in ('restore', 'recover', 'rotate-key') else base
            faults = [args.only] if args.only else list(faults_of(source, name, args.kinds.split(',')))
            jobs += [(source, name, fault) for fault in faults]
            summary.append('%s %d' % (name, len(faults)))
        part, parts = (int(n) for n in args.piece.split('/'))
        jobs = jobs[part - 1::parts]
        jobs = [job for job in jobs if int(job[2].split(':')[1].rstrip('+')) >= args.first]
        if args.sample:
            jobs = random.Random(args.seed).sample(jobs, min(args.sample, len(jobs)))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for job, (wrong, said) in zip(jobs, pool.map(lambda job: one(*job), jobs)):
                if args.only:
                    print(said.decode(errors='replace'))
                if wrong:
                    failed += 1
                    where = next((line for line in said.splitlines() if line.startswith(b'fault:')), b'').decode()
                    print('✗ %s %s: %s (%s)' % (job[1], job[2], '; '.join(wrong), where), flush=True)
        print('%d faults, of %s' % (len(jobs), ', '.join(summary)))
    finally:
        base.remove()
        if 'full' in locals():
            full.remove()
    print('%d passed, %d failed, 0 skipped' % (len(jobs) - failed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
