# SPDX-License-Identifier: Apache-2.0
"""CoAP (RFC 7252, 7641, 7959, 9175) codec and a small single-threaded UDP endpoint for the tests."""

import os
import random
import select
import socket
import time
from dataclasses import dataclass, field

CON, NON, ACK, RST = range(4)
EMPTY, GET, POST, PUT, DELETE, FETCH, PATCH, IPATCH = range(8)

URI_HOST, OBSERVE, URI_PORT, LOCATION_PATH, OSCORE, URI_PATH = 3, 6, 7, 8, 9, 11
CONTENT_FORMAT, MAX_AGE, BLOCK2, BLOCK1, ECHO = 12, 14, 23, 27, 252
IF_MATCH, ETAG, URI_QUERY, ACCEPT, SIZE2, SIZE1 = 1, 4, 15, 17, 28, 60

ACK_TIMEOUT = 2.0
MAX_RETRANSMIT = 4
EXCHANGE_LIFETIME = 247.0


def code(text):
    """'2.05' -> 0x45."""
    major, minor = text.split('.')
    return int(major) << 5 | int(minor)


def dotted(value):
    """0x45 -> '2.05'."""
    return '%d.%02d' % (value >> 5, value & 31)


def uint_bytes(value):
    """The shortest big-endian form of an option value; zero is empty (RFC 7252 section 3.2)."""
    return value.to_bytes((value.bit_length() + 7) // 8, 'big')


def _nibble(value):
    """Option delta or length as (nibble, extension bytes)."""
    if value < 13:
        return value, b''
    if value < 269:
        return 13, bytes([value - 13])
    return 14, (value - 269).to_bytes(2, 'big')


def encode_options(options, payload=b''):
    """Options sorted by number, then the payload marker and the payload when there is one."""
    out, last = bytearray(), 0
    for number, value in sorted(options, key=lambda o: o[0]):
        delta, delta_ext = _nibble(number - last)
        length, length_ext = _nibble(len(value))
        out += bytes([delta << 4 | length]) + delta_ext + length_ext + value
        last = number
    if payload:
        out += b'\xff' + payload
    return bytes(out)


def decode_options(data):
    """The inverse of encode_options; ValueError on anything malformed."""
    options, number, pos = [], 0, 0

    def extended(nibble):
        nonlocal pos
        size = {13: 1, 14: 2}.get(nibble, 0)
        if nibble == 15 or pos + size > len(data):
            raise ValueError('bad option header')
        value = int.from_bytes(data[pos:pos + size], 'big') + {13: 13, 14: 269}.get(nibble, nibble)
        pos += size
        return value

    while pos < len(data):
        head = data[pos]
        pos += 1
        if head == 0xff:
            if pos == len(data):
                raise ValueError('payload marker without payload')
            return options, data[pos:]
        number += extended(head >> 4)
        length = extended(head & 15)
        if pos + length > len(data):
            raise ValueError('option runs past the end')
        options.append((number, data[pos:pos + length]))
        pos += length
    return options, b''


@dataclass
class Message:
    """One CoAP message; options are (number, bytes) pairs."""
    code: int = EMPTY
    options: list = field(default_factory=list)
    payload: bytes = b''
    type: int = CON
    mid: int = 0
    token: bytes = b''

    def encode(self):
        head = bytes([1 << 6 | self.type << 4 | len(self.token), self.code]) + self.mid.to_bytes(2, 'big')
        return head + self.token + encode_options(self.options, self.payload)

    @classmethod
    def decode(cls, data):
        if len(data) < 4 or data[0] >> 6 != 1:
            raise ValueError('not CoAP')
        length = data[0] & 15
        if length > 8 or len(data) < 4 + length:
            raise ValueError('bad token length')
        options, payload = decode_options(data[4 + length:])
        if data[1] == EMPTY and len(data) > 4:
            raise ValueError('empty message with content')
        return cls(data[1], options, payload, data[0] >> 4 & 3, int.from_bytes(data[2:4], 'big'), data[4:4 + length])

    def get(self, number):
        """First value of an option, or None."""
        return next((v for n, v in self.options if n == number), None)

    def all(self, number):
        return [v for n, v in self.options if n == number]

    def uint(self, number):
        value = self.get(number)
        return None if value is None else int.from_bytes(value, 'big')

    def path(self):
        return '/' + '/'.join(v.decode() for v in self.all(URI_PATH))

    def is_request(self):
        return 0 < self.code < 32

    def is_response(self):
        return self.code >= 64


def path_options(path, number=URI_PATH):
    return [(number, part.encode()) for part in path.strip('/').split('/')]


def block(number, more, szx):
    return uint_bytes(number << 4 | more << 3 | szx)


def unblock(value):
    """Block option value -> (number, more, block size)."""
    raw = int.from_bytes(value, 'big')
    return raw >> 4, bool(raw & 8), 1 << (raw & 7) + 4


class Timeout(Exception):
    """No answer within the retransmission budget."""


class Endpoint:
    """A UDP socket that is client and server at once.

    Everything happens inside pump(): retransmission of our confirmable messages, duplicate detection by (peer, Message
    ID), and the calls of `on_request(message, peer)`, which returns the answer's Message or None, and of the callbacks
    in `observers`, keyed by (peer, token).
    """

    def __init__(self, host='127.0.0.1', port=0):
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.bind((host, port))
        self.addr = self.sock.getsockname()[:2]
        self.mid = random.randrange(65536)
        self.on_request = None
        self.observers = {}
        self.log = []
        self._pending = {}
        self._answers = {}
        self._ending = set()
        self._seen = {}

    def close(self):
        self.sock.close()

    def next_mid(self):
        self.mid = (self.mid + 1) & 0xffff
        return self.mid

    def _send(self, data, peer):
        self.log.append(('out', peer, data))
        self.sock.sendto(data, peer)

    def send(self, message, peer):
        """Send a request or a separate response; a confirmable one is retransmitted until it is acknowledged."""
        message.mid = self.next_mid()
        data = message.encode()
        if message.type == CON:
            wait = ACK_TIMEOUT * random.uniform(1, 1.5)
            self._pending[peer, message.mid] = [data, time.monotonic() + wait, wait, 0, message.token]
        self._send(data, peer)

    def request(self, message, peer, timeout=100.0):
        """Send a request and return its response, piggybacked or separate. Timeout when there is none, or a RST."""
        message.token = message.token or os.urandom(4)
        key = peer, message.token
        self._answers[key] = None
        if message.uint(OBSERVE) == 1:
            self._ending.add(key)
        self.send(message, peer)
        try:
            if not self.pump(timeout, lambda: self._answers[key] is not None):
                raise Timeout('no response from %s:%d' % peer)
            if isinstance(self._answers[key], str):
                raise Timeout(self._answers[key])
            return self._answers[key]
        finally:
            del self._answers[key]
            self._ending.discard(key)
            self._pending = {k: v for k, v in self._pending.items() if (k[0], v[4]) != key}

    def pump(self, timeout, until=None):
        """Serve the socket until `until()` is true (returns True) or the time is over (False)."""
        end = time.monotonic() + timeout
        while not (until and until()):
            now = time.monotonic()
            if now >= end:
                return False
            self._retransmit(now)
            wake = min([end] + [p[1] for p in self._pending.values()])
            if select.select([self.sock], [], [], max(0.0, wake - now))[0]:
                data, peer = self.sock.recvfrom(65536)
                self._receive(data, peer[:2])
        return True

    def _retransmit(self, now):
        for key, entry in list(self._pending.items()):
            data, due, wait, tries, token = entry
            if now < due:
                continue
            if tries == MAX_RETRANSMIT:
                del self._pending[key]
                self._fail((key[0], token), 'no acknowledgement')
                continue
            entry[1:4] = [now + 2 * wait, 2 * wait, tries + 1]
            self._send(data, key[0])

    def _fail(self, key, why):
        if key in self._answers:
            self._answers[key] = why

    def _receive(self, data, peer):
        self.log.append(('in', peer, data))
        try:
            message = Message.decode(data)
        except ValueError:
            return
        if message.type in (ACK, RST):
            entry = self._pending.pop((peer, message.mid), None)
            if entry and message.type == RST:
                self._fail((peer, entry[4]), 'reset by peer')
        elif message.code == EMPTY:
            self._send(Message(type=RST, mid=message.mid).encode(), peer)
            return
        if message.is_response():
            self._response(message, peer)
        elif message.is_request() and message.type in (CON, NON):
            self._request(message, peer)

    def _response(self, message, peer):
        key = peer, message.token
        known = key in self._answers or key in self.observers
        if message.type == CON:
            self._send(Message(type=ACK if known else RST, mid=message.mid).encode(), peer)
        if self._duplicate(message, peer):
            return
        crossing = key in self._ending and message.get(OBSERVE) is not None  # a notification: the end has the same token
        if key in self._answers and self._answers[key] is None and not crossing:
            self._answers[key] = message
        elif key in self.observers:
            self.observers[key](message)

    def _duplicate(self, message, peer):
        """True for a (peer, Message ID) seen within EXCHANGE_LIFETIME; remembers it otherwise."""
        now, key = time.monotonic(), (peer, message.mid, message.is_request())
        if message.type == ACK:
            return False
        if key in self._seen and now - self._seen[key][0] < EXCHANGE_LIFETIME:
            return True
        self._seen[key] = (now, None)
        return False

    def _request(self, message, peer):
        key = peer, message.mid, True
        if self._duplicate(message, peer):
            if self._seen[key][1]:
                self._send(self._seen[key][1], peer)
            return
        answer = self.on_request(message, peer) if self.on_request else None
        if answer is None:
            return
        answer.token = message.token
        if message.type == CON:
            answer.type, answer.mid = ACK, message.mid
        else:
            answer.type, answer.mid = NON, self.next_mid()
        data = answer.encode()
        self._seen[key] = (time.monotonic(), data)
        self._send(data, peer)
