#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that is really full: a small tmpfs in a mount namespace of its own, the store on it, the rest taken up by a file.

    full.py        skipped where namespaces are forbidden
"""

import os
import subprocess
import sys
import time

import faults
from faults import Daemon, Member, Place, ace, coap, rig

MIB = 1 << 20


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, good, what):
        self.passed, self.failed = self.passed + bool(good), self.failed + (not good)
        print('  %s %s' % ('✓' if good else '✗', what), flush=True)
        return good


def code_of(answer):
    return coap.dotted(answer.code) if answer is not None else 'no answer'


class Patient(Member):
    """This gmd does not end: on a busy machine an answer takes its time."""

    def exchange(self, message, timeout=60.0):
        return rig.Client.exchange(self, message, timeout) if self.gmd.alive() else None


def newcomer(gmd, place):
    member = Patient(gmd)
    return member, member.post(ace.mint(place.as_key, member.claims([('g1', 6)])))


def fill(path):
    """Until not a byte is left."""
    with open(path, 'wb', buffering=0) as file:
        for size in (MIB, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass


def evicts(gmd, node):
    return gmd.ask('member evict', group='g1', node=node) is not None


def main():
    if os.environ.get('GM_FULL') != '1':
        how = ['unshare', '-m'] if os.getuid() == 0 else ['unshare', '-rm']
        if subprocess.run([*how, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], capture_output=True, check=False).returncode:
            print('  - no mount namespace: skipped\n0 passed, 0 failed, 1 skipped')
            return 0
        return subprocess.run([*how, sys.executable, os.path.abspath(__file__)], env=dict(os.environ, GM_FULL='1'), check=False).returncode
    tally, base = Tally(), faults.template()
    place = Place(base)
    try:
        run(tally, place)
    finally:
        subprocess.run(['umount', place.path('state')], check=False)
        base.remove()
        place.remove()
    print('%d passed, %d failed, 0 skipped' % (tally.passed, tally.failed))
    return 1 if tally.failed else 0


def mount(place):
    """The store moves onto 40 MiB."""
    os.rename(place.path('state'), place.path('before'))
    os.mkdir(place.path('state'), 0o700)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=40m,mode=700', 'tmpfs', place.path('state')], check=True)
    for name in os.listdir(place.path('before')):
        with open(place.path('before/' + name), 'rb') as source, open(place.path('state/' + name), 'wb') as target:
            target.write(source.read())


def run(tally, place):
    check = tally.check
    mount(place)
    filler = place.path('state/filler')
    with Daemon(place) as gmd:
        check(gmd.ask('group create', group='g1'), 'a group is made')
        first, second = newcomer(gmd, place)[0], newcomer(gmd, place)[0]
        check(code_of(first.join('g1')) == '2.01' and code_of(second.join('g1')) == '2.01', 'two join')
        waiting = newcomer(gmd, place)[0]
        fill(filler)
        kept(tally, gmd)
        while_full(tally, gmd, place, first, second, waiting)
    with Daemon(place) as gmd:
        check(gmd.control is not None, 'gmd starts on the full disk')
        first.gmd = waiting.gmd = gmd
        check(code_of(first.ask(coap.GET, '/ace-group/g1/num')) == '2.05', 'its members read')
        kept(tally, gmd)
        check(code_of(waiting.join('g1')) in ('5.03', '4.01'), 'a Join is refused with 5.03 still')
        os.unlink(filler)
        end = time.monotonic() + 60  # it looks for room once a second
        member, answer = newcomer(gmd, place)
        while code_of(answer) == '5.03' and time.monotonic() < end:
            time.sleep(0.2)
            member, answer = newcomer(gmd, place)
        check(code_of(answer) == '2.01' and code_of(member.join('g1')) == '2.01', 'with room again newcomers join')
        place.members, place.groups = {first.node: True, member.node: True}, {'g1'}
        check(gmd.stop() == 0, 'gmd stops in order')
    wrong = list(place.wrong_state())
    check(not wrong, 'nothing that was acknowledged is lost%s' % (': %s' % wrong if wrong else ''))
    with open(place.path('log'), 'rb') as file:
        check(b'store.low' in file.read(), 'the log says that the disk is full')


def kept(tally, gmd):
    """Until the store asks for more room and there is none; what it has kept back is enough for that."""
    end = time.monotonic() + 120
    n = 0
    while time.monotonic() < end and gmd.alive() and gmd.ask('group create', group='more%d' % n):
        n += 1
        time.sleep(0.002)
    tally.check(gmd.alive() and n < 5000, 'gmd lives on when there is no more room')


def while_full(tally, gmd, place, first, second, waiting):
    check = tally.check
    check(code_of(first.ask(coap.GET, '/ace-group/g1/num')) == '2.05', 'members read')
    check(code_of(first.ask(coap.GET, '/ace-group/g1/nodes/' + first.node)) == '2.05', 'and read their keys')
    answer = waiting.join('g1')
    check(code_of(answer) == '5.03', 'a Join is refused with 5.03')
    check(code_of(newcomer(gmd, place)[1]) == '5.03', 'and so is a token')
    check(evicts(gmd, second.node), 'a member can be put out')
    check(gmd.ask('rekey', group='g1', compromised=True), 'the group can be rekeyed')
    check(gmd.alive(), 'gmd lives on')


if __name__ == '__main__':
    sys.exit(main())
