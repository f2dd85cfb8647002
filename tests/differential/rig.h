/* SPDX-License-Identifier: Apache-2.0 */
/* Random jobs for every variant of a door, next to what a library says of them. */
#ifndef GM_DIFFERENTIAL_RIG_H
#define GM_DIFFERENTIAL_RIG_H

#include "dice.h"
#include "guard.h"

#define ROWS_MAX 24u

/* How often a variant that is not picked where there are vectors takes part: in one of so many batches */
#ifdef __x86_64__
#define SELDOM(n) (n)
#else
#define SELDOM(n) 1u
#endif

/* What one variant did at one door */
struct tally {
	const char *door, *variant;
	unsigned long cases, accepted, rejected, wrong;
};

/* What is drawn together. batch() draws up to left jobs, asks the library once, then each variant, and counts in tally[], a
 * row for each door and variant in the order of the first batch, ended by one without a name. Returns the jobs drawn. */
struct kind {
	const char *name;
	bool curve; /* a job of it costs the library a hundred times what the others cost */
	unsigned (*batch)(struct gm_dice *d, unsigned long left, struct tally *tally);
};

extern const struct kind diff_ed25519_verify, diff_ed25519_sign, diff_ed25519_public, diff_x25519, diff_map, diff_ccm_seal,
    diff_ccm_open, diff_ccm_seal_same, diff_hkdf;

static inline uint64_t diff_all(unsigned n)
{
	return n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* Jobs of a call of up to 64: 1 to 17 and 62 to 64, or what is left */
unsigned diff_n(struct gm_dice *d, unsigned long left);
/* Whether a variant takes part: slow ones do in one of so many batches, and as long as they have had none. */
bool diff_turn(struct gm_dice *d, struct tally *tally, const char *door, const char *variant, unsigned one_of);

/* How often the jobs of a batch come again, to variants of which one_of is 1: in another order, so that each is in another
 * lane next to others, and changed where the answer to what was changed is known. These dice are for that alone: what is
 * drawn, and who takes part, does not depend on it. */
extern unsigned diff_again;
extern struct gm_dice diff_other;
/* Numbers below n in any order, by these */
void diff_shuffle(unsigned *order, unsigned n);

/* n answers of one variant: got and expected have a bit for each; same says that what was written is right, too */
void diff_count(struct tally *tally, const char *door, const char *variant, unsigned n, uint64_t got, uint64_t expected,
                bool same);

/* len random bytes whose end or begin touches a closed page; made at first use */
uint8_t *diff_bytes(struct gm_dice *d, struct gm_guard *g, size_t len);
/* the same, not yet written */
uint8_t *diff_room(struct gm_dice *d, struct gm_guard *g, size_t len);
void diff_fill(struct gm_dice *d, void *to, size_t len);

#endif
