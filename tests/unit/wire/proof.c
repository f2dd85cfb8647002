/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "vectors.h"
#include "wire/params.h"
#include "wire/proof.h"

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(proof, .init = start);
TestSuite(key_pair, .init = start);

static struct gm_group_params signing(int32_t alg)
{
	struct gm_group_params p = gm_group_params_default();
	p.sign_alg = alg;
	p.ecdh_crv = 0;
	gm_params_complete(&p);
	return p;
}

static struct gm_group_params pairing(int32_t crv)
{
	struct gm_group_params p = gm_group_params_default();
	p.group_mode = false;
	p.ecdh_crv = crv;
	gm_params_complete(&p);
	return p;
}

#define KINDS 8u
static struct gm_group_params kind(unsigned i)
{
	static const int32_t algs[] = {-8, -7, -35, -36}, crvs[] = {4, 1, 2, 3};
	return i < 4 ? signing(algs[i]) : pairing(crvs[i - 4]);
}

static struct gm_key_pair pair(const struct gm_group_params *p, uint8_t fill)
{
	struct gm_key_pair k;
	uint8_t seed[32];

	memset(seed, fill, sizeof(seed));
	cr_assert_eq(gm_key_pair_make(&k, p, seed), GM_E_OK);
	return k;
}

static const struct gm_bytes input = {(const uint8_t *)"N_S N_C", 7}, other = {(const uint8_t *)"N_S N_D", 7};

Test(proof, of_each_kind_verifies_and_of_nobody_else)
{
	static const size_t lens[KINDS] = {64, 64, 96, 132, 8, 8, 8, 8};

	for (unsigned i = 0; i < KINDS; i++) {
		struct gm_group_params p = kind(i);
		struct gm_key_pair gm = pair(&p, 1), member = pair(&p, 2), stranger = pair(&p, 3);
		uint8_t bytes[GM_PROOF_MAX];
		struct gm_bytes proof = {bytes, gm_proof_len(&p)};

		cr_assert_eq(proof.n, lens[i]);
		cr_assert_eq(gm_proof_make(&p, &member, &gm.pub, input, bytes), GM_E_OK);
		cr_expect(gm_proof_verify(&p, &gm, &member.pub, input, proof), "%u", i);
		cr_expect_not(gm_proof_verify(&p, &gm, &member.pub, other, proof), "%u", i);
		cr_expect_not(gm_proof_verify(&p, &gm, &stranger.pub, input, proof), "%u", i);
		bytes[proof.n - 1] ^= 1;
		cr_expect_not(gm_proof_verify(&p, &gm, &member.pub, input, proof), "%u", i);
		bytes[proof.n - 1] ^= 1;
		proof.n--;
		cr_expect_not(gm_proof_verify(&p, &gm, &member.pub, input, proof), "%u: too short", i);
	}
}

Test(proof, by_mac_is_the_known_one_also_where_the_group_hashes_with_sha_512)
{
	json_t *file = gm_vectors_load("group-oscore.json");
	const json_t *only = json_object_get(file, "pop_pairwise_only"), *pop = json_object_get(file, "pop");
	struct gm_group_params p = pairing(GM_CRV_X25519);
	struct gm_key_pair client, gm;
	uint8_t seed[32], text[128], want[8], mac[GM_PROOF_MAX];

	p.hkdf = GM_HKDF_SHA_512;
	gm_vectors_get(seed, sizeof(seed), only, "client_x25519_priv(RFC7748 6.1 Alice)");
	cr_assert_eq(gm_key_pair_make(&client, &p, seed), GM_E_OK);
	gm_vectors_get(seed, sizeof(seed), only, "gm_x25519_priv(Bob)");
	cr_assert_eq(gm_key_pair_make(&gm, &p, seed), GM_E_OK);
	struct gm_bytes in = {text, gm_vectors_get(text, sizeof(text), pop, "client_pop_input")};
	gm_vectors_get(want, sizeof(want), only, "client_cred_verify_mac8");
	cr_assert_eq(gm_proof_make(&p, &client, &gm.pub, in, mac), GM_E_OK);
	cr_expect_arr_eq(mac, want, sizeof(want));
	cr_expect(gm_proof_verify(&p, &gm, &client.pub, in, (struct gm_bytes){want, sizeof(want)}));
	json_decref(file);
}

Test(proof, refuses_a_peer_on_another_curve_or_of_small_order)
{
	struct gm_group_params p = pairing(GM_CRV_X25519), q = pairing(GM_CRV_P256);
	struct gm_key_pair a = pair(&p, 1), b = pair(&q, 2);
	uint8_t mac[GM_PROOF_MAX];

	cr_expect_eq(gm_proof_make(&p, &a, &b.pub, input, mac), GM_E_BAD_CRED);
	struct gm_cred_pub none = {.kty = GM_KTY_OKP, .crv = GM_CRV_X25519, .n = 32};
	cr_expect_eq(gm_proof_make(&p, &a, &none, input, mac), GM_E_BAD_CRED);
	b.pub.y[0] ^= 1;
	cr_expect_eq(gm_proof_make(&q, &b, &b.pub, input, mac), GM_E_BAD_CRED);
}

Test(key_pair, is_the_same_each_time_and_its_credential_is_accepted)
{
	for (unsigned i = 0; i < KINDS; i++) {
		struct gm_group_params p = kind(i);
		struct gm_key_pair a = pair(&p, 7), b = pair(&p, 7), c = pair(&p, 8);
		struct gm_cred_pub read;
		uint8_t ccs[256];
		struct gm_out o = gm_out(ccs, sizeof(ccs));

		cr_expect(memcmp(&a, &b, sizeof(a)) == 0 && memcmp(&a.pub, &c.pub, sizeof(a.pub)) != 0);
		gm_ccs_encode_pub(&o, NULL, &a.pub);
		cr_assert_eq(gm_cred_pub(gm_out_result(&o), &p, &read), GM_E_OK, "%u", i);
		cr_expect_arr_eq(&read, &a.pub, sizeof(read));
	}
}

Test(key_pair, agrees_on_a_secret_from_both_ends)
{
	for (unsigned i = 0; i < KINDS; i++) {
		struct gm_group_params p = kind(i);
		struct gm_key_pair a = pair(&p, 1), b = pair(&p, 2);
		uint8_t one[GM_EC_SIDE_MAX], two[GM_EC_SIDE_MAX];

		cr_assert_eq(gm_shared_secret(one, &a, &b.pub), GM_E_OK);
		cr_assert_eq(gm_shared_secret(two, &b, &a.pub), GM_E_OK);
		cr_expect_arr_eq(one, two, a.pub.n);
	}
}

Test(key_pair, needs_a_curve_that_is_known)
{
	struct gm_group_params p = pairing(GM_CRV_X25519);
	struct gm_key_pair k;

	p.ecdh_crv = 5; /* X448 */
	cr_expect_eq(gm_key_pair_make(&k, &p, (const uint8_t[32]){1}), GM_E_RANGE);
}

/* Every kind, several times and among the others: the answers are those of one at a time. */
Test(proof, of_many_groups_at_once_are_those_of_one_at_a_time)
{
	static uint8_t made[GM_BATCH_MAX][GM_PROOF_MAX], one[GM_PROOF_MAX];
	static struct gm_group_params params[GM_BATCH_MAX];
	static struct gm_key_pair gm[GM_BATCH_MAX], member[GM_BATCH_MAX];
	struct gm_key_pair_job pairs[GM_BATCH_MAX];
	struct gm_proof_job jobs[GM_BATCH_MAX];
	uint8_t seeds[GM_BATCH_MAX][32];

	for (unsigned i = 0; i < GM_BATCH_MAX; i++) {
		params[i] = kind(i % KINDS);
		memset(seeds[i], (int)(i + 1), sizeof(seeds[i]));
		pairs[i] = (struct gm_key_pair_job){&gm[i], &params[i], seeds[i]};
		member[i] = pair(&params[i], (uint8_t)(i + 100));
	}
	cr_assert_eq(gm_key_pairs_make(pairs, GM_BATCH_MAX), UINT64_MAX);
	for (unsigned i = 0; i < GM_BATCH_MAX; i++) {
		struct gm_key_pair alone = pair(&params[i], (uint8_t)(i + 1));
		cr_expect_arr_eq(&gm[i].pub, &alone.pub, sizeof(alone.pub), "kind %u", i % KINDS);
		jobs[i] = (struct gm_proof_job){&params[i], &gm[i], &member[i].pub, input, .made = made[i]};
	}
	member[6].pub.crv = 99; /* of pairwise mode: does not serve */
	cr_assert_eq(gm_proofs_make(jobs, GM_BATCH_MAX), ~(UINT64_C(1) << 6));
	for (unsigned i = 0; i < GM_BATCH_MAX; i++) {
		jobs[i] = (struct gm_proof_job){&params[i], &member[i], &gm[i].pub, input, {made[i], gm_proof_len(&params[i])}, NULL};
		cr_expect_eq(gm_proof_verify(&params[i], &member[i], &gm[i].pub, input, jobs[i].proof), i != 6, "kind %u", i % KINDS);
		if (i % KINDS >= 4 && i != 6) { /* MACs have one form */
			cr_assert_eq(gm_proof_make(&params[i], &gm[i], &member[i].pub, input, one), GM_E_OK);
			cr_expect_arr_eq(one, made[i], GM_POP_MAC);
		}
	}
	made[3][5] ^= 1;
	made[12][7] ^= 1;
	jobs[20].proof.n--;
	cr_expect_eq(gm_proofs_verify(jobs, GM_BATCH_MAX),
	             ~(UINT64_C(1) << 3 | UINT64_C(1) << 6 | UINT64_C(1) << 12 | UINT64_C(1) << 20));
}
