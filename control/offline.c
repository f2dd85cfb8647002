/* SPDX-License-Identifier: Apache-2.0 */
#include "offline.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/audit.h"
#include "core/core.h"
#include "ctl/server.h"
#include "gm/crypto.h"
#include "store/backup.h"

const char *gm_witness_path(const struct gm_config *config, char path[static 2 * GM_CONFIG_PATH_MAX])
{
	if (config->witness_file[0])
		return config->witness_file;
	snprintf(path, 2 * GM_CONFIG_PATH_MAX, "%s/witness", config->state_dir);
	return path;
}

static int failed(const char *what, enum gm_err err, const char *why)
{
	fprintf(stderr, "gmd: %s: %s\n", what, why[0] ? why : gm_err_info(err)->text);
	return 1;
}

int gm_offline_init(const char *state_dir, const char *key_file)
{
	char why[GM_WHY];

	umask(077);
	enum gm_err err = gm_store_init(state_dir, key_file, why);
	if (err != GM_E_OK)
		return failed("cannot make the store", err, why);
	printf("made store %s and its key %s\n", state_dir, key_file);
	return 0;
}

/* ---- what the configuration names */

static bool lacks(const char *key, const char *why)
{
	fprintf(stderr, "gmd: %s: %s\n", key, why);
	return true;
}

static bool lacks_group(const char *key, const char *name)
{
	char why[GM_WHY];

	return gm_ctl_group_known(name, why) != GM_E_OK && lacks(key, why);
}

/* Of a file that gmd makes. What lies below /run is made when the service starts: systemd's RuntimeDirectory. */
static bool lacks_directory(const char *key, const char *file)
{
	char dir[2 * GM_CONFIG_PATH_MAX], why[GM_WHY];
	struct stat st;

	if (!file[0] || strncmp(file, "/run/", 5) == 0)
		return false;
	snprintf(dir, sizeof(dir), "%s", file);
	const char *parent = dirname(dir);
	if (stat(parent, &st) == 0 && S_ISDIR(st.st_mode))
		return false;
	snprintf(why, sizeof(why), "there is no directory %s", parent);
	return lacks(key, why);
}

int gm_offline_check(const struct gm_config *config)
{
	char why[GM_WHY];
	bool bad = lacks_group("control_viewers", config->control_viewers);

	bad |= lacks_group("control_operators", config->control_operators);
	bad |= lacks_group("control_group", config->control_group);
	bad |= lacks_directory("control_socket", config->control_socket);
	bad |= lacks_directory("witness_file", config->witness_file);
	enum gm_err err = gm_store_check(config->state_dir, config->key_file, why);
	if (err != GM_E_OK)
		bad |= lacks(err == GM_E_STORE_KEY ? "key_file" : "state_dir", why);
	if (!bad)
		puts("configuration is good");
	return bad;
}

/* ---- the audit log: nobody is asked who they are here, so it is whoever runs this */

static void audit_begin(struct gm_audit *a, struct gm_txn *txn, const char *event)
{
	txn->by = gm_by_user(getuid(), getpid(), "offline");
	gm_audit_begin(a, txn, event);
}

/* ---- recovery */

struct recovery {
	struct gm_store *store;
	struct gm_core *core;
	struct gm_changes changes;
	struct gm_effects effects;
	unsigned groups;
	const char *backup; /* that the store is made of; NULL: it is the one that was there */
};

static enum gm_err load_record(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	struct recovery *r = arg;

	return gm_core_load(r->core, table, key, value);
}

static enum gm_err load_groups(struct recovery *r, const struct gm_config *config)
{
	const struct gm_core_config core = {.workers = 1,
	                                    .contexts_max = config->contexts_max,
	                                    .members_max = config->members_max,
	                                    .groups_max = config->groups_max};

	r->core = gm_core_new(&core);
	if (!r->core)
		return GM_E_NO_MEMORY;
	for (enum gm_table table = 0; table < GM_TABLE_MEMBER; table++)
		GM_TRY(gm_store_scan(r->store, table, load_record, r));
	return GM_E_OK;
}

static enum gm_err leap(struct recovery *r)
{
	struct gm_txn txn = {.wall_s = time(NULL), .changes = &r->changes, .effects = &r->effects};

	struct gm_audit a;

	r->effects.workers = 1;
	gm_random(txn.dice, sizeof(txn.dice));
	audit_begin(&a, &txn, r->backup ? "restored" : "recovered"); /* all memberships have ended with it */
	if (r->backup)
		gm_audit_word(&a, "file", r->backup);
	gm_audit_uint(&a, "recoveries", gm_store_recoveries(r->store));
	gm_audit_end(&a, &txn);
	r->groups = gm_core_recover(r->core, &txn, gm_store_recoveries(r->store));
	gm_wipe(&txn, sizeof(txn));
	gm_changes_remove(&r->changes, GM_OWNER_SITE, GM_TABLE_META, GM_STORE_RECOVERING, strlen(GM_STORE_RECOVERING));
	GM_TRY(gm_store_begin(r->store, &r->changes, gm_store_turn(r->store) + 1));
	return gm_store_finish(r->store) == GM_COMMIT_DONE ? GM_E_OK : GM_E_STORE;
}

/* witness: of the store as it is to be in the end */
static int recover(const struct gm_config *config, const char *witness, const char *backup)
{
	char why[GM_WHY] = "";
	struct recovery r = {.backup = backup};
	enum gm_err err = gm_store_open(&r.store, config->state_dir, config->key_file, why);

	if (err == GM_E_OK)
		err = gm_store_recover(r.store, witness, why);
	if (err == GM_E_OK)
		err = load_groups(&r, config);
	if (err == GM_E_OK)
		err = leap(&r);
	if (err == GM_E_STORE && !why[0])
		snprintf(why, sizeof(why), "store: %s", gm_store_why(r.store));
	if (r.core)
		gm_core_free(r.core);
	gm_changes_free(&r.changes);
	gm_effects_free(&r.effects);
	gm_store_close(r.store);
	if (err != GM_E_OK)
		return failed("recovery", err, why);
	printf("recovered %s: %u groups have new keys. Members post their tokens and join anew. What was "
	       "evicted or revoked since the copy was made has to be evicted or revoked again; exi tokens that ended since can be "
	       "used once more.\n",
	       config->state_dir, r.groups);
	return 0;
}

int gm_offline_recover(const struct gm_config *config, bool rekey_all)
{
	umask(077);
	if (!rekey_all) {
		fputs("gmd: recover puts all members out and gives every group new keys; say --rekey-all to do it\n", stderr);
		return 2;
	}
	char path[2 * GM_CONFIG_PATH_MAX];
	return recover(config, gm_witness_path(config, path), NULL);
}

int gm_offline_restore(const struct gm_config *config, const char *backup)
{
	char why[GM_WHY] = "", path[2 * GM_CONFIG_PATH_MAX];
	struct gm_config aside = *config;
	enum gm_err err;

	umask(077);
	if (snprintf(aside.state_dir, sizeof(aside.state_dir), "%s/restore", config->state_dir) >= (int)sizeof(aside.state_dir))
		return failed("restore", GM_E_RANGE, "the path of state_dir is too long");
	err = gm_backup_restore(config->state_dir, aside.state_dir, backup, why);
	if (err != GM_E_OK)
		return failed("restore", err, why);
	int status = recover(&aside, gm_witness_path(config, path), backup);
	if (status == 0 && gm_backup_in_place(config->state_dir, aside.state_dir, why) != GM_E_OK)
		status = failed("restore", GM_E_IO, why);
	gm_backup_tidy(aside.state_dir);
	return status;
}

int gm_offline_rotate_key(const struct gm_config *config)
{
	char why[GM_WHY] = "";
	struct gm_changes changes = {0};
	struct gm_txn txn = {.wall_s = time(NULL), .changes = &changes};
	struct gm_audit a;

	umask(077);
	audit_begin(&a, &txn, "key-rotated");
	gm_audit_end(&a, &txn);
	enum gm_err err = gm_store_rotate(config->state_dir, config->key_file, &changes, why);
	gm_changes_free(&changes);
	if (err != GM_E_OK)
		return failed("rotate-key", err, why);
	printf("all records of %s are sealed under the new key in %s; older backups still need the old one\n", config->state_dir,
	       config->key_file);
	return 0;
}
