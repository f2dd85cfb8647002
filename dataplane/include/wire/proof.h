/* SPDX-License-Identifier: Apache-2.0 */
/* The Group Manager's key pair in a group, and proofs of possession in the group's own algorithm: a signature where the
 * group signs, a MAC from a shared secret where it has pairwise mode only.   KG §6.1, KG §6.1, §6.3
 * No allocation, any thread. */
#ifndef GM_WIRE_PROOF_H
#define GM_WIRE_PROOF_H

#include "gm/crypto.h"
#include "wire/groupcomm.h"

#define GM_PROOF_MAX GM_ECDSA_SIG_MAX

struct gm_key_pair { /* secret */
	struct gm_cred_pub pub;
	uint8_t priv[GM_EC_SIDE_MAX]; /* the seed of an Ed25519 key; pub.n bytes */
};

/* The key pair on the group's curve that belongs to 32 secret random bytes; always the same one.
 * RANGE: no such curve. */
GM_NODISCARD enum gm_err gm_key_pair_make(struct gm_key_pair *pair, const struct gm_group_params *params,
                                          const uint8_t seed[static 32]);

struct gm_key_pair_job {
	struct gm_key_pair *pair;
	const struct gm_group_params *params;
	const uint8_t *seed; /* 32 bytes */
};
/* The same for up to GM_BATCH_MAX groups: bit i is set where there is such a curve. */
GM_NODISCARD uint64_t gm_key_pairs_make(const struct gm_key_pair_job *jobs, unsigned n);

/* The Group Manager's credential in the form of the group. Where the form has an issuer, an Ed25519 key is under itself;
 * other keys are under an Ed25519 key made for this alone, which follows from them: its signatures are the same each
 * time. from: epoch seconds. RANGE: no such form; ROOM */
GM_NODISCARD enum gm_err gm_own_cred_encode(struct gm_out *out, const struct gm_group_params *params,
                                            const struct gm_key_pair *own, int64_t from);

/* Whether a group's credentials may have this form: whatever its keys are, one of the Group Manager's can be made. */
bool gm_cred_fmt_known(int32_t cred_fmt);

/* Whether proofs are Ed25519 signatures, which the crypto door takes in batches. */
bool gm_proof_is_ed25519(const struct gm_group_params *params);
/* Bytes of a proof in this group. */
size_t gm_proof_len(const struct gm_group_params *params);
/* own proves to the owner of peer, which is looked at in groups of pairwise mode only; proof has room for GM_PROOF_MAX.
 * BAD_CRED: peer's key does not serve, or the library failed */
GM_NODISCARD enum gm_err gm_proof_make(const struct gm_group_params *params, const struct gm_key_pair *own,
                                       const struct gm_cred_pub *peer, struct gm_bytes input,
                                       uint8_t proof[static GM_PROOF_MAX]);
/* Whether proof shows that the owner of peer made it for input; own as peer above. */
GM_NODISCARD bool gm_proof_verify(const struct gm_group_params *params, const struct gm_key_pair *own,
                     const struct gm_cred_pub *peer, struct gm_bytes input, struct gm_bytes proof);

struct gm_proof_job { /* params, own, peer and input as above */
	const struct gm_group_params *params;
	const struct gm_key_pair *own;
	const struct gm_cred_pub *peer;
	struct gm_bytes input;
	struct gm_bytes proof; /* to be verified */
	uint8_t *made;         /* out: room for GM_PROOF_MAX */
};
/* The same for up to GM_BATCH_MAX proofs, in any groups: bit i is set where it could be made, or verifies. Secrets of MACs are
 * agreed on together. */
GM_NODISCARD uint64_t gm_proofs_make(const struct gm_proof_job *jobs, unsigned n);
GM_NODISCARD uint64_t gm_proofs_verify(const struct gm_proof_job *jobs, unsigned n);

struct gm_secret_job {
	uint8_t *secret; /* out: GM_EC_SIDE_MAX bytes */
	const struct gm_key_pair *own;
	const struct gm_cred_pub *peer;
};
/* As below, of up to GM_BATCH_MAX pairs: bit i is set where there is a secret. */
GM_NODISCARD uint64_t gm_shared_secrets(const struct gm_secret_job *jobs, unsigned n);
/* Static-static Diffie-Hellman secret of two keys of one group, pub.n bytes; Ed25519 keys in their Montgomery form.
 * BAD_CRED: the keys are of different curves, or peer's is of small order or off its curve. GO §2.5 */
GM_NODISCARD enum gm_err gm_shared_secret(uint8_t secret[static GM_EC_SIDE_MAX], const struct gm_key_pair *own,
                                          const struct gm_cred_pub *peer);

#endif
