/* SPDX-License-Identifier: Apache-2.0 */
/* Pages for secrets: zeroed, kept out of core dumps, locked where the limit allows. What does not fit is counted, and has
 * only the exclusion from dumps. Any thread. */
#ifndef GM_PAGES_H
#define GM_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "gm/err.h"

GM_NODISCARD void *gm_pages_new(size_t n); /* n: bytes. NULL: out of memory */
void gm_pages_free(void *p, size_t n); /* does not wipe; n: as it was made */
void gm_pages_drop(void *p, size_t n); /* as if new: zeros, and no page is there until it is touched */
/* Address space only, zeros: pages of it count as locked or not once they are named to gm_pages_lock(), in whole pages. NULL: out
 * of memory */
GM_NODISCARD void *gm_pages_reserve(size_t n);
void gm_pages_lock(void *p, size_t n); /* what the limit does not allow stays unlocked, and is counted */

/* Says so and ends the process, for those who cannot go on: nothing of the turn has become visible. */
_Noreturn void gm_out_of_memory(void);

struct gm_pages_stats {
	uint64_t locked, unlocked; /* bytes named since the process began; slabs keep theirs until it ends */
};
struct gm_pages_stats gm_pages_stats(void);

#endif
