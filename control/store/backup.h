/* SPDX-License-Identifier: Apache-2.0 */
/* Backup files: what gm_store_copy() gave, and 64 bytes behind it: a name of 16 bytes, the length of the copy in eight,
 * eight zeros, the SHA-256 of the copy. Records in it are sealed as in the store; the key is not in it. */
#ifndef GM_BACKUP_H
#define GM_BACKUP_H

#include "store/seal.h"

/* Ends a backup whose copy fills the file so far, and makes it and its name durable. fd may be read and written. IO */
GM_NODISCARD enum gm_err gm_backup_end(int fd, const char *file, char why[static GM_WHY]);
/* IO; CORRUPT: cut short, changed, or no backup. */
GM_NODISCARD enum gm_err gm_backup_check(const char *file, char why[static GM_WHY]);
/* The copy of a good backup becomes a store in `aside`, a directory in dir; both are made if need be. It has to be recovered
 * (gm_store_recover()) before it is put in place: nothing may run on it as it is. EXISTS: there is a store in dir; IO; CORRUPT. */
GM_NODISCARD enum gm_err gm_backup_restore(const char *dir, const char *aside, const char *file, char why[static GM_WHY]);
GM_NODISCARD enum gm_err gm_backup_in_place(const char *dir, const char *aside, char why[static GM_WHY]); /* EXISTS, IO */
void gm_backup_tidy(const char *aside); /* what is left of it */

#endif
