/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of the store for gmctl backup, made by a thread of its own while the core thread goes on. What goes through the
 * descriptor is the copy and one byte behind it: 1 where all went well. Core thread. */
#ifndef GM_CTL_BACKUP_H
#define GM_CTL_BACKUP_H

#include "store/store.h"

/* fd: one end of a stream socket; it is duplicated. BUSY: a copy is being made; NO_MEMORY; IO. */
GM_NODISCARD enum gm_err gm_ctl_backup_start(struct gm_store *store, int fd);
/* Ends one that is being made, and waits for it: the store may be closed then. */
void gm_ctl_backup_stop(void);

#endif
