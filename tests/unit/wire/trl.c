/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "vectors.h"
#include "wire/trl.h"

#define H(c) "5821" "01" c c c c c c c c /* a hash of 33 bytes: 01 and eight times four */
#define A "aaaaaaaa"
#define B "bbbbbbbb"
#define C "cccccccc"

struct told {
	char text[64]; /* +a -b ... */
	unsigned n;
};

static void each(void *arg, enum gm_trl_op op, struct gm_bytes hash)
{
	struct told *t = arg;

	cr_assert_eq(hash.n, 33);
	t->text[t->n++] = op == GM_TRL_LISTED ? '+' : '-';
	t->text[t->n++] = (char)('a' + (hash.p[1] & 0xf) - 10);
}

static enum gm_err decode(const char *text, struct gm_trl *trl, struct told *t)
{
	uint8_t body[1024];

	*t = (struct told){0};
	return gm_trl_decode((struct gm_bytes){body, gm_hex(body, sizeof body, text)}, trl, each, t);
}

/* RFC 9770 §7, with a cursor §9.1 */
Test(trl, full_sets_list_every_hash)
{
	struct gm_trl trl;
	struct told t;

	cr_expect_eq(decode("a10080", &trl, &t), GM_E_OK);
	cr_expect(trl.full && !trl.has_cursor && t.n == 0);
	cr_expect_eq(decode("a20082" H(A) H(B) "0218ff", &trl, &t), GM_E_OK);
	cr_expect(trl.full && trl.has_cursor && trl.cursor == 255);
	cr_expect_str_eq(t.text, "+a+b");
	cr_expect_eq(decode("a2008002f6", &trl, &t), GM_E_OK);
	cr_expect(!trl.has_cursor);
}

/* RFC 9770 §8: the newest first, in each what was removed before what was added */
Test(trl, diff_sets_are_told_from_the_oldest_entry_on)
{
	struct gm_trl trl;
	struct told t;

	cr_expect_eq(decode("a30183" "82" "81" H(A) "81" H(C) /**/ "82" "80" "81" H(B) /**/ "82" "80" "81" H(A) "0207" "03f5", &trl, &t),
	             GM_E_OK);
	cr_expect_str_eq(t.text, "+a+b-a+c");
	cr_expect(!trl.full && trl.more && trl.has_cursor && trl.cursor == 7 && trl.entries == 3);
	cr_expect_eq(decode("a3018002f603f5", &trl, &t), GM_E_OK);
	cr_expect(!trl.full && trl.more && !trl.has_cursor && trl.entries == 0);
	cr_expect_eq(decode("a10180", &trl, &t), GM_E_OK);
	cr_expect(!trl.more);
}

Test(trl, tells_nothing_of_what_is_not_good_as_a_whole)
{
	static const char *const bad[] = {
	    "a0",                                       /* no set */
	    "a20081" H(A) "0180",                       /* both */
	    "a20081" H(A) "0220",                       /* a negative cursor */
	    "a20081" H(A) "0260",                       /* a text */
	    "a20181" "82" "80" "81" H(A) "0301",        /* more is no truth value */
	    "a10082" H(A) "4101",                       /* a short hash */
	    "a10082" H(A) "01",                         /* no hash */
	    "a10182" "82" "80" "81" H(A) "8180",        /* an entry of one */
	    "a10182" "82" "80" "81" H(A) "8380" "8080", /* of three */
	    "a10182" "82" "80" "81" H(A) "82804101",
	    "a10081" H(A) "00",                         /* something behind */
	    "a20081" H(A) "0080",                       /* twice */
	    "8100", "",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct gm_trl trl;
		struct told t;
		cr_expect_neq(decode(bad[i], &trl, &t), GM_E_OK, "%s", bad[i]);
		cr_expect_eq(t.n, 0, "%s", bad[i]);
	}
}

Test(trl, takes_so_many_entries)
{
	uint8_t body[3 + 3 * (GM_TRL_DIFF_MAX + 1) + 1] = {0xa1, 0x01, 0x98, 0x18};
	struct told t = {0};
	struct gm_trl trl;

	for (unsigned n = GM_TRL_DIFF_MAX; n <= GM_TRL_DIFF_MAX + 1; n++) {
		body[3] = (uint8_t)n;
		for (unsigned i = 0; i < n; i++)
			memcpy(body + 4 + 3 * i, "\x82\x80\x80", 3);
		enum gm_err err = gm_trl_decode((struct gm_bytes){body, 4 + 3 * n}, &trl, each, &t);
		cr_expect_eq(err, n == GM_TRL_DIFF_MAX ? GM_E_OK : GM_E_MALFORMED);
	}
}

/* RFC 9770 §6.1 */
Test(trl, errors_have_an_id_and_maybe_a_cursor)
{
	uint8_t body[64];
	unsigned id = 9;
	bool has;
	uint64_t cursor = 0;

	cr_expect(gm_trl_error_decode((struct gm_bytes){body, gm_hex(body, sizeof body, "a220617801a2000001182a")}, &id, &has, &cursor));
	cr_expect(id == 0 && has && cursor == 42);
	cr_expect(gm_trl_error_decode((struct gm_bytes){body, gm_hex(body, sizeof body, "a101a1" "0002")}, &id, &has, &cursor));
	cr_expect(id == 2 && !has);
	cr_expect(gm_trl_error_decode((struct gm_bytes){body, gm_hex(body, sizeof body, "a101a2" "000001f6")}, &id, &has, &cursor));
	cr_expect(id == 0 && !has);
	cr_expect(!gm_trl_error_decode((struct gm_bytes){body, gm_hex(body, sizeof body, "a100a1" "0002")}, &id, &has, &cursor));
	cr_expect(!gm_trl_error_decode((struct gm_bytes){body, gm_hex(body, sizeof body, "a101a1" "0102")}, &id, &has, &cursor));
	cr_expect(!gm_trl_error_decode((struct gm_bytes){body, gm_hex(body, sizeof body, "a101a1" "0020")}, &id, &has, &cursor));
}
