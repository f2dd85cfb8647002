/* SPDX-License-Identifier: Apache-2.0 */
/* Opens stores as gmd does at its start and says what it would go on from. A line of standard input: a store's directory, its
 * key, its witness. The answer is lines, the last of which is a dot:
 *
 *   turn N | lease SHARD UNTIL | group NAME VERSION | member GROUP NODE SID | bad TEXT
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/state.h"
#include "gm/crypto.h"

struct look {
	struct gm_store *store;
	struct gm_core *core;
	struct gm_changes changes;
	struct gm_effects effects;
};

static enum gm_err load(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	return gm_core_load(arg, table, key, value);
}

struct chain {
	uint64_t n;
	uint8_t hash[GM_AUDIT_HASH];
	bool broken;
};

static bool chain_entry(void *arg, uint64_t seq, struct gm_bytes text, const uint8_t hash[static GM_AUDIT_HASH])
{
	uint8_t bytes[GM_AUDIT_HASH + GM_AUDIT_MAX + 64];
	struct chain *c = arg;

	memcpy(bytes, c->hash, sizeof(c->hash));
	memcpy(bytes + sizeof(c->hash), text.p, text.n);
	gm_sha256(c->hash, bytes, sizeof(c->hash) + text.n);
	c->broken |= seq != ++c->n || memcmp(c->hash, hash, sizeof(c->hash)) != 0;
	return true;
}

static enum gm_err check_audit(struct gm_store *store, char why[static GM_WHY])
{
	struct gm_audit_ends ends;
	uint64_t at;

	gm_store_audit_ends(store, &ends);
	struct chain c = {.n = ends.kept.seq}; /* on a full disk the oldest make room */
	memcpy(c.hash, ends.kept.hash, sizeof(c.hash));
	enum gm_err err = gm_store_audit(store, c.n + 1, &at, chain_entry, &c);
	if (err == GM_E_OK && !c.broken && c.n == ends.head.seq)
		return err;
	snprintf(why, GM_WHY, "the audit log is broken at entry %llu", (unsigned long long)at);
	return GM_E_CORRUPT;
}

static enum gm_err open_all(struct look *l, const char *dir, const char *key, const char *witness, char why[static GM_WHY])
{
	const struct gm_core_config config = {.workers = 2, .contexts_max = 4096, .members_max = 4096, .groups_max = 64};

	GM_TRY(gm_store_open(&l->store, dir, key, why));
	GM_TRY(gm_store_watch(l->store, witness, why));
	GM_TRY(check_audit(l->store, why));
	l->core = gm_core_new(&config);
	if (!l->core)
		return GM_E_NO_MEMORY;
	for (unsigned table = 0; table < GM_TABLE_N; table++) {
		enum gm_err err = gm_store_scan(l->store, (enum gm_table)table, load, l->core);
		if (err != GM_E_OK) {
			snprintf(why, GM_WHY, "table %u: %s", table, gm_err_info(err)->text);
			return err;
		}
	}
	return GM_E_OK;
}

static bool say_group(void *arg, const struct gm_group_info *info)
{
	(void)arg;
	printf("group %s %llu\n", info->name, (unsigned long long)info->version);
	return true;
}

static bool say_member(void *arg, const struct gm_member_info *info)
{
	(void)arg;
	printf("member %s %s ", info->group, info->node);
	for (unsigned i = 0; i < info->sid_n; i++)
		printf("%02x", info->sid[i]);
	puts("");
	return true;
}

/* What gmd does before it takes the first datagram: it has to get to its end. */
static enum gm_err hand_down(struct look *l)
{
	struct gm_txn txn = {.wall_s = time(NULL), .changes = &l->changes, .effects = &l->effects};

	l->effects.workers = 2;
	while (gm_core_loaded(l->core, &txn))
		gm_effects_reset(&l->effects);
	GM_TRY(gm_store_begin(l->store, &l->changes, gm_store_turn(l->store) + 1));
	return gm_store_finish(l->store) == GM_COMMIT_DONE ? GM_E_OK : GM_E_STORE;
}

static void look(const char *dir, const char *key, const char *witness)
{
	struct look l = {0};
	char why[GM_WHY] = "";
	enum gm_err err = open_all(&l, dir, key, witness, why);

	if (err == GM_E_OK) {
		printf("turn %llu\n", (unsigned long long)gm_store_turn(l.store));
		for (unsigned i = 0; i < GM_SHARDS; i++)
			printf("lease %u %llu\n", i, (unsigned long long)l.core->lease[i]);
		err = gm_core_groups(l.core, NULL, say_group, NULL);
	}
	if (err == GM_E_OK)
		err = gm_core_members(l.core, NULL, NULL, UINT32_MAX, say_member, NULL);
	if (err == GM_E_OK)
		err = hand_down(&l);
	if (err != GM_E_OK)
		printf("bad %s\n", why[0] ? why : gm_err_info(err)->text);
	if (l.core)
		gm_core_free(l.core);
	gm_store_close(l.store);
	gm_changes_free(&l.changes);
	gm_effects_free(&l.effects);
}

int main(void)
{
	char line[1024], dir[256], key[256], witness[256];

	if (!gm_crypto_init())
		return 1;
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%255s %255s %255s", dir, key, witness) != 3)
			return 2;
		look(dir, key, witness);
		puts(".");
		fflush(stdout);
	}
	return 0;
}
