/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that somebody forgot: each call below throws its answer away, and none of them may compile. See forgotten.sh. */
#include "gm/crypto.h"
#include "wire/cose.h"
#include "wire/cwt.h"
#include "wire/oscore_many.h"
#include "wire/proof.h"

void forgotten(uint8_t *p, size_t n, struct gm_ccm_same *same, const struct gm_proof_job *proofs, const struct gm_secret_job *secrets)
{
	struct gm_bytes b = {p, n};
	const void *jobs = p;

	gm_crypto_init();
	gm_ed25519_verify(jobs, 1);
	gm_ed25519_point_from_key((void *)p, p);
	gm_ed25519_points_from_keys(jobs, 1);
	gm_ec_valid(1, p);
	gm_ec_decompress(1, p, p, true);
	gm_ec_public(1, p, p);
	gm_ec_from_seed(1, p, p);
	gm_ec_keygen(1, p, p);
	gm_ecdh(1, p, p, p);
	gm_ecdsa_verify(-7, p, p, p, n);
	gm_ecdsa_sign(-7, p, p, p, n);
	gm_es256_verify(p, p, p, n);
	gm_es256_keygen(p, p);
	gm_es256_sign(p, p, p, n);
	gm_x25519(p, p, p);
	gm_x25519_many(jobs, 1);
	gm_ed25519_to_x25519_pub(p, p);
	gm_ed25519_to_x25519_pub_many(jobs, 1);
	gm_ccm_seal(jobs, 1);
	gm_ccm_open(jobs, 1);
	gm_ccm_seal_same(same, 1);
	gm_aead_seal(10, p, p, p, n, p, n);
	gm_aead_open(10, p, p, p, n, p, n);
	gm_aead_seal_many(jobs, 1);
	gm_aead_open_many(jobs, 1);
	gm_ctr_crypt(-65534, p, p, p, n);
	gm_hkdf(5, p, n, p, n, p, n, p, n);
	gm_hkdf_extract(5, p, p, n, p, n);
	gm_hkdf_contexts(jobs, 1);
	gm_x509_end_key(jobs, 1, true, -1, (void *)p);
	gm_x509_issue(p, n, jobs, "a", "b", 0, p);
	gm_box_open(p, p, n, p, n, p, p);
	gm_equal(p, p, n);
	gm_cose_key_fits(jobs, jobs);
	gm_cnonce_fresh(b, p, 0);
	gm_scope_allows(b, b, 1);
	gm_oscore_window_fresh(jobs, 1);
	gm_oscore_post_many((void *)p, 1);
	gm_proof_verify(jobs, jobs, jobs, b, b);
	gm_proofs_make(proofs, 1);
	gm_proofs_verify(proofs, 1);
	gm_shared_secrets(secrets, 1);
}
