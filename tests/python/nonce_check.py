#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Looks for a nonce that protected two different messages, in a capture of all traffic between members and the GM.

    nonce_check.py CAPTURE KEYS [--min-share 0.99] [--server IP:PORT]      nonce_check.py --selftest

KEYS has one JSON object a line and OSCORE context: kid (the client's Sender ID), id1 (the GM's Sender ID), id_context,
ms, salt (the whole Master Salt), alg, hkdf, addr ("ip:port" of the client); byte strings in hex. Every message that
opens under a context is entered as (key, nonce) -> (AAD, ciphertext). A second, different entry is a reuse: exit 1.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections import defaultdict, deque

import coap
import oscore
import pcap

CANDIDATES = 16
REPORTED = 100


class Keys:
    """One line of the keys file; the context (as the client sees it) is derived when it is first needed."""

    def __init__(self, line):
        self.member, self.line = line.get('member'), line
        self.kid, self.id1 = bytes.fromhex(line['kid']), bytes.fromhex(line['id1'])
        self.id_context = bytes.fromhex(line['id_context']) if line.get('id_context') else None
        self.addr = pcap.parse_address(line['addr']) if line.get('addr') else None
        self._context = None

    @property
    def context(self):
        if self._context is None:
            line = self.line
            self._context = oscore.Context(bytes.fromhex(line['ms']), bytes.fromhex(line['salt']), self.kid, self.id1,
                                           self.id_context, line.get('alg', 10), line.get('hkdf', 5))
        return self._context

    def side(self, client):
        """(Sender ID, key) of one of the two ends."""
        context = self.context
        return (self.kid, context.sender_key) if client else (self.id1, context.recipient_key)


def load_keys(path):
    with open(path, encoding='utf-8') as file:
        return [Keys(json.loads(line)) for line in file if line.strip()]


class Checker:
    """Takes datagrams in the order of the capture."""

    def __init__(self, keys):
        self.by_kid, self.by_addr, self.by_id1 = defaultdict(list), defaultdict(list), defaultdict(list)
        for entry in keys:
            self.by_kid[entry.kid].append(entry)
            self.by_addr[entry.addr, entry.id1].append(entry)
            self.by_id1[entry.id1].append(entry)
        self.exchanges = defaultdict(lambda: deque(maxlen=CANDIDATES))
        self.nonces, self.used = {}, set()
        self.counts = dict.fromkeys(('datagrams', 'messages', 'decrypted', 'undecryptable', 'group', 'plain',
                                     'repeated'), 0)
        self.failures = defaultdict(int)
        self.reuse, self.reuses = [], 0

    def add(self, source, target, data):
        self.counts['datagrams'] += 1
        try:
            message = coap.Message.decode(data)
            option = oscore.decode_option(message.get(coap.OSCORE))
        except (ValueError, oscore.OscoreError):
            return
        if message.get(coap.OSCORE) is None:
            self.counts['plain'] += message.code != coap.EMPTY
            return
        work = self._request if message.is_request() else self._response
        verdict = work(message, option, source, target)
        if verdict == 'group':
            self.counts['group'] += 1
            return
        self.counts['messages'] += 1
        self.counts['decrypted' if verdict is None else 'undecryptable'] += 1
        if verdict:
            self.failures[verdict] += 1

    def _request(self, message, option, source, target):
        """None when it opens, 'group', or why it does not open."""
        slot = self.exchanges[source, target, message.token]
        senders = [(e, True) for e in self.by_kid.get(option.kid, ())]
        senders += [(e, False) for e in self.by_addr.get((target, option.kid), ())]
        if not senders:
            senders = [(e, False) for e in self.by_id1.get(option.kid, ())[:CANDIDATES]]
        senders = [(e, c) for e, c in senders if option.kid_context in (None, e.id_context)]
        if option.group or option.kid_context is not None and not senders:
            slot.append('group')
            return 'group'
        if option.piv is None or option.kid is None:
            return 'request without kid or Partial IV'
        exchange = oscore.Exchange(option.kid, option.piv)
        for entry, client in senders:
            if self._open(entry, client, exchange, option.kid, option.piv, message.payload):
                if (entry, client, exchange) not in slot:
                    slot.append((entry, client, exchange))
                return None
        return 'request does not open' if senders else 'unknown kid'

    def _response(self, message, option, source, target):
        slot = self.exchanges.get((target, source, message.token))
        if option.group or slot and slot[-1] == 'group':
            return 'group'
        for known in reversed(slot or ()):
            if known == 'group':
                continue
            entry, asked_by_client, exchange = known
            own_id = entry.side(not asked_by_client)[0]
            owner, piv = (own_id, option.piv) if option.piv else exchange
            if self._open(entry, not asked_by_client, exchange, owner, piv, message.payload):
                return None
        return 'response does not open' if slot else 'response without a request'

    def _open(self, entry, client, exchange, owner, piv, ciphertext):
        """True when it opens; enters the nonce."""
        context = entry.context
        key, aad = entry.side(client)[1], context.aad(exchange)
        try:
            nonce = oscore.make_nonce(context.common_iv, owner, piv)
            oscore.open_sealed(context.alg, key, nonce, aad, ciphertext)
        except oscore.OscoreError:
            return False
        self.used.add(entry)
        digest = hashlib.blake2b(len(aad).to_bytes(4, 'big') + aad + ciphertext, digest_size=16).digest()
        known = self.nonces.setdefault(key + nonce, (digest, self.counts['datagrams']))
        if known[0] == digest:
            self.counts['repeated'] += known[1] != self.counts['datagrams']
            return True
        self.reuses += 1
        if len(self.reuse) < REPORTED:
            self.reuse.append({'kid': entry.kid.hex(), 'member': entry.member, 'sender': 'member' if client else 'gm',
                               'nonce': nonce.hex(), 'piv': piv.hex(), 'piv_owner': owner.hex(),
                               'datagrams': [known[1], self.counts['datagrams']]})
        return True

    def report(self, min_share=0.0):
        share = self.counts['decrypted'] / self.counts['messages'] if self.counts['messages'] else 0.0
        good = not self.reuses and self.counts['decrypted'] > 0 and share >= min_share
        return {**self.counts, 'contexts': len(self.used), 'nonces': len(self.nonces), 'share': round(share, 6),
                'failures': dict(self.failures), 'reuses': self.reuses, 'reuse': self.reuse, 'ok': good}


def check_capture(path, keys, min_share, server=None):
    checker = Checker(keys)
    for source, target, data in pcap.udp_datagrams(path):
        if server in (None, source, target):
            checker.add(source, target, data)
    return checker.report(min_share)


class Scene:
    """Synthetic traffic of one member with a Group Manager."""

    CLIENT, GM = ('127.0.0.1', 40000), ('127.0.0.1', 5683)
    LINE = {'kid': '00000001', 'id1': '0a', 'id_context': None, 'ms': '01' * 16, 'salt': '02' * 27, 'alg': 10,
            'hkdf': 5, 'member': 1, 'addr': '127.0.0.1:40000'}

    def __init__(self):
        ms, salt = b'\x01' * 16, b'\x02' * 27
        self.client = oscore.Context(ms, salt, b'\0\0\0\x01', b'\x0a')
        self.gm = oscore.Context(ms, salt, b'\x0a', b'\0\0\0\x01')
        self.datagrams, self.mid = [], 0

    def send(self, from_client, message, token):
        self.mid += 1
        message.mid, message.token = self.mid, token
        ends = (self.CLIENT, self.GM) if from_client else (self.GM, self.CLIENT)
        self.datagrams.append((*ends, message.encode()))

    def ask(self, token, options=(), payload=b'q', by_client=True):
        side = self.client if by_client else self.gm
        outer, exchange = side.protect_request(coap.Message(coap.POST, list(options), payload))
        self.send(by_client, outer, token)
        return exchange

    def answer(self, token, exchange, payload=b'a', own_piv=False, by_client=False, options=()):
        side = self.client if by_client else self.gm
        answer = coap.Message(coap.code('2.05'), list(options), payload)
        self.send(by_client, side.protect_response(answer, exchange, own_piv), token)

    def clean(self):
        """Request and response, repeats, Echo, an observation, a rekey by the GM, a token used twice, group traffic."""
        first = self.ask(b't1')
        self.answer(b't1', first)
        self.datagrams += self.datagrams[-2:]
        self.answer(b't2', self.ask(b't2'), own_piv=True, options=[(coap.ECHO, b'e')])
        self.answer(b't2', self.ask(b't2', [(coap.ECHO, b'e')]))
        watch = self.ask(b'obs', [(coap.OBSERVE, b'')])
        self.answer(b'obs', watch, options=[(coap.OBSERVE, b'')])
        for number in range(3):
            self.answer(b'obs', watch, b'n%d' % number, True, options=[(coap.OBSERVE, b'')])
        self.answer(b'gm', self.ask(b'gm', by_client=False), by_client=True)
        self.send(True, coap.Message(coap.POST, [(coap.OSCORE, bytes.fromhex('390502dd110a'))], b'x' * 80), b'grp')
        self.send(False, coap.Message(coap.code('2.04'), [(coap.OSCORE, b'')], b'y' * 20), b'grp')
        return watch

    def same_request_nonce(self):
        self.answer(b't9', self.ask(b't9'), b'one')
        self.answer(b't9', oscore.Exchange(self.client.sender_id, oscore.piv_bytes(self.client.ssn - 1)), b'two')

    def sequence_number_reset(self):
        self.client.ssn = 0
        self.ask(b'new', payload=b'another')

    def notification_reset(self):
        watch = self.ask(b'o2', [(coap.OBSERVE, b'')])
        self.answer(b'o2', watch, b'x', True)
        self.gm.ssn -= 1
        self.answer(b'o2', watch, b'y', True)

    def other_aad(self):
        one, two = self.ask(b'a1'), self.ask(b'a2')
        self.answer(b'a1', one, b'same', True)
        self.gm.ssn -= 1
        self.answer(b'a2', two, b'same', True)

    def rekey_sealed_again(self):
        self.ask(b'r1', payload=b'exi 60', by_client=False)
        self.gm.ssn -= 1
        self.ask(b'r1', payload=b'exi 59', by_client=False)


def selftest():
    """{case: verdict}; AssertionError when a reuse is missed or a clean capture is blamed."""
    keys, verdicts = [Keys(Scene.LINE)], {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'capture')
        for ng in (False, True):
            for link in (pcap.RAW, pcap.NULL, pcap.EN10MB, pcap.SLL, pcap.SLL2):
                scene = Scene()
                scene.clean()
                pcap.write_pcap(path, scene.datagrams, link, ng)
                report = check_capture(path, keys, 1.0)
                assert report['ok'] and report['messages'] == 15 and report['group'] == 2, report
                assert report['repeated'] == 2 and report['nonces'] == 13, report
        verdicts['clean'] = 'passes'
        for case in (Scene.same_request_nonce, Scene.sequence_number_reset, Scene.notification_reset, Scene.other_aad,
                     Scene.rekey_sealed_again):
            scene = Scene()
            scene.clean()
            case(scene)
            pcap.write_pcap(path, scene.datagrams)
            report = check_capture(path, keys, 0.0)
            assert not report['ok'] and report['reuses'] == 1, (case.__name__, report)
            verdicts[case.__name__] = 'caught'
        scene = Scene()
        scene.clean()
        scene.send(True, coap.Message(coap.POST, [(coap.OSCORE, b'\x09\x77\0\0\0\x01')], b'z' * 20), b'bad')
        pcap.write_pcap(path, scene.datagrams)
        assert not check_capture(path, keys, 0.99)['ok'] and check_capture(path, keys, 0.9)['ok']
        verdicts['share'] = 'caught'
    return verdicts


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('capture', nargs='?')
    parser.add_argument('keys', nargs='?')
    parser.add_argument('--min-share', type=float, default=0.99, help='share of messages that must open')
    parser.add_argument('--server', type=pcap.parse_address, help='look only at the traffic of this address')
    parser.add_argument('--selftest', action='store_true')
    args = parser.parse_args(argv)
    if args.selftest:
        print(json.dumps(selftest()))
        return 0
    if not args.keys:
        parser.error('needs a capture and a keys file')
    report = check_capture(args.capture, load_keys(args.keys), args.min_share, args.server)
    print(json.dumps(report))
    return 0 if report['ok'] else 1


if __name__ == '__main__':
    sys.exit(main())
