/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the audit log: what happened, by whom, to whom; never a key, a token or a salt. An entry goes into the
 * transaction of the change that it tells of, so that neither is there without the other.
 *
 * Its text is a JSON object of one line, and that text is what the store chains: {"seq":7,"at":1795351201,"event":"joined",
 * "by":"device","group":"g1",...}. The store writes seq, and the hash behind it. */
#ifndef GM_AUDIT_H
#define GM_AUDIT_H

#include "core/core.h"

struct gm_audit { /* one in the making */
	struct gm_out out;
	int64_t at;
	bool cut; /* something found no room and was left out */
	uint8_t text[GM_AUDIT_MAX];
};
/* Then its fields, in any order, then end(). event: a word of ours. */
void gm_audit_begin(struct gm_audit *a, const struct gm_txn *txn, const char *event);
void gm_audit_text(struct gm_audit *a, const char *key, struct gm_bytes text); /* UTF-8; cut where it is long */
void gm_audit_word(struct gm_audit *a, const char *key, const char *word);
void gm_audit_uint(struct gm_audit *a, const char *key, uint64_t v);
void gm_audit_hex(struct gm_audit *a, const char *key, struct gm_bytes bytes);
/* "as:1:0a0b", as gmctl device evict takes it */
void gm_audit_device(struct gm_audit *a, const char *key, uint32_t as_id, struct gm_bytes osc_id);
void gm_audit_end(struct gm_audit *a, struct gm_txn *txn);

/* Who it was, for the entries of this transaction from now on. */
struct gm_by gm_by_user(uint32_t uid, int32_t pid, const char *level);
struct gm_by gm_by_device(uint32_t as_id, struct gm_bytes osc_id);
struct gm_by gm_by_as(uint32_t as_id);

#endif
