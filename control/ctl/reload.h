/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration while gmd runs: the file read again, single options set. Core thread. */
#ifndef GM_CTL_RELOAD_H
#define GM_CTL_RELOAD_H

#include "ctl/options.h"
#include "ctl/table.h"

enum gm_takes { GM_TAKES_NOW, GM_TAKES_AT_RELOAD, GM_TAKES_AT_START };
/* was and is: values as text, borrowed */
typedef void (*gm_changed)(void *arg, const struct gm_option *option, const char *was, const char *is, enum gm_takes when);

/* What differs between what runs and the file; nothing changes. USAGE, MISSING: `why` says what is wrong with the file. */
GM_NODISCARD enum gm_err gm_config_differences(struct gm_ctl_env *env, gm_changed each, void *arg, char why[static GM_CONFIG_WHY]);
/* Reads the file again: options that can change do so, together; others are named and stay. With a file that is wrong nothing
 * changes. txn: takes the entries for the audit log. */
GM_NODISCARD enum gm_err gm_config_reload(struct gm_ctl_env *env, struct gm_txn *txn, gm_changed each, void *arg, char why[static GM_CONFIG_WHY]);
/* One of those options, until the next reload or stop; a hand-over goes on with it. USAGE: why. */
GM_NODISCARD enum gm_err gm_config_set(struct gm_ctl_env *env, struct gm_txn *txn, const char *key, const char *value, char why[static GM_CONFIG_WHY]);

/* ---- a change that has to be confirmed: what it changed goes back once its time is up, at a word, and with a hand-over, whose new
 * process goes on with what was before, and says so. Meanwhile reloads and sets are refused, as BUSY. */
#define GM_CONFIRM_MAX_S 86400u
/* As gm_config_reload(). Where it changes nothing there is nothing to be confirmed. */
GM_NODISCARD enum gm_err gm_config_try(struct gm_ctl_env *env, struct gm_txn *txn, uint32_t seconds, gm_changed each, void *arg,
                                         char why[static GM_CONFIG_WHY]);
GM_NODISCARD enum gm_err gm_config_confirm(struct gm_ctl_env *env, struct gm_txn *txn, char why[static GM_CONFIG_WHY]); /* UNKNOWN: none waits */
GM_NODISCARD enum gm_err gm_config_undo(struct gm_ctl_env *env, struct gm_txn *txn, gm_changed each, void *arg,
                                        char why[static GM_CONFIG_WHY]); /* likewise. The file stays as it is */
void gm_config_due(struct gm_ctl_env *env, uint64_t now_ms); /* each turn: is its time up? */
uint32_t gm_config_unconfirmed_s(uint64_t now_ms);           /* how much is left of it; 0: nothing waits to be confirmed */

/* What was set since, for whoever goes on in place of this process: the file's value, and the one that runs. */
typedef void (*gm_set_each)(void *arg, const char *key, const char *file, const char *value);
void gm_config_each_set(struct gm_ctl_env *env, gm_set_each each, void *arg);
/* Beside them, where a change was not confirmed yet; its value is how many keys go back. No key of the configuration has that name. */
#define GM_CONFIG_UNCONFIRMED "unconfirmed"
void gm_config_went_back(struct gm_ctl_env *env, struct gm_txn *txn, const char *value); /* there: logged, and in the audit log */
/* There: set again, with an entry of its own. CONFLICT: the file has another value than it had, which counts; USAGE: why. */
GM_NODISCARD enum gm_err gm_config_set_again(struct gm_ctl_env *env, struct gm_txn *txn, const char *key, const char *file, const char *value,
                                             char why[static GM_CONFIG_WHY]);

#endif
