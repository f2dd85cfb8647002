# SPDX-License-Identifier: Apache-2.0
"""Group OSCORE (draft-ietf-core-oscore-groupcomm-28): group mode and pairwise mode (requirements section 7)."""

from collections import namedtuple

import cbor2

import coap
from creds import SIGNATURE_LENGTH, PublicCred
from oscore import (ALGS, OscoreError, ReplayWindow, decode_option, enc_structure, encode_option, hkdf, inner_message,
                    inner_plaintext, make_nonce, open_sealed, outer_message, piv_bytes, seal)

# What a response is bound to: kid, PIV and kid context of its request, and whether that was in group mode.
Exchange = namedtuple('Exchange', 'kid piv kid_context group peer')


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


class Verifier:
    """What an external signature checker knows of a group: no key that decrypts."""

    def __init__(self, gid, sign_enc_key, gm_cred, alg=10, gp_enc_alg=10, sign_alg=-8, ecdh_alg=-27, hkdf_alg=5):
        self.gid, self.sign_enc_key, self.gm_cred, self.hkdf_alg = gid, sign_enc_key, gm_cred, hkdf_alg
        self.alg, self.gp_enc_alg, self.sign_alg, self.ecdh_alg = alg, gp_enc_alg, sign_alg, ecdh_alg

    def external_aad(self, exchange, option, sender_cred):
        return cbor2.dumps([1, [self.alg, self.gp_enc_alg, self.sign_alg, self.ecdh_alg], exchange.kid, exchange.piv,
                            b'', exchange.kid_context, option, sender_cred, self.gm_cred])

    def to_be_signed(self, external_aad, ciphertext):
        """Five elements, as Californium and aiocoap sign."""
        return cbor2.dumps(['CounterSignature0', b'', b'', external_aad, ciphertext])

    def keystream(self, piv_id, piv, is_request):
        length = SIGNATURE_LENGTH[self.sign_alg]
        return hkdf(self.hkdf_alg, piv, self.sign_enc_key, cbor2.dumps([piv_id, self.gid, is_request, length]), length)

    def check(self, exchange, option, cred, owner, piv, is_request, payload):
        """(external_aad, ciphertext) once the countersignature verifies. `owner` is the SID the PIV belongs to."""
        length = SIGNATURE_LENGTH[self.sign_alg]
        if len(payload) < length + ALGS[self.gp_enc_alg].tag + 1:
            raise OscoreError('too short for a countersignature')
        ciphertext, masked = payload[:-length], payload[-length:]
        external = self.external_aad(exchange, option, cred.raw)
        signature = xor(masked, self.keystream(owner, piv, is_request))
        if not cred.verify(signature, self.to_be_signed(external, ciphertext)):
            raise OscoreError('countersignature does not verify')
        return external, ciphertext

    def verify_request(self, outer, creds):
        """The exchange of a group mode request, which its responses need."""
        raw = outer.get(coap.OSCORE)
        option = decode_option(raw)
        exchange = Exchange(option.kid, option.piv, option.kid_context, option.group, option.kid)
        if not option.group or option.kid_context != self.gid or option.kid not in creds:
            raise OscoreError('not in group mode, or a foreign Gid or Sender ID')
        self.check(exchange, raw, creds[option.kid], option.kid, option.piv, True, outer.payload)
        return exchange

    def verify_response(self, outer, exchange, creds):
        """The responder's Sender ID."""
        raw = outer.get(coap.OSCORE)
        option = decode_option(raw)
        if not option.group or option.kid not in creds:
            raise OscoreError('not in group mode, or a foreign Sender ID')
        owner, piv = (option.kid, option.piv) if option.piv else (exchange.kid, exchange.piv)
        self.check(exchange, raw, creds[option.kid], owner, piv, False, outer.payload)
        return option.kid


class Group(Verifier):
    """The Common Context of one Gid."""

    def __init__(self, ms, salt, gid, gm_cred, alg=10, gp_enc_alg=10, sign_alg=-8, ecdh_alg=-27, hkdf_alg=5):
        super().__init__(gid, None, gm_cred, alg, gp_enc_alg, sign_alg, ecdh_alg, hkdf_alg)
        self.ms, self.salt = ms, salt
        self.main_alg = gp_enc_alg if gp_enc_alg is not None else alg
        iv_length = max(ALGS[a].nonce for a in (alg, gp_enc_alg) if a is not None)
        self.common_iv = self._derive(b'', 'IV', iv_length)
        if gp_enc_alg is not None:
            self.sign_enc_key = self._derive(b'', 'SEKey', ALGS[gp_enc_alg].key)

    def _derive(self, identifier, kind, length):
        info = cbor2.dumps([identifier, self.gid, self.main_alg, kind, length])
        return hkdf(self.hkdf_alg, self.salt, self.ms, info, length)

    def sender_key(self, sid):
        return self._derive(sid, 'Key', ALGS[self.main_alg].key)

    def pairwise_key(self, sender_sid, sender_cred, recipient_cred, secret):
        """The key that protects what sender_sid sends to the owner of recipient_cred."""
        length = ALGS[self.alg].key
        info = cbor2.dumps([sender_sid, self.gid, self.alg, 'Key', length])
        return hkdf(self.hkdf_alg, self.sender_key(sender_sid), sender_cred + recipient_cred + secret, info, length)

    def nonce(self, alg, piv_id, piv):
        return make_nonce(self.common_iv[:ALGS[alg].nonce], piv_id, piv)


class Party:
    """One member: its Sender Context, and Recipient Contexts of the peers in `creds` (SID -> PublicCred)."""

    def __init__(self, group, sid, keys, creds=None):
        self.group, self.sid, self.keys = group, sid, keys
        self.creds = creds if creds is not None else {}
        self.ssn = 0
        self.windows = {}

    def _cred(self, sid):
        if sid not in self.creds:
            raise OscoreError('no credential for Sender ID %s' % sid.hex())
        return self.creds[sid]

    def next_piv(self):
        piv = piv_bytes(self.ssn)
        self.ssn += 1
        return piv

    # One direction of protection; `owner` is the SID whose Partial IV makes the nonce.

    def _seal_group(self, exchange, option, owner, piv, is_request, plaintext):
        group, cred = self.group, self.keys.cred.raw
        external = group.external_aad(exchange, option, cred)
        ciphertext = seal(group.gp_enc_alg, group.sender_key(self.sid), group.nonce(group.gp_enc_alg, owner, piv),
                          enc_structure(external), plaintext)
        signature = self.keys.sign(group.to_be_signed(external, ciphertext))
        return ciphertext + xor(signature, group.keystream(owner, piv, is_request))

    def _open_group(self, exchange, option, sender, owner, piv, is_request, payload):
        group = self.group
        external, ciphertext = group.check(exchange, option, self._cred(sender), owner, piv, is_request, payload)
        return open_sealed(group.gp_enc_alg, group.sender_key(sender), group.nonce(group.gp_enc_alg, owner, piv),
                           enc_structure(external), ciphertext)

    def _seal_pairwise(self, exchange, option, peer, owner, piv, plaintext):
        group, own, other = self.group, self.keys.cred.raw, self._cred(peer)
        key = group.pairwise_key(self.sid, own, other.raw, self.keys.shared_secret(other))
        external = group.external_aad(exchange, option, own)
        return seal(group.alg, key, group.nonce(group.alg, owner, piv), enc_structure(external), plaintext)

    def _open_pairwise(self, exchange, option, sender, owner, piv, payload):
        group, own, other = self.group, self.keys.cred.raw, self._cred(sender)
        key = group.pairwise_key(sender, other.raw, own, self.keys.shared_secret(other))
        external = group.external_aad(exchange, option, other.raw)
        return open_sealed(group.alg, key, group.nonce(group.alg, owner, piv), enc_structure(external), payload)

    def protect_request(self, message, peer=None):
        """Group mode, or pairwise mode to the Sender ID `peer`: (outer message, exchange)."""
        exchange = Exchange(self.sid, self.next_piv(), self.group.gid, peer is None, peer)
        option = encode_option(exchange.piv, self.sid, self.group.gid, exchange.group)
        if exchange.group:
            payload = self._seal_group(exchange, option, self.sid, exchange.piv, True, inner_plaintext(message))
        else:
            payload = self._seal_pairwise(exchange, option, peer, self.sid, exchange.piv, inner_plaintext(message))
        return outer_message(message, option, payload), exchange

    def unprotect_request(self, outer):
        """(inner message, exchange)."""
        raw = outer.get(coap.OSCORE)
        option = decode_option(raw)
        if None in (option.kid, option.piv, option.kid_context):
            raise OscoreError('a group request needs kid, Partial IV and kid context')
        if option.kid_context != self.group.gid:
            raise OscoreError('foreign Gid %s' % option.kid_context.hex())
        exchange = Exchange(option.kid, option.piv, option.kid_context, option.group, option.kid)
        window, number = self.windows.setdefault(option.kid, ReplayWindow()), int.from_bytes(option.piv, 'big')
        if not window.is_fresh(number):
            raise OscoreError('replay')
        if option.group:
            plaintext = self._open_group(exchange, raw, option.kid, option.kid, option.piv, True, outer.payload)
        else:
            plaintext = self._open_pairwise(exchange, raw, option.kid, option.kid, option.piv, outer.payload)
        window.accept(number)
        return inner_message(outer, plaintext), exchange

    def protect_response(self, message, exchange, group_mode=None, own_piv=False):
        """In the mode of the request unless told; kid is sent in answers to group mode requests."""
        group_mode = exchange.group if group_mode is None else group_mode
        piv = self.next_piv() if own_piv else None
        option = encode_option(piv, self.sid if exchange.group else None, None, group_mode)
        owner, used = (self.sid, piv) if piv else (exchange.kid, exchange.piv)
        if group_mode:
            payload = self._seal_group(exchange, option, owner, used, False, inner_plaintext(message))
        else:
            payload = self._seal_pairwise(exchange, option, exchange.kid, owner, used, inner_plaintext(message))
        return outer_message(message, option, payload)

    def unprotect_response(self, outer, exchange):
        """(inner message, responder's Sender ID)."""
        raw = outer.get(coap.OSCORE)
        if raw is None:
            raise OscoreError('unprotected %s' % coap.dotted(outer.code))
        option = decode_option(raw)
        sender = option.kid if option.kid is not None else exchange.peer
        if sender is None:
            raise OscoreError('a response to a group mode request needs kid')
        owner, used = (sender, option.piv) if option.piv else (exchange.kid, exchange.piv)
        if option.group:
            plaintext = self._open_group(exchange, raw, sender, owner, used, False, outer.payload)
        else:
            plaintext = self._open_pairwise(exchange, raw, sender, owner, used, outer.payload)
        return inner_message(outer, plaintext), sender


def public_creds(creds):
    """{SID: CCS bytes} -> {SID: PublicCred}."""
    return {sid: PublicCred(raw) for sid, raw in creds.items()}
