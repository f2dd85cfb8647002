/* SPDX-License-Identifier: Apache-2.0 */
/* The whole Group Manager on one thread: real workers, real core, a network in memory with a virtual clock, and simulated
 * members on the far side. Records outlive a kill, so that a start after it goes by the same path as gmd's. */
#ifndef FLOW_RIG_H
#define FLOW_RIG_H

#include "core/core.h"
#include "entries.h"
#include "member.h"
#include "port/mem.h"
#include "store/changed.h"
#include "work/worker.h"

#define FLOW_MEMBERS 65536u /* room; a test pays for those it has */

struct flow_record {
	uint8_t table, key_n;
	uint8_t key[GM_KEY_MAX];
	uint8_t *value;
	uint32_t value_n;
};

struct flow_nonce { /* one (sender key, nonce) seen on the wire, and what it protected */
	uint64_t id, text;
	bool used;
};

struct flow {
	struct gm_mem_net *net;
	struct gm_dp *dp;
	struct gm_core *core;
	struct gm_changes changes;
	struct gm_effects effects;
	struct flow_record *records;
	unsigned records_n;
	struct gm_changed changed; /* for a process that takes over */
	struct entries entries; /* of the audit log, committed */
	int64_t wall_s; /* added to the real clock's seconds by tests that let tokens expire */
	struct gm_core_config core_config;
	struct gm_dp_config dp_config;

	struct gm_member_env env;
	struct gm_member_group groups[4];
	struct gm_member members[FLOW_MEMBERS];
	uint64_t timer_ms[FLOW_MEMBERS];
	uint8_t last_code[FLOW_MEMBERS][GM_OP_N];
	unsigned members_n, failures, contexts;
	char failure[128];
	uint64_t to_members, to_gm; /* datagrams */

	struct flow_nonce *nonces;
	unsigned nonces_n, nonces_cap, reuses;
	bool (*worker_turn)(struct worker *w); /* gm_worker_turn, or what a test puts around it */
	bool mute; /* datagrams to members are dropped by the test */

	/* one more party on the network, which is no member */
	struct gm_addr far_addr;
	void (*far)(void *arg, const struct gm_mem_dgram *d);
	void (*far_tap)(void *arg, const struct gm_addr *to, const uint8_t *data, size_t n); /* all that the Group Manager sends */
	void *far_arg;
	/* sees events before core; true: core does not get it */
	bool (*event)(void *arg, const struct gm_rec *rec);
	void *event_arg;
};

extern uint64_t flow_seed; /* of the network's dice, 1 */
extern unsigned flow_group_max; /* members of the group, 0: as by default */
/* A Group Manager with that many workers, one AS, one active group "g1". */
struct flow *flow_new(unsigned workers, const struct gm_mem_faults *faults);
struct flow *flow_new_as(unsigned workers, const struct gm_mem_faults *faults, const char *alg); /* that protects tokens */
void flow_free(struct flow *r);
/* As kill -9 and a start with another number of workers: what was not committed is gone. */
void flow_restart(struct flow *r, unsigned workers);
/* Another process takes over: it loads what is stored, ahead, and what has changed meanwhile singly. */
void flow_hand_over(struct flow *r, unsigned workers, void (*meanwhile)(struct flow *r));
/* Once around everything, then the clock moves by one millisecond. */
void flow_turn(struct flow *r);
void flow_run(struct flow *r, unsigned ms);
/* One more group, "g2", "g3"...; its index for flow_member_in(). */
uint16_t flow_group(struct flow *r, enum gm_backward backward);
struct gm_member *flow_member_in(struct flow *r, uint16_t group, uint8_t roles, bool post);
/* A member with a token of its own for group g1; it has not spoken yet. */
struct gm_member *flow_member(struct flow *r, uint8_t roles, bool post);
/* Effects that did not come from core: n bytes, to one worker. */
void flow_effect(struct flow *r, unsigned worker, const void *record, size_t n);
/* One of g1 whose token names these for the association; 0: the default. */
struct gm_member *flow_member_osc(struct flow *r, uint8_t roles, bool post, int32_t alg, int32_t hkdf);
/* Carries out plan; true when all of it was answered with 2.xx within 100 virtual seconds. */
bool flow_do(struct flow *r, struct gm_member *m, unsigned plan);
bool flow_busy(const struct flow *r); /* some member has something to do, or waits for an answer */
/* All members begin at once, and have 10 virtual seconds. Returns how many had the plan's last answer with 2.xx. */
unsigned flow_all_do(struct flow *r, unsigned plan, enum gm_member_op last);
uint8_t flow_code(struct flow *r, struct gm_member *m, enum gm_member_op op); /* of the latest answer */
/* Operator's commands: committed and published. */
enum gm_err flow_rekey(struct flow *r, bool compromised);
enum gm_err flow_pause(struct flow *r, bool paused); /* the distribution of g1's keys */
enum gm_err flow_set(struct flow *r, const struct gm_admin_map *changes); /* of g1 */
enum gm_err flow_evict(struct flow *r, const char *node, unsigned *evicted);
/* Count of members whose keys are of this version or newer. */
unsigned flow_at_version(struct flow *r, uint64_t version);
struct gm_core_status flow_status(struct flow *r);
void flow_info(struct flow *r, struct gm_group_info *info); /* of g1 */

#endif
