# SPDX-License-Identifier: Apache-2.0
"""ACE: tokens (RFC 8392, 9200), the OSCORE profile (RFC 9203), join maps and proofs (RFC 9594)."""

import hmac
import json
import os
import time

import cbor2

import creds
import oscore

CF_ACE, CF_CBOR, CF_CWT, CF_PROBLEM, CF_GROUPCOMM = 19, 60, 61, 257, 261
ROLES = {'requester': 2, 'responder': 4, 'monitor': 8, 'verifier': 16}


def roles_bits(text):
    """'requester,responder' -> 6."""
    return sum(ROLES[name] for name in text.split(','))


def load_as_key(path):
    """The JSON file of an AS key, hex members decoded."""
    with open(path, encoding='utf-8') as file:
        key = json.load(file)
    return {k: bytes.fromhex(v) if k in ('kid', 'key', 'priv', 'pub') else v for k, v in key.items()}


def scope(entries):
    """The token's scope: a byte string that wraps [* [name, permissions]]."""
    return cbor2.dumps([list(e) for e in entries])


def osc_claims(as_key, scope_bytes, osc, lifetime=3600, extra=None):
    """Claims of a token for the OSCORE profile; `osc` is the OSCORE_Input_Material map."""
    now = int(time.time())
    claims = {4: now + lifetime, 6: now, 7: os.urandom(8), 8: {4: osc}, 9: scope_bytes, 38: 2}
    if as_key.get('iss'):
        claims[1] = as_key['iss']
    if as_key.get('aud'):
        claims[3] = as_key['aud']
    claims.update(extra or {})
    return claims


def mint(as_key, claims, form='tagged'):
    """A CWT protected as the AS key says. Forms: 'strict' 61(n([...])) with an empty unprotected header, 'tagged' the
    same with kid and IV unprotected, 'cose' n([...]), 'untagged'."""
    plaintext = cbor2.dumps(claims)
    tag, body = _protect(as_key, plaintext, form == 'strict')
    if form == 'untagged':
        return cbor2.dumps(body)
    token = cbor2.CBORTag(tag, body)
    return cbor2.dumps(token if form == 'cose' else cbor2.CBORTag(61, token))


def _protect(as_key, plaintext, strict):
    alg = {'AES-CCM-16-64-128': 10, 'EdDSA': -8, 'ES256': -7, 'HMAC256': 5}[as_key['alg']]
    header, extra = {1: alg}, {4: as_key['kid']}
    if alg == 10:
        extra[5] = os.urandom(13)
    iv = extra.get(5)
    if strict:
        header.update(extra)
        extra = {}
    protected = cbor2.dumps(header)
    if alg == 10:
        aad = oscore_enc_structure(protected)
        return 16, [protected, extra, oscore.seal(10, as_key['key'], iv, aad, plaintext)]
    if alg == 5:
        mac = hmac.digest(as_key['key'], cbor2.dumps(['MAC0', protected, b'', plaintext]), 'sha256')
        return 17, [protected, extra, plaintext, mac]
    to_sign = cbor2.dumps(['Signature1', protected, b'', plaintext])
    keys = creds.KeyPair(creds.ED25519 if alg == -8 else creds.P256, as_key['priv'])
    return 18, [protected, extra, plaintext, keys.sign(to_sign)]


def oscore_enc_structure(protected):
    return cbor2.dumps(['Encrypt0', protected, b''])


def open_token(as_key, token):
    """Claims of a token made by mint(); used to check recorded tokens and by the tests' own GM."""
    item = cbor2.loads(token)
    while isinstance(item, cbor2.CBORTag):
        item = item.value
    protected, extra, content = item[:3]
    header = {**extra, **cbor2.loads(protected)}
    if as_key['alg'].startswith('AES'):
        return cbor2.loads(oscore.open_sealed(header[1], as_key['key'], header[5], oscore_enc_structure(protected),
                                              content))
    if header[1] == 5:
        good = hmac.digest(as_key['key'], cbor2.dumps(['MAC0', protected, b'', content]), 'sha256') == item[3]
    else:
        pair = creds.KeyPair(creds.ED25519 if header[1] == -8 else creds.P256, as_key['priv'])
        good = pair.cred.verify(item[3], cbor2.dumps(['Signature1', protected, b'', content]))
    if not good:
        raise ValueError('token does not verify')
    return cbor2.loads(content)


def master_salt(input_salt, nonce1, nonce2):
    """RFC 9203 section 4.3: the three byte strings, each with its CBOR head."""
    return b''.join(cbor2.dumps(part) for part in (input_salt, nonce1, nonce2))


def client_context(osc, nonce1, nonce2, id1, id2):
    """The client's side of the association: it sends with ID2 and receives with ID1."""
    return oscore.Context(osc[2], master_salt(osc[5], nonce1, nonce2), id2, id1, osc.get(6), osc.get(4, 10),
                          osc.get(3, 5))


def client_pop_input(scope_entry, n_s, n_c):
    return b''.join(cbor2.dumps(part) for part in (scope_entry, n_s, n_c))


def kdc_pop_input(n_c, n_kdc):
    return cbor2.dumps(n_c) + cbor2.dumps(n_kdc)


def pop_mac(secret, pop_input):
    """Proof in a group that only uses the pairwise mode: always HKDF SHA-256, 8 bytes."""
    return oscore.hkdf(5, b'', secret, pop_input, 8)


def problem_id(payload):
    """The ace-groupcomm error id of a problem-details body, or None."""
    body = cbor2.loads(payload)
    return body.get(0, {}).get(0) if isinstance(body, dict) else None
