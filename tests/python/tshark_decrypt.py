#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Lets tshark decrypt plain OSCORE in a capture with the contexts of a keys file (that of nonce_check.py).

    tshark_decrypt.py CAPTURE KEYS [--limit 200] [--port 5683] [--allow-tag-failures 0]

Prints one JSON object with the counts; exit 1 when nothing decrypts or a tag is wrong. Only AES-CCM-16-64-128 is tried.
tshark 4.0 needs a CoAP token to match a response with its request, and finds a request's context by its kid alone: so
contexts that share a kid are left out, and requests that the Group Manager sends decrypt when no other context has the
same id1. It takes the answer to the end of an observation, which has the registration's token, for one to the
registration: such answers are counted apart.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter

import coap

FIELDS = ('frame.number', 'oscore.code', 'oscore.opt.uri_path', 'oscore.tag', 'ip.src', 'udp.srcport', 'ip.dst',
          'udp.dstport', 'coap.code', 'coap.token', 'coap.opt.observe', '_ws.expert.message')
TAG_FAILURE = 'Authentication tag check failed'


def uat(sender, line):
    """One row of the table oscore_contexts, seen from the endpoint with this Sender ID."""
    recipient = line['id1'] if sender == line['kid'] else line['kid']
    values = (sender, recipient, line['ms'], line['salt'], line.get('id_context') or '', 'AES-CCM-16-64-128 (CCM*)')
    return 'uat:oscore_contexts:' + ','.join('"%s"' % value for value in values)


def rows(lines, limit):
    """A row per context for the client's requests, and one for the GM's where id1 is nobody else's ID."""
    kids = Counter(line['kid'] for line in lines)
    ids = Counter(line['id1'] for line in lines) + kids
    out = []
    for line in lines:
        if kids[line['kid']] > 1 or line.get('alg', 10) != 10 or len(out) >= 2 * limit:
            continue
        out.append(uat(line['kid'], line))
        if ids[line['id1']] == 1:
            out.append(uat(line['id1'], line))
    return out


def decrypt(capture, lines, ports=(), limit=200):
    """Counts of frames, of those that decrypt, of inner codes and paths, and of what tshark complains about."""
    command = ['tshark', '-n', '-r', capture, '-Y', 'oscore', '-T', 'fields', '-E', 'separator=/t']
    for field in FIELDS:
        command += ['-e', field]
    for port in ports:
        command += ['-d', 'udp.port==%d,coap' % port]
    for row in rows(lines, limit):
        command += ['-o', row]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError('tshark: ' + done.stderr.strip())
    ended = {}  # (client, token) -> its latest request ended an observation
    result = {'frames': 0, 'decrypted': 0, 'tag_failures': 0, 'ends_of_observations': 0, 'codes': Counter(), 'paths': Counter(),
              'messages': Counter()}
    for text in done.stdout.splitlines():
        _, code, path, tag, source, source_port, target, target_port, outer, token, observe, expert = text.split('\t')
        result['frames'] += 1
        if int(outer) < 32:
            ended[source, source_port, token] = observe == '1'
        if TAG_FAILURE in expert:
            at_end = int(outer) >= 32 and ended.get((target, target_port, token), False)
            result['ends_of_observations' if at_end else 'tag_failures'] += 1
        if code and tag and TAG_FAILURE not in expert:
            result['decrypted'] += 1
            result['codes'][coap.dotted(int(code))] += 1
            if path:
                result['paths']['/' + path.replace(',', '/')] += 1
        elif expert:
            result['messages'][expert] += 1
    return result


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('capture')
    parser.add_argument('keys')
    parser.add_argument('--limit', type=int, default=200, help='contexts given to tshark')
    parser.add_argument('--port', type=int, action='append', default=[], help='a UDP port that carries CoAP')
    parser.add_argument('--allow-tag-failures', type=int, default=0)
    args = parser.parse_args(argv)
    with open(args.keys, encoding='utf-8') as file:
        lines = [json.loads(line) for line in file if line.strip()]
    result = decrypt(args.capture, lines, args.port, args.limit)
    good = result['decrypted'] > 0 and result['tag_failures'] <= args.allow_tag_failures
    print(json.dumps({**result, 'ok': good}))
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
