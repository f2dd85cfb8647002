/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "dice.h"
#include "emulated.h"
#include "guard.h"
#include "wire/oscore_many.h"

#define JOBS 4000ul
#define PLAIN_MAX 600u

static struct gm_dice dice;
static struct gm_guard pkts[GM_BATCH_MAX], plain_guard[3];
static struct gm_oscore_keys keys[GM_BATCH_MAX];
static struct gm_oscore_post posts[GM_BATCH_MAX];

static void start(void)
{
	cr_assert(gm_crypto_init());
	for (unsigned i = 0; i < GM_BATCH_MAX; i++)
		pkts[i] = gm_guard_new(GM_OSCORE_POST_ROOM(PLAIN_MAX));
	for (unsigned i = 0; i < 3; i++)
		plain_guard[i] = gm_guard_new(PLAIN_MAX);
}

TestSuite(oscore_many, .init = start);

/* all lengths of numbers, their limits more often */
static uint64_t some_seq(void)
{
	static const uint64_t limits[] = {0, 1, 0xff, 0x100, 0xffff, 0x10000, 0xffffff, 0x1000000, GM_OSCORE_SEQ_MAX};
	uint64_t any = (uint64_t)gm_roll(&dice, UINT32_MAX) << 8 | gm_roll(&dice, 256);

	return gm_roll(&dice, 2) ? limits[gm_roll(&dice, 9)] : any >> gm_roll(&dice, 40);
}

static void random_post(unsigned i, struct gm_bytes plain)
{
	struct gm_oscore_post *p = &posts[i];
	struct gm_oscore_keys *k = &keys[i];

	gm_roll_bytes(&dice, (uint8_t *)k, sizeof(*k)); /* what is behind a short ID may be anything */
	k->alg = 10;
	k->sid.n = (uint8_t)gm_roll(&dice, GM_OSCORE_ID_MAX + 1);
	*p = (struct gm_oscore_post){.keys = k, .seq = some_seq(), .mid = (uint16_t)gm_roll(&dice, 65536)};
	k->rid.n = (uint8_t)gm_roll(&dice, GM_OSCORE_ID_MAX + 1);
	p->token_len = (uint8_t)gm_roll(&dice, GM_COAP_TOKEN_MAX + 1);
	gm_roll_bytes(&dice, p->token, sizeof(p->token));
	p->obs_piv_n = (uint8_t)(gm_roll(&dice, 2) ? gm_roll(&dice, GM_OSCORE_PIV_MAX + 1) : 0);
	gm_roll_bytes(&dice, p->obs_piv, sizeof(p->obs_piv));
	p->plain = plain;
	p->cap = GM_OSCORE_POST_ROOM(plain.n);
	p->pkt = gm_guard_at(&pkts[i], p->cap, gm_roll(&dice, 2));
}

/* The same message by the way of single ones. */
static size_t by_wrap(const struct gm_oscore_post *p, uint8_t *to, size_t cap)
{
	struct gm_oscore_outer outer = {
	    .type = GM_COAP_CON, .code = GM_COAP_POST, .mid = p->mid, .token_len = p->token_len};
	struct gm_oscore_request request = {.kid = p->keys->sid};
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	struct gm_out out = gm_out(to, cap);

	request.piv_n = outer.option.piv_n = gm_oscore_piv(outer.option.piv, p->seq);
	memcpy(request.piv, outer.option.piv, sizeof(request.piv));
	memcpy(outer.token, p->token, sizeof(outer.token));
	if (p->obs_piv_n) {
		request.kid = p->keys->rid;
		request.piv_n = p->obs_piv_n;
		memcpy(request.piv, p->obs_piv, sizeof(request.piv));
		outer.code = GM_COAP(2, 5);
		outer.has_observe = true;
		outer.observe = (uint32_t)p->seq & 0xffffff;
	} else {
		outer.option.has_kid = true;
		outer.option.kid = (struct gm_bytes){p->keys->sid.b, p->keys->sid.n};
	}
	cr_assert_eq(gm_oscore_wrap(p->keys, &outer, &request, &p->keys->sid, outer.option.piv, outer.option.piv_n,
	                            p->plain, &out, &scratch, &job),
	             GM_E_OK);
	cr_assert_eq(gm_aead_seal_many(&job, 1), 1);
	return gm_out_len(&out);
}

/* One text for all, as in a rekey, or some of one and some of another */
static void random_plains(struct gm_bytes *plain)
{
	const bool differ = gm_roll(&dice, 3) == 0;

	for (unsigned i = 0; i < 3; i++) {
		const size_t n = gm_roll(&dice, gm_roll(&dice, 4) ? 120 : PLAIN_MAX + 1);
		uint8_t *bytes = gm_guard_at(&plain_guard[i], n, gm_roll(&dice, 2));
		gm_roll_bytes(&dice, bytes, n);
		plain[i] = i && !differ ? plain[0] : (struct gm_bytes){bytes, n};
	}
}

static void use_any_variant(void)
{
	static const struct gm_ccm_variant *const variants[] = {
	    &gm_ccm_portable,
#ifdef __x86_64__
	    &gm_ccm_aesni, &gm_ccm_aesni_few, &gm_ccm_vaes_emulated, &gm_ccm_vaes,
#endif
	};
	const struct gm_ccm_variant *v = variants[gm_roll(&dice, sizeof(variants) / sizeof(variants[0]))];

	if (v->usable())
		gm_ccm_use(v);
}

Test(oscore_many, gives_the_bytes_of_single_messages)
{
	static uint8_t expected[2 * PLAIN_MAX];
	unsigned long done = 0, wanted = gm_jobs_wanted(JOBS);

	while (done < wanted) {
		unsigned n = 1 + gm_roll(&dice, GM_BATCH_MAX);
		struct gm_bytes plain[3];

		use_any_variant();
		random_plains(plain);
		for (unsigned i = 0; i < n; i++)
			random_post(i, plain[gm_roll(&dice, 3)]);
		cr_assert_eq(gm_oscore_post_many(posts, n), n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1);
		for (unsigned i = 0; i < n; i++) {
			cr_assert_eq(posts[i].len, by_wrap(&posts[i], expected, sizeof(expected)));
			cr_assert_arr_eq(posts[i].pkt, expected, posts[i].len,
			                 "message %u of %u, number %llx, id of %u bytes", i, n,
			                 (unsigned long long)posts[i].seq, keys[i].sid.n);
		}
		done += n;
	}
}

Test(oscore_many, leaves_a_message_that_cannot_be_made_untouched_and_makes_the_others)
{
	const struct gm_bytes plain = {(const uint8_t *)"\2\xff"
	                                                "body",
	                               6};

	for (unsigned i = 0; i < 10; i++) {
		random_post(i, plain);
		memset(posts[i].pkt, 0xa5, posts[i].cap);
	}
	keys[1].alg = 30;
	keys[2].sid.n = GM_OSCORE_ID_MAX + 1;
	posts[3].seq = GM_OSCORE_SEQ_MAX + 1;
	posts[4].token_len = GM_COAP_TOKEN_MAX + 1;
	posts[5].cap--;
	keys[6].rid.n = GM_OSCORE_ID_MAX + 1;
	posts[7].obs_piv_n = GM_OSCORE_PIV_MAX + 1;
	cr_expect_eq(gm_oscore_post_many(posts, 10), 1u << 0 | 1u << 8 | 1u << 9);
	for (unsigned i = 0; i < 10; i++)
		cr_expect_eq(posts[i].pkt[0] == 0xa5, i >= 1 && i <= 7, "message %u", i);
	cr_expect_eq(gm_oscore_post_many(posts, 0), 0);
	cr_expect_eq(gm_oscore_post_many(posts + 3, 1), 0);
	posts[0].plain = (struct gm_bytes){posts[0].pkt, 65536};
	cr_expect_eq(gm_oscore_post_many(posts, 1), 0);
}
