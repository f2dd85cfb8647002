/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/reload.h"

#include <stdio.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/audit.h"
#include "gm/crypto.h"

static struct gm_config fresh, next; /* too large for a stack */
static struct { /* a change that nobody has confirmed yet; of the process */
	uint64_t until_ms; /* 0: none */
	struct gm_config before, after;
} tried;
static char was[GM_OPTION_VALUE], is[GM_OPTION_VALUE];

/* What gmctl pace changed is what runs. */
static struct gm_config *running(struct gm_ctl_env *env)
{
	if (env->dp)
		env->config->pace = gm_dp_pace_for_all(env->dp);
	return env->config;
}

static void put_in_force(struct gm_ctl_env *env)
{
	const struct gm_config *c = env->config;
	const struct gm_core_live live = {.members_max = c->members_max,
	                                  .groups_max = c->groups_max,
	                                  .rekey_window_ms = c->rekey_window_ms,
	                                  .rekey_deadline_ms = c->rekey_deadline_ms,
	                                  .changes_per_minute = c->changes_per_minute};

	gm_core_set(env->core, &live);
	if (env->dp)
		gm_dp_set_pace_for_all(env->dp, c->pace);
	gm_log_set(c->log_level);
}

/* As decisions are: logged, and told to those who watch. */
__attribute__((format(printf, 2, 3))) static void say(const struct gm_ctl_env *env, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (gm_core_settings(env->core)->log)
		gm_core_settings(env->core)->log(line);
}

static void warn(const struct gm_ctl_env *env, const char *event, const char *why)
{
	char line[GM_CONFIG_WHY + 64];

	snprintf(line, sizeof(line), "%s why=\"%s\"", event, why);
	if (env->warn)
		env->warn(line);
}

/* How the audit log and the log tell of a value that is another from now on. */
struct telling {
	const char *event, *line, *before; /* before: what the value was, its name there */
};
static const struct telling changed = {"configuration-changed", "config.changed", "was"};
static const struct telling undone = {"configuration-undone", "config.undone", "was"};
/* Nobody changes anything: who did stands with the change, and this process knows the file alone. */
static const struct telling kept = {"configuration-kept", "takeover.keeps", "file"};

static void say_change(const struct gm_ctl_env *env, struct gm_txn *txn, const struct gm_option *o, const struct telling *how)
{
	struct gm_audit a;

	gm_audit_begin(&a, txn, how->event);
	gm_audit_word(&a, "key", o->key);
	gm_audit_word(&a, how->before, was);
	gm_audit_word(&a, "is", is);
	gm_audit_end(&a, txn);
	say(env, "%s key=%s %s=\"%.100s\" is=%.100s", how->line, o->key, how->before, was, is);
}

/* txn NULL: it is only asked what would change */
static void each_difference(struct gm_ctl_env *env, struct gm_txn *txn, gm_changed each, void *arg)
{
	const struct gm_config *now = running(env);

	next = *now;
	for (const struct gm_option *o = gm_options; o < gm_options + gm_options_n; o++) {
		if (!o->key || gm_option_same(o, now, &fresh))
			continue;
		gm_option_value(o, now, was, sizeof(was));
		gm_option_value(o, &fresh, is, sizeof(is));
		enum gm_takes when = !o->live ? GM_TAKES_AT_START : txn ? GM_TAKES_NOW : GM_TAKES_AT_RELOAD;
		if (when == GM_TAKES_NOW) {
			gm_option_copy(o, &next, &fresh);
			say_change(env, txn, o, &changed);
		} else if (txn) {
			say(env, "config.waits key=%s: takes effect at the next start", o->key);
		}
		if (each)
			each(arg, o, was, is, when);
	}
}

enum gm_err gm_config_differences(struct gm_ctl_env *env, gm_changed each, void *arg, char why[static GM_CONFIG_WHY])
{
	GM_TRY(gm_config_load(&fresh, env->config_file, why));
	each_difference(env, NULL, each, arg);
	return GM_E_OK;
}

static enum gm_err none_tried(char why[static GM_CONFIG_WHY])
{
	if (tried.until_ms)
		snprintf(why, GM_CONFIG_WHY, "a change waits to be confirmed: config confirm keeps it, config undo takes it back");
	return tried.until_ms ? GM_E_BUSY : GM_E_OK;
}

enum gm_err gm_config_reload(struct gm_ctl_env *env, struct gm_txn *txn, gm_changed each, void *arg, char why[static GM_CONFIG_WHY])
{
	enum gm_err err = none_tried(why);

	if (err == GM_E_OK)
		err = gm_config_load(&fresh, env->config_file, why);

	if (err != GM_E_OK) {
		warn(env, "config.refused", why);
		return err;
	}
	each_difference(env, txn, each, arg);
	*env->config = next;
	if (env->file)
		*env->file = fresh;
	put_in_force(env);
	return GM_E_OK;
}

/* The value as YAML beside what it is checked against. */
static enum gm_err parse_one(const struct gm_option *o, const char *value, char why[static GM_CONFIG_WHY])
{
	char text[512];
	int n = snprintf(text, sizeof(text), "audience: x\nrekey_window_ms: %u\nrekey_deadline_ms: %u\n", next.rekey_window_ms,
	                 next.rekey_deadline_ms);

	if (strcmp(o->key, "rekey_window_ms") == 0)
		n = snprintf(text, sizeof(text), "audience: x\nrekey_deadline_ms: %u\n", next.rekey_deadline_ms);
	else if (strcmp(o->key, "rekey_deadline_ms") == 0)
		n = snprintf(text, sizeof(text), "audience: x\nrekey_window_ms: %u\n", next.rekey_window_ms);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "%s: %s\n", o->key, value);
	if ((size_t)n >= sizeof(text) || strchr(value, '\n')) {
		snprintf(why, GM_CONFIG_WHY, "%s: too long", o->key);
		return GM_E_USAGE;
	}
	GM_TRY(gm_config_parse(&fresh, "", text, (size_t)n, why));
	return GM_E_OK;
}

static enum gm_err set_one(struct gm_ctl_env *env, struct gm_txn *txn, const char *key, const char *value, const struct telling *how,
                           char why[static GM_CONFIG_WHY])
{
	const struct gm_option *o = gm_option(key);
	const char *near = gm_option_nearest(key);

	GM_TRY(none_tried(why));
	next = *running(env);
	if (!o)
		snprintf(why, GM_CONFIG_WHY, "%s: no such key%s%s%s", key, near ? "; is " : "", near ? near : "", near ? " meant?" : "");
	else if (!o->live)
		snprintf(why, GM_CONFIG_WHY, "%s: takes effect at a start only: change it in the file", key);
	if (!o || !o->live)
		return GM_E_USAGE;
	enum gm_err err = parse_one(o, value, why);
	if (err != GM_E_OK) { /* ":4:1: pace: ..." names a place that is none of the operator's */
		const char *text = strchr(why, ' ');
		memmove(why, text ? text + 1 : why, strlen(text ? text + 1 : why) + 1);
		return err;
	}
	gm_option_value(o, &next, was, sizeof(was));
	gm_option_value(o, &fresh, is, sizeof(is));
	if (strcmp(was, is) != 0)
		say_change(env, txn, o, how);
	gm_option_copy(o, env->config, &fresh);
	put_in_force(env);
	return GM_E_OK;
}

enum gm_err gm_config_set(struct gm_ctl_env *env, struct gm_txn *txn, const char *key, const char *value, char why[static GM_CONFIG_WHY])
{
	return set_one(env, txn, key, value, &changed, why);
}

/* ---- a change that has to be confirmed */

/* txn NULL: nothing is said. How many options *to has as they were again; what somebody set since stays. */
static unsigned take_back(struct gm_ctl_env *env, struct gm_txn *txn, struct gm_config *to, gm_changed each, void *arg)
{
	unsigned n = 0;

	for (const struct gm_option *o = gm_options; o < gm_options + gm_options_n; o++) {
		if (!o->key || !o->live || gm_option_same(o, &tried.before, &tried.after) || !gm_option_same(o, to, &tried.after))
			continue;
		gm_option_value(o, to, was, sizeof(was));
		gm_option_copy(o, to, &tried.before);
		gm_option_value(o, to, is, sizeof(is));
		n++;
		if (txn)
			say_change(env, txn, o, &undone);
		if (each)
			each(arg, o, was, is, GM_TAKES_NOW);
	}
	return n;
}

/* what NULL: there is no number to tell */
static void note(const struct gm_ctl_env *env, struct gm_txn *txn, const char *event, const char *line, const char *what, uint32_t n)
{
	struct gm_audit a;

	gm_audit_begin(&a, txn, event);
	if (what)
		gm_audit_uint(&a, what, n);
	gm_audit_end(&a, txn);
	if (what)
		say(env, "%s %s=%u", line, what, n);
	else
		say(env, "%s", line);
}

enum gm_err gm_config_try(struct gm_ctl_env *env, struct gm_txn *txn, uint32_t seconds, gm_changed each, void *arg, char why[static GM_CONFIG_WHY])
{
	GM_TRY(none_tried(why));
	tried.before = *running(env);
	GM_TRY(gm_config_reload(env, txn, each, arg, why));
	tried.after = *env->config;
	next = tried.after;
	if (!take_back(env, NULL, &next, NULL, NULL))
		return GM_E_OK;
	tried.until_ms = txn->mono_ms + 1000 * (uint64_t)seconds;
	note(env, txn, "configuration-unconfirmed", "config.unconfirmed", "seconds", seconds);
	return GM_E_OK;
}

static enum gm_err one_tried(char why[static GM_CONFIG_WHY])
{
	if (!tried.until_ms)
		snprintf(why, GM_CONFIG_WHY, "nothing waits to be confirmed");
	return tried.until_ms ? GM_E_OK : GM_E_UNKNOWN;
}

enum gm_err gm_config_confirm(struct gm_ctl_env *env, struct gm_txn *txn, char why[static GM_CONFIG_WHY])
{
	GM_TRY(one_tried(why));
	tried.until_ms = 0;
	note(env, txn, "configuration-confirmed", "config.confirmed", NULL, 0);
	return GM_E_OK;
}

/* keys: 0 where all was set anew meanwhile */
static void went_back(const struct gm_ctl_env *env, struct gm_txn *txn, uint32_t keys)
{
	note(env, txn, "configuration-went-back", "config.went_back", "keys", keys);
}

enum gm_err gm_config_undo(struct gm_ctl_env *env, struct gm_txn *txn, gm_changed each, void *arg, char why[static GM_CONFIG_WHY])
{
	GM_TRY(one_tried(why));
	unsigned n = take_back(env, txn, running(env), each, arg);
	put_in_force(env);
	tried.until_ms = 0;
	went_back(env, txn, n);
	return GM_E_OK;
}

void gm_config_due(struct gm_ctl_env *env, uint64_t now_ms)
{
	char why[GM_CONFIG_WHY];
	struct gm_txn txn;

	if (!tried.until_ms || now_ms < tried.until_ms)
		return;
	env->txn(env->arg, &txn);
	if (gm_config_undo(env, &txn, NULL, NULL, why) != GM_E_OK)
		warn(env, "config.kept", why);
	gm_wipe(&txn, sizeof(txn));
}

uint32_t gm_config_unconfirmed_s(uint64_t now_ms)
{
	return tried.until_ms > now_ms ? (uint32_t)((tried.until_ms - now_ms + 999) / 1000) : tried.until_ms != 0;
}

/* ---- from one process to the next */

void gm_config_each_set(struct gm_ctl_env *env, gm_set_each each, void *arg)
{
	char keys[16];

	next = *running(env);
	if (tried.until_ms) {
		snprintf(keys, sizeof(keys), "%u", take_back(env, NULL, &next, NULL, NULL));
		each(arg, GM_CONFIG_UNCONFIRMED, "", keys);
	}
	for (const struct gm_option *o = gm_options; o < gm_options + gm_options_n; o++) {
		if (!o->key || !o->live || gm_option_same(o, &next, env->file))
			continue;
		gm_option_value(o, env->file, was, sizeof(was));
		each(arg, o->key, was, gm_option_value(o, &next, is, sizeof(is)));
	}
}

void gm_config_went_back(struct gm_ctl_env *env, struct gm_txn *txn, const char *value)
{
	went_back(env, txn, (uint32_t)strtoul(value, NULL, 10));
}

enum gm_err gm_config_set_again(struct gm_ctl_env *env, struct gm_txn *txn, const char *key, const char *file, const char *value,
                                char why[static GM_CONFIG_WHY])
{
	const struct gm_option *o = gm_option(key);

	if (o && strcmp(gm_option_value(o, env->file, was, sizeof(was)), file) != 0) {
		snprintf(why, GM_CONFIG_WHY, "the file says %.200s now", was);
		return GM_E_CONFLICT;
	}
	return set_one(env, txn, key, value, &kept, why);
}
