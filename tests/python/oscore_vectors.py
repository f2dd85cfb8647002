#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/vectors/oscore-algs.json: a context, a request and two responses for each AEAD and HKDF.

    oscore_vectors.py > tests/vectors/oscore-algs.json

Made with oscore.py and Python's cryptography, which share nothing with the Group Manager. IDs are as long as the nonce lets
them be, Partial IVs have one byte and five.
"""

import hashlib
import json

import oscore

PAIRWISE = [alg for alg in sorted(oscore.ALGS) if oscore.ALGS[alg].tag]


def fixed(name, size):
    """Bytes that are the same each time."""
    return hashlib.shake_128(name.encode()).digest(size)


def message(context, key, exchange, owner, piv, plain):
    nonce = oscore.make_nonce(context.common_iv, owner, piv)
    sealed = oscore.seal(context.alg, key, nonce, context.aad(exchange), plain)
    return {'nonce': nonce.hex(), 'aad': context.aad(exchange).hex(), 'plain': plain.hex(), 'sealed': sealed.hex()}


def row(alg, hkdf):
    name = '%d/%d' % (alg, hkdf)
    size = oscore.ALGS[alg].nonce - 6
    id_context = fixed('context' + name, 8) if hkdf == 5 else None
    sid, rid = fixed('sid' + name, size), fixed('rid' + name, 1 if size == 1 else size - 1)
    ms, salt = fixed('ms' + name, 16), fixed('salt' + name, 26)
    c = oscore.Context(ms, salt, sid, rid, id_context, alg, hkdf)
    first, last = oscore.Exchange(sid, b'\x14'), oscore.Exchange(sid, b'\xff\xff\xff\xff\xfe')
    return {
        'alg': alg, 'hkdf': hkdf, 'ms': ms.hex(), 'salt': salt.hex(), 'id_context': id_context and id_context.hex(),
        'sid': sid.hex(), 'rid': rid.hex(), 'send_key': c.sender_key.hex(), 'recv_key': c.recipient_key.hex(),
        'common_iv': c.common_iv.hex(),
        'request': message(c, c.sender_key, last, sid, last.piv, fixed('request' + name, 100)),
        'response': message(c, c.recipient_key, first, sid, first.piv, fixed('response' + name, 1)),
        'notification': message(c, c.recipient_key, first, rid, b'\x01\x02\x03\x04\x05', fixed('news' + name, 1024)),
    }


def rows():
    return [row(alg, hkdf) for alg in PAIRWISE for hkdf in (5, 7)]


if __name__ == '__main__':
    print(json.dumps({'origin': 'tests/python/oscore_vectors.py', 'rows': rows()}, indent=1))
