/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "store/seal.h"
#include "store/store.h"

static void start(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(seal, .init = start);

static const struct gm_seal_key key = {.key = {1, 2, 3}, .id = 0xa1b2c3d4};
static const struct gm_bytes name = {.p = (const uint8_t *)"name", .n = 4},
                             value = {.p = (const uint8_t *)"value", .n = 5};

Test(seal, lays_a_record_out_as_written)
{
	static const uint8_t head[5] = {1, 0xa1, 0xb2, 0xc3, 0xd4};
	static const uint8_t aad[] = {GM_TABLE_CTX, 'n', 'a', 'm', 'e', 1, 0xa1, 0xb2, 0xc3, 0xd4};
	uint8_t record[5 + GM_SEAL_EXTRA], text[5];

	gm_seal(&key, GM_TABLE_CTX, name, value, record);
	cr_expect_arr_eq(record, head, sizeof(head));
	cr_assert(gm_box_open(text, record + 29, sizeof(record) - 29, aad, sizeof(aad), record + 5, key.key));
	cr_expect_arr_eq(text, "value", 5);
}

Test(seal, takes_another_nonce_each_time)
{
	uint8_t a[5 + GM_SEAL_EXTRA], b[5 + GM_SEAL_EXTRA];

	gm_seal(&key, GM_TABLE_CTX, name, value, a);
	gm_seal(&key, GM_TABLE_CTX, name, value, b);
	cr_expect_arr_neq(a + 5, b + 5, GM_BOX_NONCE);
}

Test(seal, opens_nothing_that_was_cut_short)
{
	uint8_t record[5 + GM_SEAL_EXTRA], out[sizeof(record)];
	struct gm_bytes opened;

	gm_seal(&key, GM_TABLE_CTX, name, value, record);
	for (size_t n = 0; n < sizeof(record); n++)
		cr_expect_eq(gm_unseal(&key, GM_TABLE_CTX, name, (struct gm_bytes){record, n}, out, &opened),
		             GM_E_CORRUPT);
	cr_expect_eq(gm_unseal(&key, GM_TABLE_CTX, name, (struct gm_bytes){record, sizeof(record)}, out, &opened),
	             GM_E_OK);
	cr_expect(gm_bytes_eq(opened, value));
}
