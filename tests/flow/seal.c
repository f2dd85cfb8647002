/* SPDX-License-Identifier: Apache-2.0 */
/* libcrypto has no memory left and seals nothing: what was to be sealed stays here. */
#include <criterion/criterion.h>

#include <dlfcn.h>
#include <openssl/evp.h>

#include "ccm/ccm.h"
#include "flow_rig.h"

#define BOTH (GM_ROLE_REQUESTER | GM_ROLE_RESPONDER)
#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))

static bool broken, in_worker;
static unsigned failed, sent;
static struct gm_bytes secret;

/* In place of libcrypto's: it fails the Group Manager's seals, not its opens, and nothing of the members'. */
int EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *out_n, const unsigned char *in, int in_n)
{
	static int (*real)(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "EVP_CipherUpdate");
	if (broken && in_worker && EVP_CIPHER_CTX_is_encrypting(ctx)) {
		failed++;
		return 0;
	}
	return real(ctx, out, out_n, in, in_n);
}

static bool turn(struct worker *w)
{
	in_worker = true;
	bool busy = gm_worker_turn(w);
	in_worker = false;
	return busy;
}

static void tap(void *arg, const struct gm_addr *to, const uint8_t *data, size_t n)
{
	(void)arg, (void)to;
	sent++;
	cr_expect_null(memmem(data, n, secret.p, secret.n), "the group's secret is in a datagram");
}

static struct flow *begin(struct gm_member **m, int32_t alg, bool post)
{
	struct flow *r = flow_new(1, NULL);

	r->worker_turn = turn;
	*m = flow_member_osc(r, BOTH, post, alg, 5);
	cr_assert(flow_do(r, *m, JOIN | (post ? 0 : GM_PLAN(GM_OP_OBSERVE))));
	secret = (struct gm_bytes){(*m)->keys.ms, (*m)->keys.ms_n};
	r->far_tap = tap;
	return r;
}

static void answers(int32_t alg)
{
	struct gm_member *m;
	struct flow *r = begin(&m, alg, true);

	gm_ccm_use(&gm_ccm_portable); /* the other variants need no memory */
	broken = true;
	cr_expect_not(flow_do(r, m, GM_PLAN(GM_OP_JOIN)));
	cr_expect_gt(failed, 0u);
	broken = false;
	cr_expect(flow_do(r, m, GM_PLAN(GM_OP_JOIN)), "it works again once there is memory");
	cr_expect_gt(sent, 0u);
	cr_expect_eq(r->failures, 0u, "%s", r->failure);
	flow_free(r);
}

Test(seal, an_answer_that_could_not_be_sealed_is_not_sent)
{
	answers(3); /* A256GCM */
}

Test(seal, nor_is_one_under_aes_ccm)
{
	answers(10);
}

Test(seal, keys_that_could_not_be_sealed_are_not_sent_and_arrive_later)
{
	struct gm_member *m;
	struct flow *r = begin(&m, 3, false);

	broken = true;
	cr_assert_eq(flow_rekey(r, true), GM_E_OK);
	flow_run(r, 500);
	cr_expect_gt(failed, 0u);
	cr_expect_eq(flow_at_version(r, 1), 0u);
	broken = false;
	flow_run(r, 20000);
	cr_expect_eq(flow_at_version(r, 1), 1u, "by retransmission, or by the member's own asking");
	cr_expect_eq(r->failures, 0u, "%s", r->failure);
	flow_free(r);
}
