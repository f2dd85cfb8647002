#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pings a CoAP server every millisecond, and says how long it did not answer.

    ping.py IP PORT STOP [EVENTS]     until the file STOP exists; a line of JSON at the end

An empty confirmable message is answered with a Reset by whoever serves the socket. Each ping has a number, its Message ID; one
that is not answered is lost. A gap is the longest time that any answer took between the two times of a line
of EVENTS (epoch seconds), and without EVENTS in all."""

import json
import os
import select
import socket
import struct
import sys
import time


def main(ip, port, stop, events=None):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.connect((ip, int(port)))
    sock.setblocking(False)
    sent, took, number, answered = {}, [], 0, 0
    following = time.time()
    ending = None
    while ending is None or time.time() < ending:
        now = time.time()
        if ending is None and os.path.exists(stop):
            ending = now + 1.0
        if ending is None and now >= following:
            sock.send(struct.pack('!BBH', 0x40, 0, number & 0xffff))
            sent[number & 0xffff] = now
            number += 1
            following = max(following + 0.001, now - 0.01)
        select.select([sock], [], [], 0.001)
        while True:
            try:
                answer = sock.recv(64)
            except (BlockingIOError, ConnectionRefusedError):
                break
            kind, code, mid = struct.unpack('!BBH', answer[:4])
            if kind == 0x70 and code == 0 and mid in sent:
                begun = sent.pop(mid)
                took.append((begun, time.time() - begun))
                answered += 1
    times = [line.split() for line in open(events, encoding='utf-8')] if events else []
    gaps = [max((t for begun, t in took if float(first) - 0.05 <= begun < float(last)), default=0.0) for first, last in times]
    gaps = sorted(1000 * gap for gap in gaps) or [1000 * max(t for _, t in took)]
    print(json.dumps({'pings': number, 'answered': answered, 'lost': number - answered, 'gaps': len(gaps),
                      'gap_ms_median': round(gaps[len(gaps) // 2], 1), 'gap_ms_max': round(gaps[-1], 1)}))


main(*sys.argv[1:])
