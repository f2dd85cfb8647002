# SPDX-License-Identifier: Apache-2.0
"""OSCORE (RFC 8613): key derivation, the option, and protection of requests, responses and notifications."""

import functools
from collections import namedtuple

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import coap

AES_CCM_16_64_128 = 10
A128CTR = -65534

Alg = namedtuple('Alg', 'kind key nonce tag')
# COSE algorithm id -> cipher, key length, nonce length, tag length in bytes (requirements section 5.6)
ALGS = {
    1: Alg('gcm', 16, 12, 16), 2: Alg('gcm', 24, 12, 16), 3: Alg('gcm', 32, 12, 16),
    10: Alg('ccm', 16, 13, 8), 11: Alg('ccm', 32, 13, 8), 12: Alg('ccm', 16, 7, 8), 13: Alg('ccm', 32, 7, 8),
    30: Alg('ccm', 16, 13, 16), 31: Alg('ccm', 32, 13, 16), 32: Alg('ccm', 16, 7, 16), 33: Alg('ccm', 32, 7, 16),
    24: Alg('chacha', 32, 12, 16),
    -65534: Alg('ctr', 16, 12, 0), -65533: Alg('ctr', 24, 12, 0), -65532: Alg('ctr', 32, 12, 0),
}
HASHES = {5: hashes.SHA256, 6: hashes.SHA384, 7: hashes.SHA512}

# Class U only (RFC 8613 figure 5), and options that exist both inside and outside.
OUTER_ONLY = {coap.URI_HOST, coap.URI_PORT, coap.OSCORE, 35, 39}


class OscoreError(Exception):
    """Anything that makes a message unacceptable."""


def hkdf(alg, salt, ikm, info, length):
    return HKDF(HASHES[alg](), length, salt or None, info).derive(ikm)


def _ctr(key, nonce, data):
    worker = Cipher(algorithms.AES(key), modes.CTR(nonce + bytes(4))).encryptor()
    return worker.update(data) + worker.finalize()


@functools.lru_cache(maxsize=4096)
def _cipher(alg, key):
    kind = ALGS[alg].kind
    if kind == 'ccm':
        return AESCCM(key, tag_length=ALGS[alg].tag)
    return AESGCM(key) if kind == 'gcm' else ChaCha20Poly1305(key)


def seal(alg, key, nonce, aad, plaintext):
    if ALGS[alg].kind == 'ctr':
        return _ctr(key, nonce, plaintext)
    return _cipher(alg, key).encrypt(nonce, plaintext, aad)


def open_sealed(alg, key, nonce, aad, ciphertext):
    """The plaintext; OscoreError when the tag is wrong."""
    if ALGS[alg].kind == 'ctr':
        return _ctr(key, nonce, ciphertext)
    try:
        return _cipher(alg, key).decrypt(nonce, ciphertext, aad)
    except (InvalidTag, ValueError):
        raise OscoreError('decryption failed') from None


def make_nonce(common_iv, piv_id, piv):
    """RFC 8613 section 5.2: size and ID of the PIV's owner and the PIV, XOR the Common IV."""
    size = len(common_iv)
    plain = bytes([len(piv_id)]) + piv_id.rjust(size - 6, b'\0') + piv.rjust(5, b'\0')
    if len(plain) != size:
        raise OscoreError('ID or Partial IV too long for the nonce')
    return bytes(a ^ b for a, b in zip(plain, common_iv))


def piv_bytes(number):
    """A Partial IV is at least one byte, without leading zeros."""
    return coap.uint_bytes(number) or b'\0'


Option = namedtuple('Option', 'piv kid kid_context group')


def encode_option(piv=None, kid=None, kid_context=None, group=False):
    flags = (len(piv) if piv else 0) | (kid is not None) << 3 | (kid_context is not None) << 4 | bool(group) << 5
    if not flags:
        return b''
    out = bytes([flags]) + (piv or b'')
    if kid_context is not None:
        out += bytes([len(kid_context)]) + kid_context
    return out + (kid or b'')


def decode_option(value):
    if not value:
        return Option(None, None, None, False)
    flags, pos = value[0], 1
    size = flags & 7
    if flags & 0xc0 or size > 5 or len(value) < 1 + size:
        raise OscoreError('malformed OSCORE option')
    piv = value[1:1 + size] or None
    pos += size
    kid_context = None
    if flags & 0x10:
        if pos >= len(value) or len(value) < pos + 1 + value[pos]:
            raise OscoreError('malformed kid context')
        kid_context = value[pos + 1:pos + 1 + value[pos]]
        pos += 1 + value[pos]
    if not flags & 8 and pos != len(value):
        raise OscoreError('bytes after the OSCORE option')
    return Option(piv, value[pos:] if flags & 8 else None, kid_context, bool(flags & 0x20))


def enc_structure(external_aad):
    return cbor2.dumps(['Encrypt0', b'', external_aad])


def inner_plaintext(message):
    """Code, class E options and payload (RFC 8613 section 5.3). A notification's inner Observe is empty."""
    options = [(n, b'' if n == coap.OBSERVE and message.is_response() else v)
               for n, v in message.options if n not in OUTER_ONLY]
    return bytes([message.code]) + coap.encode_options(options, message.payload)


def outer_message(message, option, payload):
    """The message as it travels: outer code, class U options, OSCORE option, ciphertext."""
    observe = message.get(coap.OBSERVE)
    if message.is_request():
        code = coap.POST if observe is None else coap.FETCH
    else:
        code = coap.code('2.04') if observe is None else coap.code('2.05')
    options = [(n, v) for n, v in message.options if n in OUTER_ONLY] + [(coap.OSCORE, option)]
    if observe is not None:
        options.append((coap.OBSERVE, observe))
    return coap.Message(code, options, payload, message.type, message.mid, message.token)


def inner_message(outer, plaintext):
    """What the plaintext says, with the outer class U options but the OSCORE option put back."""
    if not plaintext:
        raise OscoreError('empty plaintext')
    try:
        options, payload = coap.decode_options(plaintext[1:])
    except ValueError as error:
        raise OscoreError(str(error)) from None
    options += [(n, v) for n, v in outer.options if n in OUTER_ONLY and n != coap.OSCORE]
    return coap.Message(plaintext[0], options, payload, outer.type, outer.mid, outer.token)


class ReplayWindow:
    """Sliding window of 32 (RFC 8613 section 7.4)."""

    def __init__(self, size=32):
        self.size, self.top, self.seen = size, -1, set()

    def is_fresh(self, number):
        return number > self.top - self.size and number not in self.seen

    def accept(self, number):
        if not self.is_fresh(number):
            raise OscoreError('replay')
        self.seen.add(number)
        self.top = max(self.top, number)
        self.seen = {n for n in self.seen if n > self.top - self.size}


Exchange = namedtuple('Exchange', 'kid piv')


class Context:
    """A pairwise security context; `exchange` ties responses and notifications to their request."""

    def __init__(self, master_secret, master_salt, sender_id, recipient_id, id_context=None,
                 alg=AES_CCM_16_64_128, hkdf_alg=5):
        self.alg, self.hkdf_alg, self.id_context = alg, hkdf_alg, id_context
        self.sender_id, self.recipient_id = sender_id, recipient_id
        self._ms, self._salt = master_secret, master_salt
        self.sender_key = self._derive(sender_id, 'Key', ALGS[alg].key)
        self.recipient_key = self._derive(recipient_id, 'Key', ALGS[alg].key)
        self.common_iv = self._derive(b'', 'IV', ALGS[alg].nonce)
        self.ssn = 0
        self.window = ReplayWindow()

    def info(self, identifier, kind, length):
        return cbor2.dumps([identifier, self.id_context, self.alg, kind, length])

    def _derive(self, identifier, kind, length):
        return hkdf(self.hkdf_alg, self._salt, self._ms, self.info(identifier, kind, length), length)

    def aad(self, exchange):
        external = cbor2.dumps([1, [self.alg], exchange.kid, exchange.piv, b''])
        return enc_structure(external)

    def next_piv(self):
        piv = piv_bytes(self.ssn)
        self.ssn += 1
        return piv

    def protect_request(self, message, send_context=False):
        """(outer message, exchange)."""
        exchange = Exchange(self.sender_id, self.next_piv())
        nonce = make_nonce(self.common_iv, exchange.kid, exchange.piv)
        sealed = seal(self.alg, self.sender_key, nonce, self.aad(exchange), inner_plaintext(message))
        option = encode_option(exchange.piv, exchange.kid, self.id_context if send_context else None)
        return outer_message(message, option, sealed), exchange

    def unprotect_request(self, outer):
        """(inner message, exchange); OscoreError on a foreign kid, a replay or a wrong tag."""
        option = decode_option(outer.get(coap.OSCORE))
        if option.group or option.kid != self.recipient_id or option.piv is None:
            raise OscoreError('not a request of this context')
        exchange = Exchange(option.kid, option.piv)
        number = int.from_bytes(option.piv, 'big')
        if not self.window.is_fresh(number):
            raise OscoreError('replay')
        nonce = make_nonce(self.common_iv, option.kid, option.piv)
        plaintext = open_sealed(self.alg, self.recipient_key, nonce, self.aad(exchange), outer.payload)
        self.window.accept(number)
        return inner_message(outer, plaintext), exchange

    def protect_response(self, message, exchange, own_piv=False):
        """The nonce of the request unless own_piv, which notifications after the first and Echo challenges need."""
        piv = self.next_piv() if own_piv else None
        nonce = make_nonce(self.common_iv, self.sender_id if piv else exchange.kid, piv or exchange.piv)
        sealed = seal(self.alg, self.sender_key, nonce, self.aad(exchange), inner_plaintext(message))
        return outer_message(message, encode_option(piv), sealed)

    def unprotect_response(self, outer, exchange):
        """(inner message, Partial IV number or None). Order of notifications is the caller's to check."""
        value = outer.get(coap.OSCORE)
        if value is None:
            raise OscoreError('unprotected %s: %s' % (coap.dotted(outer.code), outer.payload.hex()))
        option = decode_option(value)
        nonce = make_nonce(self.common_iv, self.recipient_id if option.piv else exchange.kid,
                           option.piv or exchange.piv)
        plaintext = open_sealed(self.alg, self.recipient_key, nonce, self.aad(exchange), outer.payload)
        number = int.from_bytes(option.piv, 'big') if option.piv else None
        return inner_message(outer, plaintext), number
