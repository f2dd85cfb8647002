#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A group of thousands: long answers by blocks, compared byte for byte with what the members uploaded.

    many.py [--members 10000]      MEMBERS=N in the environment counts as well; GM_BUILD names the build

gmload joins the members and says which credential each of them uploaded; what creds has to answer is written here from
that. The order of members is the Group Manager's own choice: it is taken from the answer, everything else is not.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import cbor2

import ace
import coap
from daemon import BUILD, Checklist, Daemon
from member import CONTENT, CheckFailed, Member, check

GROUP, BASE = 'many', '/ace-group/many'
REQUEST_MAX = 8192
MEGABYTE = 1 << 20
READERS = 6


class Load:
    """gmload, which answers each line with a line."""

    def __init__(self, daemon, room):
        self.log = open(daemon.dir / 'gmload.log', 'w', encoding='utf-8')
        self.process = subprocess.Popen(
            [BUILD / 'gmload', '--server', '127.0.0.1:%d' % daemon.port, '--as', daemon.dir / 'as.json', '--max', str(room)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)

    def ask(self, *words):
        self.process.stdin.write(' '.join(str(w) for w in words) + '\n')
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        check(answer.get('ok'), 'gmload %s: %s' % (words[0], {k: answer[k] for k in answer if k != 'nodes'}))
        return answer

    def members(self):
        """Sender ID -> (credential, roles) of those who are in and have one."""
        nodes = self.ask('nodes', GROUP)['nodes']
        return {bytes.fromhex(n['sid']): (bytes.fromhex(n['cred']), n['roles']) for n in nodes
                if n['state'] == 'in' and n.get('cred')}

    def stop(self):
        self.process.stdin.close()
        code = self.process.wait(120)
        self.log.close()
        check(code == 0, 'a check of gmload failed')


class Transfer:
    """One long answer, a block at a time. A request of more than a block goes by blocks too."""

    def __init__(self, member, method=coap.GET, payload=b'', path=BASE + '/creds', content_format=None, szx=6):
        self.member, self.method, self.path, self.payload = member, method, path, payload
        self.format = ace.CF_GROUPCOMM if payload and content_format is None else content_format
        self.szx, self.body, self.blocks = szx, b'', 0
        self.first = None

    def _request(self):
        if len(self.payload) <= 1024:
            extra = [(coap.BLOCK2, bytes([self.szx]))] if self.szx != 6 else []
            return self.member._exchange(self.method, self.path, self.payload, self.format, extra)[0]
        for at in range(0, len(self.payload), 1024):
            more = at + 1024 < len(self.payload)
            block = [(coap.BLOCK1, coap.uint_bytes(at // 1024 << 4 | more << 3 | 6))]
            answer = self.member._exchange(self.method, self.path, self.payload[at:at + 1024], self.format, block)[0]
            check(not more or coap.dotted(answer.code) == '2.31', 'block %d answered %s' % (at // 1024, coap.dotted(answer.code)))
        return answer

    def step(self):
        """The next block; False when that was the last."""
        if self.first is None:
            part = self.first = self._request()
            check(part.code == CONTENT, 'answered ' + coap.dotted(part.code))
        else:
            option = coap.uint_bytes(self.blocks << 4 | self.szx)
            part, _, _ = self.member._exchange(self.method, self.path, b'', self.format, [(coap.BLOCK2, option)])
            check(part.code == CONTENT, 'block %d answered %s' % (self.blocks, coap.dotted(part.code)))
            check(part.get(coap.ETAG) == self.first.get(coap.ETAG), 'another ETag')
        value = part.get(coap.BLOCK2)
        self.body += part.payload
        if value is None:
            return False
        number, more, size = coap.unblock(value)
        check(number == self.blocks and size == 16 << self.szx, 'another block than was asked for')
        self.blocks += 1
        return bool(more)

    def finish(self):
        while self.step():
            pass
        size = self.first.uint(coap.SIZE2)
        check(self.blocks < 2 or size == len(self.body), 'Size2 is %s of %d bytes' % (size, len(self.body)))
        check(self.blocks < 2 or self.first.get(coap.ETAG), 'no ETag')
        return self.body


def encoding(version, members, order):
    """The map of creds, in the shortest form of each item."""
    rows = [members[sid] for sid in order]
    return cbor2.dumps({9: version, 13: [cred for cred, _ in rows], 14: [roles for _, roles in rows], 15: list(order)})


def compare(body, version, members):
    """Exactly these members, byte for byte."""
    order = cbor2.loads(body)[15]
    check(len(order) == len(members) and set(order) == set(members), '%d members of %d' % (len(order), len(members)))
    check(body == encoding(version, members, order), 'other bytes than the members uploaded')


def fits(roles, wanted):
    return any(roles & w == w for w in wanted)


def selected(members, flag, roles, ids):
    """RFC 9594 section 4.4.1: what a filter takes."""
    named = set(ids)
    if not roles:
        return {s: m for s, m in members.items() if (s in named) == flag}
    if not ids:
        return {s: m for s, m in members.items() if fits(m[1], roles)}
    if flag:
        return {s: m for s, m in members.items() if fits(m[1], roles) or s in named}
    return {s: m for s, m in members.items() if fits(m[1], roles) and s not in named}


class Scene:

    def __init__(self, count):
        self.list, self.count = Checklist(), count
        self.daemon = Daemon('changes_per_minute: 0')
        self.load, self.readers = Load(self.daemon, count + 64), []

    def reader(self, roles=2):
        m = Member(self.daemon.gm, GROUP, roles, 'poll', emit=lambda **_: None, timeout=60.0)
        m.mint(self.daemon.as_key)
        m.authz_info()
        m.join()
        self.readers.append(m)
        return m

    def members(self):
        """What everyone uploaded."""
        own = {m.sid: (m.keys.cred.raw, m.roles) for m in self.readers}
        return {**self.load.members(), **own}

    def version(self):
        """The group's, once nothing is on its way any more."""
        self.load.ask('await-rekey', GROUP, self.readers[0].number(), '--timeout', 120)
        return self.readers[0].number()

    def pinned(self):
        return sum(row['bodies_bytes'] for row in self.daemon.status('worker'))

    # The steps.

    def joins(self):
        self.daemon.ctl('group', 'create', GROUP, '--max-members=40000')
        self.load.ask('join', self.count, '--groups', GROUP, '--creds', 0, '--post', 50)
        for _ in range(READERS):
            self.reader()
        self.rss = self.daemon.rss()

    def join_response(self):
        """A joiner that asks for everyone gets what it needs in its Join Response, by blocks."""
        newcomer = self.reader()
        others = {s for s, (_, roles) in self.members().items() if roles & 4 and s != newcomer.sid}
        check(set(newcomer.creds) == others, '%d credentials of %d' % (len(newcomer.creds), len(others)))

    def get_all(self):
        version, members = self.version(), self.members()
        compare(Transfer(self.readers[0]).finish(), version, members)
        compare(Transfer(self.readers[1], szx=4).finish(), version, members)

    def filters(self):
        version, members = self.version(), self.members()
        sids = sorted(members)
        some = sids[::max(1, len(sids) // 1000)][:1000]
        cases = [(True, [], some), (False, [], some), (True, [2], []), (False, [4], []), (True, [6], some[:50]),
                 (False, [4, 2], some), (True, [4], some), (True, [], [b'\xff' * 5] + sids[:3]), (False, [6], sids[:1000])]
        for flag, roles, ids in cases:
            payload = cbor2.dumps({4: [flag, roles, ids]})
            check(len(payload) <= REQUEST_MAX, 'our own filter is too long')
            body = Transfer(self.readers[2], coap.FETCH, payload).finish()
            expected = selected(members, flag, roles, ids)
            if expected:
                compare(body, version, expected)
            else:
                check(body == b'\x40', 'something for a filter that takes nobody')

    def filter_too_long(self):
        for ids in ([bytes(2)] * 1001, [bytes(7)] * 1200):
            payload = cbor2.dumps({4: [True, [], ids]})
            try:
                Transfer(self.readers[2], coap.FETCH, payload).finish()
            except CheckFailed as error:
                check('4.13' in str(error), str(error))
            else:
                raise AssertionError('a filter of %d bytes was taken' % len(payload))

    def at_once(self):
        """Many fetch the same: kept once a worker."""
        version, members = self.version(), self.members()
        transfers = [Transfer(m, szx=6) for m in self.readers]
        going = list(transfers)
        for turn in range(100000):
            going = [t for t in going if t.step()]
            if turn == 2:
                size = transfers[0].first.uint(coap.SIZE2) or 0
                check(self.pinned() <= 2 * size + (16 << 10) * len(transfers), '%d bytes are kept of %d' % (self.pinned(), size))
            if not going:
                break
        for t in transfers:
            compare(t.finish() if not t.blocks else t.body, version, members)

    def changes_meanwhile(self):
        """A slow client sees one state to the end, whatever happens; the next transfer sees what happened."""
        version, members = self.version(), self.members()
        slow = [Transfer(m) for m in self.readers[:3]]
        for t in slow:
            t.step()
        self.load.ask('leave', 1, GROUP)
        newcomer = self.reader()
        self.load.ask('recred', 1, GROUP)
        end = time.monotonic() + 60
        while self.readers[0].number() == version and time.monotonic() < end:
            time.sleep(0.05)
        after_version = self.version()
        check(after_version > version, 'no rekey after a leave')
        fresh = Transfer(self.readers[4])
        fresh.step()
        for t in slow:
            compare(t.finish(), version, members)
        now = self.members()
        check(newcomer.sid in now and set(now) != set(members), 'nothing changed')
        compare(fresh.finish(), after_version, now)
        check(fresh.first.get(coap.ETAG) != slow[0].first.get(coap.ETAG), 'the ETag of other bytes')

    def different_states(self):
        """Each slow client holds another state: what is kept grows with the clients, and no further."""
        held, largest = [], 0
        for m in self.readers[:READERS]:
            self.load.ask('recred', 1, GROUP)
            t = Transfer(m)
            version, members = self.version(), self.members()
            for _ in range(2):
                t.step()
            held.append((t, version, members))
            largest = max(largest, t.first.uint(coap.SIZE2) or 0)
        kept, grown = self.pinned(), self.daemon.rss() - self.rss
        print('      %d clients hold %d bytes of at most %d each; memory grew by %d' % (len(held), kept, largest, grown))
        bound = len(self.readers) * largest # one each, also what was fetched to the end until it is idle for a minute
        check(kept <= bound, '%d bytes are kept, %d at most' % (kept, bound))
        check(grown <= 3 * bound + 48 * MEGABYTE, 'memory grew by %d' % grown)
        for t, version, members in held:
            compare(t.finish(), version, members)

    def given_back(self):
        for m in self.readers:
            m.authz_info() # a new association takes the place of the old one, and of what that was fetching
            m.number()
        check(self.pinned() == 0, '%d bytes are still kept' % self.pinned())

    def run(self):
        l = self.list
        print('A group of %d members' % self.count)
        if not l.check('they join, and some that Python plays', self.joins):
            return
        l.check('a Join Response with all responders comes by blocks', self.join_response)
        l.check('creds by blocks of 1,024 and of 256 bytes is what the members uploaded, byte for byte', self.get_all)
        l.check('so is what filters of up to 1,000 Sender IDs take, which come by blocks themselves', self.filters)
        l.check('more of them, or more than 8 KiB, are answered 4.13', self.filter_too_long)
        l.check('many that fetch at once share what is kept for them', self.at_once)
        l.check('a Join, a leave and a new credential meanwhile change no byte; the next transfer shows them', self.changes_meanwhile)
        l.check('memory kept for slow clients is bounded by what each of them fetches', self.different_states)
        l.check('nothing is kept for associations that are gone', self.given_back)

    def close(self):
        for m in self.readers:
            m.endpoint.close()
        self.list.check('no check of gmload failed', self.load.stop)
        self.list.check('gmd stops in order', self.daemon.stop)
        return self.list.tally()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--members', type=int, default=int(os.environ.get('MEMBERS', 10000)))
    scene = Scene(parser.parse_args(argv).members)
    try:
        scene.run()
    finally:
        code = scene.close()
    return code


if __name__ == '__main__':
    sys.exit(main())
