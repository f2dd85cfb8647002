/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of gmload share. A command takes words and fills a JSON object; false: it went wrong. */
#ifndef GM_LOAD_H
#define GM_LOAD_H

#include <jansson.h>

#include "bench/member/fleet.h"
#include "bench/member/traffic.h"

#define LOAD_WORDS_MAX 32

struct load {
	struct gm_fleet fleet;
	struct gm_askey as;
	unsigned window, tries;
	uint64_t dice;
	uint64_t began_ns; /* of what load_put_span measures */
	struct gm_fleet_traffic before;
	bool quit;
};

struct words { /* one command */
	int n;
	char *w[LOAD_WORDS_MAX];
};

/* ---- words */
const char *load_option(const struct words *c, const char *name, const char *otherwise);
/* The i-th word after the command that is neither option nor its value; NULL: fewer. */
const char *load_operand(const struct words *c, int i);
long load_number(const char *text, long otherwise);
uint32_t load_draw(struct load *l, uint32_t below);
uint64_t load_now_ns(const struct load *l);

/* ---- the answer */
/* Always false. */
bool load_complain(json_t *result, const char *text);
void load_put_int(json_t *o, const char *name, uint64_t v);
void load_put_hex(json_t *o, const char *name, const uint8_t *p, size_t n);
void load_put_times(json_t *o, const char *name, struct gm_series *s);
void load_put_run(json_t *o, struct load *l, size_t n, size_t ok, uint64_t took_ns);
/* Refusals by Max-Age since before: [seconds, how many], 0: it had none. */
void load_put_later(json_t *o, const struct load *l, const uint64_t before[static GM_LATER_N]);
/* The clock, the counters and the measured times begin again. */
void load_begin(struct load *l);
/* Since load_begin: n of what was done, datagrams, their bytes, and the share of time that this thread worked. */
void load_put_span(json_t *o, struct load *l, size_t n, uint64_t end_ns);
/* What happens to members is kept from now on, with its time. */
void load_begin_events(struct load *l);
/* Of one kind, from since_ns on: when each happened, or how long it took, or its last attempt alone. */
enum load_took { LOAD_AT, LOAD_TOOK, LOAD_LAST_TOOK };
void load_put_events(const struct load *l, json_t *result, const char *name, enum gm_fleet_event_kind kind, enum load_took took,
                     uint64_t since_ns);
/* The listed members carry out plan, a window at a time; false: not all of them succeeded. */
bool load_run_list(struct load *l, json_t *result, const uint32_t *list, size_t n, unsigned plan);

/* ---- choosing members */
struct load_chosen {
	uint32_t *list; /* the caller frees it; NULL: no memory */
	size_t n;
};
/* Members in the group (-1: any) and state, in random order, at most max. */
struct load_chosen load_choose(struct load *l, int group, unsigned state, size_t max);
/* Members with a Sender ID, at most max. */
struct load_chosen load_choose_endpoints(struct load *l, int group, size_t max);
/* -1: nobody here has to do with it */
int load_known_group(const struct load *l, const char *name);
/* "n7", "g1/n7" or "#12", the member's index */
struct gm_member *load_find_node(struct load *l, const char *name);
/* A random other member of its group that has a credential; NULL: there is none. */
const struct gm_member *load_somebody_else(struct load *l, const struct gm_member *m);
/* The newest version that a member of the group has seen. */
uint64_t load_newest(const struct load *l, int group);

/* The first at_once of them are begun a window at a time, the others by f->pace. false: not all of them succeeded */
bool load_run(struct load *l, json_t *result, const uint32_t *list, size_t n, size_t at_once, unsigned plan);
#define LOAD_JOINING (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN) | GM_PLAN(GM_OP_OBSERVE))
/* n new members as the options of join say, not started. false: complained */
bool load_newcomers(struct load *l, const struct words *c, json_t *result, long n, struct load_chosen *who);
/* They are started at --rate a second, 500, from the next run on. */
void load_set_pace(struct load *l, const struct words *c, const struct load_chosen *who, unsigned plan);

/* ---- running */
bool load_carry_out(struct load *l, char *line);
/* Lines of standard input until it ends. */
bool load_interactive(struct load *l);

/* ---- commands */
bool load_cmd_await_rekey(struct load *l, const struct words *c, json_t *result);
bool load_cmd_bare_answer(struct load *l, const struct words *c, json_t *result);
bool load_cmd_bare_ask(struct load *l, const struct words *c, json_t *result);
bool load_cmd_churn(struct load *l, const struct words *c, json_t *result);
bool load_cmd_dump_keys(struct load *l, const struct words *c, json_t *result);
bool load_cmd_evicted_check(struct load *l, const struct words *c, json_t *result);
bool load_cmd_fetch(struct load *l, const struct words *c, json_t *result);
bool load_cmd_get(struct load *l, const struct words *c, json_t *result);
bool load_cmd_join(struct load *l, const struct words *c, json_t *result);
bool load_cmd_kdc(struct load *l, const struct words *c, json_t *result);
bool load_cmd_learn(struct load *l, const struct words *c, json_t *result);
bool load_cmd_leave(struct load *l, const struct words *c, json_t *result);
bool load_cmd_loss(struct load *l, const struct words *c, json_t *result);
bool load_cmd_move(struct load *l, const struct words *c, json_t *result);
bool load_cmd_nodes(struct load *l, const struct words *c, json_t *result);
bool load_cmd_overload(struct load *l, const struct words *c, json_t *result);
bool load_cmd_ping(struct load *l, const struct words *c, json_t *result);
bool load_cmd_poll(struct load *l, const struct words *c, json_t *result);
bool load_cmd_quit(struct load *l, const struct words *c, json_t *result);
bool load_cmd_recred(struct load *l, const struct words *c, json_t *result);
bool load_cmd_rekey(struct load *l, const struct words *c, json_t *result);
bool load_cmd_rejoin(struct load *l, const struct words *c, json_t *result);
bool load_cmd_recover(struct load *l, const struct words *c, json_t *result);
bool load_cmd_renew(struct load *l, const struct words *c, json_t *result);
bool load_cmd_resources(struct load *l, const struct words *c, json_t *result);
bool load_cmd_return(struct load *l, const struct words *c, json_t *result);
bool load_cmd_sleep(struct load *l, const struct words *c, json_t *result);
bool load_cmd_status(struct load *l, const struct words *c, json_t *result);
bool load_cmd_storm(struct load *l, const struct words *c, json_t *result);
bool load_cmd_traffic(struct load *l, const struct words *c, json_t *result);
bool load_cmd_update(struct load *l, const struct words *c, json_t *result);
bool load_cmd_verify(struct load *l, const struct words *c, json_t *result);

#endif
