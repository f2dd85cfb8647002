# SPDX-License-Identifier: Apache-2.0
"""Authentication credentials: key pairs, CWT Claims Sets, signatures, static Diffie-Hellman (requirements 4.4, 7.6)."""

import hashlib

import cbor2
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


class PublicCred:
    """A credential as distributed; `raw` is what goes into AADs and key derivations."""

    def __init__(self, raw):
        self.raw = raw
        claims = cbor2.loads(raw)
        if isinstance(claims, cbor2.CBORTag):
            raise ValueError('tagged credential')
        key = claims[8][1]
        self.crv = key[-1]
        if self.crv in NIST:
            numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(key[-2], 'big'), int.from_bytes(key[-3], 'big'),
                                                    NIST[self.crv][0])
            self.public = numbers.public_key()
        else:
            self.public = key[-2]

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


class KeyPair:
    """A private key with its CCS."""

    def __init__(self, crv=ED25519, private=None, raw=None):
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
        self.cred = PublicCred(raw or cbor2.dumps({8: {1: key}}))

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

