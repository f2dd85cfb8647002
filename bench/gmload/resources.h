/* SPDX-License-Identifier: Apache-2.0 */
/* Every resource of a group, asked by members and a verifier; what is answered is compared with what the fleet knows. */
#ifndef GM_LOAD_RESOURCES_H
#define GM_LOAD_RESOURCES_H

#include "load.h"
#include "wire/resources.h"

struct load_scene {
	struct load *l;
	unsigned group;
	const struct gm_member_group *g;
	bool others;             /* the group has members elsewhere, too */
	struct gm_member **sids; /* the fleet's members with Sender IDs, in their order */
	size_t sids_n;
	struct gm_member *verifier; /* no member */
};

/* A check says what is wrong: a text that lives on; NULL: nothing. */
typedef const char *load_check(struct load_scene *s, struct gm_member *m);
struct load_check_row {
	const char *name;
	load_check *check;
	bool endpoints; /* not for monitors */
	bool few;       /* long or disturbing: by a few members only */
};
extern const struct load_check_row load_reads[], load_changes[], load_verifications[]; /* the last has no name */

/* One request; payload with n == 0: none. below is behind /ace-group/G. true: answered, with that code. The body lives
 * until the next one. */
bool load_ask(struct load_scene *s, struct gm_member *m, uint8_t method, const char *below, struct gm_bytes payload,
              uint8_t code, struct gm_member_ask *a);
void load_ask_free(struct gm_member_ask *a);
struct gm_bytes load_body(const struct gm_member_ask *a);
/* The answer is a problem (CF 257) of that ACE error id. */
bool load_is_problem(const struct gm_member_ask *a, int id);
/* Sorts the fleet's members again: after a Sender ID has changed. false: no memory */
bool load_know_sids(struct load_scene *s);
/* The fleet's member of that Sender ID; NULL: none */
struct gm_member *load_by_sid(const struct load_scene *s, struct gm_bytes sid);
/* creds answered, compared with the fleet's members that filter takes (NULL: all); the version is version. */
const char *load_judge_creds(struct load_scene *s, const struct gm_member_ask *a, const struct gm_creds_filter *filter,
                             uint64_t version);

#endif
