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
/* One of those options, until the next reload or stop. USAGE: why. */
GM_NODISCARD enum gm_err gm_config_set(struct gm_ctl_env *env, struct gm_txn *txn, const char *key, const char *value, char why[static GM_CONFIG_WHY]);

#endif
