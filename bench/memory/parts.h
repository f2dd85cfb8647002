/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the bench of memory share: a store filled by core itself, a gmd that runs on it, a member that asks. */
#ifndef GM_BENCH_MEMORY_H
#define GM_BENCH_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gm/addr.h"
#include "wire/groupcomm.h"
#include "wire/oscore.h"

#define BENCH_PATH 256u

struct plan {
	char dir[BENCH_PATH - 32]; /* of store, key, configuration and socket */
	uint32_t members, groups, workers;
	const char *programs; /* where gmd is */
	bool land;            /* a rekey's messages are waited for until none is left */
};

struct known { /* a member as the store has it */
	char group[GM_GROUP_NAME_MAX + 1], node[GM_NODE_NAME_MAX + 1];
	uint8_t sid_n, sid[GM_SID_MAX];
	struct gm_oscore_keys keys; /* the member's end */
};

/* ---- fill.c */
/* Makes the store in p->dir: one authorization server, p->groups groups, p->members clients with a token, a context and
 * one membership each. false: said why. */
bool bench_fill(const struct plan *p);
/* What member n has; the store is read, so no gmd may run on it. */
bool bench_known(const struct plan *p, uint32_t n, struct known *known);
void bench_end(uint32_t n, struct gm_oscore_keys *keys, struct gm_addr *peer); /* its end of the association; where it is */

/* ---- daemon.c */
/* How long a rekeying message waits to be confirmed: until those to all members have left. */
static inline unsigned bench_patience_ms(const struct plan *p)
{
	unsigned ms = 10000 + p->members / 16;

	return ms < 600000 ? ms : 600000;
}
struct daemon {
	pid_t pid;
	int log; /* its standard error */
	struct gm_addr addr;
	double ready_s, cpu_s; /* from fork to gmd.ready, and what its threads took of the processors */
};
struct pages { /* bytes; rss is the sum of the rest */
	uint64_t rss, anonymous, shared, program, store; /* store: LMDB's file */
};
bool bench_start(const struct plan *p, struct daemon *d);
bool bench_stop(struct daemon *d);
bool bench_pages(const struct daemon *d, struct pages *pages);

/* ---- ask.c */
/* GET nodes/N as that member, with Echo and all. false: no keys with its Sender ID came; said why. */
bool bench_ask(const struct gm_addr *server, const struct known *known);

#endif
