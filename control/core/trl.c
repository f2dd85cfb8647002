/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of revoked tokens: each authorization server that keeps one is asked for the whole of it at the start and now and
 * then, and between that for what changed, under an observation. RFC 9770
 *
 * A full query, then the diff query that is observed, from the cursor where there is one. An observation gives the changes
 * since the cursor of its request, so a new one is made with a newer cursor every minute; that also shows within a minute
 * that the server has forgotten the old one. Whatever fails begins again with a full query, later and later. */
#include "core/audit.h"
#include "core/state.h"
#include "gm/crypto.h"
#include "wire/coap.h"
#include "wire/trl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_BIT 0x80000000u /* in the numbers of asks: those of introspection are below */
#define REFRESH_MS 60000u
#define RETRY_MS 2000u
#define RETRY_MS_MAX 300000u
#define ASK_MS_MAX 300000u /* an ask that is out longer is lost */
#define FIRST_MS 5000u     /* for the first answer, before new keys go out without it */
#define MORE_MS 100u       /* between portions of changes: a server sets no pace for us */
#define PORTION 256u       /* hashes that are carried out in a turn */

struct todo {
	uint8_t hash[GM_TOKEN_HASH];
	bool removed;
	uint32_t order;
};

struct gm_watch {
	struct gm_timer timer; /* on the mono heap */
	uint32_t as_id;
	uint32_t ask;      /* number of the ask that is out, 0: none */
	uint32_t observed; /* number of the observation that stands, 0: none */
	bool want_full, asked_full;
	bool has_cursor;
	uint64_t cursor;
	unsigned failures;
	uint64_t since_ms;  /* of this start */
	bool heard;         /* the latest ask was answered */
	uint64_t next_ms;   /* when to ask again, once all that came is carried out */
	uint64_t full_ms;   /* when the next full query is due */
	int64_t full_at;
	unsigned listed;
	struct todo *todo; /* [todo_at, todo_n) */
	size_t todo_n, todo_at, todo_cap;
};

/* ---- what came is carried out a portion a turn: each hash may put a member out, and is a record */

static void arm(struct gm_turn *t, struct gm_watch *w)
{
	bool busy = w->todo_at < w->todo_n;

	/* + 1: the heap is run until nothing is due */
	gm_timer_set(&t->core->mono, &w->timer, GM_TIMER_WATCH, busy ? t->txn->mono_ms + 1 : w->next_ms);
}

static void carry_out(struct gm_turn *t, struct gm_watch *w)
{
	size_t end = w->todo_n - w->todo_at > PORTION ? w->todo_at + PORTION : w->todo_n;
	const struct gm_by before = t->txn->by;

	t->txn->by = gm_by_as(w->as_id);
	for (; w->todo_at < end; w->todo_at++) {
		const struct todo *d = &w->todo[w->todo_at];
		unsigned evicted = 0;
		if (d->removed)
			gm_revoked_unlisted(t, w->as_id, d->hash);
		else
			gm_revoked_listed(t, w->as_id, d->hash, &evicted);
	}
	t->txn->by = before;
	if (w->todo_at < w->todo_n)
		return;
	free(w->todo);
	w->todo = NULL;
	w->todo_n = w->todo_at = w->todo_cap = 0;
}

struct gathering {
	struct gm_core *core;
	struct gm_watch *watch;
	unsigned listed;
};

static void gather(void *arg, enum gm_trl_op op, struct gm_bytes hash)
{
	struct gathering *g = arg;
	struct gm_watch *w = g->watch;

	g->listed += op == GM_TRL_LISTED;
	if (hash.n != GM_TOKEN_HASH)
		return;
	if (w->todo_n == w->todo_cap) {
		w->todo_cap = w->todo_cap ? 2 * w->todo_cap : 64;
		w->todo = gm_must_alloc(w->todo, w->todo_cap * sizeof(*w->todo));
	}
	struct todo *d = &w->todo[w->todo_n];
	*d = (struct todo){.removed = op == GM_TRL_REMOVED, .order = (uint32_t)w->todo_n};
	memcpy(d->hash, hash.p, sizeof(d->hash));
	w->todo_n++;
}

static int by_hash(const void *a, const void *b)
{
	const struct todo *x = a, *y = b;
	int order = memcmp(x->hash, y->hash, sizeof(x->hash));

	return order ? order : x->order < y->order ? -1 : 1;
}

static int by_order(const void *a, const void *b)
{
	const struct todo *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order;
}

/* Of each hash what came last counts; what changes nothing goes. The rest stays in the order of its coming. */
static void tidy(struct gm_core *c, struct gm_watch *w)
{
	size_t n = 0;

	if (w->todo_n == 0)
		return;
	qsort(w->todo, w->todo_n, sizeof(*w->todo), by_hash);
	for (size_t i = 0; i < w->todo_n; i++) {
		bool last = i + 1 == w->todo_n || memcmp(w->todo[i].hash, w->todo[i + 1].hash, GM_TOKEN_HASH) != 0;
		bool known = gm_revoked_find(c, w->as_id, w->todo[i].hash) != NULL;
		if (last && known == w->todo[i].removed)
			w->todo[n++] = w->todo[i];
	}
	w->todo_n = n;
	qsort(w->todo, w->todo_n, sizeof(*w->todo), by_order);
	for (size_t i = 0; i < n; i++)
		w->todo[i].order = (uint32_t)i;
}

/* ---- asking */

static uint32_t new_number(struct gm_core *c)
{
	c->watch_serial = (c->watch_serial + 1) & ~NUMBER_BIT;
	return NUMBER_BIT | c->watch_serial;
}

/* An observation, or an ask that may become one, is wanted no more. */
static void stop(struct gm_turn *t, struct gm_as *as, uint32_t *number)
{
	if (!*number)
		return;
	gm_tell_ask(t, as, &(struct gm_ask_spec){.number = *number,
	                                         .method = GM_COAP(0, 1),
	                                         .observe = 2,
	                                         .path = as->spec.trl,
	                                         .content_format = GM_CF_NONE});
	*number = 0;
}

static void ask(struct gm_turn *t, struct gm_watch *w, struct gm_as *as)
{
	char query[64] = "";
	int n = 0;

	if (t->txn->mono_ms >= w->full_ms)
		w->want_full = true;
	stop(t, as, &w->observed);
	if (!w->want_full)
		n = snprintf(query, sizeof(query), "diff=%u", GM_TRL_DIFF_MAX);
	if (!w->want_full && w->has_cursor)
		n += snprintf(query + n, sizeof(query) - (size_t)n, "&cursor=%" PRIu64, w->cursor);
	w->ask = new_number(t->core);
	w->asked_full = w->want_full;
	gm_tell_ask(t, as, &(struct gm_ask_spec){.number = w->ask,
	                                         .method = GM_COAP(0, 1),
	                                         .observe = !w->want_full,
	                                         .path = as->spec.trl,
	                                         .query = {(const uint8_t *)query, (size_t)n},
	                                         .content_format = GM_CF_NONE});
	w->next_ms = t->txn->mono_ms + ASK_MS_MAX;
	arm(t, w);
}

/* ---- answers */

static void fail(struct gm_turn *t, struct gm_watch *w, struct gm_as *as, const char *why)
{
	uint64_t wait = RETRY_MS << (w->failures < 8 ? w->failures : 8);

	as->failed++;
	w->failures++;
	stop(t, as, &w->ask);
	w->heard = false;
	w->want_full = true;
	w->has_cursor = false;
	w->next_ms = t->txn->mono_ms + (wait < RETRY_MS_MAX ? wait : RETRY_MS_MAX);
	gm_core_log(t->core, "trl.failed as=%u why=\"%s\" retry_ms=%" PRIu64, as->id, why, w->next_ms - t->txn->mono_ms);
	arm(t, w);
}

/* The whole list is larger than an answer may be: what changes from now on is still learned. */
static void too_large(struct gm_turn *t, struct gm_watch *w, struct gm_as *as)
{
	gm_core_log(t->core, "trl.too_large as=%u: tokens that it revoked before now are NOT all known", as->id);
	as->failed++;
	w->ask = 0;
	w->want_full = false;
	w->full_ms = t->txn->mono_ms + as->spec.trl_every_s * 1000ull;
	w->next_ms = t->txn->mono_ms + RETRY_MS;
	arm(t, w);
}

static void refused(struct gm_turn *t, struct gm_watch *w, struct gm_as *as, const struct gm_ev_answered *ev)
{
	char why[64];
	unsigned id = 0;
	bool has_cursor;
	uint64_t cursor;

	if (ev->content_format == 257 && gm_trl_error_decode(gm_rec_bytes(ev, ev->payload), &id, &has_cursor, &cursor))
		snprintf(why, sizeof(why), "refused with %u.%02u, error %u", ev->code >> 5, ev->code & 31u, id);
	else
		snprintf(why, sizeof(why), "refused with %u.%02u", ev->code >> 5, ev->code & 31u);
	fail(t, w, as, why);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What comes next, after a good answer. A notification puts nothing off that is to come sooner: there may be one after the other. */
static void go_on(struct gm_turn *t, struct gm_watch *w, const struct gm_trl *trl, bool lost, bool moved, bool own)
{
	uint64_t now = t->txn->mono_ms, planned = own ? UINT64_MAX : w->next_ms;

	w->failures = lost ? w->failures + 1 : 0;
	w->want_full = lost;
	if (trl->full && w->asked_full && !w->observed)
		w->next_ms = now;                 /* the diff query, to observe */
	else if (lost || (trl->more && !moved))
		w->next_ms = now + (w->failures > 1 ? RETRY_MS_MAX : RETRY_MS);
	else if (trl->more)
		w->next_ms = now + MORE_MS;       /* the rest of the changes */
	else
		w->next_ms = sooner(now + REFRESH_MS, w->full_ms > now + RETRY_MS ? w->full_ms : now + RETRY_MS);
	w->next_ms = sooner(w->next_ms, planned);
	arm(t, w);
}

static void take_list(struct gm_turn *t, struct gm_watch *w, struct gm_as *as, const struct gm_ev_answered *ev)
{
	struct gathering g = {t->core, w, 0};
	struct gm_trl trl = {0};
	size_t before = w->todo_n;

	if (ev->content_format != GM_CF_TRL || gm_trl_decode(gm_rec_bytes(ev, ev->payload), &trl, gather, &g) != GM_E_OK) {
		w->todo_n = before;
		fail(t, w, as, "the answer is no list of revoked tokens");
		return;
	}
	bool moved = trl.has_cursor && (!w->has_cursor || w->cursor != trl.cursor);
	bool lost = !trl.full && trl.more && !trl.has_cursor; /* entries that we have not seen are gone  RFC 9770 §9.2.3 */
	bool own = ev->ask == w->ask;
	as->answered++;
	as->answered_at = t->txn->wall_s;
	w->heard = true;
	w->has_cursor = trl.has_cursor;
	w->cursor = trl.cursor;
	if (own) {
		w->ask = 0;
		w->observed = ev->observed ? ev->ask : 0;
	}
	if (trl.full) {
		w->full_ms = t->txn->mono_ms + as->spec.trl_every_s * 1000ull;
		w->full_at = t->txn->wall_s;
		w->listed = g.listed;
	}
	tidy(t->core, w);
	if (trl.full || w->todo_n)
		gm_core_log(t->core, "trl.read as=%u %s=%u new=%zu", as->id, trl.full ? "full" : "entries",
		            trl.full ? g.listed : trl.entries, w->todo_n);
	carry_out(t, w);
	if (w->ask)
		arm(t, w); /* a notification, while another ask is out */
	else
		go_on(t, w, &trl, lost, moved, own);
}

void gm_trl_answered(struct gm_turn *t, const struct gm_ev_answered *ev)
{
	struct gm_as *as = gm_as_find(t->core, ev->as_id);
	struct gm_watch *w = as ? as->watch : NULL;

	if (!w || (ev->ask != w->ask && ev->ask != w->observed))
		return;
	if (w->todo_at) { /* the rest of an earlier answer goes to the front */
		memmove(w->todo, w->todo + w->todo_at, (w->todo_n - w->todo_at) * sizeof(*w->todo));
		w->todo_n -= w->todo_at;
		w->todo_at = 0;
		for (size_t i = 0; i < w->todo_n; i++)
			w->todo[i].order = (uint32_t)i;
	}
	bool ended = ev->err != GM_E_OK || ev->code != GM_COAP(2, 5), own = ev->ask == w->ask;
	if (ended)
		*(own ? &w->ask : &w->observed) = 0;
	if (ev->err == GM_E_TOO_LARGE && own && w->asked_full)
		too_large(t, w, as);
	else if (ev->err != GM_E_OK)
		fail(t, w, as, gm_err_info((enum gm_err)ev->err)->text);
	else if (ev->code != GM_COAP(2, 5))
		refused(t, w, as, ev);
	else
		take_list(t, w, as, ev);
}

bool gm_trl_number(uint32_t ask)
{
	return ask & NUMBER_BIT;
}

bool gm_trl_settled(const struct gm_core *c, uint64_t mono_ms)
{
	for (unsigned i = 0; i < c->ases_n; i++) {
		const struct gm_watch *w = c->ases[i].watch;
		if (w && (w->todo_at < w->todo_n || (!w->heard && !w->failures && mono_ms < w->since_ms + FIRST_MS)))
			return false;
	}
	return true;
}

/* ---- time and life */

void gm_trl_due(struct gm_turn *t, struct gm_timer *timer)
{
	struct gm_watch *w = (struct gm_watch *)(void *)timer; /* its first member */
	struct gm_as *as = gm_as_find(t->core, w->as_id);

	if (w->todo_at < w->todo_n) {
		carry_out(t, w);
		arm(t, w);
	} else if (w->ask) {
		fail(t, w, as, "no answer in time");
	} else {
		ask(t, w, as);
	}
}

void gm_trl_start(struct gm_turn *t, struct gm_as *as)
{
	if (!as->spec.trl[0])
		return;
	struct gm_watch *w = gm_must_alloc(NULL, sizeof(*w));
	memset(w, 0, sizeof(*w));
	w->as_id = as->id;
	w->since_ms = t->txn->mono_ms;
	w->want_full = true;
	as->watch = w;
	ask(t, w, as);
}

void gm_trl_free(struct gm_core *c, struct gm_as *as)
{
	if (!as->watch)
		return;
	gm_timer_stop(&c->mono, &as->watch->timer);
	free(as->watch->todo);
	free(as->watch);
	as->watch = NULL;
}

void gm_trl_info(const struct gm_as *as, struct gm_as_info *info)
{
	const struct gm_watch *w = as->watch;

	info->trl_state = !w ? "off" : w->failures ? "failing" : w->observed ? "observing" : w->heard ? "polling" : "starting";
	if (!w)
		return;
	info->has_cursor = w->has_cursor;
	info->cursor = w->cursor;
	info->trl_full_at = w->full_at;
	info->trl_listed = w->listed;
}
