/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "wire/cose.h"
#include "wire/params.h"

static struct gm_group_params both(void)
{
	return gm_group_params_default();
}

static bool names(const char *fault, const char *parameter)
{
	return fault && strncmp(fault, parameter, strlen(parameter)) == 0 && fault[strlen(parameter)] == ':';
}

static struct gm_group_params made(bool group_mode, bool pairwise_mode, int32_t sign_alg, int32_t hkdf)
{
	struct gm_group_params p = {.hkdf = hkdf,
	                            .cred_fmt = 14,
	                            .group_mode = group_mode,
	                            .pairwise_mode = pairwise_mode,
	                            .gp_enc_alg = 10,
	                            .alg = 10,
	                            .sign_alg = sign_alg};
	gm_params_complete(&p);
	return p;
}

Test(params, of_every_mode_signature_and_hash_are_consistent_when_completed)
{
	static const int32_t algs[] = {-8, -7, -35, -36}, hkdfs[] = {5, 7};

	for (unsigned modes = 1; modes < 4; modes++)
		for (unsigned a = 0; a < 4; a++)
			for (unsigned h = 0; h < 2; h++) {
				struct gm_group_params p = made(modes & 1, modes & 2, algs[a], hkdfs[h]);
				cr_expect(eq(ptr, (void *)gm_params_check(&p, 3), NULL), "%u %d %d", modes, algs[a], hkdfs[h]);
			}
}

Test(params, completed_have_the_capabilities_of_their_algorithms)
{
	struct gm_group_params p = made(true, true, GM_ALG_ES384, 7);

	cr_expect(p.sign_kty == 2 && p.sign_crv == 2 && p.ecdh_alg == -28 && p.ecdh_kty == 2 && p.ecdh_crv == 2);
	p = made(true, true, GM_ALG_EDDSA, 5);
	cr_expect(p.sign_kty == 1 && p.sign_crv == 6 && p.ecdh_alg == -27 && p.ecdh_kty == 1 && p.ecdh_crv == 4);
	p = made(false, true, 0, 5);
	cr_expect(p.gp_enc_alg == 0 && p.sign_alg == 0 && p.sign_crv == 0 && p.ecdh_crv == GM_CRV_X25519);
	p = made(true, false, GM_ALG_ES256, 5);
	cr_expect(p.alg == 0 && p.ecdh_alg == 0 && p.ecdh_crv == 0 && p.sign_crv == 1);
}

Test(params, for_pairwise_mode_alone_may_name_any_curve_of_key_agreement)
{
	static const int32_t crvs[] = {1, 2, 3, 4}, ktys[] = {2, 2, 2, 1};

	for (unsigned i = 0; i < 4; i++) {
		struct gm_group_params p = {
		    .hkdf = 5, .cred_fmt = 14, .pairwise_mode = true, .alg = 24, .ecdh_crv = crvs[i]};
		gm_params_complete(&p);
		cr_expect_eq(p.ecdh_kty, ktys[i]);
		cr_expect_null(gm_params_check(&p, 3));
	}
}

Test(params, may_name_every_aead_and_for_groups_counter_mode)
{
	static const int32_t algs[] = {1, 2, 3, 10, 11, 12, 13, 24, 30, 31, 32, 33, -65534, -65533, -65532};

	for (unsigned i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct gm_group_params p = both();
		p.gp_enc_alg = algs[i];
		cr_expect_null(gm_params_check(&p, 1), "%d", algs[i]);
		p = both();
		p.alg = algs[i];
		cr_expect_eq(gm_params_check(&p, 1) == NULL, algs[i] > 0, "%d", algs[i]);
	}
}

Test(params, bound_sender_ids_by_the_shortest_nonce)
{
	static const struct {
		int32_t alg;
		unsigned most;
	} rows[] = {{10, 7}, {30, 7}, {1, 6}, {24, 6}, {-65534, 6}, {12, 1}, {13, 1}, {32, 1}, {33, 1}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gm_group_params p = both();
		p.gp_enc_alg = rows[i].alg;
		cr_expect_null(gm_params_check(&p, rows[i].most));
		cr_expect(names(gm_params_check(&p, rows[i].most + 1), "alg"));
	}
	struct gm_group_params p = both();
	p.alg = 12;
	cr_expect(names(gm_params_check(&p, 2), "alg"), "the pairwise algorithm counts too");
}

/* One thing made wrong in good parameters, and the name that the fault begins with. */
static const struct wrong {
	const char *parameter;
	size_t at;
	int32_t value;
} wrongs[] = {
#define WRONG(parameter, field, value) {parameter, offsetof(struct gm_group_params, field), value}
    WRONG("hkdf", hkdf, 6),
    WRONG("hkdf", hkdf, -10),
    WRONG("cred_fmt", cred_fmt, 34),
    WRONG("gp_enc_alg", gp_enc_alg, -65531), /* A128CBC */
    WRONG("gp_enc_alg", gp_enc_alg, 0),
    WRONG("sign_alg", sign_alg, -37), /* PS256 */
    WRONG("sign_alg", sign_alg, 0),
    WRONG("sign_params", sign_kty, 2),
    WRONG("sign_params", sign_crv, 1),
    WRONG("sign_params", sign_alg, -7),
    WRONG("alg", alg, 0),
    WRONG("alg", alg, -65534),
    WRONG("ecdh_alg", ecdh_alg, 0),
    WRONG("ecdh_alg", ecdh_alg, -28),
    WRONG("ecdh_alg", hkdf, 7),
    WRONG("ecdh_params", ecdh_kty, 2),
    WRONG("ecdh_params", ecdh_crv, 6),
};

Test(params, that_do_not_go_together_are_named)
{
	for (unsigned i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		struct gm_group_params p = both();
		memcpy((uint8_t *)&p + wrongs[i].at, &wrongs[i].value, sizeof(int32_t));
		const char *fault = gm_params_check(&p, 2);
		cr_expect(names(fault, wrongs[i].parameter), "%s %d: %s", wrongs[i].parameter, wrongs[i].value,
		          fault ? fault : "no fault");
	}
}

Test(params, of_a_mode_that_is_off_have_to_be_absent)
{
	struct gm_group_params p = both();
	p.group_mode = false;
	cr_expect(names(gm_params_check(&p, 2), "gp_enc_alg"));
	p = both();
	p.pairwise_mode = false;
	cr_expect(names(gm_params_check(&p, 2), "alg"));
	p.alg = 0;
	cr_expect(names(gm_params_check(&p, 2), "ecdh_alg"));
	p.ecdh_alg = 0;
	cr_expect(names(gm_params_check(&p, 2), "ecdh_params"));
	p.ecdh_kty = p.ecdh_crv = 0;
	cr_expect_null(gm_params_check(&p, 2));
	p.group_mode = false;
	cr_expect(names(gm_params_check(&p, 2), "group_mode"), "no mode at all");
}

Test(params, with_both_modes_use_one_key_for_both)
{
	struct gm_group_params p = both();
	p.ecdh_kty = 2;
	p.ecdh_crv = 1;
	cr_expect(names(gm_params_check(&p, 2), "ecdh_params"), "Ed25519 signs, P-256 agrees");
	p = made(true, true, GM_ALG_ES256, 5);
	p.ecdh_crv = 2;
	cr_expect(names(gm_params_check(&p, 2), "ecdh_params"), "P-256 signs, P-384 agrees");
}

Test(params, have_the_names_of_the_registry)
{
	cr_expect_eq(gm_alg_of_name("ES512"), -36);
	cr_expect_eq(gm_alg_of_name("A128CTR"), -65534);
	cr_expect_eq(gm_alg_of_name("AES-CCM-16-64-128"), 10);
	cr_expect_eq(gm_alg_of_name("-8"), -8);
	cr_expect_eq(gm_alg_of_name("24"), 24);
	cr_expect_eq(gm_alg_of_name("AES-CBC"), 0);
	cr_expect_eq(gm_alg_of_name(""), 0);
	cr_expect_eq(gm_alg_of_name("10x"), 0);
	cr_expect_str_eq(gm_alg_name(24), "ChaCha20/Poly1305");
	cr_expect_null(gm_alg_name(99));
	cr_expect_eq(gm_crv_of_name("P-521"), 3);
	cr_expect_str_eq(gm_crv_name(6), "Ed25519");
}
