/* SPDX-License-Identifier: Apache-2.0 */
/* What a packet costs after start-up: no allocation and no lock, of ours or of a library. Everything that the worker's turn
 * calls is watched but the network in memory, which is the test's. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#include "flow_rig.h"

#define MEMBERS 200u
#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))

static _Thread_local bool watching;
static unsigned allocations, frees, locks;

/* ---- the watch */

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void *, size_t), void (*)(const volatile void *));

static void on_malloc(const volatile void *p, size_t n)
{
	(void)p, (void)n;
	allocations += watching;
}

static void on_free(const volatile void *p)
{
	frees += watching && p;
}

static void watch_start(void)
{
	__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}
#else
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);

void *malloc(size_t n)
{
	allocations += watching;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	allocations += watching;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	allocations += watching;
	return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	allocations += watching;
	return __libc_memalign(align, n);
}

void free(void *p)
{
	frees += watching && p;
	__libc_free(p);
}

static void watch_start(void) {}
#endif

int pthread_mutex_lock(pthread_mutex_t *m)
{
	static int (*real)(pthread_mutex_t *);

	if (!real)
		real = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
	locks += watching;
	return real(m);
}

/* ---- the network is not watched */

static struct gm_port_ops aside;

#define ASIDE(type, call)                                                                                              \
	{                                                                                                              \
		bool was = watching;                                                                                   \
		watching = false;                                                                                      \
		type r = gm_port_mem.call;                                                                             \
		watching = was;                                                                                        \
		return r;                                                                                              \
	}

static unsigned tx_get(struct gm_port *p, struct gm_dgram *d, unsigned n) ASIDE(unsigned, tx_get(p, d, n))
static unsigned tx_burst(struct gm_port *p, struct gm_dgram *d, unsigned n) ASIDE(unsigned, tx_burst(p, d, n))
static unsigned rx_burst(struct gm_port *p, struct gm_dgram *d, unsigned n) ASIDE(unsigned, rx_burst(p, d, n))
static uint64_t now_ns(struct gm_port *p) ASIDE(uint64_t, now_ns(p))

static void tx_put(struct gm_port *p, struct gm_dgram *d, unsigned n)
{
	bool was = watching;

	watching = false;
	gm_port_mem.tx_put(p, d, n);
	watching = was;
}

static void rx_put(struct gm_port *p, struct gm_dgram *d, unsigned n)
{
	bool was = watching;

	watching = false;
	gm_port_mem.rx_put(p, d, n);
	watching = was;
}

static bool watched_turn(struct worker *w)
{
	watching = true;
	bool worked = gm_worker_turn(w);
	watching = false;
	return worked;
}

static void forget(struct flow *r)
{
	allocations = frees = locks = 0;
	r->worker_turn = watched_turn;
}

/* ---- a group at work */

static void rekeyed(struct flow *r, uint64_t version)
{
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	for (unsigned ms = 0; ms < 4000 && flow_at_version(r, version) < r->members_n; ms++)
		flow_turn(r);
	flow_run(r, 50);
	cr_assert(eq(uint, flow_at_version(r, version), r->members_n));
}

/* A group of members of whom each third observes; one rekey and a read by each are done. */
static struct flow *warm(void)
{
	struct flow *r = flow_new(1, NULL);

	watch_start();
	aside = gm_port_mem;
	aside.tx_get = tx_get;
	aside.tx_burst = tx_burst;
	aside.tx_put = tx_put;
	aside.rx_burst = rx_burst;
	aside.rx_put = rx_put;
	aside.now_ns = now_ns;
	for (unsigned i = 0; i < MEMBERS; i++)
		flow_member(r, GM_ROLE_REQUESTER, i % 3);
	cr_assert(eq(uint, flow_all_do(r, JOIN, GM_OP_JOIN), MEMBERS));
	for (unsigned i = 0; i < MEMBERS; i += 3)
		cr_assert(flow_do(r, &r->members[i], GM_PLAN(GM_OP_OBSERVE)));
	rekeyed(r, 1);
	cr_assert(eq(uint, flow_all_do(r, GM_PLAN(GM_OP_NODE), GM_OP_NODE), MEMBERS));
	r->dp->worker[0]->ops = &aside;
	return r;
}

static void expect_quiet(void)
{
	cr_expect(eq(uint, allocations, 0));
	cr_expect(eq(uint, frees, 0));
	cr_expect(eq(uint, locks, 0));
}

Test(quiet, reads_of_keys_allocate_and_lock_nothing)
{
	struct flow *r = warm();
	uint64_t before = r->dp->worker[0]->stats.reads_local;

	forget(r);
	cr_expect(eq(uint, flow_all_do(r, GM_PLAN(GM_OP_NODE), GM_OP_NODE), MEMBERS));
	cr_expect(eq(uint, flow_all_do(r, GM_PLAN(GM_OP_GROUP), GM_OP_GROUP), MEMBERS));
	cr_expect(eq(u64, r->dp->worker[0]->stats.reads_local - before, 2 * MEMBERS));
	expect_quiet();
	flow_free(r);
}

Test(quiet, reads_of_credentials_allocate_and_lock_nothing)
{
	struct flow *r = warm();
	uint64_t before = r->dp->worker[0]->stats.reads_local;

	for (unsigned i = 0; i < MEMBERS; i++) {
		const struct gm_member *of = &r->members[(i + 1) % MEMBERS];
		r->members[i].fetch_sid_n = of->sid_n;
		memcpy(r->members[i].fetch_sid, of->sid, of->sid_n);
	}
	forget(r);
	cr_expect(eq(uint, flow_all_do(r, GM_PLAN(GM_OP_FETCH), GM_OP_FETCH), MEMBERS));
	cr_expect(eq(u64, r->dp->worker[0]->stats.reads_local - before, MEMBERS));
	expect_quiet();
	flow_free(r);
}

Test(quiet, a_rekey_allocates_its_bodies_once_and_nothing_for_a_member)
{
	struct flow *r = warm();
	uint64_t sent = r->dp->worker[0]->stats.rekey_sent, confirmed = r->dp->worker[0]->stats.rekey_confirmed;

	forget(r);
	rekeyed(r, 2);
	cr_expect(eq(u64, r->dp->worker[0]->stats.rekey_sent - sent, MEMBERS));
	cr_expect(eq(u64, r->dp->worker[0]->stats.rekey_confirmed - confirmed, MEMBERS));
	cr_expect(le(uint, allocations, 2)); /* the payload of POSTs, that of notifications */
	cr_expect(eq(uint, frees, allocations));
	cr_expect(eq(uint, locks, 0));
	flow_free(r);
}

/* The watch itself. */
Test(quiet, sees_what_a_join_allocates)
{
	struct flow *r = warm();
	struct gm_member *m = flow_member(r, GM_ROLE_REQUESTER, true);

	forget(r);
	cr_expect(flow_do(r, m, JOIN));
	cr_expect(ge(uint, allocations, 1));
	flow_free(r);
}
