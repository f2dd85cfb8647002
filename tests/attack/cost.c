/* SPDX-License-Identifier: Apache-2.0 */
/* What it costs a worker to refuse each kind of stranger's datagram, next to what a member's read costs: cycles from datagram to
 * datagram over the network in memory, whose own share is that of the first row. Rounds of all kinds take turns; the median counts.
 *
 *   attack_cost [ROUNDS] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/order.h"
#include "flow_rig.h"

#define BURST_N 64u
#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))
#define BOTH (GM_ROLE_REQUESTER | GM_ROLE_RESPONDER)

static struct flow *r;
static struct gm_member *member;
static struct gm_addr stranger;
static uint32_t count;

struct datagram {
	const struct gm_addr *from;
	size_t n;
	uint8_t p[1024];
};

static uint64_t cycles(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
#endif
}

/* ---- the datagrams */

static void bytes(struct datagram *d, const char *p, size_t n)
{
	d->from = &stranger;
	memcpy(d->p, p, d->n = n);
	d->p[2] = (uint8_t)(++count >> 8);
	d->p[3] = (uint8_t)count;
}

static void ping(struct datagram *d)
{
	bytes(d, "\x40\x00\x12\x34", 4);
}

static void malformed(struct datagram *d)
{
	bytes(d, "\x49\x01\x12\x34" "123456789", 13);
}

static void unknown_path(struct datagram *d)
{
	bytes(d, "\x40\x01\x12\x34\xb3" "foo", 8);
}

static void unprotected(struct datagram *d)
{
	bytes(d, "\x40\x01\x12\x34\xb9" "ace-group\x02g1", 17);
}

static void unknown_kid(struct datagram *d)
{
	bytes(d, "\x40\x02\x12\x34\x96\x09\x00\x00\x00\x00\x07\xff" "123456789abcdef0123456789", 12 + 25);
}

static void read_of(struct datagram *d, uint64_t seq)
{
	struct gm_oscore_request request = {.kid = member->oscore.sid};
	struct gm_oscore_outer outer = {.code = GM_COAP_POST, .token_len = 4, .mid = (uint16_t)++count};
	struct gm_out o = gm_out(d->p, sizeof d->p), plain;
	uint8_t inner[64];
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	uint16_t last = 0;

	plain = gm_out(inner, sizeof inner);
	gm_out_u8(&plain, GM_COAP_GET);
	gm_coap_put_path(&plain, &last, GM_OPT_URI_PATH, "/ace-group/g1", 13);
	request.piv_n = gm_oscore_piv(request.piv, seq);
	outer.option.has_kid = true;
	outer.option.kid = (struct gm_bytes){member->oscore.sid.b, member->oscore.sid.n};
	outer.option.piv_n = request.piv_n;
	memcpy(outer.option.piv, request.piv, request.piv_n);
	if (gm_oscore_wrap(&member->oscore, &outer, &request, &request.kid, request.piv, request.piv_n, gm_out_result(&plain), &o,
	                   &scratch, &job) != GM_E_OK ||
	    gm_aead_seal_many(&job, 1) != 1)
		abort();
	d->from = &member->addr;
	d->n = gm_out_len(&o);
}

static void member_read(struct datagram *d)
{
	read_of(d, member->seq++);
}

static void replayed(struct datagram *d)
{
	read_of(d, 0);
	d->from = &stranger;
}

static void wrong_tag(struct datagram *d)
{
	read_of(d, member->seq + 1000);
	d->p[d->n - 1] ^= 1;
	d->from = &stranger;
}

static void post(struct datagram *d, bool forged)
{
	uint8_t body[700], token[512];
	struct gm_out o = gm_out(d->p, sizeof d->p), b = gm_out(body, sizeof body);
	uint16_t last = 0;

	memcpy(token, member->token, member->token_n);
	if (forged) { /* another one each time */
		count++;
		memcpy(token + member->token_n - 4, &count, 4);
	}
	struct gm_token_request request = {.token = {token, member->token_n},
	                                   .nonce1 = {(const uint8_t *)"12345678", 8},
	                                   .id1 = {(const uint8_t *)"id", 2}};
	gm_token_request_encode(&b, &request);
	gm_coap_put_head(&o, GM_COAP_CON, GM_COAP_POST, (uint16_t)++count, (const uint8_t *)"tokn", 4);
	gm_coap_put_path(&o, &last, GM_OPT_URI_PATH, "/authz-info", 11);
	gm_coap_put_option_uint(&o, &last, GM_OPT_CONTENT_FORMAT, GM_CF_ACE);
	gm_coap_put_payload(&o, body, gm_out_len(&b));
	d->from = &stranger;
	d->n = gm_out_len(&o);
}

static void bomb(struct datagram *d)
{
	static const uint8_t deep[200] = {0x9b, 0xff};
	struct gm_out o = gm_out(d->p, sizeof d->p);
	uint16_t last = 0;

	gm_coap_put_head(&o, GM_COAP_CON, GM_COAP_POST, (uint16_t)++count, (const uint8_t *)"tokn", 4);
	gm_coap_put_path(&o, &last, GM_OPT_URI_PATH, "/authz-info", 11);
	gm_coap_put_payload(&o, deep, sizeof deep);
	d->from = &stranger;
	d->n = gm_out_len(&o);
}

static void forged_token(struct datagram *d)
{
	post(d, true);
}

/* The same datagram while something is scarce. */
static void set_tight(bool on)
{
	r->dp->worker[0]->config.contexts_max = on ? 0 : r->dp_config.contexts_max;
}

static const struct kind {
	const char *name;
	void (*make)(struct datagram *d);
	bool tight;
} kinds[] = {
	{"a ping: RST, the floor", ping, false},
	{"malformed: RST", malformed, false},
	{"unknown path: 4.04", unknown_path, false},
	{"a group's resource without protection: 4.01, hints", unprotected, false},
	{"OSCORE under an unknown kid: 4.01", unknown_kid, false},
	{"OSCORE, a replay: 4.01", replayed, false},
	{"OSCORE, a wrong tag: 4.00", wrong_tag, false},
	{"a token that is a CBOR bomb: 4.00", bomb, false},
	{"a forged token, AES-CCM: 4.01", forged_token, false},
	{"any token where something is scarce: 4.01, Echo", forged_token, true},
	{"a member's read of the keys: 2.05", member_read, false},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static uint64_t round_of(const struct kind *kind)
{
	static struct datagram d[BURST_N];
	static struct gm_mem_dgram answer;
	unsigned answers = 0;

	set_tight(kind->tight);
	for (unsigned i = 0; i < BURST_N; i++) {
		stranger.port = (uint16_t)(1024 + count % 60000);
		kind->make(&d[i]);
		struct gm_addr from = *d[i].from;
		gm_mem_send(r->net, &from, &r->env.server, d[i].p, d[i].n);
	}
	uint64_t begun = cycles();
	gm_worker_turn(r->dp->worker[0]);
	uint64_t took = cycles() - begun;
	gm_mem_step(r->net, 1000000);
	while (gm_mem_recv(r->net, NULL, &answer))
		answers++;
	if (answers != BURST_N) {
		fprintf(stderr, "%s: %u answers to %u\n", kind->name, answers, BURST_N);
		exit(1);
	}
	return took / BURST_N;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 400;
	uint64_t *at = calloc((size_t)rounds * KINDS, sizeof *at);

	r = flow_new(1, NULL);
	member = flow_member(r, BOTH, true);
	gm_addr_parse(&stranger, "127.9.9.9:5000");
	if (!rounds || !at || !flow_do(r, member, JOIN))
		return 1;
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned k = 0; k < KINDS; k++)
			at[k * rounds + round] = round_of(&kinds[k]);
	for (unsigned k = 0; k < KINDS; k++)
		qsort(at + k * rounds, rounds, sizeof *at, by_u64);
	uint64_t served = at[(KINDS - 1) * rounds + rounds / 2];
	printf("%-52s %8s %8s\n", "kind", "cycles", "of read");
	for (unsigned k = 0; k < KINDS; k++)
		printf("%-52s %8llu %7.0f%%\n", kinds[k].name, (unsigned long long)at[k * rounds + rounds / 2],
		       100.0 * (double)at[k * rounds + rounds / 2] / (double)served);
	free(at);
	flow_free(r);
	return 0;
}
