/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <gm/crypto.h>
#include "vectors.h"

static json_t *file;

static void start(void)
{
	cr_assert(gm_crypto_init());
	file = gm_vectors_load("curves.json");
}

static void stop(void)
{
	json_decref(file);
}

TestSuite(ec, .init = start, .fini = stop);
TestSuite(ecdsa, .init = start, .fini = stop);

struct row { /* of curves.json */
	int crv, alg;
	size_t side;
	uint8_t priv[2][GM_EC_SIDE_MAX], pub[2][GM_EC_PUB_MAX], sig[2][GM_ECDSA_SIG_MAX];
	uint8_t secret[GM_EC_SIDE_MAX], from_seed[GM_EC_SIDE_MAX], order[GM_EC_SIDE_MAX], msg[16];
	size_t msg_len;
};

static void take_pair(struct row *r, const json_t *o, unsigned i)
{
	r->side = gm_hex(r->priv[i], sizeof(r->priv[i]), json_string_value(json_array_get(json_object_get(o, "priv"), i)));
	gm_hex(r->pub[i], sizeof(r->pub[i]), json_string_value(json_array_get(json_object_get(o, "pub"), i)));
	gm_hex(r->sig[i], sizeof(r->sig[i]), json_string_value(json_array_get(json_object_get(o, "sig"), i)));
}

static bool row_at(size_t at, struct row *r)
{
	const json_t *o = json_array_get(json_object_get(file, "ec"), at);

	memset(r, 0, sizeof(*r));
	if (!o)
		return false;
	r->crv = (int)json_integer_value(json_object_get(o, "crv"));
	r->alg = (int)json_integer_value(json_object_get(o, "alg"));
	r->msg_len = gm_vectors_get(r->msg, sizeof(r->msg), o, "msg");
	gm_vectors_get(r->secret, sizeof(r->secret), o, "ecdh");
	gm_vectors_get(r->from_seed, sizeof(r->from_seed), o, "from_seed");
	gm_vectors_get(r->order, sizeof(r->order), o, "order");
	take_pair(r, o, 0);
	take_pair(r, o, 1);
	return true;
}

Test(ec, knows_three_curves_and_no_other)
{
	static const int crvs[] = {GM_EC_P256, GM_EC_P384, GM_EC_P521, 0, 4, 8};
	static const size_t sides[] = {32, 48, 66, 0, 0, 0};
	uint8_t b[GM_EC_PUB_MAX] = {0};

	for (unsigned i = 0; i < 6; i++)
		cr_expect_eq(gm_ec_side(crvs[i]), sides[i]);
	cr_expect_not(gm_ec_valid(4, b));
	cr_expect_not(gm_ec_keygen(4, b, b));
	cr_expect_not(gm_ecdh(4, b, b, b));
	cr_expect_not(gm_ec_from_seed(4, b, (const uint8_t[32]){0}));
}

Test(ec, makes_public_keys_and_shared_secrets_as_the_equations_do)
{
	struct row r;
	uint8_t out[GM_EC_PUB_MAX];

	for (size_t at = 0; row_at(at, &r); at++)
		for (unsigned i = 0; i < 2; i++) {
			cr_assert_eq(gm_ec_side(r.crv), r.side);
			cr_assert(gm_ec_public(r.crv, out, r.priv[i]));
			cr_expect_arr_eq(out, r.pub[i], 2 * r.side);
			cr_assert(gm_ecdh(r.crv, out, r.priv[i], r.pub[!i]));
			cr_expect_arr_eq(out, r.secret, r.side);
		}
}

Test(ec, makes_the_same_private_key_of_a_seed_each_time)
{
	struct row r;
	uint8_t seed[32], priv[GM_EC_SIDE_MAX];

	for (unsigned i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)i;
	for (size_t at = 0; row_at(at, &r); at++) {
		cr_assert(gm_ec_from_seed(r.crv, priv, seed));
		cr_expect_arr_eq(priv, r.from_seed, r.side);
	}
}

Test(ec, refuses_private_keys_out_of_range)
{
	struct row r;
	uint8_t out[GM_EC_PUB_MAX], zero[GM_EC_SIDE_MAX] = {0};

	for (size_t at = 0; row_at(at, &r); at++) {
		cr_expect_not(gm_ec_public(r.crv, out, zero));
		cr_expect_not(gm_ec_public(r.crv, out, r.order));
		r.order[r.side - 1]--; /* the last one is good */
		cr_expect(gm_ec_public(r.crv, out, r.order));
	}
}

Test(ec, refuses_points_off_the_curve_everywhere)
{
	struct row r;
	uint8_t out[GM_EC_PUB_MAX];

	for (size_t at = 0; row_at(at, &r); at++) {
		cr_expect(gm_ec_valid(r.crv, r.pub[0]));
		r.pub[0][2 * r.side - 1] ^= 1;
		cr_expect_not(gm_ec_valid(r.crv, r.pub[0]));
		cr_expect_not(gm_ecdh(r.crv, out, r.priv[1], r.pub[0]));
		cr_expect_not(gm_ecdsa_verify(r.alg, r.pub[0], r.sig[0], r.msg, r.msg_len));
		memset(r.pub[0], 0, sizeof(r.pub[0])); /* what some take for infinity */
		cr_expect_not(gm_ec_valid(r.crv, r.pub[0]));
		memset(r.pub[0], 0xff, sizeof(r.pub[0])); /* not below p */
		cr_expect_not(gm_ec_valid(r.crv, r.pub[0]));
		cr_expect_not(gm_ecdh(r.crv, out, r.priv[1], r.pub[0]));
	}
}

Test(ecdsa, verifies_known_signatures_and_no_altered_ones)
{
	struct row r;

	for (size_t at = 0; row_at(at, &r); at++)
		for (unsigned i = 0; i < 2; i++) {
			cr_assert_eq(gm_ecdsa_sig_len(r.alg), 2 * r.side);
			cr_expect(gm_ecdsa_verify(r.alg, r.pub[i], r.sig[i], r.msg, r.msg_len));
			cr_expect_not(gm_ecdsa_verify(r.alg, r.pub[!i], r.sig[i], r.msg, r.msg_len));
			r.msg[0] ^= 1;
			cr_expect_not(gm_ecdsa_verify(r.alg, r.pub[i], r.sig[i], r.msg, r.msg_len));
			r.msg[0] ^= 1;
			for (size_t at_byte = 1; at_byte < 2 * r.side; at_byte += 7) {
				r.sig[i][at_byte] ^= 0x10;
				cr_expect_not(gm_ecdsa_verify(r.alg, r.pub[i], r.sig[i], r.msg, r.msg_len));
				r.sig[i][at_byte] ^= 0x10;
			}
		}
}

Test(ecdsa, refuses_r_or_s_of_zero_or_of_the_order)
{
	struct row r;

	for (size_t at = 0; row_at(at, &r); at++)
		for (unsigned half = 0; half < 2; half++) {
			uint8_t sig[GM_ECDSA_SIG_MAX];
			memcpy(sig, r.sig[0], sizeof(sig));
			memset(sig + half * r.side, 0, r.side);
			cr_expect_not(gm_ecdsa_verify(r.alg, r.pub[0], sig, r.msg, r.msg_len));
			memcpy(sig + half * r.side, r.order, r.side);
			cr_expect_not(gm_ecdsa_verify(r.alg, r.pub[0], sig, r.msg, r.msg_len));
		}
}

Test(ecdsa, verifies_what_it_signed)
{
	struct row r;
	uint8_t pub[GM_EC_PUB_MAX], priv[GM_EC_SIDE_MAX], sig[GM_ECDSA_SIG_MAX];

	for (size_t at = 0; row_at(at, &r); at++)
		for (unsigned i = 0; i < 16; i++) {
			cr_assert(gm_ec_keygen(r.crv, pub, priv));
			cr_assert(gm_ecdsa_sign(r.alg, sig, priv, r.msg, r.msg_len));
			cr_expect(gm_ecdsa_verify(r.alg, pub, sig, r.msg, r.msg_len));
			cr_expect_not(gm_ecdsa_verify(r.alg, r.pub[0], sig, r.msg, r.msg_len));
		}
}

Test(ecdsa, knows_no_other_algorithm)
{
	uint8_t b[GM_ECDSA_SIG_MAX] = {0};

	cr_expect_eq(gm_ecdsa_sig_len(-8), 0);
	cr_expect_not(gm_ecdsa_verify(-8, b, b, b, 1));
	cr_expect_not(gm_ecdsa_sign(-37, b, b, b, 1));
}
