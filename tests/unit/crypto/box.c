/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <gm/crypto.h>

static const uint8_t key[GM_BOX_KEY] = {1, 2, 3}, nonce[GM_BOX_NONCE] = {4, 5, 6}, aad[] = "record 7";

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(box, .init = start);

Test(box, opens_what_it_sealed_in_place_and_apart)
{
	uint8_t msg[] = "the master secret of a group", box[sizeof(msg) + GM_BOX_TAG], out[sizeof(box)];

	gm_box_seal(box, msg, sizeof(msg), aad, sizeof(aad), nonce, key);
	cr_expect(gm_box_open(out, box, sizeof(box), aad, sizeof(aad), nonce, key));
	cr_expect_arr_eq(out, msg, sizeof(msg));

	memcpy(out, msg, sizeof(msg));
	gm_box_seal(out, out, sizeof(msg), aad, sizeof(aad), nonce, key);
	cr_expect_arr_eq(out, box, sizeof(box));
	cr_expect(gm_box_open(out, out, sizeof(out), aad, sizeof(aad), nonce, key));
	cr_expect_arr_eq(out, msg, sizeof(msg));
}

Test(box, refuses_every_changed_byte)
{
	uint8_t msg[20] = {9}, box[sizeof(msg) + GM_BOX_TAG], out[sizeof(msg)];

	gm_box_seal(box, msg, sizeof(msg), aad, sizeof(aad), nonce, key);
	for (size_t i = 0; i < sizeof(box); i++) {
		box[i] ^= 1;
		cr_expect_not(gm_box_open(out, box, sizeof(box), aad, sizeof(aad), nonce, key), "byte %zu", i);
		box[i] ^= 1;
	}
	cr_expect_not(gm_box_open(out, box, sizeof(box), aad, sizeof(aad) - 1, nonce, key));
	cr_expect(gm_box_open(out, box, sizeof(box), aad, sizeof(aad), nonce, key));
}

Test(box, refuses_what_is_shorter_than_a_tag_and_seals_nothing_at_all)
{
	uint8_t box[GM_BOX_TAG], out[1];

	gm_box_seal(box, NULL, 0, NULL, 0, nonce, key);
	cr_expect(gm_box_open(out, box, sizeof(box), NULL, 0, nonce, key));
	for (size_t len = 0; len < sizeof(box); len++)
		cr_expect_not(gm_box_open(out, box, len, NULL, 0, nonce, key), "%zu bytes", len);
}

Test(box, leaves_nothing_of_what_was_forged)
{
	static const uint8_t zero[20];
	uint8_t msg[20] = {9}, box[sizeof(msg) + GM_BOX_TAG], out[sizeof(msg)];

	gm_box_seal(box, msg, sizeof(msg), aad, sizeof(aad), nonce, key);
	box[0] ^= 1;
	memset(out, 7, sizeof(out));
	cr_expect_not(gm_box_open(out, box, sizeof(box), aad, sizeof(aad), nonce, key));
	cr_expect_arr_eq(out, zero, sizeof(out));
	cr_expect_not(gm_box_open(box, box, sizeof(box), aad, sizeof(aad), nonce, key));
	cr_expect_arr_eq(box, zero, sizeof(zero));
	memset(out, 7, sizeof(out));
	cr_expect_not(gm_box_open(out, box, GM_BOX_TAG - 1, aad, sizeof(aad), nonce, key));
	cr_expect_eq(out[0], 7);
}
