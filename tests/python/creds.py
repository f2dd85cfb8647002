# SPDX-License-Identifier: Apache-2.0
"""Authentication credentials: key pairs, the forms of credentials, signatures, static Diffie-Hellman (requirements 4.4, 7.6)."""

import datetime
import hashlib
import io

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

P25519 = 2 ** 255 - 19
P256, P384, P521, X25519, ED25519 = 1, 2, 3, 4, 6
EDDSA, ES256, ES384, ES512 = -8, -7, -35, -36
KCWT, KCCS, C5B, C5C, X5BAG, X5CHAIN = 13, 14, 24, 25, 32, 33
C509_KEYS = {P256: 1, P384: 2, P521: 3, X25519: 8, ED25519: 12}  # C509 Public Key Algorithms
SIGNATURE_LENGTH = {EDDSA: 64, ES256: 64, ES384: 96, ES512: 132}
CURVE_OF = {EDDSA: ED25519, ES256: P256, ES384: P384, ES512: P521}
# NIST curve -> itself, the hash that goes with it, bytes of a coordinate
NIST = {P256: (ec.SECP256R1(), hashes.SHA256(), 32), P384: (ec.SECP384R1(), hashes.SHA384(), 48),
        P521: (ec.SECP521R1(), hashes.SHA512(), 66)}


def raw_public(key):
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def montgomery_u(public):
    """u = (1 + y) / (1 - y); ValueError for y = 1 and y = -1, which have no usable image (requirements 7.6)."""
    y = int.from_bytes(public, 'little') & (1 << 255) - 1
    if y % P25519 in (1, P25519 - 1):
        raise ValueError('y = +-1')
    return ((1 + y) * pow(1 - y, -1, P25519) % P25519).to_bytes(32, 'little')


def sequence(data):
    """The items of a CBOR sequence."""
    stream, items = io.BytesIO(data), []
    while stream.tell() < len(data):
        items.append(cbor2.load(stream))
    return items


def cose_public(key):
    """Curve and public key of a COSE_Key."""
    crv = key[-1]
    if crv not in NIST:
        return crv, key[-2]
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(key[-2], 'big'), int.from_bytes(key[-3], 'big'), NIST[crv][0])
    return crv, numbers.public_key()


def read_ccs(wire):
    claims = cbor2.loads(wire)
    if isinstance(claims, cbor2.CBORTag):
        raise ValueError('tagged credential')
    return wire, *cose_public(claims[8][1])


def read_cwt(wire):
    """The tags are no part of what is used."""
    cwt = cbor2.loads(wire)
    while isinstance(cwt, cbor2.CBORTag):
        cwt, wire = cwt.value, wire[1:] if wire[0] < 0xd8 else wire[2:]
    return wire, *cose_public(cbor2.loads(cwt[2])[8][1])


def end_entity(wire):
    """One certificate, or the first of a chain."""
    container = cbor2.loads(wire)
    return container if isinstance(container, bytes) else container[0]


def read_x509(wire):
    der = end_entity(wire)
    public = x509.load_der_x509_certificate(der).public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return der, next(crv for crv in NIST if NIST[crv][0].name == public.curve.name), public
    return der, ED25519 if isinstance(public, Ed25519PublicKey) else X25519, raw_public(public)


def read_c509(wire):
    """As an array of its eleven parts; in containers it comes without the head."""
    parts = end_entity(wire)
    _, _, _, _, _, _, _, alg, key, _, _ = sequence(parts)
    crv = {number: crv for crv, number in C509_KEYS.items()}[alg]
    public = ec.EllipticCurvePublicKey.from_encoded_point(NIST[crv][0], key) if crv in NIST else key
    return b'\x8b' + parts, crv, public


class PublicCred:
    """A credential: `wire` as distributed, `raw` as it goes into AADs and key derivations (GO 2.4)."""

    def __init__(self, wire, fmt=KCCS):
        self.wire = wire
        self.raw, self.crv, self.public = {KCWT: read_cwt, KCCS: read_ccs, X5BAG: read_x509, X5CHAIN: read_x509,
                                           C5B: read_c509, C5C: read_c509}[fmt](wire)

    def verify(self, signature, data):
        """True when the signature is that of this key over the data."""
        try:
            if self.crv == ED25519:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, data)
            elif self.crv in NIST and len(signature) == 2 * NIST[self.crv][2]:
                _, digest, side = NIST[self.crv]
                der = encode_dss_signature(int.from_bytes(signature[:side], 'big'),
                                           int.from_bytes(signature[side:], 'big'))
                self.public.verify(der, data, ec.ECDSA(digest))
            else:
                return False
        except InvalidSignature:
            return False
        return True


def make_cwt(key, _pair, issuer):
    """Signed by another key; an untagged COSE_Sign1 below the CWT tag would be as good."""
    protected, claims = cbor2.dumps({1: EDDSA}), cbor2.dumps({2: 'member', 8: {1: key}})
    signature = issuer.sign(cbor2.dumps(['Signature1', protected, b'', claims]))
    return cbor2.dumps(cbor2.CBORTag(61, cbor2.CBORTag(18, [protected, {}, claims, signature])))


def make_x509(_key, pair, issuer):
    name = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
    begin = datetime.datetime(2025, 1, 1)
    builder = (x509.CertificateBuilder().subject_name(name('member')).issuer_name(name('issuer'))
               .public_key(pair.public_key()).serial_number(7).not_valid_before(begin)
               .not_valid_after(begin + datetime.timedelta(36500)))
    return cbor2.dumps(builder.sign(issuer, None).public_bytes(Encoding.DER))


def make_c509(key, pair, issuer):
    """Natively signed, with a compressed point."""
    public = key[-2]
    if key[-1] in NIST:
        public = pair.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    parts = [2, b'\x07', 12, 'issuer', 1735689600, None, 'member', C509_KEYS[key[-1]], public, 1]
    tbs = b''.join(cbor2.dumps(part) for part in parts)
    return cbor2.dumps(tbs + cbor2.dumps(issuer.sign(tbs)))


def make_cred(fmt, key, pair):
    """A credential under an issuer that nobody knows."""
    if fmt == KCCS:
        return cbor2.dumps({8: {1: key}})
    make = {KCWT: make_cwt, X5BAG: make_x509, X5CHAIN: make_x509, C5B: make_c509, C5C: make_c509}[fmt]
    return make(key, pair, Ed25519PrivateKey.generate())


class KeyPair:
    """A private key with its credential."""

    def __init__(self, crv=ED25519, private=None, raw=None, fmt=KCCS):
        self.crv = crv
        if crv in NIST:
            curve, _, side = NIST[crv]
            self.private = (ec.derive_private_key(int.from_bytes(private, 'big'), curve) if private
                            else ec.generate_private_key(curve))
            point = self.private.public_key().public_numbers()
            key = {1: 2, -1: crv, -2: point.x.to_bytes(side, 'big'), -3: point.y.to_bytes(side, 'big')}
        else:
            kind = Ed25519PrivateKey if crv == ED25519 else X25519PrivateKey
            self.private = kind.from_private_bytes(private) if private else kind.generate()
            key = {1: 1, -1: crv, -2: raw_public(self.private.public_key())}
        self.cred = PublicCred(raw or make_cred(fmt, key, self.private), fmt)

    def sign(self, data):
        if self.crv == ED25519:
            return self.private.sign(data)
        _, digest, side = NIST[self.crv]
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(digest)))
        return r.to_bytes(side, 'big') + s.to_bytes(side, 'big')

    def shared_secret(self, peer):
        """Static-static secret with a PublicCred; Ed25519 keys are mapped to X25519."""
        if self.crv in NIST:
            return self.private.exchange(ec.ECDH(), peer.public)
        private = self.private
        if self.crv == ED25519:
            seed = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
            private = X25519PrivateKey.from_private_bytes(hashlib.sha512(seed).digest()[:32])
        public = montgomery_u(peer.public) if peer.crv == ED25519 else peer.public
        return private.exchange(X25519PublicKey.from_public_bytes(public))

