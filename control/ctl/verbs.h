/* SPDX-License-Identifier: Apache-2.0 */
/* The commands' words and arguments, as gmd and gmctl both need them; verbs.def has the rows. Any thread. */
#ifndef GM_CTL_VERBS_H
#define GM_CTL_VERBS_H

#include "ctl/frame.h"

enum gm_ctl_show { GM_CTL_TABLE, GM_CTL_SHEET, GM_CTL_STREAM }; /* a line per row; a column per row; a line per event */

struct gm_ctl_verb {
	const char *name, *args, *help;
	enum gm_ctl_level level;
	bool change, rekeys, asks; /* state; its rekeys can be waited for; after a look at what would become of it */
	bool local;                /* gmctl's own: not for the socket */
	enum gm_ctl_show show;
};
extern const struct gm_ctl_verb gm_ctl_verbs[];
extern const unsigned gm_ctl_verbs_n;
const struct gm_ctl_verb *gm_ctl_verb(const char *name); /* NULL: none */

enum gm_ctl_spec_type { GM_CTL_SPEC_FLAG, GM_CTL_SPEC_UINT, GM_CTL_SPEC_TIME, GM_CTL_SPEC_TEXT, GM_CTL_SPEC_HEX, GM_CTL_SPEC_FILE };
#define GM_CTL_SPECS_MAX 20u
struct gm_ctl_spec { /* one argument */
	char key[GM_CTL_KEY_MAX + 1]; /* on the socket; in lower case where positional */
	enum gm_ctl_spec_type type;
	bool positional, repeats;
	bool optional; /* positional: may be absent; else without a value it is the empty text */
};
/* Arguments of a verb in order; returns how many. */
unsigned gm_ctl_specs(const struct gm_ctl_verb *verb, struct gm_ctl_spec specs[static GM_CTL_SPECS_MAX]);
const char *gm_ctl_spec_text(enum gm_ctl_spec_type type); /* "TEXT"; FLAG: "" */
enum gm_ctl_type gm_ctl_spec_wire(enum gm_ctl_spec_type type);

/* Does the request have what its verb needs, and nothing else? USAGE: `why` says what is wrong. */
GM_NODISCARD enum gm_err gm_ctl_check(const struct gm_ctl_verb *verb, const struct gm_ctl_request *request,
                                      char why[static GM_WHY]);

#endif
