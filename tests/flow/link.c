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

	e.linked = link != NULL;
	for (unsigned i = 0; i < x->r->dp->config.workers; i++) { /* as gm_tell_as() does */
		e.link = (struct gm_link){0};
		if (link && i == AS_ID % x->r->dp->config.workers)
			e.link = *link;
		else if (link)
			e.link.peer = link->peer;
		flow_effect(x->r, i, &e, sizeof e);
	}
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

Test(link, empty_ack_of_its_server_is_found_whatever_worker_it_reaches)
{
	for (unsigned workers = 2; workers <= 5; workers++) {
		struct world *x = begin(workers);
		ask(x, 0);
		cr_assert(heard(x, 1, 2000));
		x->as->separate = x->say.silent = true; /* that ACK is all that comes */
		for (unsigned i = 1; i < LINK_WINDOW; i++)
			ask(x, i);
		flow_run(x->r, 20000);
		cr_expect_eq(stats(x)->link_retransmitted, 0, "%u workers", workers);
		end(x);
	}
}

Test(link, of_another_secret_is_refused_without_harm)
{
	struct world *x = begin(1);

	x->as->link.ms[0] ^= 1;
	ask(x, 1);
	flow_run(x->r, REFUSAL_MS + 900);
	cr_expect_eq(x->as->refused, 1, "the back-off holds for a second");
	cr_assert(!heard(x, 1, ASK_WAIT_MS - REFUSAL_MS - 1000), "what is asked waits");
	cr_expect_leq(x->as->refused, 5, "longer each time");
	cr_assert(heard(x, 1, 200));
	cr_expect_eq(x->heard[0].ev.err, GM_E_NO_CONTEXT);
	ask(x, 2);
	x->as->link.ms[0] ^= 1;
	cr_assert(heard(x, 2, ASK_WAIT_MS));
	cr_expect_eq(x->heard[1].ev.err, GM_E_OK);
	end(x);
}

/* What anybody can say who sees a request, before the server's answer to it. */
static void say_error(struct world *x, uint8_t type, uint8_t code)
{
	uint8_t pkt[16];
	const uint8_t *request = x->as->last.data;
	struct gm_out o = gm_out(pkt, sizeof pkt);
	uint16_t mid = type == GM_COAP_CON ? x->as->next_mid : (uint16_t)(request[2] << 8 | request[3]);

	gm_coap_put_head(&o, type, code, mid, request + 4, code ? request[0] & 15 : 0);
	as_server_send(x->as, pkt, gm_out_len(&o));
}

static const struct said_first { uint8_t type, code; } *said_first;

static void answer_second(void *arg, const struct gm_coap *inner, struct as_answer *a)
{
	say_error(arg, said_first->type, said_first->code);
	answer(arg, inner, a);
}

Test(link, injected_error_is_not_believed_while_the_answer_is_on_its_way)
{
	static const struct said_first errors[] = {
		{GM_COAP_RST, 0}, {GM_COAP_ACK, GM_COAP(4, 4)}, {GM_COAP_ACK, GM_COAP(4, 1)}, {GM_COAP_ACK, GM_COAP(5, 3)}, {GM_COAP_CON, GM_COAP(4, 1)},
	};

	for (size_t k = 0; k < 2 * sizeof errors / sizeof *errors; k++) {
		struct world *x = begin(1);
		said_first = &errors[k / 2];
		ask(x, 0);
		cr_assert(heard(x, 1, 2000));
		x->as->answer = answer_second;
		x->as->separate = k % 2; /* its CON has the Message ID of the injected one */
		for (unsigned i = 1; i <= 10; i++) {
			ask(x, i);
			cr_assert(heard(x, i + 1, REFUSAL_MS), "%zu", k);
			cr_expect_eq(x->heard[i].ev.err, GM_E_OK, "%zu", k);
		}
		cr_expect_eq(x->as->hellos, 1, "%zu", k);
		end(x);
	}
}

Test(link, injected_error_with_no_answer_behind_it_costs_a_context)
{
	static const struct said_first errors[] = {{GM_COAP_RST, 0}, {GM_COAP_ACK, GM_COAP(4, 4)}, {GM_COAP_NON, GM_COAP(5, 0)}};

	for (size_t k = 0; k < sizeof errors / sizeof *errors; k++) {
		struct world *x = begin(1);
		ask(x, 0);
		cr_assert(heard(x, 1, 2000));
		x->say.silent = true;
		ask(x, 1);
		flow_run(x->r, 20);
		say_error(x, errors[k].type, errors[k].code);
		x->say.silent = false;
		cr_assert(heard(x, 2, 3000));
		cr_expect_eq(x->heard[1].ev.err, GM_E_OK, "%zu", k);
		cr_expect_eq(x->as->hellos, 2, "%zu", k);
		end(x);
	}
}

Test(link, reset_of_its_hello_fails_nothing_that_waits)
{
	struct world *x = begin(1);

	x->as->deaf = true;
	for (unsigned i = 0; i < 50; i++)
		ask(x, i);
	flow_run(x->r, 20);
	const struct flight *hello = &x->r->dp->worker[0]->as_links[0]->hello;
	cr_assert(hello->live);
	as_server_send(x->as, (uint8_t[]){0x70, 0, (uint8_t)(hello->mid >> 8), (uint8_t)hello->mid}, 4);
	x->as->deaf = false;
	cr_assert(heard(x, 50, 20000));
	for (unsigned i = 0; i < 50; i++)
		cr_expect_eq(x->heard[i].ev.err, GM_E_OK);
	end(x);
}

Test(link, of_every_algorithm_works)
{
	static const int8_t algs[] = {1, 3, 10, 30, 11, 24};

	for (size_t i = 0; i < sizeof algs; i++) {
		struct world *x = begin(1);
		struct gm_link link = x->as->link;
		link.alg = x->as->link.alg = algs[i];
		set_row(x, &link, false);
		ask(x, 1);
		cr_assert(heard(x, 1, 1000), "alg %d", algs[i]);
		cr_expect_eq(x->heard[0].ev.err, GM_E_OK, "alg %d", algs[i]);
		end(x);
	}
}

Test(link, takes_answers_by_blocks_of_any_size)
{
	static const unsigned sizes[] = {16, 256, 1024};

	for (unsigned i = 0; i < 3; i++) {
		struct world *x = begin(1);
		size_t n = sizes[i] == 16 ? 2000 : GM_ANSWER_MAX;
		x->say.block = sizes[i];
		x->say.payload = (struct gm_bytes){x->body, n};
		ask(x, 1);
		cr_assert(heard(x, 1, 60000));
		cr_expect_eq(x->heard[0].ev.err, GM_E_OK);
		cr_expect_eq(x->heard[0].n, n);
		cr_expect_eq(memcmp(x->heard[0].payload, x->body, n), 0);
		end(x);
	}
}

Test(link, refuses_answers_that_are_too_long_or_change_for_ever)
{
	struct world *x = begin(1);

	x->say.block = 1024;
	x->say.payload = (struct gm_bytes){x->body, GM_ANSWER_MAX + 1};
	ask(x, 1);
	cr_assert(heard(x, 1, 60000));
	cr_expect_eq(x->heard[0].ev.err, GM_E_TOO_LARGE);
	x->say.payload.n = 5000;
	x->change_at = x->asked + 3;
	ask(x, 2);
	cr_assert(heard(x, 2, 60000));
	cr_expect_eq(x->heard[1].ev.err, GM_E_OK, "it was fetched again from its first block");
	cr_expect_eq(x->heard[1].n, 5000);
	x->change_at = x->asked + 3;
	ask_with(x, 3, GM_COAP_POST, 0, "introspect", NULL, (struct gm_bytes){x->body, 20});
	cr_assert(heard(x, 3, 60000));
	cr_expect_eq(x->heard[2].ev.err, GM_E_INCOMPLETE, "a POST is not repeated");
	ask_with(x, 4, GM_COAP_POST, 0, "introspect", NULL, (struct gm_bytes){x->body, ASK_TEXT_MAX});
	cr_assert(heard(x, 4, 100));
	cr_expect_eq(x->heard[3].ev.err, GM_E_TOO_LARGE, "a request is one datagram");
	end(x);
}

Test(link, observes_and_takes_notifications_in_their_order)
{
	struct world *x = begin(1);
	struct as_answer n = x->say;

	x->say.observe = true;
	x->as->own_piv = true;
	ask_with(x, 9, GM_COAP_GET, 1, "revoke/trl", "diff=3", (struct gm_bytes){0});
	cr_assert(heard(x, 1, 1000));
	cr_expect_eq(x->heard[0].ev.observed, 1);
	cr_assert(x->as->observation.on);

	n.payload = (struct gm_bytes){(const uint8_t *)"new", 3};
	as_server_notify(x->as, 20, false, &n);
	cr_assert(heard(x, 2, 1000));
	cr_expect_eq(x->heard[1].ev.ask, 9);
	cr_expect_eq(memcmp(x->heard[1].payload, "new", 3), 0);
	unsigned acks = x->as->acks;
	as_server_notify(x->as, 19, false, &n); /* overtaken */
	flow_run(x->r, 100);
	cr_expect_eq(x->n, 2, "what is older is not told");
	cr_expect_eq(x->as->acks, acks + 1, "but confirmed");
	struct gm_mem_dgram again = x->as->said;
	as_server_send(x->as, again.data, again.len);
	flow_run(x->r, 100);
	cr_expect_eq(x->as->acks, acks + 2, "a repeat is confirmed again");

	x->say.block = n.block = 1024; /* longer than a datagram: the rest is fetched */
	x->say.payload = n.payload = (struct gm_bytes){x->body, 5000};
	x->say.observe = false;
	as_server_notify(x->as, 21, false, &n);
	cr_assert(heard(x, 3, 1000));
	cr_expect_eq(x->heard[2].n, 5000);
	cr_expect_eq(memcmp(x->heard[2].payload, x->body, 5000), 0);
	cr_expect_eq(x->heard[2].ev.observed, 1);

	n = (struct as_answer){.code = GM_COAP(4, 4), .format = GM_CF_NONE};
	as_server_notify(x->as, 22, true, &n); /* its last */
	cr_assert(heard(x, 4, 1000));
	cr_expect_eq(x->heard[3].ev.observed, 0);
	cr_expect_eq(x->heard[3].ev.code, GM_COAP(4, 4));
	as_server_notify(x->as, 23, false, &n);
	flow_run(x->r, 100);
	cr_expect_eq(x->n, 4);
	cr_expect_eq(x->as->resets, 1, "an observation that is over is rejected");
	end(x);
}

Test(link, replayed_first_answer_of_an_observation_is_no_notification)
{
	struct world *x = begin(1);

	x->say.observe = x->as->separate = true;
	ask_with(x, 9, GM_COAP_GET, 1, "revoke/trl", NULL, (struct gm_bytes){0});
	cr_assert(heard(x, 1, 1000));
	struct gm_mem_dgram first = x->as->said;
	first.data[3] ^= 1; /* under another Message ID it is no repeat */
	as_server_send(x->as, first.data, first.len);
	flow_run(x->r, 100);
	cr_expect_eq(x->n, 1);
	end(x);
}

Test(link, ends_an_observation_when_core_does)
{
	struct world *x = begin(1);

	x->say.observe = true;
	ask_with(x, 9, GM_COAP_GET, 1, "revoke/trl", NULL, (struct gm_bytes){0});
	cr_assert(heard(x, 1, 1000));
	x->say.observe = false;
	ask_with(x, 9, GM_COAP_GET, 2, "revoke/trl", NULL, (struct gm_bytes){0});
	flow_run(x->r, 100);
	cr_expect_eq(x->n, 1, "that is not answered");
	cr_expect(x->inner.has_observe && x->inner.observe == 1);
	cr_expect(!x->as->observation.on);
	end(x);
}

Test(link, sends_again_the_same_bytes_when_nothing_comes_back)
{
	struct gm_mem_faults faults = {.loss = 400000, .dup = 100000, .jitter_ns = 30000000};
	struct world *x = begin(1);

	ask(x, 0);
	cr_assert(heard(x, 1, 1000));
	gm_mem_set_faults(x->r->net, &faults);
	x->as->no_memory = false;
	for (unsigned i = 1; i <= 20; i++)
		ask(x, i);
	cr_assert(heard(x, 21, 300000));
	unsigned good = 0;
	for (unsigned i = 0; i < 21; i++)
		good += x->heard[i].ev.err == GM_E_OK;
	cr_expect_gt(good, 12);
	cr_expect_gt(stats(x)->link_retransmitted, 5);
	cr_expect_eq(x->n, 21, "each is answered once");
	gm_mem_set_faults(x->r->net, &(struct gm_mem_faults){0});
	end(x);
}

Test(link, that_is_silent_answers_busy)
{
	struct world *x = begin(1);

	x->as->deaf = true;
	ask(x, 1);
	cr_assert(!heard(x, 1, ASK_WAIT_MS - 100));
	cr_assert(heard(x, 1, 200));
	cr_expect_eq(x->heard[0].ev.err, GM_E_BUSY);
	x->as->deaf = false;
	ask(x, 2);
	cr_assert(heard(x, 2, 34000));
	cr_expect_eq(x->heard[1].ev.err, GM_E_OK);
	x->as->deaf = true;
	ask(x, 3);
	cr_assert(heard(x, 3, 100000));
	cr_expect_eq(x->heard[2].ev.err, GM_E_BUSY);
	end(x);
}

Test(link, waits_for_a_response_that_comes_separately)
{
	struct world *x = begin(1);

	x->as->separate = true;
	ask(x, 1);
	cr_assert(heard(x, 1, 1000));
	cr_expect_eq(stats(x)->link_retransmitted, 0);
	cr_expect_eq(x->as->acks, 2, "of both contexts' responses");
	end(x);
}

Test(link, makes_a_new_context_when_the_server_has_lost_it)
{
	struct world *x = begin(1);

	x->say.observe = true;
	ask_with(x, 9, GM_COAP_GET, 1, "revoke/trl", NULL, (struct gm_bytes){0});
	cr_assert(heard(x, 1, 1000));
	x->say.observe = false;
	as_server_forget(x->as);
	for (unsigned i = 0; i < 3; i++)
		ask(x, i);
	cr_assert(heard(x, 5, 1000));
	cr_expect_eq(x->heard[1].ev.ask, 9);
	cr_expect_eq(x->heard[1].ev.err, GM_E_NO_CONTEXT, "the observation is lost");
	for (unsigned i = 0; i < 3; i++) {
		cr_expect_eq(x->heard[2 + i].ev.ask, i, "in the order in which they were asked");
		cr_expect_eq(x->heard[2 + i].ev.err, GM_E_OK);
	}
	cr_expect_eq(x->as->hellos, 2);
	as_server_forget(x->as); /* twice in a minute: not at once */
	ask(x, 10);
	cr_assert(!heard(x, 6, 900));
	cr_assert(heard(x, 6, 1000));
	cr_expect_eq(x->heard[5].ev.err, GM_E_OK);
	end(x);
}

Test(link, goes_on_by_a_new_context_before_numbers_run_out)
{
	struct world *x = begin(1);

	ask(x, 1);
	cr_assert(heard(x, 1, 1000));
	x->r->dp->worker[0]->as_links[0]->seq = LINK_SEQ_MAX - 1;
	ask(x, 2);
	ask(x, 3);
	cr_assert(heard(x, 3, 2000));
	cr_expect_eq(x->heard[2].ev.err, GM_E_OK);
	cr_expect_eq(x->as->hellos, 2);
	end(x);
}

Test(link, hears_its_server_only)
{
	struct world *x = begin(1);
	struct gm_addr stranger;

	gm_addr_parse(&stranger, "10.9.200.201:5683");
	x->say.silent = true;
	ask(x, 1);
	flow_run(x->r, 100);
	struct gm_mem_dgram request = x->as->last;
	uint8_t refusal[11] = {0x67, GM_COAP(4, 1), request.data[2], request.data[3]};
	memcpy(refusal + 4, request.data + 4, LINK_TOKEN);
	gm_mem_send(x->r->net, &stranger, &x->r->dp_config.listen[0], refusal, sizeof refusal);
	flow_run(x->r, 1500);
	cr_expect_eq(x->as->hellos, 1, "a stranger ends no context");
	refusal[4 + LINK_TOKEN - 1] ^= 1;
	as_server_send(x->as, refusal, sizeof refusal);
	flow_run(x->r, 1500);
	cr_expect_eq(x->as->hellos, 1, "nor does a guess");
	refusal[4 + LINK_TOKEN - 1] ^= 1;
	x->say.silent = false;
	as_server_send(x->as, refusal, sizeof refusal);
	cr_assert(heard(x, 1, 3000));
	cr_expect_eq(x->as->hellos, 2);
	end(x);
}

Test(link, takes_a_response_once)
{
	struct world *x = begin(1);

	x->as->separate = true;
	ask(x, 1);
	cr_assert(heard(x, 1, 1000));
	struct gm_mem_dgram said = x->as->said;
	unsigned acks = x->as->acks;
	as_server_send(x->as, said.data, said.len);
	flow_run(x->r, 100);
	cr_expect_eq(x->as->acks, acks + 1, "a repeat is confirmed");
	said.data[3] ^= 1;
	as_server_send(x->as, said.data, said.len);
	flow_run(x->r, 100);
	cr_expect_eq(x->as->resets, 1, "a replay is rejected");
	cr_expect_eq(x->n, 1);
	end(x);
}

Test(link, shows_that_a_request_is_fresh_when_asked_to)
{
	struct world *x = begin(1);

	x->want_echo = true;
	ask(x, 1);
	cr_assert(heard(x, 1, 1000));
	cr_expect_eq(x->heard[0].ev.code, GM_COAP(2, 5));
	cr_expect_eq(x->asked, 2);
	end(x);
}

Test(link, has_room_for_so_many_and_says_so)
{
	struct world *x = begin(1);

	x->as->deaf = true;
	for (unsigned i = 0; i < ASKS_MAX + 10; i++)
		ask(x, i);
	cr_assert(heard(x, 10, 100));
	for (unsigned i = 0; i < 10; i++) {
		cr_expect_eq(x->heard[i].ev.err, GM_E_BUSY);
		cr_expect_eq(x->heard[i].ev.ask, ASKS_MAX + i);
	}
	x->as->deaf = false;
	cr_assert(heard(x, ASKS_MAX + 10, 40000));
	for (unsigned i = 10; i < ASKS_MAX + 10; i++)
		cr_expect_eq(x->heard[i].ev.err, GM_E_OK);
	end(x);
}

Test(link, that_goes_or_changes_answers_what_was_asked_over_it)
{
	struct world *x = begin(1);
	struct gm_link other = x->as->link;

	x->as->deaf = true;
	for (unsigned i = 0; i < 5; i++)
		ask(x, i);
	flow_run(x->r, 10);
	other.ms[0] ^= 1;
	set_row(x, &other, false);
	cr_assert(heard(x, 5, 100));
	ask(x, 5);
	set_row(x, NULL, true);
	cr_assert(heard(x, 6, 100));
	ask(x, 6);
	cr_assert(heard(x, 7, 100));
	for (unsigned i = 0; i < 7; i++)
		cr_expect_eq(x->heard[i].ev.err, GM_E_UNKNOWN);
	end(x);
}

Test(link, gives_the_server_no_way_to_ask_us)
{
	struct world *x = begin(1);
	struct gm_coap m;

	ask(x, 1);
	cr_assert(heard(x, 1, 1000));
	uint64_t requests = stats(x)->requests;
	as_server_ask(x->as);
	flow_run(x->r, 100);
	cr_expect_eq(stats(x)->requests, requests);
	cr_assert_eq(gm_coap_decode((struct gm_bytes){x->as->last.data, x->as->last.len}, &m), GM_E_OK);
	cr_expect_eq(m.code, GM_COAP(4, 1));
	cr_expect(!m.has_oscore);
	end(x);
}
