/* SPDX-License-Identifier: Apache-2.0 */
/* Members by the ten thousand: a port, timers, a window of exchanges, measurements. One thread. */
#ifndef GM_FLEET_H
#define GM_FLEET_H

#include <stdio.h>

#include "askey.h"
#include "member.h"
#include "port/port.h"

#define GM_FLEET_MAX 131072u
#define GM_FLEET_GROUPS 64u
#define GM_FLEET_VERSIONS 32u /* versions of a group remembered for checks */

struct gm_series { /* measured times; grows */
	uint64_t *ns;
	size_t n, cap;
};
void gm_series_add(struct gm_series *s, uint64_t ns);
void gm_series_sort(struct gm_series *s);
/* permille 500: median; 1,000: maximum; the series is sorted; 0 where it is empty. Milliseconds. */
double gm_series_at(const struct gm_series *s, unsigned permille);
void gm_series_free(struct gm_series *s);

struct gm_fleet_context { /* an OSCORE context that was made; secret */
	uint32_t index;
	struct gm_oscore_id kid, id1; /* Sender ID of the member, of the Group Manager */
	uint8_t ms[16], salt_n, salt[47], alg, hkdf;
};

enum gm_fleet_event_kind { GM_FLEET_KEYS, GM_FLEET_DONE, GM_FLEET_PACED, GM_FLEET_LOST, GM_FLEET_KINDS };
struct gm_fleet_event { /* what is drawn over time */
	uint64_t at_ns;
	uint32_t took_us, last_us; /* KEYS: 0; else since the member's first and its last attempt */
	uint32_t kind;
};
struct gm_fleet_log {
	bool on;
	struct gm_fleet_event *events; /* grows */
	size_t n, cap;
};

struct gm_fleet_pace { /* members that carry out a plan, one after the other at fixed distances */
	const uint32_t *list;
	size_t n, next;
	unsigned plan, tries; /* tries 0: those of the run */
	uint64_t start_ns, gap_ns;
};

struct gm_fleet_traffic { /* what went through the port, and how long this thread worked */
	uint64_t rx, rx_bytes, tx, tx_bytes, dropped, cpu_ns;
};

struct gm_fleet_run { /* members that carry out a plan, a window at a time */
	const uint32_t *list;
	size_t n, next;
	unsigned plan, window, tries;
	size_t active, ok, failed;
	size_t left;    /* of the list: not done */
	size_t paced_n; /* begun by gm_fleet_pace */
};

struct gm_ping;
struct gm_fleet {
	struct gm_member_env env;
	struct gm_member_group groups[GM_FLEET_GROUPS];
	struct gm_member_keys versions[GM_FLEET_GROUPS][GM_FLEET_VERSIONS]; /* by version modulo */
	const struct gm_port_ops *ops;
	struct gm_port *port;
	struct gm_addr first; /* of member 0 */
	bool v4;
	uint32_t loss;  /* of 2^32 datagrams, each way: dropped here */
	uint64_t chance; /* what decides that: always the same after the same seed */
	struct gm_fleet_traffic traffic;
	struct gm_fleet_log log;
	struct gm_fleet_pace pace;
	int watch_group; /* where installed_n counts those who get watch_version, but in a Join Response */
	uint64_t watch_version;
	size_t installed_n;
	struct gm_fleet_begun {
		uint64_t first_ns, last_ns;
	} *begun; /* by member: when its attempts began */
	struct gm_identity *ready; /* keys of newcomers, made together */
	unsigned ready_n;
	struct gm_member *members; /* GM_FLEET_MAX of them, zeroed until used */
	uint32_t members_n, capacity;
	struct gm_dgram out[GM_PORT_BURST];
	unsigned out_n, out_have;

	struct gm_due *heap; /* timers */
	size_t heap_n, heap_cap;
	uint64_t *due; /* by member: its exchange's, then its retry's */

	struct gm_fleet_run run;
	struct gm_series took[GM_OP_N];
	uint64_t answers[GM_OP_N][256]; /* by CoAP code; 0: none came */
	struct gm_fleet_context *contexts;
	size_t contexts_n, contexts_cap;
	uint8_t osc_alg, osc_hkdf; /* what tokens say that are minted from now on; 0: 10 and 5 */
	FILE *keys, *acks;
	unsigned checks_failed;
	struct gm_ping *ping; /* the one that waits for its answer */
	bool tolerant;        /* no answer is not worth a line */
	bool (*stop)(void *); /* ends a run early where it says true */
	void *stop_arg;
};

/* server decides the family; port: of the members, or the next one that nobody has. IO with a line on stderr. */
GM_NODISCARD enum gm_err gm_fleet_open(struct gm_fleet *f, const struct gm_addr *server, uint16_t port,
                                       uint32_t capacity, const char *port_name);
/* The same for members of other addresses: of from the first two bytes (IPv4), or all (IPv6). */
GM_NODISCARD enum gm_err gm_fleet_open_from(struct gm_fleet *f, const struct gm_addr *server, const struct gm_addr *from,
                                            uint16_t port, uint32_t capacity, const char *port_name);
void gm_fleet_close(struct gm_fleet *f);
/* Index of the group; a new one is added. -1: too many. */
int gm_fleet_group(struct gm_fleet *f, const char *name);
/* A new member with a token of its own; NULL: no room. */
struct gm_member *gm_fleet_add(struct gm_fleet *f, const struct gm_askey *as, int group, uint8_t roles, bool post,
                               int64_t exp);
/* From now on it sends from its other address, 127.2.x.y or 127.1.x.y; for IPv4 only. It is reached at both. */
void gm_fleet_move(struct gm_member *m);
/* A token that updates m's rights: the same scope, another end. Ready for GM_OP_UPDATE; false: not minted. */
bool gm_fleet_mint_update(struct gm_fleet *f, const struct gm_askey *as, struct gm_member *m, int64_t exp);
/* Once around: signatures, sending, waiting up to timeout_ms, receiving, timers. */
void gm_fleet_turn(struct gm_fleet *f, uint64_t timeout_ms);
/* Start a plan; who has a control_uri does not observe. */
void gm_fleet_begin(struct gm_fleet *f, struct gm_member *m, unsigned plan);
/* Start those of f->pace whose time has come; true while some are left. */
bool gm_fleet_pace(struct gm_fleet *f);
/* What went through the port so far, and the CPU time of this thread. */
struct gm_fleet_traffic gm_fleet_traffic(const struct gm_fleet *f);
/* Have every listed member carry out plan; returns when all are done. Refusals with 5.03 are tried again when their Max-Age
 * is over, and silence after a second, up to tries times. Those of f->pace are started as long as the list lasts, all of them where it is empty; it returns
 * when they are done, too.
 * The answer: how many succeeded. */
size_t gm_fleet_run(struct gm_fleet *f, const uint32_t *list, size_t n, unsigned plan, unsigned window, unsigned tries);
void gm_fleet_reset_times(struct gm_fleet *f);
/* One failed check: counted, told on stderr. m may be NULL. */
void gm_fleet_fail(struct gm_fleet *f, const struct gm_member *m, const char *reason);
void gm_fleet_write_context(FILE *file, const struct gm_fleet *f, const struct gm_fleet_context *c);

#endif
