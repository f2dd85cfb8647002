/* SPDX-License-Identifier: Apache-2.0 */
/* Backup files: what gm_store_copy() gave, and 64 bytes behind it: a name of 16 bytes, the length of the copy in eight,
 * eight zeros, the SHA-256 of the copy. Records in it are sealed as in the store; the key is not in it. */
#ifndef GM_BACKUP_H
#define GM_BACKUP_H

#include "store/seal.h"

/* Ends a backup whose copy fills the file so far, and makes it durable. fd may be read and written. IO */
GM_NODISCARD enum gm_err gm_backup_end(int fd, char why[static GM_WHY]);
/* IO; CORRUPT: cut short, changed, or no backup. */
GM_NODISCARD enum gm_err gm_backup_check(const char *file, char why[static GM_WHY]);
/* The copy of a good backup becomes the store in dir, which is made if need be. EXISTS: there is a store already;
 * IO; CORRUPT. Nothing of the store is there unless the answer is OK. Its contexts must not be used: gm_store_recover(). */
GM_NODISCARD enum gm_err gm_backup_restore(const char *dir, const char *file, char why[static GM_WHY]);

#endif
