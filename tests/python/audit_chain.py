#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An exported audit log by other means than gmctl's: SHA-256 by hashlib, JSON by json, and a search for what must not be in it.

    audit_chain.py verify FILE             each hash is that of the hash before and the text; prints how many
    audit_chain.py lacks FILE STRING...    none of these is in it, as it is or in hexadecimal or base64
    audit_chain.py events FILE             the events in it, each once, and how often
"""

import base64
import collections
import hashlib
import json
import re
import sys

TAIL = re.compile(r',"hash":"([0-9a-f]{64})"}\n$')


def verify(lines):
    head = json.loads(lines[0])
    prev, seq = bytes.fromhex(head['before_hash']), head['before_seq']
    for line in lines[1:]:
        text = TAIL.sub('}', line)
        seq += 1
        entry = json.loads(text)
        assert entry['seq'] == seq, 'entry %d says %d' % (seq, entry['seq'])
        assert entry['at'] > 0 and entry['event'] and entry['by'], text
        prev = hashlib.sha256(prev + text.encode()).digest()
        assert prev.hex() == TAIL.search(line).group(1), 'entry %d' % seq
    assert (seq, prev.hex()) == (head['head_seq'], head['head_hash']), 'the head'
    print(len(lines) - 1, 'entries')


def lacks(lines, strings):
    text = ''.join(lines).lower()
    for string in strings:
        raw = bytes.fromhex(string)
        for form in (string.lower(), base64.b64encode(raw).decode().rstrip('=').lower(), base64.urlsafe_b64encode(raw).decode().rstrip('=').lower()):
            assert len(form) >= 8 and form not in text, 'a secret is in it'


def events(lines):
    for event, n in sorted(collections.Counter(json.loads(line)['event'] for line in lines[1:]).items()):
        print(event, n)


def main():
    with open(sys.argv[2], encoding='utf-8') as file:
        lines = file.readlines()
    if sys.argv[1] == 'verify':
        verify(lines)
    elif sys.argv[1] == 'events':
        events(lines)
    else:
        lacks(lines, sys.argv[3:])


if __name__ == '__main__':
    main()
