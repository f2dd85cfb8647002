/* SPDX-License-Identifier: Apache-2.0 */
/* The context with an authorization server, of which we are the client, and the messages under it.
 *
 * Both sides have a Master Secret, a Master Salt and two IDs for good; what they protect with is made anew by RFC 8613
 * App. B.2, at each start and whenever the server says that it does not know us. In bytes, || between strings:
 *
 *   request #1   kid context = bstr(R1)        keys with ID Context R1         R1: 8 random bytes of ours
 *   response #1  kid context = bstr(R2)        keys with ID Context R2 || R1   4.01; R2 is the server's
 *   request #2   kid context = bstr(R2 || R3)  keys with ID Context R2 || R3   R3: 8 random bytes of ours
 *   response #2  no kid context needed, the same keys; from here on neither side sends one
 *
 * bstr(x) is x with the head of a CBOR byte string before it (0x48 for 8 bytes, 0x50 for 16). Request #1 is a GET without
 * options; its nonce, like that of request #2, is made of Partial IV 0. Request #2 is the first thing that core asks, and
 * until its response has verified nothing else is sent. Response #1 is protected under its own Partial IV or under request
 * #1's nonce. A server that could open a request but wants a fresh context answers any request with kid context as it
 * answers #1. What an unprotected error or a reset says is not proven: the true response has a moment more to come; if it does
 * not, the context ends, which costs three messages and the back-off, and what was asked waits for the next.
 *
 * Requests are confirmable and kept sealed: what is sent again is the same bytes. Tokens are seven bytes long, which tells
 * them from those towards members: worker, place of the link, five that nobody guesses. Message IDs are of all 16 bits;
 * an ACK finds the owner by the server's address. */
#include <stdlib.h>

#include "gm/crypto.h"
#include "wire/cbor.h"
#include "work/link.h"

#define REF_LINK 0xffffu /* instead of the place of an ask */
#define PKT_MAX GM_DGRAM_TX_CAP

uint32_t gm_link_ref(const struct link *l, unsigned i)
{
	return l->place << 16 | i;
}

struct link *gm_link_at(struct worker *w, uint32_t as_id)
{
	for (unsigned i = 0; i < LINKS_MAX; i++)
		if (w->as_links[i] && w->as_links[i]->as_id == as_id)
			return w->as_links[i];
	return NULL;
}

/* ---- messages */

static void send_bytes(struct worker *w, const struct link *l, const struct blob *b)
{
	const struct gm_addr any = {0}; /* the kernel chooses, as its routes are */
	struct gm_dgram *d = gm_box_add(w, &l->of.peer, &any);

	if (!d)
		return; /* as if lost on the way */
	memcpy(d->data, b->bytes, b->n);
	d->len = (uint16_t)b->n;
}

static void arm(struct worker *w, struct flight *f, uint32_t ref, uint64_t ms)
{
	gm_wheel_del(&w->wheel, f->timer);
	f->timer = gm_wheel_add(&w->wheel, w->now_ms + ms, TIMER_LINK, ref);
}

static void fly(struct worker *w, const struct link *l, struct flight *f, uint32_t ref)
{
	send_bytes(w, l, f->datagram);
	f->tries++;
	arm(w, f, ref, f->timeout_ms);
	f->timeout_ms *= 2;
}

void gm_flight_end(struct worker *w, struct flight *f)
{
	gm_wheel_del(&w->wheel, f->timer);
	gm_blob_drop(&f->datagram);
	*f = (struct flight){0};
}

/* Not one that the server may still take for a repeat: a half is begun again when the other has lasted long enough. */
static bool take_mid(struct worker *w, struct link *l, uint16_t *mid)
{
	unsigned half = l->next_mid >> 15;

	if (!(l->next_mid & 0x7fff) && l->mids_ms[half] && w->now_ms - l->mids_ms[!half] < EXCHANGE_LIFETIME_MS)
		return false;
	if (!(l->next_mid & 0x7fff) || !l->mids_ms[half])
		l->mids_ms[half] = w->now_ms;
	*mid = l->next_mid++;
	return true;
}

static void make_token(struct worker *w, const struct link *l, uint8_t token[static LINK_TOKEN])
{
	uint32_t r[2] = {gm_worker_random(w), gm_worker_random(w)};

	token[0] = (uint8_t)w->index;
	token[1] = (uint8_t)l->place;
	memcpy(token + 2, r, LINK_TOKEN - 2);
}

/* Lays out and seals; the datagram is kept in f. */
static enum gm_err seal(struct link *l, struct flight *f, struct gm_bytes plain, bool observe, uint32_t observe_value)
{
	uint8_t pkt[PKT_MAX], kid_context[sizeof l->id_context + 2];
	struct gm_out out = gm_out(pkt, sizeof pkt), kc = gm_out(kid_context, sizeof kid_context);
	struct gm_oscore_outer outer = {
		.type = GM_COAP_CON,
		.code = observe ? GM_COAP_FETCH : GM_COAP_POST,
		.mid = f->mid,
		.token_len = LINK_TOKEN,
		.has_observe = observe,
		.observe = observe_value,
		.option = {.has_kid = true, .kid = {l->keys.sid.b, l->keys.sid.n}, .has_kid_context = l->state != LINK_UP},
	};
	struct gm_oscore_request request = {.kid = l->keys.sid};
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;

	memcpy(outer.token, f->token, LINK_TOKEN);
	gm_cbor_put_bstr(&kc, l->id_context, l->id_context_n);
	if (outer.option.has_kid_context)
		outer.option.kid_context = gm_out_result(&kc);
	outer.option.piv_n = request.piv_n = gm_oscore_piv(outer.option.piv, f->seq);
	memcpy(request.piv, outer.option.piv, sizeof request.piv);
	GM_TRY(gm_oscore_wrap(&l->keys, &outer, &request, &l->keys.sid, outer.option.piv, outer.option.piv_n, plain, &out,
	                      &scratch, &job));
	if (!gm_aead_seal_many(&job, 1))
		return GM_E_NO_MEMORY;
	f->datagram = gm_blob_copy(pkt, gm_out_len(&out));
	return f->datagram ? GM_E_OK : GM_E_NO_MEMORY;
}

enum gm_err gm_link_send(struct worker *w, struct link *l, struct flight *f, uint32_t ref, struct gm_bytes plain, bool observe,
                         uint32_t observe_value, const uint8_t *token)
{
	gm_flight_end(w, f);
	if (l->seq >= LINK_SEQ_MAX)
		return GM_E_SEQ_SPENT;
	if (!take_mid(w, l, &f->mid)) {
		arm(w, &l->hello, gm_link_ref(l, REF_LINK), 1000);
		return GM_E_FULL;
	}
	f->seq = l->seq++; /* never for a second text, whatever becomes of this one */
	if (token)
		memcpy(f->token, token, LINK_TOKEN);
	else
		make_token(w, l, f->token);
	GM_TRY(seal(l, f, plain, observe, observe_value));
	f->live = true;
	/* ACK_TIMEOUT times 1 to ACK_RANDOM_FACTOR 1.5 */
	f->timeout_ms = w->config.ack_timeout_ms + gm_worker_random(w) % (w->config.ack_timeout_ms / 2 + 1);
	fly(w, l, f, ref);
	COUNT(w, link_sent);
	return GM_E_OK;
}

bool gm_flight_due(struct worker *w, struct link *l, struct flight *f, uint32_t ref)
{
	f->timer = 0;
	if (f->refused || f->waiting || f->tries > w->config.retransmit_max)
		return true;
	COUNT(w, link_retransmitted);
	fly(w, l, f, ref);
	return false;
}

/* ---- the context */

static enum gm_err derive(const struct link *l, const uint8_t *id_context, size_t n, struct gm_oscore_keys *keys)
{
	struct gm_oscore_input input = {
		.ms = {l->of.ms, l->of.ms_n},
		.salt = {l->of.salt, l->of.salt_n},
		.id_context = {id_context, n},
		.sid = {l->of.sid, l->of.sid_n},
		.rid = {l->of.rid, l->of.rid_n},
		.alg = l->of.alg,
	};

	return gm_oscore_derive(keys, &input);
}

static enum gm_err set_context(struct link *l, enum link_state state, size_t id_context_n)
{
	struct gm_oscore_keys keys;
	enum gm_err err = derive(l, l->id_context, id_context_n, &keys);

	if (err == GM_E_OK) {
		l->keys = keys;
		l->id_context_n = id_context_n;
		l->seq = 0;
		l->state = (uint8_t)state;
	}
	gm_wipe(&keys, sizeof keys);
	return err;
}

static void go_down(struct worker *w, struct link *l, unsigned seconds)
{
	if (seconds > BACKOFF_MAX_S)
		seconds = BACKOFF_MAX_S;
	gm_flight_end(w, &l->hello);
	gm_wipe(&l->keys, sizeof l->keys);
	l->state = LINK_DOWN;
	l->not_before_ms = w->now_ms + 1000u * seconds;
	if (l->fails < 8)
		l->fails++;
}

/* It could not be made, or was never confirmed. */
static void not_made(struct worker *w, struct link *l)
{
	if (l->hello.live)
		l->unknown = l->hello.refused >> 5 == 4;
	go_down(w, l, 1u << l->fails);
	gm_asks_again(w, l);
}

void gm_link_lost(struct worker *w, struct link *l)
{
	if (l->state != LINK_UP) {
		not_made(w, l);
		return;
	}
	if (w->now_ms - l->up_ms >= SETTLED_MS)
		l->fails = 0;
	go_down(w, l, l->fails ? 1u << (l->fails - 1) : 0);
	gm_asks_again(w, l);
}

static void say_hello(struct worker *w, struct link *l)
{
	static const uint8_t get[] = {GM_COAP_GET};

	gm_random(l->id_context, LINK_NONCE);
	enum gm_err err = set_context(l, LINK_HELLO, LINK_NONCE);
	if (err == GM_E_OK)
		err = gm_link_send(w, l, &l->hello, gm_link_ref(l, REF_LINK), (struct gm_bytes){get, sizeof get}, false, 0, NULL);
	if (err == GM_E_OK)
		return;
	go_down(w, l, 1u << l->fails);
	gm_asks_fail(w, l, err);
}

void gm_link_pump(struct worker *w, struct link *l)
{
	while (l->first) {
		if (l->state == LINK_DOWN && w->now_ms < l->not_before_ms) {
			l->state = LINK_WAITING;
			arm(w, &l->hello, gm_link_ref(l, REF_LINK), l->not_before_ms - w->now_ms);
		}
		if (l->state == LINK_DOWN)
			say_hello(w, l);
		if (l->state != LINK_UNPROVEN && l->state != LINK_UP)
			return;
		if (l->flying >= (l->state == LINK_UP ? LINK_WINDOW : 1) || !gm_ask_send(w, l))
			return;
	}
}

/* ---- responses */

struct opened {
	struct gm_oscore_option option;
	struct gm_coap inner;
	uint8_t text[TEXT_MAX];
};

static bool open_with(const struct gm_oscore_keys *keys, uint64_t seq, const struct opening *o, struct opened *x)
{
	struct gm_oscore_request request = {.kid = keys->sid};
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;

	request.piv_n = gm_oscore_piv(request.piv, seq);
	if (gm_oscore_unwrap(keys, o->m->payload, &x->option, &request, false, x->text, sizeof x->text, &scratch, &job) !=
	            GM_E_OK ||
	    !gm_aead_open_many(&job, 1))
		return false;
	unsigned class = x->text[0] >> 5;
	return gm_coap_decode_inner((struct gm_bytes){x->text, job.text_len}, &x->inner) == GM_E_OK &&
	       (class == 2 || class == 4 || class == 5);
}

/* Response #1: R2 in kid context. true: it was that, and the third context is made or the link is down. */
static bool take_r2(struct worker *w, struct link *l, const struct flight *f, const struct opening *o, struct opened *x)
{
	uint8_t id2[LINK_R2_MAX + sizeof l->id_context];
	struct gm_in in = gm_in_bytes(x->option.kid_context);
	struct gm_bytes r2 = gm_cbor_bstr(&in);
	struct gm_oscore_keys second;

	if (!x->option.has_kid_context || gm_cbor_end(&in) != GM_E_OK || !r2.n || r2.n > LINK_R2_MAX)
		return false;
	memcpy(id2, r2.p, r2.n);
	memcpy(id2 + r2.n, l->id_context, l->id_context_n);
	bool good = derive(l, id2, r2.n + l->id_context_n, &second) == GM_E_OK && open_with(&second, f->seq, o, x) &&
	            x->inner.code == GM_COAP(4, 1);
	gm_wipe(&second, sizeof second);
	if (!good)
		return false;
	gm_flight_end(w, &l->hello);
	gm_asks_again(w, l); /* those under the context before, where the server asked for a new one */
	memcpy(l->id_context, r2.p, r2.n);
	gm_random(l->id_context + r2.n, LINK_NONCE);
	COUNT(w, link_contexts);
	l->unknown = false;
	if (set_context(l, LINK_UNPROVEN, r2.n + LINK_NONCE) != GM_E_OK)
		not_made(w, l);
	return true;
}

static bool acked_before(struct worker *w, const struct link *l, const struct gm_coap *m)
{
	for (unsigned i = 0; i < LINK_ACKED; i++)
		if (l->acked[i].at_ms && l->acked[i].mid == m->mid && w->now_ms - l->acked[i].at_ms < EXCHANGE_LIFETIME_MS &&
		    memcmp(l->acked[i].token, m->token, LINK_TOKEN) == 0)
			return true;
	return false;
}

/* A confirmable response has been taken; its repeats get the same ACK. */
static void ack(struct worker *w, struct link *l, const struct opening *o)
{
	if (o->outer.type != GM_COAP_CON)
		return;
	unsigned i = l->acked_n++ % LINK_ACKED;
	gm_send_empty(w, &o->peer, &o->local, GM_COAP_ACK, o->outer.mid);
	l->acked[i].mid = o->outer.mid;
	l->acked[i].at_ms = w->now_ms;
	memcpy(l->acked[i].token, o->outer.token, LINK_TOKEN);
}

/* An error without protection, from the server's address and with our token, or a reset, with our Message ID. Whoever sees
 * our requests can say so: the request stays as it is, and gm_flight_due() ends it unless the response was faster. */
static void refused(struct worker *w, const struct link *l, unsigned i, struct flight *f, uint8_t code)
{
	if (f->refused)
		return;
	f->refused = code;
	arm(w, f, gm_link_ref(l, i), REFUSAL_MS);
}

static bool is_token(const struct gm_coap *m, const uint8_t token[static LINK_TOKEN])
{
	return memcmp(m->token, token, LINK_TOKEN) == 0;
}

/* The request that this answers; NULL and a place below ASKS_MAX: a notification; ASKS_MAX: neither */
static struct flight *find(struct link *l, const struct gm_coap *m, unsigned *place)
{
	struct flight *f = NULL;

	*place = ASKS_MAX;
	if (l->hello.live && is_token(m, l->hello.token)) {
		*place = REF_LINK;
		f = &l->hello;
	}
	for (unsigned i = 0; !f && i < ASKS_MAX; i++) {
		struct ask *a = &l->ask[i];
		if (a->flight.live && is_token(m, a->flight.token)) {
			*place = i;
			f = &a->flight;
		} else if (a->observed && is_token(m, a->token)) {
			*place = i;
		}
	}
	if (m->type == GM_COAP_ACK && (!f || f->mid != m->mid))
		*place = ASKS_MAX;
	return f;
}

static void take_answer(struct worker *w, struct link *l, unsigned i, bool notification, const struct opened *x)
{
	struct flight was = l->ask[i].flight;

	if (!notification)
		gm_flight_end(w, &l->ask[i].flight);
	if (l->state == LINK_UNPROVEN) {
		l->state = LINK_UP;
		l->up_ms = w->now_ms;
	}
	gm_ask_answered(w, l, i, &x->inner, &x->option, notification ? NULL : &was);
}

static bool take_response(struct worker *w, struct link *l, const struct opening *o, struct opened *x)
{
	const struct gm_coap *m = o->m;
	unsigned i;

	if (m->type == GM_COAP_CON && acked_before(w, l, m)) {
		gm_send_empty(w, &o->peer, &o->local, GM_COAP_ACK, m->mid);
		return true;
	}
	struct flight *f = find(l, m, &i);
	if (i == ASKS_MAX)
		return false;
	if (!m->has_oscore) {
		if (!f || m->code >> 5 == 2)
			return true; /* says nothing */
		if (m->type == GM_COAP_CON) /* and is not remembered: a response that verifies may come under the same Message ID */
			gm_send_empty(w, &o->peer, &o->local, GM_COAP_ACK, m->mid);
		refused(w, l, i, f, m->code);
	} else if (gm_oscore_option_decode(m->oscore, &x->option) != GM_E_OK) {
		return true;
	} else if (f && take_r2(w, l, f, o, x)) {
		ack(w, l, o);
	} else if (i != REF_LINK && open_with(&l->keys, f ? f->seq : l->ask[i].seq, o, x)) {
		ack(w, l, o);
		take_answer(w, l, i, !f, x);
	} else {
		COUNT(w, rx_undecryptable);
	}
	gm_link_pump(w, l);
	return true;
}

bool gm_link_response(struct worker *w, const struct opening *o)
{
	const struct gm_coap *m = o->m;
	struct link *l = m->token[1] < LINKS_MAX ? w->as_links[m->token[1]] : NULL;
	struct opened x;

	if (!l || !gm_addr_eq(&l->of.peer, &o->peer))
		return false;
	bool taken = take_response(w, l, o, &x);
	gm_wipe(&x, sizeof x); /* keys of members, where a token was introspected */
	return taken;
}

/* ---- ACK and RST */

static bool empty_to(struct worker *w, struct link *l, unsigned i, struct flight *f, const struct gm_coap *m)
{
	if (!f->live || f->mid != m->mid)
		return false;
	if (m->type == GM_COAP_RST) {
		refused(w, l, i, f, GM_COAP(4, 4));
	} else {
		f->waiting = true;
		if (!f->refused)
			arm(w, f, gm_link_ref(l, i), RESPONSE_WAIT_MS);
	}
	return true;
}

bool gm_link_empty(struct worker *w, const struct opening *o)
{
	const struct gm_coap *m = o->m;

	for (unsigned p = 0; p < LINKS_MAX; p++) {
		struct link *l = w->as_links[p];
		if (!l || !gm_addr_eq(&l->of.peer, &o->peer))
			continue;
		if (empty_to(w, l, REF_LINK, &l->hello, m))
			return true;
		for (unsigned i = 0; i < ASKS_MAX; i++)
			if (empty_to(w, l, i, &l->ask[i].flight, m))
				return true;
	}
	return false;
}

/* ---- time */

void gm_link_due(struct worker *w, uint32_t ref)
{
	struct link *l = w->as_links[ref >> 16];
	unsigned i = ref & 0xffffu;

	if (i != REF_LINK) {
		gm_ask_due(w, l, i);
	} else if (l->state != LINK_HELLO) {
		l->hello.timer = 0;
		if (l->state == LINK_WAITING)
			l->state = LINK_DOWN;
	} else if (gm_flight_due(w, l, &l->hello, ref)) {
		not_made(w, l);
	}
	gm_link_pump(w, l);
}

/* ---- life */

static void drop(struct worker *w, unsigned place)
{
	struct link *l = w->as_links[place];

	gm_flight_end(w, &l->hello);
	gm_asks_free(w, l);
	w->as_links[place] = NULL;
	gm_wipe(l, sizeof *l);
	free(l);
}

void gm_as_links_free(struct worker *w)
{
	for (unsigned i = 0; i < LINKS_MAX; i++)
		if (w->as_links[i])
			drop(w, i);
}

static void make(struct worker *w, const struct gm_eff_as *e)
{
	unsigned place = 0;

	while (place < LINKS_MAX && w->as_links[place])
		place++;
	struct link *l = place < LINKS_MAX ? calloc(1, sizeof *l) : NULL;
	if (!l)
		return;
	l->as_id = e->as_id;
	l->place = place;
	l->of = e->link;
	l->next_mid = (uint16_t)gm_worker_random(w);
	w->as_links[place] = l;
}

void gm_link_set(struct worker *w, const struct gm_eff_as *e)
{
	struct link *l = gm_link_at(w, e->as_id);
	bool wanted = !e->remove && e->link.ms_n && e->as_id % w->workers == w->index;

	if (l && wanted && memcmp(&l->of, &e->link, sizeof l->of) == 0)
		return;
	if (l) {
		gm_asks_end(w, l);
		drop(w, l->place);
	}
	if (wanted)
		make(w, e);
}
