/* SPDX-License-Identifier: Apache-2.0 */
/* What members would send, protected before the clock starts. */
#include <stdlib.h>

#include "scaling/parts.h"

#define BATCH GM_BATCH_MAX

struct sealing { /* shots on their way to be sealed */
	unsigned n;
	struct shot shot[BATCH];
	unsigned to[BATCH];
	struct gm_aead_job job[BATCH];
	struct gm_oscore_scratch scratch[BATCH];
	struct gm_oscore_keys keys[BATCH];
};

bool bench_load_new(struct load *l, uint32_t cap)
{
	*l = (struct load){.cap = cap};
	for (unsigned w = 0; w < SITES_WORKERS; w++)
		if (!(l->at[w] = malloc(cap * sizeof(*l->at[w]))))
			return false;
	return true;
}

void bench_load_free(struct load *l)
{
	for (unsigned w = 0; w < SITES_WORKERS; w++)
		free(l->at[w]);
}

static uint32_t dice(void) /* xorshift: the same order in each run */
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	return x ^= x << 5;
}

static unsigned pick(const struct site *s, const struct gm_oscore_keys *member, double share)
{
	unsigned owner = gm_dp_shard_owner(member->sid.b[0], s->workers);

	return dice() < share * UINT32_MAX ? (owner + 1) % s->workers : owner;
}

/* false: no room */
static bool give(struct load *l, unsigned to, const struct shot *shot)
{
	if (l->n[to] == l->cap)
		return false;
	l->at[to][l->n[to]++] = *shot;
	return true;
}

static bool flush(struct load *l, struct sealing *b)
{
	bool ok = !b->n || gm_aead_seal_many(b->job, b->n) == UINT64_MAX >> (64 - b->n);

	for (unsigned i = 0; i < b->n; i++)
		ok = ok && give(l, b->to[i], &b->shot[i]);
	b->n = 0;
	return ok;
}

static bool add(struct load *l, struct sealing *b, const struct gm_oscore_outer *outer, const struct gm_oscore_request *request,
                struct gm_bytes plain, const struct gm_addr *from, unsigned to)
{
	struct gm_out pkt = gm_out(b->shot[b->n].data, SHOT_LEN);

	if (gm_oscore_wrap(&b->keys[b->n], outer, request, &request->kid, request->piv, request->piv_n, plain, &pkt,
	                   &b->scratch[b->n], &b->job[b->n]) != GM_E_OK)
		return false;
	b->shot[b->n].from = *from;
	b->shot[b->n].len = (uint16_t)gm_out_len(&pkt);
	b->to[b->n] = to;
	return ++b->n < BATCH || flush(l, b);
}

/* ---- reads */

static void shuffle(uint32_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = dice() % i, was = order[k];
		order[k] = order[i - 1];
		order[i - 1] = was;
	}
}

/* Never the same number twice for a member, whichever site it talks to. */
static bool add_read(struct load *l, struct sealing *b, const struct site *s, uint32_t member, uint64_t seq, double share)
{
	static const uint8_t plain[] = "\x01\xb9" "ace-group" "\x02" "g0";
	struct gm_oscore_request request;
	struct gm_addr from;

	bench_end(member, &b->keys[b->n], &from);
	request.kid = b->keys[b->n].sid;
	request.piv_n = gm_oscore_piv(request.piv, seq);
	struct gm_oscore_outer outer = {.type = GM_COAP_CON, .code = GM_COAP_POST, .mid = (uint16_t)seq, .token_len = 4,
	                                .option = {.piv_n = request.piv_n, .has_kid = true, .kid = {request.kid.b, request.kid.n}}};
	memcpy(outer.token, &seq, 4);
	memcpy(outer.option.piv, request.piv, request.piv_n);
	return add(l, b, &outer, &request, (struct gm_bytes){plain, sizeof(plain) - 1}, &from, pick(s, &b->keys[b->n], share));
}

bool bench_reads(struct load *l, const struct site *s, uint32_t members, uint32_t each, double share)
{
	static uint64_t seq;
	uint32_t *order = malloc(members * sizeof(*order));
	struct sealing *b = calloc(1, sizeof(*b));
	bool ok = order && b;

	l->n[0] = l->n[1] = 0;
	for (uint32_t pass = 0; ok && pass < each; pass++) {
		shuffle(order, members);
		seq++;
		for (uint32_t i = 0; ok && i < members; i++)
			ok = add_read(l, b, s, order[i], seq, share);
	}
	ok = ok && flush(l, b);
	free(order);
	free(b);
	return ok;
}

/* ---- confirmations */

static uint32_t member_at(const struct gm_addr *a)
{
	return (uint32_t)(a->port - 40000) << 16 | (uint32_t)a->ip[14] << 8 | a->ip[15];
}

static bool add_confirmation(struct load *l, struct sealing *b, const struct site *s, const struct caught *c, double share)
{
	struct gm_bytes code = {(const uint8_t *)"\x44", 1};
	struct gm_oscore_option option;
	struct gm_coap m;
	struct gm_addr from;

	if (gm_coap_decode((struct gm_bytes){c->data, CAUGHT_LEN}, &m) != GM_E_OK || !m.has_oscore ||
	    gm_oscore_option_decode(m.oscore, &option) != GM_E_OK)
		return false;
	bench_end(member_at(&c->to), &b->keys[b->n], &from);
	unsigned to = pick(s, &b->keys[b->n], share);
	if (m.code != GM_COAP_POST) { /* a notification: an empty ACK is enough */
		struct shot ack = {.from = c->to, .len = 4, .data = {0x60, 0, c->data[2], c->data[3]}};
		return give(l, to, &ack);
	}
	struct gm_oscore_request request = {.kid = b->keys[b->n].rid, .piv_n = option.piv_n};
	struct gm_oscore_outer outer = {.type = GM_COAP_ACK, .code = GM_COAP(2, 4), .mid = m.mid, .token_len = m.token_len};
	memcpy(request.piv, option.piv, option.piv_n);
	memcpy(outer.token, m.token, m.token_len);
	return add(l, b, &outer, &request, code, &c->to, to);
}

bool bench_confirmations(struct load *l, const struct site *s, uint32_t members, double share)
{
	struct sealing *b = calloc(1, sizeof(*b));
	uint32_t *order = malloc(members * sizeof(*order));
	bool ok = b && order;

	l->n[0] = l->n[1] = 0;
	for (unsigned w = 0; ok && w < s->workers; w++) {
		shuffle(order, s->lane[w].caught_n);
		for (uint32_t i = 0; ok && i < s->lane[w].caught_n; i++)
			ok = add_confirmation(l, b, s, &s->lane[w].caught[order[i]], share); /* NOLINT(clang-analyzer-core.uninitialized.ArraySubscript): shuffled */
	}
	ok = ok && flush(l, b);
	free(order);
	free(b);
	return ok;
}
