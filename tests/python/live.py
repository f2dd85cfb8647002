#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A whole life of a group at a running Group Manager: four members with every kind of delivery, and a verifier.

    live.py --gm 127.0.0.1:5683 --as-key as.json --group g1 [--keys-out keys.jsonl]

The group uses both modes and is empty and active at the start. Each step is one JSON line; exit 1 when one fails.
"""

import argparse
import concurrent.futures
import json
import os
import queue
import sys
import tempfile
import threading

import ace
import coap
import pcap
from member import CheckFailed, Member, check, emit_json, host_port
from oscore import OscoreError

REKEY_SECONDS = 60.0


class Actor(threading.Thread):
    """A member in its own thread, which serves its socket whenever it has nothing else to do."""

    def __init__(self, name, member, as_key):
        super().__init__(daemon=True)
        self.label, self.member, self.as_key = name, member, as_key
        self.jobs, self.running = queue.Queue(), True

    def run(self):
        while self.running:
            try:
                if self.jobs.empty():
                    self.member.endpoint.pump(0.02, lambda: not self.jobs.empty())
                job, future = self.jobs.get(block=False)
            except queue.Empty:
                continue
            try:
                future.set_result(job(self.member))
            except Exception as error:  # whatever it is, it belongs to the caller of do()
                future.set_exception(error)

    def do(self, job):
        """Run job(member) in the thread; its result."""
        future = concurrent.futures.Future()
        self.jobs.put((job, future))
        result = future.result(timeout=120)
        check(not self.member.failures, '; '.join(self.member.failures))
        return result


def unprotected(member, path):
    """A request without OSCORE is unauthorized."""
    answer = member.endpoint.request(coap.Message(coap.GET, coap.path_options(path)), member.gm, 60.0)
    check(coap.dotted(answer.code) == '4.01', 'unprotected GET answered %s' % coap.dotted(answer.code))


class Scene:
    """The actors and the steps; reads=False leaves out what the tests' own small GM cannot answer. `modes` says what the
    group has: 'group', 'pairwise' or both; `osc` the AEAD and HKDF of the associations, which the actors take in turns."""

    def __init__(self, gm, as_key, group, emit=emit_json, reads=True, keys_out=None, modes=('group', 'pairwise'),
                 osc=((None, None),)):
        self.modes, self.osc = modes, osc
        self.gm, self.as_key, self.group, self.emit = gm, as_key, group, emit
        self.reads, self.keys_out = reads, keys_out
        self.actors, self.defects = {}, []

    def attempt(self, actor, step, *args):
        """A step the others do not depend on: what it finds wrong is noted, and the scene goes on. True when good."""
        try:
            actor.do(lambda m: step(m, *args))
            return True
        except (CheckFailed, OscoreError, coap.Timeout, KeyError, TypeError, ValueError) as error:
            self.defects.append(repr(error))
            self.emit(member=actor.label, ok=False, error=repr(error))
            return False

    def actor(self, name, delivery='control', roles=6):
        member = Member(self.gm, self.group, roles, delivery, emit=lambda **f: self.emit(member=name, **f))
        actor = self.actors[name] = Actor(name, member, self.as_key)
        actor.start()
        alg, hkdf = self.osc[len(self.actors) % len(self.osc)]
        actor.do(lambda m: m.mint(self.as_key, alg=alg, hkdf=hkdf))
        actor.do(Member.authz_info)
        if self.keys_out:
            with open(self.keys_out, 'a', encoding='utf-8') as file:
                file.write(json.dumps(member.keys_line(len(self.actors))) + '\n')
        return actor

    def run(self):
        for step in (self.joins, self.reading, self.everyone_talks, self.a_leave, self.everyone_talks, self.new_ids,
                     self.everyone_talks, self.refusals, self.verification, self.end):
            self.emit(scene=step.__name__)
            step()
        check(not self.defects, '; '.join(self.defects))

    def close(self):
        for actor in self.actors.values():
            actor.running = False
            actor.join(5.0)
            actor.member.endpoint.close()

    def joins(self):
        for name, delivery in (('a', 'control'), ('b', 'observe'), ('c', 'poll'), ('d', 'control')):
            actor = self.actor(name, delivery)
            actor.do(Member.join)
            self.attempt(actor, Member.repeat)
            if delivery == 'observe':
                actor.do(Member.register)
        self.settle()
        sids = [actor.member.sid for actor in self.members()]
        check(len(set(sids)) == len(sids), 'two members have one Sender ID')

    def members(self):
        return [actor for name, actor in self.actors.items() if name in 'abcd']

    def settle(self):
        """Everyone reaches the version that the Group Manager has now, each by its own kind of delivery."""
        goal = self.members()[0].do(Member.number)
        for actor in self.members():
            missing = goal - actor.member.version
            if missing > 0 and actor.member.delivery == 'poll':
                actor.do(Member.get_node)
            elif missing > 0:
                reached = (lambda member: member.pump(REKEY_SECONDS, lambda: member.version >= goal))
                check(actor.do(reached), 'member %s never got version %d' % (actor.label, goal))
        found = {(a.member.version, a.member.group.gid, a.member.group.ms) for a in self.members()}
        check(len(found) == 1, 'the members have different keys')

    def reading(self):
        steps = [Member.get_group, Member.get_node, Member.get_creds]
        if self.reads:
            steps += [Member.active, Member.policies, Member.kdc_cred]
        for step in steps:
            self.attempt(self.actors['a'], step)
        self.attempt(self.actors['a'], Member.get_creds, [self.actors['b'].member.sid])

    def everyone_talks(self):
        for one in self.members():
            for other in self.members():
                peer, sid = other.member.addr, other.member.sid
                if one is not other:
                    if 'group' in self.modes:
                        check(one.do(lambda m: m.ping(peer, None, b'hello')) == sid, 'another member answered')
                    if 'pairwise' in self.modes:
                        check(one.do(lambda m: m.ping(peer, sid)) == sid, 'another member answered')

    def a_leave(self):
        leaver, version = self.actors.pop('d'), self.actors['a'].member.version
        leaver.do(Member.leave)
        arrived = self.actors['a'].do(lambda m: m.pump(REKEY_SECONDS, lambda: m.version > version))
        check(arrived, 'no rekey after a leave')
        self.settle()
        for actor in self.members():
            check(leaver.member.sid not in actor.member.creds, 'member %s still knows the leaver' % actor.label)
        check(leaver.member.version < self.actors['a'].member.version, 'the leaver got the new keys')
        leaver.member.timeout = 1.0
        try:
            sid = None if 'group' in self.modes else self.actors['a'].member.sid
            leaver.do(lambda m: m.ping(self.actors['a'].member.addr, sid))
        except (coap.Timeout, OscoreError):
            self.actors['left'] = leaver
            return
        raise CheckFailed('the leaver was answered')

    def new_ids(self):
        """A re-join and a Key Renewal: new Sender IDs, which the others look up when they meet them."""
        a, b = self.actors['a'], self.actors['b']
        before = a.member.sid, b.member.sid
        a.do(lambda m: m.join(again=True))
        renewed = self.attempt(b, Member.renew)
        self.settle()
        check(a.member.sid != before[0] and (not renewed or b.member.sid != before[1]), 'a Sender ID did not change')

    def refusals(self):
        base, a = '/ace-group/' + self.group, self.actors['a']
        self.attempt(a, Member.number)
        self.attempt(a, Member.repeat)
        self.attempt(a, Member.replay)
        self.attempt(a, Member.bad_proof)
        if 'group' in self.modes:
            self.attempt(a, Member.call, coap.GET, base + '/verif-data', '4.03', 8)
        self.attempt(self.actors['left'], Member.call, coap.GET, base + '/num', '4.03', 0)
        if self.reads:
            other = self.actors['b'].member.node
            future = b'\x1a\x7f\xff\xff\xff'
            self.attempt(a, Member.call, coap.GET, base + '/nodes/' + other, '4.03')
            self.attempt(a, Member.call, coap.POST, base, '4.00')
            self.attempt(a, Member.call, coap.PUT, base, '4.05')
            self.attempt(a, Member.call, coap.GET, base + '/nothing', '4.04')
            self.attempt(a, Member.call, coap.GET, '/ace-group/other', '4.03')
            self.attempt(a, Member.call, coap.FETCH, base + '/stale-sids', '4.00', None, future, ace.CF_CBOR)
            self.attempt(a, unprotected, base)

    def verification(self):
        """A verifier that is no member checks what a and b said to each other since the last rekey."""
        if 'group' not in self.modes:
            return
        a, b = self.actors['a'].member, self.actors['b'].member
        v = self.actor('v', 'poll', 16)
        if not self.attempt(v, Member.verif_data):
            return
        check(v.member.verifier.sign_enc_key == a.group.sign_enc_key, 'verif-data has another Signature Encryption Key')
        check(a.sid in v.member.creds and b.sid in v.member.creds, 'creds are missing')
        self.actors['a'].do(lambda m: m.ping(b.addr))
        ends = {'in': (b.addr, a.addr), 'out': (a.addr, b.addr)}
        last = [(*ends[way], data) for way, peer, data in a.endpoint.log if peer == b.addr][-2:]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'ping.pcap')
            pcap.write_pcap(path, last)
            v.do(lambda m: m.verify(path))

    def end(self):
        for actor in reversed(self.members()):
            actor.do(Member.leave)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--gm', type=host_port, default=('127.0.0.1', 5683))
    parser.add_argument('--as-key', required=True)
    parser.add_argument('--group', default='g1')
    parser.add_argument('--keys-out', help='append the contexts to this keys file')
    args = parser.parse_args(argv)
    scene = Scene(args.gm, ace.load_as_key(args.as_key), args.group, keys_out=args.keys_out)
    try:
        scene.run()
    except (CheckFailed, OscoreError, coap.Timeout, OSError, KeyError, TypeError, ValueError) as error:
        emit_json(ok=False, error=repr(error))
        return 1
    finally:
        scene.close()
    emit_json(ok=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
