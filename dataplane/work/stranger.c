/* SPDX-License-Identifier: Apache-2.0 */
/* POST /authz-info comes from anybody, from any address. While there is plenty of everything it is served at once, as clients
 * expect who know RFC 9200 alone. Beyond a bound whoever has not shown its address gets a 4.01 with Echo, which is made of
 * the address and the time and costs neither memory nor cryptography; who repeats the request with it is served before all
 * others, and counts against no network but against its own address. RFC 9175 §2.3, §2.4 */
#include "gm/crypto.h"
#include "wire/groupcomm.h"
#include "work/worker.h"

#define WAYS 4u
#define ECHO_S 64       /* an Echo value is good for so long, and as long again */
#define ALL 4u          /* as many networks at their bound at once are as much as a worker serves */
#define BURST_S 16u     /* what a bucket holds: requests of so many seconds */
#define TOKEN_BURST 64u /* the same token from one network: one a second, so many at once */
#define PROOF_BURST 64u /* failed proofs under one context: one a second, so many at once */
#define LONG_MS 1000000u /* fills any bucket */
#define ASKS_MAX 96u    /* of all workers: half the places that core has for strangers */

struct limit {
	uint32_t rate, burst; /* thousandths of a request: a second, at once */
};

static const struct limit of_token = {1000, 1000 * TOKEN_BURST}, of_proofs = {1000, 1000 * PROOF_BURST};

/* ---- Echo */

static uint64_t echo_at(const struct worker *w, const struct gm_addr *peer, int64_t when)
{
	uint8_t who[sizeof peer->ip + 2 + 8 + 1];

	memcpy(who, peer->ip, sizeof peer->ip);
	memcpy(who + sizeof peer->ip, &peer->port, 2);
	memcpy(who + sizeof peer->ip + 2, &when, 8);
	who[sizeof who - 1] = 'E'; /* nothing else that is made with this secret and told is so long */
	return gm_siphash(w->boot, who, sizeof who);
}

static int64_t period(const struct worker *w)
{
	return (int64_t)(w->now_ms / 1000 / ECHO_S);
}

void gm_stranger_echo(const struct worker *w, const struct gm_addr *peer, uint8_t echo[static GM_ECHO])
{
	uint64_t v = echo_at(w, peer, period(w));

	memcpy(echo, &v, GM_ECHO);
}

bool gm_stranger_shown(const struct worker *w, const struct gm_addr *peer, const struct gm_coap *msg)
{
	if (!msg->has_echo || msg->echo.n != GM_ECHO)
		return false;
	uint64_t now = echo_at(w, peer, period(w)), before = echo_at(w, peer, period(w) - 1);

	return gm_equal(msg->echo.p, &now, GM_ECHO) || gm_equal(msg->echo.p, &before, GM_ECHO);
}

static void challenge(struct worker *w, const struct xch *x)
{
	uint8_t echo[GM_ECHO];

	gm_stranger_echo(w, &x->peer, echo);
	struct plain a = {.code = GM_COAP(4, 1), .format = GM_CF_NONE, .max_age_0 = true, .echo = {echo, sizeof echo}};
	gm_answer_plain(w, x, &a, NULL);
	COUNT(w, stranger_challenged);
}

static void come_later(struct worker *w, const struct xch *x)
{
	struct plain a = {.code = GM_COAP(5, 3), .format = GM_CF_NONE, .max_age = gm_worker_later(w)};

	gm_answer_plain(w, x, &a, NULL);
	COUNT(w, stranger_limited);
}

/* ---- buckets */

static void refill(const struct worker *w, struct bucket *b, struct limit limit)
{
	uint64_t ms = w->now_ms - b->at_ms < LONG_MS ? w->now_ms - b->at_ms : LONG_MS;
	uint64_t left = b->tag ? b->left + ms * limit.rate / 1000 : limit.burst;

	b->left = left < limit.burst ? (uint32_t)left : limit.burst;
	b->at_ms = w->now_ms;
	b->tag |= 1;
}

static bool take(struct bucket *b)
{
	if (b->left < 1000)
		return false;
	b->left -= 1000;
	return true;
}

/* Its own, else the one of those that it may have that was asked for longest ago. */
static struct bucket *bucket_of(struct worker *w, char kind, const void *key, size_t n, struct limit limit)
{
	uint8_t what[64] = {(uint8_t)kind};
	struct bucket *oldest = NULL;

	memcpy(what + 1, key, n);
	uint64_t h = gm_siphash(w->boot, what, 1 + n);
	uint32_t tag = (uint32_t)(h >> 32) | 1;
	for (unsigned i = 0; i < WAYS; i++) {
		struct bucket *b = &w->strangers.at[(h + i) % BUCKETS];
		if (b->tag == tag) {
			refill(w, b, limit);
			return b;
		}
		if (!oldest || b->at_ms < oldest->at_ms)
			oldest = b;
	}
	*oldest = (struct bucket){.tag = tag, .left = limit.burst, .at_ms = w->now_ms};
	return oldest;
}

/* /24, /64 */
static size_t network(uint8_t key[static 16], const struct gm_addr *peer)
{
	size_t n = gm_addr_is_v4(peer) ? 15 : 8;

	memcpy(key, peer->ip, n);
	return n;
}

static struct limit of_network(const struct worker *w, unsigned networks)
{
	uint64_t rate = (uint64_t)w->config.stranger_rate * networks * 1000, burst = rate * BURST_S;

	return (struct limit){.rate = rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX,
	                      .burst = burst < UINT32_MAX ? (uint32_t)burst : UINT32_MAX};
}

/* ---- posts */

/* So much is in use already that the rest is for those who have shown where they are. */
static bool is_tight(const struct worker *w)
{
	uint64_t cap = w->config.contexts_max / w->workers, live = w->stats.contexts;
	uint64_t room = cap > live ? cap - live : 0;

	return 2 * w->stats.contexts_pending >= room || w->xchs.used > EXCHANGES_MAX / 2;
}

/* Whether those of its network, and all who are not known, leave room for one more of them. */
static bool within_rates(struct worker *w, const struct gm_addr *peer)
{
	uint8_t key[16];
	size_t n = network(key, peer);

	if (!w->config.stranger_rate)
		return true;
	struct limit all = of_network(w, ALL), own = of_network(w, 1);
	struct bucket *b = bucket_of(w, 'N', key, n, own);
	refill(w, &w->strangers.all, all);
	return take(b) && take(&w->strangers.all);
}

/* Who has shown its address has one: all that comes from there together may be as much as a network's. */
static bool address_within_rate(struct worker *w, const struct gm_addr *peer)
{
	return !w->config.stranger_rate || take(bucket_of(w, 'S', peer->ip, sizeof peer->ip, of_network(w, 1)));
}

/* Who has overheard a token can post it from many ports, each time for another context. */
static bool token_within_rate(struct worker *w, const struct gm_coap *msg, const struct xch *x)
{
	struct gm_token_request request;
	uint8_t key[8 + 16 + 1];

	if (gm_token_request_decode(msg->payload, &request) != GM_E_OK)
		return true; /* is refused for less */
	uint64_t token = gm_siphash(w->boot, request.token.p, request.token.n);
	memcpy(key, &token, 8);
	key[8] = x->shown;
	size_t n = x->shown ? sizeof x->peer.ip : network(key + 9, &x->peer);
	memcpy(key + 9, x->peer.ip, n);
	return take(bucket_of(w, 'T', key, 9 + n, of_token));
}

bool gm_stranger_may_post(struct worker *w, const struct gm_coap *msg, const struct xch *x)
{
	if (x->shown)
		COUNT(w, stranger_shown);
	if (!x->shown && (is_tight(w) || !within_rates(w, &x->peer))) {
		challenge(w, x);
		return false;
	}
	if ((!x->shown || address_within_rate(w, &x->peer)) && token_within_rate(w, msg, x))
		return true;
	(x->shown ? come_later : challenge)(w, x);
	return false;
}

bool gm_stranger_may_ask(struct worker *w, const struct xch *x)
{
	if (x->shown || w->strangers.references < (ASKS_MAX + w->workers - 1) / w->workers)
		return true;
	challenge(w, x);
	return false;
}

/* ---- proofs */

bool gm_stranger_may_prove(struct worker *w, uint32_t ctx)
{
	if (bucket_of(w, 'P', &ctx, sizeof ctx, of_proofs)->left >= 1000)
		return true;
	COUNT(w, proofs_limited);
	return false;
}

void gm_stranger_failed(struct worker *w, uint32_t ctx)
{
	take(bucket_of(w, 'P', &ctx, sizeof ctx, of_proofs));
}
