/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that say nothing themselves: authorization servers are asked, one after the other, and what the first that knows the
 * token says takes the place of a CWT's claims. RFC 9200 §5.9 */
#include "core/state.h"
#include "gm/crypto.h"
#include "wire/coap.h"
#include "wire/introspect.h"

#include <stdlib.h>

#define PLACE_BITS 10u
#define SERIAL_MAX (1u << (31 - PLACE_BITS))
#define PER_PEER_MAX 64u    /* of one address: it must not take the places of all */
#define STRANGERS_MAX 192u  /* places for posts, whose senders are not proven; fewer than a link's worker has places for asks */
#define DEADLINE_MS 10000u  /* for one authorization server: a client gives up at some time, too */
#define CLAIMS_MAX 4096u    /* bytes of an answer that are taken */
#define OSC_ID_MAX 32u

_Static_assert(GM_ASKS_MAX == 1u << PLACE_BITS, "the number of an ask names its place");

/* ---- the table */

static const struct gm_ev_request *request_of(const struct gm_ask *q)
{
	return q->event->type == GM_EV_REQUEST ? (const void *)q->event : NULL;
}

static const struct gm_ev_token *token_of(const struct gm_ask *q)
{
	const struct gm_ev_request *ev = request_of(q);

	return ev ? (const void *)((const uint8_t *)ev + ev->update.off) : (const void *)q->event;
}

static const struct gm_addr *peer_of(const struct gm_rec *event)
{
	return event->type == GM_EV_REQUEST ? &((const struct gm_ev_request *)(const void *)event)->peer
	                                    : &((const struct gm_ev_token *)(const void *)event)->peer;
}

static bool from_same_host(const struct gm_rec *a, const struct gm_rec *b)
{
	return memcmp(peer_of(a)->ip, peer_of(b)->ip, sizeof(peer_of(a)->ip)) == 0;
}

static void decide(struct gm_turn *t, struct gm_ask *q, const struct gm_cwt *cwt, struct gm_bytes claims, enum gm_err bad);

static void stop_ask(struct gm_turn *t, const struct gm_ask *q)
{
	struct gm_as *as = gm_as_find(t->core, q->as_id);

	if (as)
		gm_tell_ask(t, as, &(struct gm_ask_spec){.number = q->number,
		                                         .method = GM_COAP_POST,
		                                         .observe = 2,
		                                         .path = as->spec.introspect,
		                                         .content_format = GM_CF_NONE});
}

static bool of_stranger(const struct gm_ask *q)
{
	return q->event && !request_of(q) && !q->operators;
}

/* One stranger's ask makes room for another's: any of them, as the oldest are those that will be answered next, and the
 * newest may be the one that is no forgery. */
static void drop_stranger(struct gm_turn *t)
{
	struct gm_asks *asks = t->core->asks;
	uint16_t random;

	gm_dice(t->txn, &random, sizeof(random));
	for (unsigned i = 0; i < GM_ASKS_MAX; i++) {
		struct gm_ask *q = &asks->at[(random + i) % GM_ASKS_MAX];
		if (!of_stranger(q))
			continue;
		stop_ask(t, q);
		decide(t, q, NULL, (struct gm_bytes){0}, GM_E_BUSY);
		return;
	}
}

static struct gm_asks *asks_of(struct gm_core *c)
{
	if (!c->asks) {
		c->asks = gm_must_alloc(NULL, sizeof(*c->asks));
		memset(c->asks, 0, sizeof(*c->asks));
	}
	return c->asks;
}

/* stranger: whose event it is, of one without a context */
static struct gm_ask *place_for(struct gm_turn *t, const struct gm_rec *event, bool stranger)
{
	struct gm_asks *asks = asks_of(t->core);
	unsigned of_peer = 0, strangers = 0;

	for (unsigned i = 0; i < GM_ASKS_MAX && asks->used; i++) {
		const struct gm_ask *q = &asks->at[i];
		strangers += of_stranger(q);
		of_peer += q->event && of_stranger(q) == stranger && from_same_host(q->event, event);
	}
	if (of_peer >= PER_PEER_MAX || (asks->used == GM_ASKS_MAX && !strangers))
		return NULL;
	if (asks->used == GM_ASKS_MAX || (stranger && strangers >= STRANGERS_MAX))
		drop_stranger(t);
	while (asks->at[asks->next].event)
		asks->next = (asks->next + 1) % GM_ASKS_MAX;
	asks->used++;
	return &asks->at[asks->next];
}

/* Takes the event out, and frees the place. */
static struct gm_rec *take_event(struct gm_core *c, struct gm_ask *q)
{
	struct gm_rec *event = q->event;

	gm_timer_stop(&c->mono, &q->deadline);
	*q = (struct gm_ask){.number = 0};
	c->asks->used--;
	return event;
}

static void free_event(struct gm_rec *event) /* a request may hold the keys of its context */
{
	gm_wipe(event, event->len);
	free(event);
}

void gm_introspect_free(struct gm_core *c)
{
	for (unsigned i = 0; c->asks && i < GM_ASKS_MAX; i++)
		if (c->asks->at[i].event)
			free_event(c->asks->at[i].event);
	if (c->asks)
		gm_core_token_forget(c, c->asks->said.who);
	free(c->asks);
	c->asks = NULL;
}

/* ---- asking */

/* In the order of their ids, which no removal changes. only: the one that may be asked, 0: any */
static struct gm_as *next_as(const struct gm_core *c, uint32_t after, uint32_t only)
{
	struct gm_as *next = NULL;

	for (unsigned i = 0; i < c->ases_n; i++) {
		struct gm_as *as = &c->ases[i];
		if (as->spec.introspect[0] && as->id > after && (!only || as->id == only) && (!next || as->id < next->id))
			next = as;
	}
	return next;
}

static void send_ask(struct gm_turn *t, struct gm_ask *q, struct gm_as *as)
{
	struct gm_asks *asks = t->core->asks;
	const struct gm_ev_token *ev = token_of(q);
	uint8_t body[GM_REFERENCE_MAX + 8];
	struct gm_out o = gm_out(body, sizeof(body));

	asks->serial = asks->serial + 1 < SERIAL_MAX ? asks->serial + 1 : 1;
	q->number = asks->serial << PLACE_BITS | (uint32_t)(q - asks->at);
	q->as_id = as->id;
	gm_introspect_encode(&o, gm_rec_bytes(ev, ev->reference));
	struct gm_ask_spec spec = {.number = q->number,
	                           .method = GM_COAP_POST,
	                           .path = as->spec.introspect,
	                           .content_format = GM_CF_ACE,
	                           .payload = gm_out_result(&o)};
	gm_tell_ask(t, as, &spec);
	gm_timer_set(&t->core->mono, &q->deadline, GM_TIMER_ASK, t->txn->mono_ms + DEADLINE_MS);
}

/* The event again as it would have come with a CWT: head, then the token, whose slices are still to come. */
static struct gm_rec *event_again(const struct gm_ask *q, size_t more, struct gm_ev_token **token)
{
	const struct gm_ev_request *ev = request_of(q);
	size_t head = ev ? (ev->rec.len + 7u) & ~7u : 0;
	uint8_t *mem = gm_must_alloc(NULL, head + sizeof(**token) + more);
	struct gm_rec *rec = (void *)mem;

	memset(mem, 0, head + sizeof(**token) + more);
	memcpy(mem + head, token_of(q), sizeof(**token));
	*token = (void *)(mem + head);
	if (ev) {
		memcpy(mem, ev, ev->rec.len);
		((struct gm_ev_request *)(void *)mem)->update = (struct gm_slice){(uint32_t)head, sizeof(**token)};
	}
	(*token)->reference = (struct gm_slice){0};
	(*token)->rec = (struct gm_rec){.type = GM_EV_TOKEN, .worker = q->event->worker, .len = sizeof(**token)};
	if (ev)
		rec->len = (uint32_t)(head + sizeof(**token) + more);
	return rec;
}

static struct gm_slice add(struct gm_ev_token *ev, struct gm_bytes b)
{
	struct gm_slice s = {.off = ev->rec.len, .n = (uint32_t)b.n};

	if (!b.p)
		return (struct gm_slice){0};
	memcpy((uint8_t *)ev + s.off, b.p, b.n);
	ev->rec.len += s.n;
	return s;
}

static void add_claims(const struct gm_core *c, struct gm_ev_token *ev, const struct gm_cwt *cwt, struct gm_bytes osc_id)
{
	struct gm_bytes own = {(const uint8_t *)c->config.audience, strlen(c->config.audience)};

	ev->exp = cwt->exp;
	ev->nbf = cwt->nbf;
	ev->exi = cwt->exi;
	ev->iss = add(ev, cwt->iss);
	ev->aud = add(ev, gm_cwt_audience(cwt, own));
	ev->cti = add(ev, cwt->cti);
	ev->scope = add(ev, cwt->scope);
	ev->cnonce = add(ev, cwt->cnonce);
	ev->osc_id = add(ev, osc_id);
}

static void tell_operator(struct gm_core *c, const struct gm_ask *q, struct gm_bytes claims, enum gm_err verdict)
{
	struct gm_asks *asks = c->asks;

	asks->said.done = true;
	asks->said.verdict = verdict;
	asks->said.as_id = claims.p ? q->as_id : 0;
	asks->said.n = claims.n;
	asks->said.claims = claims.n ? gm_must_alloc(NULL, claims.n) : NULL;
	if (claims.n)
		memcpy(asks->said.claims, claims.p, claims.n);
}

/* The decision is that of any token. bad: what is wrong with the claims, then cwt is NULL. */
static void decide(struct gm_turn *t, struct gm_ask *q, const struct gm_cwt *cwt, struct gm_bytes claims, enum gm_err bad)
{
	static const struct gm_cwt none = {.exp = -1, .nbf = -1, .exi = -1};
	struct gm_ev_token *token;

	if (q->operators) {
		tell_operator(t->core, q, claims, bad);
		free_event(take_event(t->core, q));
		return;
	}
	struct gm_rec *event = event_again(q, claims.n, &token);
	uint32_t as_id = q->as_id;
	bool update = request_of(q) != NULL;

	free_event(take_event(t->core, q));
	cwt = cwt ? cwt : &none;
	token->as_id = as_id;
	token->bad = (uint8_t)bad;
	if (bad == GM_E_OK && !update && (!cwt->has_osc || cwt->osc.id.n > OSC_ID_MAX))
		token->bad = GM_E_TOKEN_PROFILE;
	add_claims(t->core, token, cwt, update ? cwt->cnf_kid : cwt->osc.id);
	if (update)
		gm_core_request(t, (const void *)event, GM_WAITED_ANSWER);
	else
		gm_token_decide(t, token, claims);
	if (!update)
		event->len = (uint32_t)(sizeof(*token) + claims.n);
	free_event(event);
}

/* On to the next, or to the end: where one gave no answer, it may be the one that knows the token. */
static void go_on(struct gm_turn *t, struct gm_ask *q)
{
	struct gm_as *as = next_as(t->core, q->as_id, q->only);

	if (as)
		send_ask(t, q, as);
	else
		decide(t, q, NULL, (struct gm_bytes){0}, q->silent ? GM_E_AS_SILENT : GM_E_TOKEN_INACTIVE);
}

/* Rights are updated by a token of the same authorization server only; others need not hear of it. */
static uint32_t only_of(const struct gm_core *c, const struct gm_rec *event)
{
	const struct gm_ev_request *ev = event->type == GM_EV_REQUEST ? (const void *)event : NULL;
	const struct gm_assoc *a = ev ? gm_assoc_by_ctx(c, ev->ctx) : NULL;

	return a ? gm_ident_at(c, a->ident)->as_id : 0;
}

enum gm_err gm_introspect_begin(struct gm_turn *t, const struct gm_rec *event)
{
	uint32_t only = only_of(t->core, event);
	struct gm_as *as = next_as(t->core, 0, only);
	struct gm_ask *q = as ? place_for(t, event, event->type != GM_EV_REQUEST) : NULL;

	if (!as)
		return GM_E_TOKEN_KEY;
	if (!q)
		return GM_E_BUSY;
	q->only = only;
	q->event = gm_must_alloc(NULL, event->len);
	memcpy(q->event, event, event->len);
	send_ask(t, q, as);
	return GM_E_OK;
}

/* ---- for an operator */

static uint32_t as_named(const struct gm_core *c, const char *name)
{
	for (unsigned i = 0; i < c->ases_n; i++)
		if (strcmp(c->ases[i].spec.name, name) == 0)
			return c->ases[i].id;
	return 0;
}

enum gm_err gm_core_token_ask(struct gm_core *core, struct gm_txn *txn, uint64_t who, struct gm_bytes token, const char *as)
{
	_Alignas(8) uint8_t bytes[sizeof(struct gm_ev_token) + GM_REFERENCE_MAX] = {0};
	struct gm_ev_token *ev = (void *)bytes;
	struct gm_turn t = {core, txn};
	const uint32_t only = as ? as_named(core, as) : 0;
	struct gm_as *first = next_as(core, 0, only);

	if (as && !only)
		return GM_E_UNKNOWN;
	if (!token.n || token.n > GM_REFERENCE_MAX)
		return GM_E_RANGE;
	if (!first)
		return GM_E_TOKEN_KEY;
	if (asks_of(core)->said.used)
		return GM_E_BUSY;
	ev->rec = (struct gm_rec){.type = GM_EV_TOKEN, .len = sizeof(*ev)};
	ev->reference = add(ev, token);
	struct gm_ask *q = place_for(&t, &ev->rec, false);
	if (!q) {
		gm_wipe(bytes, sizeof(bytes));
		return GM_E_BUSY;
	}
	core->asks->said.used = true;
	core->asks->said.who = who;
	q->only = only;
	q->operators = true;
	q->event = gm_must_alloc(NULL, ev->rec.len);
	memcpy(q->event, ev, ev->rec.len);
	gm_wipe(bytes, sizeof(bytes));
	send_ask(&t, q, first);
	return GM_E_OK;
}

bool gm_core_token_said(const struct gm_core *core, uint64_t who, struct gm_token_said *said)
{
	const struct gm_asks *asks = core->asks;

	if (!asks || !asks->said.done || asks->said.who != who)
		return false;
	const struct gm_as *as = gm_as_find(core, asks->said.as_id);
	*said = (struct gm_token_said){.verdict = asks->said.verdict,
	                               .as = as ? as->spec.name : "",
	                               .as_id = asks->said.as_id,
	                               .claims = {asks->said.claims, asks->said.n}};
	return true;
}

/* An answer that is still to come finds no place. */
void gm_core_token_forget(struct gm_core *core, uint64_t who)
{
	struct gm_asks *asks = core->asks;

	if (!asks || !asks->said.used || asks->said.who != who)
		return;
	for (unsigned i = 0; i < GM_ASKS_MAX; i++)
		if (asks->at[i].operators)
			free_event(take_event(core, &asks->at[i]));
	if (asks->said.claims)
		gm_wipe(asks->said.claims, asks->said.n);
	free(asks->said.claims);
	memset(&asks->said, 0, sizeof(asks->said));
}

/* ---- answers */

static void failed(struct gm_turn *t, struct gm_ask *q, struct gm_as *as, const char *why)
{
	as->failed++;
	q->silent = true;
	gm_core_log(t->core, "introspect.failed as=%u why=\"%s\"", as->id, why);
	go_on(t, q);
}

static void take_answer(struct gm_turn *t, struct gm_ask *q, struct gm_as *as, const struct gm_ev_answered *ev)
{
	struct gm_bytes body = gm_rec_bytes(ev, ev->payload);
	struct gm_cwt cwt = {0};
	bool active = false;

	if (ev->err != GM_E_OK) {
		failed(t, q, as, gm_err_info((enum gm_err)ev->err)->text);
		return;
	}
	if (ev->code != GM_COAP(2, 1) || ev->content_format != GM_CF_ACE || body.n > CLAIMS_MAX) {
		failed(t, q, as, "the answer is no map of claims");
		return;
	}
	enum gm_err bad = gm_introspect_decode(body, &active, &cwt);
	bool bad_claims = bad == GM_E_TOKEN_CLAIMS || bad == GM_E_TOKEN_PROFILE; /* of an active token */
	if (bad != GM_E_OK && !bad_claims) {
		failed(t, q, as, "the answer cannot be read");
		return;
	}
	as->answered++;
	as->answered_at = t->txn->wall_s;
	if (active || bad_claims)
		decide(t, q, bad == GM_E_OK ? &cwt : NULL, body, bad);
	else
		go_on(t, q);
}

void gm_introspect_answered(struct gm_turn *t, const struct gm_ev_answered *ev)
{
	struct gm_ask *q = t->core->asks ? &t->core->asks->at[ev->ask % GM_ASKS_MAX] : NULL;
	struct gm_as *as = gm_as_find(t->core, ev->as_id);

	if (q && q->event && q->number == ev->ask && q->as_id == ev->as_id && as)
		take_answer(t, q, as, ev);
}

void gm_introspect_late(struct gm_turn *t, struct gm_ask *q)
{
	struct gm_as *as = gm_as_find(t->core, q->as_id);

	stop_ask(t, q);
	if (as)
		failed(t, q, as, "no answer in time");
	else
		go_on(t, q);
}

void gm_introspect_release(struct gm_turn *t)
{
	for (unsigned i = 0; t->core->asks && i < GM_ASKS_MAX; i++) {
		struct gm_ask *q = &t->core->asks->at[i];
		if (!q->event)
			continue;
		stop_ask(t, q);
		decide(t, q, NULL, (struct gm_bytes){0}, GM_E_BUSY);
	}
}

void gm_introspect_as_gone(struct gm_turn *t, uint32_t as_id)
{
	for (unsigned i = 0; t->core->asks && i < GM_ASKS_MAX; i++)
		if (t->core->asks->at[i].event && t->core->asks->at[i].as_id == as_id)
			go_on(t, &t->core->asks->at[i]);
}
