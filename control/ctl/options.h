/* SPDX-License-Identifier: Apache-2.0 */
/* The options of options.def as a table: values as text, what is documented about each. Any thread. */
#ifndef GM_CTL_OPTIONS_H
#define GM_CTL_OPTIONS_H

#include <stdio.h>

#include "ctl/config.h"

enum gm_option_kind { GM_OPTION_NUMBER, GM_OPTION_TEXT, GM_OPTION_WORDS, GM_OPTION_FLAG, GM_OPTION_LIST };
struct gm_option {
	const char *section, *key; /* section: NULL where it goes on */
	enum gm_option_kind kind;
	bool live;              /* a reload changes it */
	uint32_t least, most;   /* NUMBER */
	const char *const *words; /* WORDS: by value, NULL behind the last */
	const char *initial;    /* as text; NULL: none, or it depends */
	const char *example, *text;
	size_t at, size;        /* in struct gm_config */
};
extern const struct gm_option gm_options[];
extern const unsigned gm_options_n;

#define GM_OPTION_VALUE (64u << 10) /* bytes of the longest value as text */
const struct gm_option *gm_option(const char *key); /* NULL: none */
const char *gm_option_nearest(const char *key);     /* that a typo may have meant; NULL: none is near */
/* The value in a configuration, as YAML; cut where cap is short. Returns buf. */
const char *gm_option_value(const struct gm_option *option, const struct gm_config *config, char *buf, size_t cap);
bool gm_option_same(const struct gm_option *option, const struct gm_config *a, const struct gm_config *b);
void gm_option_copy(const struct gm_option *option, struct gm_config *to, const struct gm_config *from);
/* "1 to 16", "auto, uring, mmsg or dpdk", ... Returns buf. */
const char *gm_option_range(const struct gm_option *option, char buf[static 96]);

void gm_options_example(FILE *to); /* deploy/example.conf */
void gm_options_manual(FILE *to);  /* the KEYS of gmd.conf(5) */

#endif
