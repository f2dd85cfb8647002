/* SPDX-License-Identifier: Apache-2.0 */
/* What lies on the disk: how much, how old, whether it opens. */
#include "ctl/verbs/call.h"

#include <sys/statvfs.h>

#define LOOKED_MAX 256u /* records for one page: half a millisecond */

/* ---- status */

static uint64_t free_bytes(const struct gm_ctl_call *call)
{
	struct statvfs fs;

	return call->env->config && statvfs(call->env->config->state_dir, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
}

static void put_audit(struct gm_ctl_call *call)
{
	const int64_t oldest = gm_store_audit_oldest(call->env->store);
	struct gm_audit_ends ends;

	gm_store_audit_ends(call->env->store, &ends);
	gm_ctl_put_uint(call->reply, "audit_entries", ends.head.seq - ends.kept.seq);
	gm_ctl_put_int(call->reply, "audit_oldest_at", oldest == INT64_MAX ? 0 : oldest);
}

void gm_verb_store_status(struct gm_ctl_call *call)
{
	const struct gm_config *config = call->env->config;
	struct gm_store *store = call->env->store;
	struct gm_ctl_reply *r = call->reply;
	struct gm_store_stats s = {0};

	if (store)
		gm_store_stats(store, &s);
	gm_ctl_put_text(r, "state_dir", config ? config->state_dir : NULL);
	gm_ctl_put_text(r, "witness", config && config->witness_file[0] ? config->witness_file : "beside the store");
	gm_ctl_put_text(r, "disk", call->txn.disk_low ? "full: nobody may join" : "has room");
	gm_ctl_put_uint(r, "free_bytes", free_bytes(call));
	gm_ctl_put_uint(r, "used_bytes", s.used_bytes);
	gm_ctl_put_uint(r, "map_bytes", s.map_bytes);
	gm_ctl_put_uint(r, "turn", store ? gm_store_turn(store) : 0);
	gm_ctl_put_uint(r, "commits", s.commits);
	gm_ctl_put_uint(r, "changes", s.changes);
	gm_ctl_put_uint(r, "written_bytes", s.bytes);
	gm_ctl_put_uint(r, "commit_us_last", s.commit_us_last);
	gm_ctl_put_uint(r, "commit_us_max", s.commit_us_max);
	put_audit(call);
	gm_ctl_row(r);
	gm_ctl_end(r);
}

/* ---- verify */

static const char *const names[] = { /* enum gm_table, and behind it the audit log */
	"meta", "authorization servers", "groups", "members", "contexts", "bars", "leases", "ended tokens", "revoked tokens", "devices", "schedules",
	"audit log", "unknown"};
#define NAMES_N (sizeof(names) / sizeof(names[0]))
_Static_assert(NAMES_N == GM_TABLE_N + 2, "a name for each table");

struct looked {
	struct {
		uint64_t records, bytes, broken;
		uint8_t first_n, first[GM_STORE_KEY_MAX]; /* key of the first that is broken */
	} of[NAMES_N];
	uint8_t last_n, last[GM_STORE_KEY_MAX];
};

static void count(void *arg, struct gm_bytes key, size_t size, bool opens)
{
	struct looked *l = arg;
	unsigned at = key.p[0] == GM_TABLE_AUDIT ? GM_TABLE_N : key.p[0] < GM_TABLE_N ? key.p[0] : GM_TABLE_N + 1;

	l->of[at].records++;
	l->of[at].bytes += size;
	l->last_n = (uint8_t)key.n;
	memcpy(l->last, key.p, key.n);
	if (opens || l->of[at].broken++)
		return;
	l->of[at].first_n = (uint8_t)key.n;
	memcpy(l->of[at].first, key.p, key.n);
}

static void put_looked(struct gm_ctl_reply *r, const struct looked *l)
{
	for (unsigned i = 0; i < NAMES_N; i++) {
		if (!l->of[i].records)
			continue;
		gm_ctl_put_text(r, "table", names[i]);
		gm_ctl_put_uint(r, "records", l->of[i].records);
		gm_ctl_put_uint(r, "bytes", l->of[i].bytes);
		gm_ctl_put_uint(r, "broken", l->of[i].broken);
		gm_ctl_put_bytes(r, "first_broken", l->of[i].first, l->of[i].first_n);
		gm_ctl_row(r);
	}
}

/* A page says what it has counted, and in its last row behind which key the next one begins; gmctl adds pages up. */
void gm_verb_store_verify(struct gm_ctl_call *call)
{
	const struct gm_ctl_arg *behind = gm_ctl_arg(call->request, "behind");
	struct gm_bytes after = {(const uint8_t *)(behind ? behind->text : ""), behind ? behind->n : 0};
	struct looked l = {.last_n = 0};
	enum gm_err err = GM_E_OK;
	bool more = false;

	if (after.n > GM_STORE_KEY_MAX) {
		gm_ctl_error(call->reply, GM_E_USAGE, "behind: at most %u bytes", GM_STORE_KEY_MAX);
		return;
	}
	if (call->env->store)
		err = gm_store_look(call->env->store, after, LOOKED_MAX, count, &l, &more);
	if (err != GM_E_OK) {
		gm_ctl_error(call->reply, err, "the store cannot be read to its end: its pages are damaged, or memory is out");
		return;
	}
	put_looked(call->reply, &l);
	if (more) {
		gm_ctl_put_bytes(call->reply, "behind", l.last, l.last_n);
		gm_ctl_row(call->reply);
	}
	gm_ctl_end(call->reply);
}
