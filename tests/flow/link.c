/* SPDX-License-Identifier: Apache-2.0 */
/* The link to an authorization server: real workers against a scripted server, over the network in memory. */
#include <criterion/criterion.h>

#include "as_server.h"
#include "work/link.h"

#define AS_ID 100u
#define HEARD 512u

struct heard { /* a GM_EV_ANSWERED */
	struct gm_ev_answered ev;
	uint8_t *payload;
	size_t n;
};

struct world {
	struct flow *r;
	struct as_server *as;
	unsigned owner;
	struct heard heard[HEARD];
	unsigned n;

	/* what the server says */
	struct as_answer say;
	uint8_t body[70000];
	unsigned asked;
	struct gm_coap inner;
	uint8_t text[1500];
	size_t text_n;
	bool want_echo;
	unsigned change_at; /* the body changes before this many requests */
};

static struct world *world;

static void answer(void *arg, const struct gm_coap *inner, struct as_answer *a)
{
	struct world *x = arg;
	static const uint8_t echo[] = "fresh?", etags[] = {1, 2, 3, 4, 5, 6, 7, 8};

	x->asked++;
	x->inner = *inner;
	x->text_n = inner->payload.n;
	memcpy(x->text, inner->payload.p ? inner->payload.p : (const uint8_t *)"", inner->payload.n);
	*a = x->say;
	if (a->block)
		a->etag = (struct gm_bytes){etags + (x->change_at && x->asked >= x->change_at), 1};
	if (x->want_echo && !inner->has_echo) {
		*a = (struct as_answer){.code = GM_COAP(4, 1), .format = GM_CF_NONE, .echo = {echo, 6}};
	}
}

static bool on_event(void *arg, const struct gm_rec *rec)
{
	struct world *x = arg;
	const struct gm_ev_answered *ev = (const void *)rec;

	if (rec->type != GM_EV_ANSWERED)
		return false;
	struct gm_bytes p = gm_rec_bytes(ev, ev->payload);
	struct heard *h = &x->heard[x->n++ % HEARD];
	h->ev = *ev;
	h->n = p.n;
	h->payload = malloc(p.n + 1);
	if (p.n)
		memcpy(h->payload, p.p, p.n);
	return true;
}

static struct gm_link link_for(const char *addr)
{
	struct gm_link l = {.ms_n = 16, .salt_n = 8, .sid_n = 1, .sid = {0x01}, .rid_n = 2, .rid = {0xa5, 0x02}, .alg = 10};

	memcpy(l.ms, "sixteen secrets!", 16);
	memcpy(l.salt, "and salt", 8);
	gm_addr_parse(&l.peer, addr);
	return l;
}

static void set_row(struct world *x, const struct gm_link *link, bool remove)
{
	struct gm_eff_as e = {.rec = {.type = GM_EFF_AS, .len = sizeof e}, .as_id = AS_ID, .remove = remove};

	if (link)
		e.link = *link;
	for (unsigned i = 0; i < x->r->dp->config.workers; i++)
		flow_effect(x->r, i, &e, sizeof e);
}

static struct world *begin(unsigned workers)
{
	struct world *x = world = calloc(1, sizeof *x);
	struct gm_link link = link_for("10.9.200.200:5683");

	x->r = flow_new(workers, NULL);
	x->r->event = on_event;
	x->r->event_arg = x;
	x->as = as_server_new(x->r, "10.9.200.200:5683", &link);
	x->as->answer = answer;
	x->as->arg = x;
	x->owner = AS_ID % workers;
	x->say = (struct as_answer){.code = GM_COAP(2, 5), .format = 60, .payload = {(const uint8_t *)"yes", 3}};
	for (size_t i = 0; i < sizeof x->body; i++)
		x->body[i] = (uint8_t)(i * 31 + i / 251);
	set_row(x, &link, false);
	flow_run(x->r, 10);
	return x;
}

static void end(struct world *x)
{
	cr_expect_eq(x->as->reuses, 0, "a key and nonce protected two texts");
	for (unsigned i = 0; i < x->n && i < HEARD; i++)
		free(x->heard[i].payload);
	as_server_free(x->as);
	flow_free(x->r);
	free(x);
}

static void ask_with(struct world *x, uint32_t number, uint8_t method, uint8_t observe, const char *path, const char *query,
                     struct gm_bytes payload)
{
	union {
		struct gm_eff_ask e;
		uint8_t bytes[4096];
	} u = {.e = {.rec = {.type = GM_EFF_ASK, .len = sizeof u.e}, .as_id = AS_ID, .ask = number, .method = method}};

	u.e.observe = observe;
	u.e.content_format = payload.n ? 19 : GM_CF_NONE;
	u.e.path = gm_rec_append(&u.e.rec, path, strlen(path));
	if (query)
		u.e.query = gm_rec_append(&u.e.rec, query, strlen(query));
	if (payload.n)
		u.e.payload = gm_rec_append(&u.e.rec, payload.p, payload.n);
	flow_effect(x->r, x->owner, &u.e, (u.e.rec.len + 7) & ~7u);
}

static void ask(struct world *x, uint32_t number)
{
	ask_with(x, number, GM_COAP_GET, 0, "revoke/trl", NULL, (struct gm_bytes){0});
}

/* Until n answers were heard in all; false: not within ms. */
static bool heard(struct world *x, unsigned n, unsigned ms)
{
	while (x->n < n && ms--)
		flow_turn(x->r);
	return x->n >= n;
}

static const struct gm_worker_stats *stats(const struct world *x)
{
	return &x->r->dp->worker[x->owner]->stats;
}

Test(link, makes_a_context_and_answers_what_is_asked)
{
	struct world *x = begin(1);

	ask_with(x, 7, GM_COAP_POST, 0, "introspect", "a=1&b", (struct gm_bytes){(const uint8_t *)"token", 5});
	cr_assert(heard(x, 1, 1000));
	cr_expect_eq(x->as->hellos, 1);
	cr_expect_eq(x->as->requests, 1);
	cr_expect_eq(x->as->bad, 0);
	cr_expect_eq(x->inner.code, GM_COAP_POST);
	cr_expect_eq(x->inner.path_n, 1);
	cr_expect_eq(x->inner.query_n, 2);
	cr_expect_eq(x->inner.content_format, 19);
	cr_expect_eq(x->text_n, 5);
	cr_expect_eq(memcmp(x->text, "token", 5), 0);
	cr_expect_eq(x->heard[0].ev.as_id, AS_ID);
	cr_expect_eq(x->heard[0].ev.ask, 7);
	cr_expect_eq(x->heard[0].ev.err, GM_E_OK);
	cr_expect_eq(x->heard[0].ev.code, GM_COAP(2, 5));
	cr_expect_eq(x->heard[0].ev.content_format, 60);
	cr_expect_eq(x->heard[0].n, 3);
	for (unsigned i = 0; i < 20; i++)
		ask(x, 100 + i);
	cr_assert(heard(x, 21, 1000));
	cr_expect_eq(x->as->hellos, 1, "one context for all");
	cr_expect_eq(stats(x)->asks, 21);
	end(x);
}

Test(link, finds_its_worker_whatever_worker_the_answers_reach)
{
	for (unsigned workers = 2; workers <= 5; workers++) {
		struct world *x = begin(workers);
		for (unsigned i = 0; i < 2 * LINK_WINDOW; i++)
			ask(x, i);
		cr_assert(heard(x, 2 * LINK_WINDOW, 2000));
		x->as->separate = true; /* an empty ACK is not found by a token */
		ask(x, 100);
		cr_assert(heard(x, 2 * LINK_WINDOW + 1, 2000));
		cr_expect_eq(stats(x)->link_retransmitted, 0);
		end(x);
	}
}

Test(link, of_another_secret_is_refused_without_harm)
{
	struct world *x = begin(1);

	x->as->link.ms[0] ^= 1;
	ask(x, 1);
	cr_assert(heard(x, 1, 1000));
	cr_expect_eq(x->heard[0].ev.err, GM_E_NO_CONTEXT);
	ask(x, 2);
	flow_run(x->r, 900);
	cr_expect_eq(x->as->refused, 1, "the back-off holds for a second");
	cr_assert(heard(x, 2, 1000));
	x->as->link.ms[0] ^= 1;
	ask(x, 3);
	cr_assert(heard(x, 3, 3000));
	cr_expect_eq(x->heard[2].ev.err, GM_E_OK);
	end(x);
}
