/* SPDX-License-Identifier: Apache-2.0 */
/* The roster: who has which Sender ID, with which credential and roles, in all groups. One for all workers. Core's thread
 * writes into it what has become durable, a turn at a time; workers read it without locks, and what they read is the state
 * between two turns. */
#ifndef GM_WORK_ROSTER_H
#define GM_WORK_ROSTER_H

#include "gm/words.h"
#include "wire/resources.h"

#define GM_ROSTER_IDS 32u     /* found at once, at most */
#define GM_ROSTER_BYTES 1024u /* of credentials, together */
#define GM_ROSTER_GROUPS (1u << 20)

struct gm_roster;
struct gm_roster *gm_roster_new(unsigned members_max); /* NULL: out of memory */
void gm_roster_free(struct gm_roster *r);
size_t gm_roster_bytes(const struct gm_roster *r); /* that have been used so far; core's thread */

struct gm_roster_group { /* gen: told apart from others that had its place, or its name */
	uint32_t index, gen;
	uint64_t version;
};

struct gm_roster_entry {
	uint32_t group, roles;
	struct gm_bytes sid;
	uint32_t cred; /* in words, cred_n bytes; 0: it is not there, core has it */
	size_t cred_n;
};

/* ---- core's thread. A turn's changes stand between begin and end; until end readers find nothing. After it what the turn has
 * dropped from words may settle. words: where credentials lie, always the same. */
void gm_roster_begin(struct gm_roster *r, const struct gm_words *words);
void gm_roster_end(struct gm_roster *r);
void gm_roster_group(struct gm_roster *r, const struct gm_roster_group *g);
void gm_roster_no_group(struct gm_roster *r, uint32_t index);
/* Instead of the one before. What finds no room is left to core from then on. */
void gm_roster_put(struct gm_roster *r, const struct gm_roster_entry *e);
void gm_roster_remove(struct gm_roster *r, uint32_t group, struct gm_bytes sid);

/* ---- any thread */
#define GM_ROSTER_AHEAD 128u
struct gm_roster_ask {
	uint32_t group;
	struct gm_bytes sid;
};
/* These will be looked for soon, GM_ROSTER_AHEAD at most; they may be anything. */
void gm_roster_ahead(const struct gm_roster *r, const struct gm_roster_ask *ask, unsigned n);

struct gm_roster_found {
	unsigned n;
	size_t used;                           /* words of text */
	struct gm_cred_row row[GM_ROSTER_IDS]; /* cred lies in text, sid where the ids are */
	uint64_t text[GM_ROSTER_BYTES / 8];
};
/* Those of ids, byte strings, that have a credential, each once, all of one state, in which own, who asks, has one, too; own.p NULL: nobody
 * has to. false: core has to be asked, as own has none, the roster is changing, the group is not at that version any more or not yet, or
 * it would be more than there is room for. */
GM_NODISCARD bool gm_roster_find(const struct gm_roster *r, const struct gm_roster_group *at, struct gm_bytes own, struct gm_list ids,
                                 struct gm_roster_found *found);

#endif
