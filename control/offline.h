/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a store while no gmd runs on it: gmd init, restore, recover, rotate-key. Each says what it did or why
 * not, and returns the exit code. */
#ifndef GM_OFFLINE_H
#define GM_OFFLINE_H

#include "ctl/config.h"

int gm_offline_check(const struct gm_config *config); /* does this machine have what it names? Also while gmd runs */
int gm_offline_init(const char *state_dir, const char *key_file);
int gm_offline_restore(const struct gm_config *config, const char *backup); /* and recovers it */
int gm_offline_recover(const struct gm_config *config, bool rekey_all); /* rekey_all: the operator knows what it does */
int gm_offline_rotate_key(const struct gm_config *config);

/* config's witness_file, or the default one: beside the store. */
const char *gm_witness_path(const struct gm_config *config, char path[static 2 * GM_CONFIG_PATH_MAX]);

#endif
