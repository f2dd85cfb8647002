# SPDX-License-Identifier: Apache-2.0
"""Reads UDP datagrams from pcap and pcapng captures; writes small pcap files for the tests."""

import functools
import ipaddress
import struct

NULL, EN10MB, RAW, LOOP, SLL, IPV4, IPV6, SLL2 = 0, 1, 101, 108, 113, 228, 229, 276
UDP = 17


def frames(path):
    """(link type, frame bytes) of each packet. A capture cut off in the middle ends quietly at the last whole one."""
    with open(path, 'rb') as file:
        magic = file.read(4)
        file.seek(0)
        yield from _pcapng(file) if magic == b'\x0a\x0d\x0d\x0a' else _pcap(file, magic)


def _pcap(file, magic):
    orders = {b'\xd4\xc3\xb2\xa1': '<', b'\x4d\x3c\xb2\xa1': '<', b'\xa1\xb2\xc3\xd4': '>', b'\xa1\xb2\x3c\x4d': '>'}
    if magic not in orders:
        raise ValueError('neither pcap nor pcapng')
    order = orders[magic]
    link = struct.unpack(order + 'I', file.read(24)[20:])[0] & 0xffff
    while True:
        head = file.read(16)
        if len(head) < 16:
            return
        size = struct.unpack(order + 'IIII', head)[2]
        data = file.read(size)
        if len(data) < size:
            return
        yield link, data


def _pcapng(file):
    order, links = '<', []
    while True:
        head = file.read(12)
        if len(head) < 12:
            return
        if head[:4] == b'\x0a\x0d\x0d\x0a':
            order, links = '<' if head[8:] == b'\x4d\x3c\x2b\x1a' else '>', []
        kind, size = struct.unpack(order + 'II', head[:8])
        body = head[8:] + file.read(size - 12)
        if size < 12 or len(body) < size - 8:
            return
        if kind == 1:
            links.append(struct.unpack(order + 'H', body[:2])[0])
        elif kind == 6:
            interface, _, _, length, _ = struct.unpack(order + '5I', body[:20])
            yield links[interface], body[20:20 + length]
        elif kind == 3:
            yield links[0], body[4:min(4 + struct.unpack(order + 'I', body[:4])[0], len(body) - 4)]


def ip_packet(link, frame):
    """The IP packet inside a frame, or None."""
    if link in (RAW, IPV4, IPV6):
        return frame
    if link in (NULL, LOOP):
        return frame[4:]
    if link == SLL:
        return frame[16:] if frame[14:16] in (b'\x08\x00', b'\x86\xdd') else None
    if link == SLL2:
        return frame[20:] if frame[:2] in (b'\x08\x00', b'\x86\xdd') else None
    if link == EN10MB:
        pos = 12
        while frame[pos:pos + 2] in (b'\x81\x00', b'\x88\xa8'):
            pos += 4
        return frame[pos + 2:] if frame[pos:pos + 2] in (b'\x08\x00', b'\x86\xdd') else None
    raise ValueError('link type %d' % link)


def udp_datagram(packet):
    """((source, port), (destination, port), payload), or None for anything but a whole UDP datagram."""
    if len(packet) < 20:
        return None
    if packet[0] >> 4 == 4:
        head = (packet[0] & 15) * 4
        if packet[9] != UDP or int.from_bytes(packet[6:8], 'big') & 0x3fff:
            return None
        source, target = packet[12:16], packet[16:20]
    elif packet[0] >> 4 == 6 and packet[6] == UDP:
        head, source, target = 40, packet[8:24], packet[24:40]
    else:
        return None
    if len(packet) < head + 8:
        return None
    ports = struct.unpack('>HHH', packet[head:head + 6])
    payload = packet[head + 8:head + ports[2]]
    if len(payload) != ports[2] - 8:
        return None
    return (_address(source), ports[0]), (_address(target), ports[1]), payload


@functools.lru_cache(maxsize=4096)
def _address(raw):
    address = ipaddress.ip_address(raw)
    return str(getattr(address, 'ipv4_mapped', None) or address)


def parse_address(text):
    """'127.0.0.1:5' or '[::1]:5' in the form that udp_datagrams gives."""
    host, _, port = text.rpartition(':')
    return _address(ipaddress.ip_address(host.strip('[]')).packed), int(port)


def udp_datagrams(path):
    for link, frame in frames(path):
        packet = ip_packet(link, frame)
        datagram = packet and udp_datagram(packet)
        if datagram:
            yield datagram


def write_pcap(path, datagrams, link=RAW, ng=False):
    """IPv4 datagrams ((host, port), (host, port), payload) as a capture; checksums stay zero."""
    heads = {RAW: b'', NULL: b'\x02\0\0\0', EN10MB: bytes(12) + b'\x08\x00', SLL: bytes(14) + b'\x08\x00',
             SLL2: b'\x08\x00' + bytes(18)}
    with open(path, 'wb') as file:
        if ng:
            file.write(struct.pack('<IIIHHqI', 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0, -1, 28))
            file.write(struct.pack('<IIHHII', 1, 20, link, 0, 0, 20))
        else:
            file.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 262144, link))
        for (source, sport), (target, tport), payload in datagrams:
            udp = struct.pack('>HHHH', sport, tport, 8 + len(payload), 0) + payload
            ip = struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(udp), 0, 0, 64, UDP, 0)
            ip += ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
            data = heads[link] + ip + udp
            if ng:
                padded = data + bytes(-len(data) % 4)
                file.write(struct.pack('<7I', 6, 32 + len(padded), 0, 0, 0, len(data), len(data)) + padded)
                file.write(struct.pack('<I', 32 + len(padded)))
            else:
                file.write(struct.pack('<IIII', 0, 0, len(data), len(data)) + data)
