/* SPDX-License-Identifier: Apache-2.0 */
/* What core asks an authorization server: a bounded queue, answers by blocks, observations. Each ask is answered once, and an
 * observation once more for each notification, until it ends or core ends it. */
#include <stdlib.h>

#include "gm/crypto.h"
#include "work/link.h"

/* ---- the queue */

static void unqueue(struct link *l, unsigned i)
{
	uint16_t *at = &l->first;

	for (l->last = 0; *at && *at != i + 1; at = &l->ask[*at - 1].next)
		l->last = *at;
	if (*at)
		*at = l->ask[i].next;
	for (uint16_t p = *at; p; p = l->ask[p - 1].next)
		l->last = p;
	l->ask[i].next = 0;
}

static void wait(struct worker *w, struct link *l, unsigned i, uint64_t ms)
{
	struct flight *f = &l->ask[i].flight;

	gm_wheel_del(&w->wheel, f->timer);
	f->timer = gm_wheel_add(&w->wheel, w->now_ms + ms, TIMER_LINK, gm_link_ref(l, i));
}

static void queue(struct worker *w, struct link *l, unsigned i, bool in_front)
{
	struct ask *a = &l->ask[i];

	a->state = ASK_QUEUED;
	wait(w, l, i, ASK_WAIT_MS);
	if (in_front || !l->first) {
		a->next = l->first;
		l->first = (uint16_t)(i + 1);
	} else {
		l->ask[l->last - 1].next = (uint16_t)(i + 1);
	}
	if (!a->next)
		l->last = (uint16_t)(i + 1);
}

/* ---- the answer */

static void drop_body(struct ask *a)
{
	if (a->body)
		gm_wipe(a->body, a->body_n);
	free(a->body);
	a->body = NULL;
	a->body_n = a->body_cap = 0;
}

static void forget(struct worker *w, struct link *l, unsigned i)
{
	struct ask *a = &l->ask[i];

	if (a->state == ASK_QUEUED)
		unqueue(l, i);
	gm_flight_end(w, &a->flight);
	gm_blob_drop(&a->text);
	drop_body(a);
	*a = (struct ask){0};
}

static bool tell(struct worker *w, uint32_t as_id, const struct ask *a, bool observed)
{
	struct gm_ev_answered *ev = gm_worker_event(w, GM_EV_ANSWERED, sizeof *ev, a->err == GM_E_OK ? a->body_n : 0);

	if (!ev)
		return false;
	ev->as_id = as_id;
	ev->ask = a->number;
	ev->err = a->err;
	ev->content_format = GM_CF_NONE;
	if (a->err == GM_E_OK) {
		ev->code = a->code;
		ev->observed = observed;
		ev->content_format = a->answer_format;
		if (a->body_n)
			ev->payload = gm_rec_append(&ev->rec, a->body, a->body_n);
	}
	gm_worker_event_done(w, &ev->rec);
	return true;
}

static void deliver(struct worker *w, struct link *l, unsigned i)
{
	struct ask *a = &l->ask[i];

	if (a->silent) {
		forget(w, l, i);
		return;
	}
	if (!tell(w, l->as_id, a, a->observed)) { /* core is behind */
		a->state = ASK_OWED;
		wait(w, l, i, 10);
		return;
	}
	if (a->err != GM_E_OK)
		COUNT(w, asks_failed);
	if (!a->observed) {
		forget(w, l, i);
		return;
	}
	drop_body(a);
	a->state = ASK_OBSERVING;
}

void gm_ask_failed(struct worker *w, struct link *l, unsigned i, enum gm_err err)
{
	struct ask *a = &l->ask[i];

	if (a->state == ASK_FLYING && a->flight.live)
		l->flying--;
	if (a->state == ASK_QUEUED)
		unqueue(l, i);
	gm_flight_end(w, &a->flight);
	drop_body(a);
	a->observed = false;
	a->err = (uint8_t)err;
	deliver(w, l, i);
}

void gm_asks_fail(struct worker *w, struct link *l, enum gm_err err)
{
	for (unsigned i = 0; i < ASKS_MAX; i++)
		if (l->ask[i].state == ASK_QUEUED || l->ask[i].state == ASK_FLYING)
			gm_ask_failed(w, l, i, err);
}

void gm_asks_end(struct worker *w, struct link *l)
{
	for (unsigned i = 0; i < ASKS_MAX; i++)
		if (l->ask[i].state != ASK_FREE)
			gm_ask_failed(w, l, i, GM_E_UNKNOWN);
}

void gm_asks_free(struct worker *w, struct link *l)
{
	for (unsigned i = 0; i < ASKS_MAX; i++)
		if (l->ask[i].state != ASK_FREE)
			forget(w, l, i);
}

/* From the start, under the next context. */
static void again(struct worker *w, struct link *l, unsigned i)
{
	struct ask *a = &l->ask[i];
	bool flew = a->state == ASK_FLYING, in_parts = a->by_blocks;

	if (flew) {
		l->flying--;
		gm_flight_end(w, &a->flight);
	}
	if (a->silent) {
		forget(w, l, i);
	} else if (a->observed || a->state == ASK_OBSERVING || a->renewals == ASK_RENEWALS) {
		gm_ask_failed(w, l, i, GM_E_NO_CONTEXT);
	} else if (flew || in_parts) {
		a->renewals += flew;
		a->by_blocks = false;
		drop_body(a);
		if (flew)
			queue(w, l, i, true);
	}
}

void gm_asks_again(struct worker *w, struct link *l)
{
	for (;;) { /* the last sent first, so that the first sent is in front in the end */
		unsigned last = ASKS_MAX;
		for (unsigned i = 0; i < ASKS_MAX; i++)
			if (l->ask[i].state == ASK_FLYING && (last == ASKS_MAX || l->ask[i].flight.seq > l->ask[last].flight.seq))
				last = i;
		if (last == ASKS_MAX)
			break;
		again(w, l, last);
	}
	for (unsigned i = 0; i < ASKS_MAX; i++)
		if (l->ask[i].observed || (l->ask[i].state == ASK_QUEUED && (l->ask[i].by_blocks || l->ask[i].silent)))
			again(w, l, i);
}

/* ---- requests */

static struct gm_bytes path_of(const struct ask *a)
{
	return (struct gm_bytes){a->text->bytes, a->path_n};
}

static struct gm_bytes query_of(const struct ask *a)
{
	return (struct gm_bytes){a->text->bytes + a->path_n, a->query_n};
}

static struct gm_bytes payload_of(const struct ask *a)
{
	return (struct gm_bytes){a->text->bytes + a->path_n + a->query_n, a->payload_n};
}

static void put_queries(struct gm_out *out, uint16_t *last, struct gm_bytes q)
{
	while (q.n) {
		const uint8_t *amp = memchr(q.p, '&', q.n);
		size_t n = amp ? (size_t)(amp - q.p) : q.n;
		gm_coap_put_option(out, last, GM_OPT_URI_QUERY, q.p, n);
		q.p += amp ? n + 1 : n;
		q.n -= amp ? n + 1 : n;
	}
}

static bool with_observe(const struct ask *a)
{
	return a->ending || (a->observe == 1 && !a->observed && !a->by_blocks);
}

static void put_request(struct gm_out *out, const struct ask *a)
{
	struct gm_bytes path = path_of(a), payload = payload_of(a);
	uint16_t last = 0;

	gm_out_u8(out, a->method);
	if (with_observe(a))
		gm_coap_put_option_uint(out, &last, GM_OPT_OBSERVE, a->ending);
	gm_coap_put_path(out, &last, GM_OPT_URI_PATH, (const char *)path.p, path.n);
	if (a->by_blocks && a->method == GM_COAP_POST) /* later blocks of an answer: the body is not said again  RFC 7959 §3.3 */
		payload.n = 0;
	if (payload.n && a->format != GM_CF_NONE)
		gm_coap_put_option_uint(out, &last, GM_OPT_CONTENT_FORMAT, (uint32_t)a->format);
	put_queries(out, &last, query_of(a));
	if (a->by_blocks)
		gm_coap_put_block(out, &last, GM_OPT_BLOCK2,
		                  (struct gm_coap_block){.num = (uint32_t)(a->body_n >> (a->szx + 4)), .szx = a->szx});
	if (a->echo_n)
		gm_coap_put_option(out, &last, GM_OPT_ECHO, a->echo, a->echo_n);
	gm_coap_put_payload(out, payload.p, payload.n);
}

bool gm_ask_send(struct worker *w, struct link *l)
{
	unsigned i = l->first - 1u;
	struct ask *a = &l->ask[i];
	uint8_t buf[ASK_TEXT_MAX + 128];
	struct gm_out out = gm_out(buf, sizeof buf);

	put_request(&out, a);
	enum gm_err err = out.err;
	if (err == GM_E_OK)
		err = gm_link_send(w, l, &a->flight, gm_link_ref(l, i), gm_out_result(&out), with_observe(a), a->ending,
		                   a->ending ? a->token : NULL);
	gm_wipe(buf, sizeof buf);
	if (err == GM_E_FULL) { /* gm_link_send() has seen to it that this is tried again */
		wait(w, l, i, ASK_WAIT_MS);
		return false;
	}
	if (err == GM_E_SEQ_SPENT) {
		wait(w, l, i, ASK_WAIT_MS);
		gm_link_lost(w, l);
		return true;
	}
	if (err != GM_E_OK) {
		gm_ask_failed(w, l, i, err);
		return true;
	}
	unqueue(l, i);
	a->state = ASK_FLYING;
	l->flying++;
	return true;
}

/* ---- answers */

static bool append(struct ask *a, struct gm_bytes part)
{
	if (a->body_n + part.n > GM_ANSWER_MAX)
		return false;
	if (a->body_n + part.n > a->body_cap) {
		size_t cap = 2 * (a->body_n + part.n);
		uint8_t *grown = malloc(cap);
		if (!grown)
			return false;
		if (a->body_n)
			memcpy(grown, a->body, a->body_n);
		size_t n = a->body_n;
		drop_body(a);
		a->body = grown;
		a->body_n = n;
		a->body_cap = cap;
	}
	if (part.n)
		memcpy(a->body + a->body_n, part.p, part.n);
	a->body_n += part.n;
	return true;
}

static void begin_body(struct ask *a, const struct gm_coap *inner)
{
	drop_body(a);
	a->code = inner->code;
	a->answer_format = inner->content_format;
	a->etag_n = (uint8_t)(inner->etag.n <= sizeof a->etag ? inner->etag.n : 0);
	if (a->etag_n)
		memcpy(a->etag, inner->etag.p, a->etag_n);
}

static bool follows(const struct ask *a, const struct gm_coap *inner)
{
	size_t at = (size_t)inner->block2.num << (inner->block2.szx + 4);

	return inner->has_block2 && at == a->body_n && inner->code == a->code &&
	       gm_bytes_eq(inner->etag, (struct gm_bytes){a->etag, a->etag_n});
}

/* OK: all is here; INCOMPLETE: more is to be asked for; MALFORMED: it does not fit what came before; TOO_LARGE */
static enum gm_err take_part(struct ask *a, const struct gm_coap *inner)
{
	if (a->by_blocks && a->body_n) {
		if (!follows(a, inner))
			return GM_E_MALFORMED;
	} else if (inner->has_block2 && inner->block2.num) {
		return GM_E_MALFORMED;
	} else {
		begin_body(a, inner);
	}
	if (!append(a, inner->payload))
		return GM_E_TOO_LARGE;
	if (!inner->has_block2 || !inner->block2.more)
		return GM_E_OK;
	if (inner->payload.n != (size_t)16 << inner->block2.szx)
		return GM_E_MALFORMED;
	a->by_blocks = true;
	a->szx = inner->block2.szx;
	return GM_E_INCOMPLETE;
}

/* It has changed while it was fetched: from its first block again, where asking twice does nothing. RFC 7959 §2.4 */
static void restart(struct worker *w, struct link *l, unsigned i)
{
	struct ask *a = &l->ask[i];

	if (a->method == GM_COAP_POST || !a->by_blocks || a->restarts++ == ASK_RESTARTS) {
		gm_ask_failed(w, l, i, GM_E_INCOMPLETE);
		return;
	}
	drop_body(a);
	queue(w, l, i, true);
}

static void end_observation(struct worker *w, struct link *l, unsigned i)
{
	struct ask *a = &l->ask[i];

	if (a->state == ASK_QUEUED)
		unqueue(l, i);
	if (a->state == ASK_FLYING && a->flight.live)
		l->flying--;
	gm_flight_end(w, &a->flight);
	drop_body(a);
	a->observed = a->by_blocks = false;
	a->silent = a->ending = true;
	queue(w, l, i, false);
}

/* The server wants to see that the request is fresh: it comes again, once. RFC 9175 §2.2 */
static bool echoes(struct worker *w, struct link *l, unsigned i, const struct gm_coap *inner)
{
	struct ask *a = &l->ask[i];

	if (inner->code != GM_COAP(4, 1) || !inner->has_echo || a->echo_n || inner->echo.n > sizeof a->echo)
		return false;
	a->echo_n = (uint8_t)inner->echo.n;
	memcpy(a->echo, inner->echo.p, inner->echo.n);
	queue(w, l, i, true);
	return true;
}

/* Newer than all before? The first answer may come without a number, and is the oldest then. RFC 8613 §7.4.1 */
static bool newer(struct ask *a, const struct gm_oscore_option *option)
{
	uint64_t number = gm_oscore_piv_seq(option->piv, option->piv_n);

	if (!option->piv_n || (a->has_number && number <= a->number_seen))
		return false;
	a->has_number = true;
	a->number_seen = number;
	return true;
}

/* The answer to a registration; that a request without Observe is answered with one is no answer. RFC 8613 §4.1.3.5.2 */
static void registered(struct ask *a, const struct gm_oscore_option *option, const struct flight *f)
{
	a->observed = true;
	memcpy(a->token, f->token, sizeof a->token);
	a->seq = f->seq;
	a->has_number = option->piv_n;
	a->number_seen = gm_oscore_piv_seq(option->piv, option->piv_n);
}

static void take(struct worker *w, struct link *l, unsigned i, const struct gm_coap *inner)
{
	struct ask *a = &l->ask[i];
	enum gm_err err = take_part(a, inner);

	a->err = GM_E_OK;
	if (err == GM_E_OK) {
		a->by_blocks = false;
		a->restarts = 0;
		deliver(w, l, i);
	} else if (err == GM_E_INCOMPLETE) {
		queue(w, l, i, true);
	} else if (err == GM_E_MALFORMED) {
		restart(w, l, i);
	} else {
		gm_ask_failed(w, l, i, err);
	}
}

static void notified(struct worker *w, struct link *l, unsigned i, const struct gm_coap *inner, const struct gm_oscore_option *option)
{
	struct ask *a = &l->ask[i];

	if (!newer(a, option))
		return;
	if (a->state == ASK_QUEUED) /* blocks of the one before are of no use any more */
		unqueue(l, i);
	if (a->state == ASK_FLYING)
		l->flying--;
	gm_flight_end(w, &a->flight);
	a->state = ASK_OBSERVING;
	a->by_blocks = false;
	a->observed = inner->has_observe; /* without it the observation is over       RFC 7641 §3.2 */
	take(w, l, i, inner);
}

void gm_ask_answered(struct worker *w, struct link *l, unsigned i, const struct gm_coap *inner, const struct gm_oscore_option *option,
                     const struct flight *answered)
{
	struct ask *a = &l->ask[i];

	if (!answered) {
		notified(w, l, i, inner, option);
		return;
	}
	l->flying--;
	a->state = ASK_OBSERVING; /* neither queued nor flying, for now */
	bool asked = with_observe(a) && !a->ending;
	if (asked && inner->has_observe && inner->code >> 5 == 2)
		registered(a, option, answered);
	if (a->silent && a->observed)
		end_observation(w, l, i);
	else if (a->silent)
		forget(w, l, i);
	else if (inner->has_observe && !asked)
		gm_ask_failed(w, l, i, GM_E_MALFORMED);
	else if (!echoes(w, l, i, inner))
		take(w, l, i, inner);
}

/* ---- time */

void gm_ask_due(struct worker *w, struct link *l, unsigned i)
{
	struct ask *a = &l->ask[i];

	if (a->state == ASK_OWED) {
		a->flight.timer = 0;
		deliver(w, l, i);
	} else if (a->state == ASK_QUEUED) {
		a->flight.timer = 0;
		gm_ask_failed(w, l, i, l->unknown ? GM_E_NO_CONTEXT : GM_E_BUSY);
	} else if (a->state == ASK_FLYING && gm_flight_due(w, l, &a->flight, gm_link_ref(l, i))) {
		bool refused = a->flight.refused;
		if (!refused)
			gm_ask_failed(w, l, i, GM_E_BUSY);
		if (refused || l->state == LINK_UNPROVEN)
			gm_link_lost(w, l);
	}
}

/* ---- from core */

static void refuse(struct worker *w, const struct gm_eff_ask *e, enum gm_err err)
{
	const struct ask a = {.number = e->ask, .err = (uint8_t)err};

	if (e->observe != 2 && tell(w, e->as_id, &a, false)) /* gm_effects_run() has looked that there is room */
		COUNT(w, asks_failed);
}

/* GM_EFF_ASK with observe 2 */
static void stop(struct worker *w, struct link *l, uint32_t number)
{
	for (unsigned i = 0; i < ASKS_MAX; i++) {
		struct ask *a = &l->ask[i];
		if (a->state == ASK_FREE || a->number != number || a->silent)
			continue;
		if (a->observed)
			end_observation(w, l, i);
		else if (a->state == ASK_FLYING)
			a->silent = true;
		else
			forget(w, l, i);
	}
}

static enum gm_err add(struct worker *w, struct link *l, const struct gm_eff_ask *e)
{
	struct gm_bytes path = gm_rec_bytes(e, e->path), query = gm_rec_bytes(e, e->query), payload = gm_rec_bytes(e, e->payload);
	unsigned i = 0;

	if (path.n + query.n + payload.n > ASK_TEXT_MAX)
		return GM_E_TOO_LARGE;
	while (i < ASKS_MAX && l->ask[i].state != ASK_FREE)
		i++;
	if (i == ASKS_MAX)
		return GM_E_BUSY;
	struct ask *a = &l->ask[i];
	*a = (struct ask){
		.number = e->ask,
		.method = e->method,
		.observe = e->observe,
		.format = e->content_format,
		.path_n = (uint16_t)path.n,
		.query_n = (uint16_t)query.n,
		.payload_n = (uint16_t)payload.n,
		.text = gm_blob_new(path.n + query.n + payload.n),
	};
	if (!a->text)
		return GM_E_NO_MEMORY;
	struct gm_out out = gm_out(a->text->bytes, a->text->n);
	gm_out_bytes(&out, path.p, path.n);
	gm_out_bytes(&out, query.p, query.n);
	gm_out_bytes(&out, payload.p, payload.n);
	queue(w, l, i, false);
	COUNT(w, asks);
	return GM_E_OK;
}

void gm_ask(struct worker *w, const struct gm_eff_ask *e)
{
	struct link *l = gm_link_at(w, e->as_id);
	enum gm_err err = GM_E_OK;

	if (l && e->observe == 2)
		stop(w, l, e->ask);
	else
		err = l ? add(w, l, e) : GM_E_UNKNOWN;
	if (err != GM_E_OK)
		refuse(w, e, err);
	else
		gm_link_pump(w, l);
}

bool gm_asks_can_answer(struct worker *w)
{
	return gm_ring_reserve(w->up, ASKS_MAX * (sizeof(struct gm_ev_answered) + 16)) != NULL;
}
