/* SPDX-License-Identifier: Apache-2.0 */
/* Random jobs for every variant of a door, next to what a library says of them. */
#ifndef GM_DIFFERENTIAL_RIG_H
#define GM_DIFFERENTIAL_RIG_H

#include "dice.h"
#include "guard.h"

#define VARIANTS_MAX 8u

struct tally {
	const char *variant;
	unsigned long cases, accepted, rejected, wrong;
};

/* One door. batch() draws n jobs, asks the library once, then each variant, and counts in tally[], a row a variant,
 * ended by a row without a name. share: of a thousand jobs of a run. */
struct kind {
	const char *name;
	unsigned share;
	void (*batch)(struct gm_dice *d, unsigned n, struct tally *tally);
};

extern const struct kind diff_ed25519_verify, diff_ed25519_sign, diff_ed25519_public, diff_x25519, diff_ccm_seal,
    diff_ccm_open, diff_hkdf;

static inline uint64_t diff_all(unsigned n)
{
	return n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* n answers of one variant: got and expected have a bit for each; same says that what was written is right, too */
void diff_count(struct tally *row, const char *variant, unsigned n, uint64_t got, uint64_t expected, bool same);

/* len random bytes whose end or begin touches a closed page; made at first use */
uint8_t *diff_bytes(struct gm_dice *d, struct gm_guard *g, size_t len);
/* the same, not yet written */
uint8_t *diff_room(struct gm_dice *d, struct gm_guard *g, size_t len);
void diff_fill(struct gm_dice *d, void *to, size_t len);

#endif
