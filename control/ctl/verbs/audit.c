/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include <stdio.h>

#define SCANNED_MAX 2048u /* entries for one page: half a millisecond, also where few of them are wanted */

struct listing {
	struct gm_ctl_call *call;
	char group[GM_CTL_TEXT_MAX + 16], node[GM_CTL_TEXT_MAX + 16]; /* as they stand in an entry; empty: any */
	unsigned scanned;
};

/* Quotes inside of values have a backslash before them, so a key can stand nowhere but where it is one. */
static bool about(struct gm_bytes text, const char *with)
{
	return memmem(text.p, text.n, with, strlen(with)) != NULL;
}

/* What is about no group and no device is about all groups: a start, a recovery. */
static bool is_wanted(const struct listing *l, struct gm_bytes text)
{
	if (l->group[0] && !about(text, l->group) && (about(text, ",\"group\":") || about(text, ",\"device\":")))
		return false;
	return !l->node[0] || about(text, l->node);
}

static bool list_entry(void *arg, uint64_t seq, struct gm_bytes text, const uint8_t hash[static GM_AUDIT_HASH])
{
	struct listing *l = arg;
	struct gm_ctl_call *call = l->call;
	char line[GM_AUDIT_MAX + 64];

	call->more = l->scanned == SCANNED_MAX;
	if (call->more)
		return false;
	if (is_wanted(l, text)) {
		if (!gm_call_next_row(call, (uint32_t)seq))
			return false;
		snprintf(line, sizeof(line), "%.*s", (int)text.n, (const char *)text.p);
		gm_ctl_put_uint(call->reply, "seq", seq);
		gm_ctl_put_bytes(call->reply, "hash", hash, GM_AUDIT_HASH);
		gm_ctl_put_text(call->reply, "entry", line);
		gm_ctl_row(call->reply);
	}
	l->scanned++;
	call->last = (uint32_t)seq;
	return true;
}

static void wanted(const struct gm_ctl_call *call, const char *key, char with[static GM_CTL_TEXT_MAX + 16])
{
	const char *text = gm_call_text(call, key);

	if (text[0])
		snprintf(with, GM_CTL_TEXT_MAX + 16, ",\"%s\":\"%s\"", key, text);
}

void gm_verb_audit_list(struct gm_ctl_call *call)
{
	struct listing l = {.call = call};
	uint32_t from = 1;
	uint64_t at;

	if (!gm_call_uint(call, "from", UINT32_MAX, &from))
		return;
	wanted(call, "group", l.group);
	wanted(call, "node", l.node);
	enum gm_err err = gm_store_audit(call->env->store, call->after == UINT32_MAX ? from : call->after + 1u, &at, list_entry, &l);
	if (err == GM_E_CORRUPT)
		gm_ctl_error(call->reply, err, "entry %llu: its record is missing, or does not open", (unsigned long long)at);
	else if (err != GM_E_OK)
		gm_ctl_error(call->reply, err, "the store cannot be read");
	else
		gm_call_end_page(call);
}

void gm_verb_audit_head(struct gm_ctl_call *call)
{
	struct gm_ctl_reply *r = call->reply;
	struct gm_audit_ends ends;

	gm_store_audit_ends(call->env->store, &ends);
	gm_ctl_put_uint(r, "seq", ends.head.seq);
	gm_ctl_put_bytes(r, "hash", ends.head.hash, sizeof(ends.head.hash));
	gm_ctl_put_uint(r, "before_seq", ends.kept.seq);
	gm_ctl_put_bytes(r, "before_hash", ends.kept.hash, sizeof(ends.kept.hash));
	gm_ctl_row(r);
	gm_ctl_end(r);
}
