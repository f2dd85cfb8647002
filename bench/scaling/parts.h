/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the bench of workers share: a port that hands out what was prepared, a site in this process, its load. */
#ifndef GM_BENCH_SCALING_H
#define GM_BENCH_SCALING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "memory/parts.h"
#include "turns.h"
#include "work/worker.h"

#define SHOT_LEN 96u
#define CAUGHT_LEN 48u /* header, token and options of what is sent; what lies behind is not looked at */
#define SITES_WORKERS 2u

struct shot { /* a datagram that was prepared */
	struct gm_addr from;
	uint16_t len;
	uint8_t data[SHOT_LEN];
};

struct caught { /* a datagram that a worker sent, cut off */
	struct gm_addr to;
	uint8_t data[CAUGHT_LEN];
};

/* One worker's part of the load, and what it sends. The bench writes while the worker sleeps. */
struct lane {
	alignas(64) const struct shot *shots;
	_Atomic uint32_t n;     /* set last: hands them over; back to 0 before next is */
	_Atomic bool catches;   /* what it sends is kept, else counted and dropped */
	struct caught *caught;
	uint32_t caught_max;
	int tell;               /* eventfd of the bench, written when the worker has nothing to do */
	alignas(64) _Atomic uint32_t next, caught_n; /* the worker's own, as all below */
	_Atomic uint64_t refused; /* answers that are errors */
	_Atomic uint64_t idle_ns; /* when it last had nothing to do */
	_Atomic bool idle;
};

/* ---- port.c: config.arg is an array of struct lane, by worker. */
extern const struct gm_port_ops bench_port;
uint64_t bench_now_ns(void);

/* ---- site.c: core and workers over a store, in this process, with that port */
struct site {
	unsigned workers;
	int tell;
	struct lane lane[SITES_WORKERS];
	struct gm_turns turns;
};
bool bench_site_open(struct site *s, const struct plan *p, unsigned workers);
void bench_site_close(struct site *s);
/* Worker w runs on that processor alone. */
bool bench_pin(struct site *s, unsigned w, unsigned cpu);
bool bench_rekey(struct site *s); /* of g0: the workers begin to walk before it returns */
void bench_settle(struct site *s); /* core hears what the workers have to tell */

/* ---- load.c */
struct load { /* shots of each worker */
	struct shot *at[SITES_WORKERS];
	uint32_t n[SITES_WORKERS], cap;
};
bool bench_load_new(struct load *l, uint32_t cap);
void bench_load_free(struct load *l);
/* `each` requests for the keys of g0 by each member, in an order of chance; one of 1/share comes to the other worker than the
 * one that has its context. */
bool bench_reads(struct load *l, const struct site *s, uint32_t members, uint32_t each, double share);
/* Confirmations of all that was caught, likewise. */
bool bench_confirmations(struct load *l, const struct site *s, uint32_t members, double share);

#endif
