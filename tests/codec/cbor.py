#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Our CBOR decoder beside cbor2: the same items are taken and refused, with the same length and the same values; what is written is what cbor2
writes. Where they differ, a row of the table says why.

    cbor.py [--items 100000] [--seed 1] [--build build/fast]     a line a row, the last line counts; 77: cbor2 is missing
"""

import argparse
import io
import pathlib
import re
import resource
import struct
import subprocess
import sys

try:
    import cbor2
    import cbor2.decoder
    import cbor2.encoder
except ImportError:
    print('cbor2 is missing')
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPTH_MAX = 16
OURS, THEIRS, BOTH = 'we refuse', 'cbor2 refuses', 'both take it'

# name: who refuses, why. These are the only differences there may be.
ROWS = {
    'indefinite length': (OURS, 'no message of ACE or OSCORE needs one'),
    'depth': (OURS, f'deeper than {DEPTH_MAX}'),
    'two-byte simple': (OURS, 'a simple value below 32 in two bytes is not well-formed (RFC 8949 section 3.3)'),
    'break': (OURS, 'a break where there is nothing to end; cbor2 makes a value of it'),
    'negative': (OURS, 'below the least of int64_t: skipped, not read'),
    'no UTF-8': (THEIRS, 'we skip such a text, and refuse to read it'),
    'not shortest': (BOTH, 'longer heads are read; we write shortest ones'),
    'duplicate keys': (BOTH, 'and what Python takes for the same key, as true and 1: cbor2 keeps the last value; wire/fields.c refuses maps with such'),
}


MEANING = re.compile(rb'[\xc0-\xc5\xd8-\xdb]')  # perhaps a tag that means something to cbor2


class Plain(cbor2.decoder.CBORDecoder):
    """The decoder in Python, for which tags have no meaning."""


cbor2.decoder.semantic_decoders.clear()


def decoded(decoder, item):
    """Whether it is taken, the value, the bytes it has."""
    stream = io.BytesIO(item)
    try:
        value = decoder(stream).decode()
    except Exception as fault:  # pylint: disable=broad-except
        return False, fault, 0
    return True, value, stream.tell()


class Walk:
    """What of the table stands in an item, by its heads. Ends where nothing more can be read."""

    def __init__(self, item):
        self.item, self.rows, self.tags, self.floats, self.at = item, set(), False, False, 0
        try:
            self.walk(0)
        except (IndexError, struct.error):
            pass

    def head(self):
        first = self.item[self.at]
        self.at += 1
        info = first & 31
        if info < 24:
            return first >> 5, info, info
        if info > 27:
            return first >> 5, info, None
        size = 1 << (info - 24)
        part = self.item[self.at:self.at + size]
        if len(part) < size:
            raise IndexError
        self.at += size
        value = int.from_bytes(part, 'big')
        if first >> 5 != 7 and value < (24, 1 << 8, 1 << 16, 1 << 32)[info - 24]:
            self.rows.add('not shortest')
        return first >> 5, info, value

    def walk(self, depth):
        kind, info, value = self.head()
        if value is None:
            if info == 31:
                self.rows.add('break' if kind == 7 else 'indefinite length')
            raise IndexError
        if kind == 1 and value > (1 << 63) - 1:
            self.rows.add('negative')
        if kind in (2, 3):
            self.text(kind, value)
        elif kind == 7:
            self.floats |= 25 <= info <= 27
            if info == 24 and value < 32:
                self.rows.add('two-byte simple')
        elif kind in (4, 5, 6):
            self.tags |= kind == 6
            self.inside(kind, 1 if kind == 6 else value, depth)

    def text(self, kind, size):
        part = self.item[self.at:self.at + size]
        if len(part) < size:
            raise IndexError
        self.at += size
        if kind == 3:
            try:
                part.decode()
            except UnicodeDecodeError:
                self.rows.add('no UTF-8')

    def inside(self, kind, n, depth):
        if n and depth == DEPTH_MAX:
            self.rows.add('depth')
        begin = self.at
        for _ in range(min(n, len(self.item)) * (2 if kind == 5 else 1)):
            self.walk(depth + 1)
        if kind == 5:
            ok, pairs, _ = decoded(Plain, bytes([0xbf]) + self.item[begin:self.at] + bytes([0xff]))
            if ok and len(pairs) < n:
                self.rows.add('duplicate keys')


class Check:
    def __init__(self):
        self.taken = self.refused = self.failed = 0
        self.seen = dict.fromkeys(ROWS, 0)

    def fail(self, item, what):
        self.failed += 1
        if self.failed <= 20:
            print(f'✗ {item.hex()}: {what}')

    def excused(self, item, who, walk=None):
        """By a row for that side."""
        rows = [r for r in (walk or Walk(item)).rows if ROWS[r][0] == who]
        for row in rows:
            self.seen[row] += 1
        return bool(rows)

    def one(self, item, skip_err, read_err, size, written):
        theirs, value, their_size = decoded(cbor2.CBORDecoder, item)
        walk = None
        if MEANING.search(item):
            walk = Walk(item)
            if walk.tags:
                theirs, value, their_size = decoded(Plain, item)
        if skip_err:
            self.refused += 1
            if theirs and not self.excused(item, OURS, walk):
                self.fail(item, f'we refuse it with error {skip_err}, cbor2 takes {value!r}')
            return
        self.taken += 1
        if not theirs:
            if not self.excused(item, THEIRS, walk) or not read_err:
                self.fail(item, f'we {"take" if read_err else "read"} it, cbor2 says {value!r}')
        elif their_size != size:
            self.fail(item, f'it has {size} bytes for us, {their_size} for cbor2')
        elif read_err:
            if not self.excused(item, OURS, walk):
                self.fail(item, f'we cannot read it, error {read_err}; cbor2 reads {value!r}')
        else:
            self.same(item[:size], value, written, walk)

    def same(self, item, value, written, walk):
        """What we wrote means the same to cbor2, and is what it writes itself, but for floats, which we copy."""
        decoder, dumps = (Plain, cbor2.encoder.dumps) if walk and walk.tags else (cbor2.CBORDecoder, cbor2.dumps)
        again = dumps(value)
        if again == written:
            self.seen['not shortest'] += written != item
            return
        walk = Walk(item)
        ok, ours, size = decoded(decoder, written)
        if not ok or size != len(written) or dumps(ours) != again:
            self.fail(item, f'we wrote {written.hex()}, cbor2 {again.hex()}')
        elif not walk.floats and 'duplicate keys' not in walk.rows:
            self.fail(item, f'we wrote {written.hex()}, cbor2 {again.hex()}, of the same value')
        self.excused(item, BOTH, walk)


def records(data):
    at = 0
    while at < len(data):
        n, skip_err, read_err, size, written_n = struct.unpack_from('>HBBHH', data, at)
        at += 8
        yield data[at:at + n], skip_err, read_err, size, data[at + n:at + n + written_n]
        at += n + written_n


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--items', type=int, default=100000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--build', default='build/fast')
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, hard))  # an array that promises gigabytes is refused for lack of memory
    corpus = sorted(str(p) for p in (ROOT / 'tests/fuzz/corpus').glob('*/*') if p.is_file())
    check = Check()
    step = 100000
    for first in range(0, args.items, step):
        command = [f'{args.build}/codec_items', str(args.seed + first // step), str(min(step, args.items - first)), *corpus]
        made = subprocess.run(command, check=False, stdout=subprocess.PIPE,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (hard, hard)))
        if made.returncode:
            print(f'✗ codec_items ends with {made.returncode}')
            return 1
        for record in records(made.stdout):
            check.one(*record)
    for row, (who, why) in ROWS.items():
        print(f'{check.seen[row]:9} {row}: {who}: {why}')
        if not check.seen[row] and args.items >= 50000:
            check.failed += 1
            print(f'✗ {row}: no item shows it')
    print(f'{check.taken} items taken by us, {check.refused} refused, seeds from {args.seed}, cbor2 {getattr(cbor2, "__version__", "of Debian")}')
    print(f'{check.taken + check.refused - check.failed} passed, {check.failed} failed, 0 skipped')
    return check.failed != 0


if __name__ == '__main__':
    sys.exit(main())
