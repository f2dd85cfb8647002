/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands' functions share: their arguments, their refusals, the pages of listings. Core thread. */
#ifndef GM_CTL_VERBS_CALL_H
#define GM_CTL_VERBS_CALL_H

#include "ctl/table.h"

struct gm_ctl_call { /* one command */
	struct gm_ctl_env *env;
	const struct gm_ctl_request *request;
	struct gm_ctl_reply *reply;
	struct gm_txn txn;
	unsigned rows, passed;
	uint32_t after, last; /* listings: skip up to and including; the last row's number */
	bool more;
	bool pairwise; /* group set: the group has pairwise mode */
	bool asked;    /* others, in a turn before; that is in the audit log since then */
};

/* A function per row of verbs.def; several rows may have the same. Always ends the reply. */
#define GM_VERB(words, arguments, who, what, view, function, text) void gm_verb_##function(struct gm_ctl_call *call);
#include "ctl/verbs.def"
#undef GM_VERB
#undef GM_LOCAL
void gm_import_look(struct gm_ctl_call *call); /* rows of a file on their way, and what would become of them */
void gm_group_set_look(struct gm_ctl_call *call); /* asks where somebody would be put out, or max_members would become less */
void gm_import_forget(uint64_t conn); /* rows that came over this connection */
void gm_verb_preview(struct gm_ctl_call *call); /* of one that asks: what would become of it, and nothing changes */

/* ---- arguments; false: said what is wrong. What is absent is the empty text, false, or leaves *to alone. */
const char *gm_call_text(const struct gm_ctl_call *call, const char *key);
bool gm_call_flag(const struct gm_ctl_call *call, const char *key);
bool gm_call_uint(struct gm_ctl_call *call, const char *key, uint64_t most, uint32_t *to);
bool gm_call_copy(struct gm_ctl_call *call, const char *key, char *to, size_t cap);
/* An option of group create, as every command takes it that has one of this name; other arguments are left alone. */
bool gm_call_put_setting(struct gm_ctl_call *call, struct gm_group_spec *spec, const struct gm_ctl_arg *arg);
const struct gm_template *gm_call_template(const struct gm_ctl_call *call, const char *name); /* NULL: none */

/* ---- who it was, for the log */
void gm_call_log(const struct gm_ctl_request *request, const char *what, const char *verb);

/* ---- answers */
void gm_call_refuse(struct gm_ctl_call *call, enum gm_err err, const char *what, const char *name);
void gm_call_finish(struct gm_ctl_call *call, enum gm_err err, const char *what, const char *name); /* OK: the end */
void gm_call_fault(struct gm_ctl_call *call, enum gm_err err, const char *fault); /* "max_stale_sets: at least 2": under the option's name */
bool gm_call_group_exists(struct gm_ctl_call *call, const char *name);
const char *gm_call_alg_name(int32_t alg, char buf[static 16]); /* of an authorization server's key */

/* ---- listings */
bool gm_call_next_row(struct gm_ctl_call *call, uint32_t number); /* false: the page is full */
bool gm_call_pass_over(struct gm_ctl_call *call, uint32_t number); /* it is no row. false: enough for one answer were looked at */
bool gm_call_looked_at(struct gm_ctl_call *call, unsigned n); /* so many others for the last row. false: as there */
void gm_call_end_page(struct gm_ctl_call *call);
bool gm_call_skipped(const struct gm_ctl_call *call, uint32_t number);

bool gm_call_one_of(const gm_ctx_id *ctx, unsigned n, gm_ctx_id id); /* of gm_core_device() */

uint64_t gm_call_look(const _Atomic uint64_t *counter);
struct gm_core_status gm_call_core(const struct gm_ctl_call *call);
void gm_call_memory(struct gm_ctl_call *call); /* a row of status */

#endif
