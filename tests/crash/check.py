#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what members were told with what the Group Manager knows.

    check.py members GMCTL_LIST GMLOAD_NODES     who is in is the same on both sides, with the same Sender IDs
    check.py sids ACKS                           no Sender ID was given twice under one Gid

Prints what is wrong, one line each; exit 1 then.
"""

import json
import sys
from collections import Counter

SHOWN = 20


def lines(path):
    with open(path, encoding='utf-8') as file:
        return [json.loads(line) for line in file if line.strip()]


def wrong_members(list_path, nodes_path):
    rows = lines(list_path)
    held = {(n['group'], n['node']): n for n in lines(nodes_path)[0]['nodes'] if n['state'] == 'in'}
    listed = {(row['group'], row['node']): row for row in rows}
    for key, node in held.items():
        if key not in listed:
            yield '%s/%s: an acknowledged Join is missing' % key
        elif listed[key]['sid'] != node['sid']:
            yield '%s/%s: Sender ID %s, the member has %s' % (*key, listed[key]['sid'], node['sid'])
    for key in listed.keys() - held.keys():
        yield '%s/%s: listed, but nobody holds such a membership' % key
    for (group, sid), times in Counter((row['group'], row['sid']) for row in rows if row['sid']).items():
        if times > 1:
            yield '%s: %d members have Sender ID %s' % (group, times, sid)
    if not held:
        yield 'nobody is in'


def wrong_sids(acks_path):
    acks = [ack for ack in lines(acks_path) if ack['what'] == 'join' and ack['code'] >> 5 == 2 and ack['sid']]  # monitors have no Sender ID
    given = {}
    for ack in acks:
        first = given.setdefault((ack['group'], ack['gid'], ack['sid']), ack)
        if first is not ack:
            yield '%s: Sender ID %s under Gid %s given to %s at %s and to %s at %s' % (
                ack['group'], ack['sid'], ack['gid'], first['node'], first['time'], ack['node'], ack['time'])
    print('%d acknowledged Joins with a Sender ID, %d of them again' % (len(acks), sum(ack['rejoin'] for ack in acks)))


def main(argv):
    work = {'members': wrong_members, 'sids': wrong_sids}.get(argv[1] if len(argv) > 1 else '')
    if not work or len(argv) < 3:
        print(__doc__)
        return 2
    found = list(work(*argv[2:]))
    for line in found[:SHOWN]:
        print(line)
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
