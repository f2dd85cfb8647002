/* SPDX-License-Identifier: Apache-2.0 */
#include "work/domain.h"

#include <stdlib.h>

#define LINE 64u          /* bytes of a cache line */
#define EPOCHS 4u         /* counted at a time: the one that runs, the one before, whose verdicts still come, and one to judge */
#define SAMPLE_MIN 20u    /* messages to judge by */
#define PART_OF_LOST 20u  /* more than one in so many is too much */
#define STEP_BACK_NS 60000000000u /* a part of the rate comes back after so long without a verdict */

struct domain {
	_Alignas(LINE) struct gm_pace_prefix of; /* read by all, changed by none */
	uint64_t gap_ns;                         /* between two messages at the full rate */
	_Alignas(LINE) _Atomic uint64_t free_ns; /* the bucket: when it is full again but for one message */
	_Atomic uint32_t level;                  /* the rate now, in parts of GM_DOMAIN_LEVELS */
	_Atomic uint64_t changed_ns;             /* level did */
	_Atomic uint64_t epoch, judged_from;     /* judged_from: what left before went at another rate */
	_Atomic uint32_t first[EPOCHS], retried[EPOCHS];
	_Atomic uint32_t kept_first, kept_retried; /* too few to judge by alone */
	_Atomic uint64_t sent, resent, halved;
	_Atomic int64_t waiting;
};

struct run { /* prefixes of one length, in order of their bytes */
	bool v4;
	uint8_t bits;
	uint16_t from, n;
};

struct gm_domains {
	unsigned n, runs_n;
	uint64_t epoch_ns;
	struct domain *at;
	struct run run[130 + 33];
};

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)
#define STORE(x, v) atomic_store_explicit(&(x), (v), memory_order_relaxed)
#define ADD(x, v) atomic_fetch_add_explicit(&(x), (v), memory_order_relaxed)

/* ---- the table */

/* IPv4 before IPv6, long before short. */
static int by_length(const void *a, const void *b)
{
	const struct gm_prefix *x = &((const struct domain *)a)->of.prefix, *y = &((const struct domain *)b)->of.prefix;
	bool x4 = gm_prefix_is_v4(x), y4 = gm_prefix_is_v4(y);

	if (x4 != y4)
		return x4 ? -1 : 1;
	if (x->bits != y->bits)
		return y->bits - x->bits;
	return memcmp(x->ip, y->ip, sizeof x->ip);
}

static void find_runs(struct gm_domains *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct gm_prefix *p = &t->at[i].of.prefix;
		struct run *last = t->runs_n ? &t->run[t->runs_n - 1] : NULL;
		if (!last || last->bits != p->bits || last->v4 != gm_prefix_is_v4(p)) {
			last = &t->run[t->runs_n++];
			*last = (struct run){.v4 = gm_prefix_is_v4(p), .bits = p->bits, .from = (uint16_t)i};
		}
		last->n++;
	}
}

struct gm_domains *gm_domains_new(const struct gm_pace_prefix *prefixes, unsigned n, unsigned timeout_ms)
{
	struct gm_domains *t = n ? calloc(1, sizeof *t) : NULL;

	if (!t)
		return NULL;
	t->n = n;
	t->epoch_ns = (timeout_ms ? timeout_ms : 1) * UINT64_C(1000000);
	t->at = aligned_alloc(LINE, n * sizeof *t->at);
	if (!t->at) {
		free(t);
		return NULL;
	}
	memset(t->at, 0, n * sizeof *t->at);
	for (unsigned i = 0; i < n; i++) {
		t->at[i].of = prefixes[i];
		t->at[i].gap_ns = (uint64_t)(1e9 / prefixes[i].rate);
		STORE(t->at[i].level, GM_DOMAIN_LEVELS);
	}
	qsort(t->at, n, sizeof *t->at, by_length);
	find_runs(t);
	return t;
}

void gm_domains_free(struct gm_domains *t)
{
	if (t)
		free(t->at);
	free(t);
}

unsigned gm_domains_n(const struct gm_domains *t)
{
	return t ? t->n : 0;
}

static const struct domain *find(const struct gm_domains *t, const struct run *r, const struct gm_prefix *key)
{
	const struct domain *at = t->at + r->from;

	for (unsigned n = r->n; n;) {
		int c = memcmp(key->ip, at[n / 2].of.prefix.ip, sizeof key->ip);
		if (c == 0)
			return &at[n / 2];
		if (c > 0) {
			at += n / 2 + 1;
			n -= n / 2 + 1;
		} else {
			n /= 2;
		}
	}
	return NULL;
}

uint16_t gm_domain_of(const struct gm_domains *t, const struct gm_addr *addr)
{
	for (unsigned i = 0; t && i < t->runs_n; i++) {
		struct gm_prefix key = gm_prefix_of(addr, t->run[i].bits);
		const struct domain *d;
		if (t->run[i].v4 == gm_addr_is_v4(addr) && (d = find(t, &t->run[i], &key)))
			return (uint16_t)(d - t->at + 1);
	}
	return 0;
}

static struct domain *at(const struct gm_domains *t, uint16_t d)
{
	return &t->at[d - 1];
}

/* ---- the bucket: the generic cell rate algorithm of ITU-T I.371, one number for level and time */

static uint64_t gap_ns(const struct domain *d)
{
	return d->gap_ns * GM_DOMAIN_LEVELS / LOAD(d->level);
}

uint64_t gm_domain_next_ns(const struct gm_domains *t, uint16_t domain)
{
	const struct domain *d = at(t, domain);
	uint64_t slack = (d->of.burst - 1) * gap_ns(d), free_ns = LOAD(d->free_ns);

	return free_ns > slack ? free_ns - slack : 0;
}

bool gm_domain_take(struct gm_domains *t, uint16_t domain, uint64_t now_ns)
{
	struct domain *d = at(t, domain);
	uint64_t gap = gap_ns(d), slack = (d->of.burst - 1) * gap, free_ns = LOAD(d->free_ns), then;

	do {
		if (free_ns > now_ns + slack)
			return false;
		then = (free_ns > now_ns ? free_ns : now_ns) + gap;
	} while (!atomic_compare_exchange_weak_explicit(&d->free_ns, &free_ns, then, memory_order_relaxed,
	                                                memory_order_relaxed));
	return true;
}

unsigned gm_domain_quantum(const struct gm_domains *t, uint16_t domain)
{
	uint64_t in_a_turn = 1000000 / (gap_ns(at(t, domain)) + 1);

	return in_a_turn < 1 ? 1 : in_a_turn > 64 ? 64 : (unsigned)in_a_turn;
}

/* ---- congestion */

static void step_back(struct domain *d, uint64_t now_ns, uint64_t steps)
{
	uint32_t level = LOAD(d->level);

	if (level == GM_DOMAIN_LEVELS)
		return;
	level = steps > GM_DOMAIN_LEVELS - level ? GM_DOMAIN_LEVELS : level + (uint32_t)steps;
	STORE(d->level, level);
	STORE(d->changed_ns, now_ns);
}

static void halve(struct domain *d, uint64_t now_ns, uint64_t epoch)
{
	uint32_t level = LOAD(d->level);

	STORE(d->level, level > 1 ? level / 2 : 1);
	STORE(d->changed_ns, now_ns);
	STORE(d->judged_from, epoch + 1);
	ADD(d->halved, 1);
}

static void judge(struct domain *d, uint64_t now_ns, uint64_t epoch, uint64_t now_epoch)
{
	uint32_t first = atomic_exchange(&d->first[epoch % EPOCHS], 0) + LOAD(d->kept_first);
	uint32_t retried = atomic_exchange(&d->retried[epoch % EPOCHS], 0) + LOAD(d->kept_retried);
	bool enough = first >= SAMPLE_MIN;

	if (epoch < LOAD(d->judged_from))
		return;
	STORE(d->kept_first, enough ? 0 : first);
	STORE(d->kept_retried, enough ? 0 : retried);
	if (!enough)
		return;
	if (retried * PART_OF_LOST > first)
		halve(d, now_ns, now_epoch);
	else
		step_back(d, now_ns, 1);
}

/* Once an epoch, by whom it is noticed first, those before the last one are judged: each of their messages was answered or
 * sent again by now. */
static uint64_t roll(struct gm_domains *t, struct domain *d, uint64_t now_ns)
{
	uint64_t epoch = now_ns / t->epoch_ns, was = LOAD(d->epoch);

	if (epoch <= was || !atomic_compare_exchange_strong(&d->epoch, &was, epoch))
		return epoch;
	uint64_t from = was > EPOCHS - 2 ? was - 1 : 0;
	for (unsigned i = 0; i < EPOCHS && from + i + 2 <= epoch; i++)
		judge(d, now_ns, from + i, epoch);
	uint64_t changed = LOAD(d->changed_ns);
	if (now_ns > changed && now_ns - changed >= STEP_BACK_NS)
		step_back(d, now_ns, (now_ns - changed) / STEP_BACK_NS);
	return epoch;
}

void gm_domain_sent(struct gm_domains *t, uint16_t domain, uint64_t now_ns)
{
	struct domain *d = at(t, domain);
	uint64_t epoch = roll(t, d, now_ns);

	ADD(d->first[epoch % EPOCHS], 1);
	ADD(d->sent, 1);
}

void gm_domain_retry(struct gm_domains *t, uint16_t domain, uint64_t now_ns, uint64_t first_ns)
{
	struct domain *d = at(t, domain);
	uint64_t epoch = roll(t, d, now_ns), of = first_ns / t->epoch_ns;

	if (of + 1 >= epoch)
		ADD(d->retried[of % EPOCHS], 1);
}

void gm_domain_resent(struct gm_domains *t, uint16_t domain)
{
	ADD(at(t, domain)->resent, 1);
}

void gm_domain_waits(struct gm_domains *t, uint16_t domain, int more)
{
	ADD(at(t, domain)->waiting, more);
}

void gm_domain_status(const struct gm_domains *t, uint16_t domain, struct gm_pace_status *s)
{
	const struct domain *d = at(t, domain);
	int64_t waiting = LOAD(d->waiting);

	*s = (struct gm_pace_status){
		.of = d->of,
		.rate_now = d->of.rate * LOAD(d->level) / GM_DOMAIN_LEVELS,
		.sent = LOAD(d->sent),
		.retransmitted = LOAD(d->resent),
		.halved = LOAD(d->halved),
		.waiting = waiting > 0 ? (uint64_t)waiting : 0,
	};
}
