#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Lets tshark decrypt plain OSCORE in a capture with the contexts of a keys file (that of nonce_check.py).

    tshark_decrypt.py CAPTURE KEYS [--limit 200] [--port 5683] [--allow-tag-failures 0]

Prints one JSON object with the counts; exit 1 when nothing decrypts or a tag is wrong. Only AES-CCM-16-64-128 is tried.
tshark 4.0 needs a CoAP token to match a response with its request, and finds a request's context by its kid alone: so
requests that the Group Manager sends decrypt when no other chosen context has the same id1.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter

import coap

FIELDS = ('frame.number', 'oscore.code', 'oscore.opt.uri_path', 'oscore.tag', '_ws.expert.message')
TAG_FAILURE = 'Authentication tag check failed'


def uat(sender, line):
    """One row of the table oscore_contexts, seen from the endpoint with this Sender ID."""
    recipient = line['id1'] if sender == line['kid'] else line['kid']
    values = (sender, recipient, line['ms'], line['salt'], line.get('id_context') or '', 'AES-CCM-16-64-128 (CCM*)')
    return 'uat:oscore_contexts:' + ','.join('"%s"' % value for value in values)


def rows(lines):
    """A row per context for the client's requests, and one for the GM's where id1 is nobody else's ID."""
    ids = Counter(line['id1'] for line in lines) + Counter(line['kid'] for line in lines)
    out = []
    for line in lines:
        out.append(uat(line['kid'], line))
        if ids[line['id1']] == 1:
            out.append(uat(line['id1'], line))
    return out


def decrypt(capture, lines, ports=()):
    """Counts of frames, of those that decrypt, of inner codes and paths, and of what tshark complains about."""
    command = ['tshark', '-n', '-r', capture, '-Y', 'oscore', '-T', 'fields', '-E', 'separator=/t']
    for field in FIELDS:
        command += ['-e', field]
    for port in ports:
        command += ['-d', 'udp.port==%d,coap' % port]
    for row in rows(lines):
        command += ['-o', row]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError('tshark: ' + done.stderr.strip())
    result = {'frames': 0, 'decrypted': 0, 'tag_failures': 0, 'codes': Counter(), 'paths': Counter(),
              'messages': Counter()}
    for text in done.stdout.splitlines():
        _, code, path, tag, expert = text.split('\t')
        result['frames'] += 1
        result['tag_failures'] += TAG_FAILURE in expert
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
    chosen = [line for line in lines if line.get('alg', 10) == 10][:args.limit]
    result = decrypt(args.capture, chosen, args.port)
    good = result['decrypted'] > 0 and result['tag_failures'] <= args.allow_tag_failures
    print(json.dumps({**result, 'contexts': len(chosen), 'ok': good}))
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
