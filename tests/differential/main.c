/* SPDX-License-Identifier: Apache-2.0 */
/* Random and damaged jobs for every variant of every batch that this processor can run, against libsodium and OpenSSL;
 * buffers end or begin at closed pages.
 *
 *	differential [--jobs N] [--seed N] [--only KIND]
 *
 * A line for each kind and variant: cases, accepted, rejected, wrong. Exit 0: nothing was wrong. The same seed draws
 * the same jobs. */
#include "differential/rig.h"

#include <stdio.h>
#include <unistd.h>

static const struct kind *const kinds[] = {
    &diff_ed25519_verify, &diff_ed25519_sign, &diff_ed25519_public, &diff_x25519,
    &diff_ccm_seal,       &diff_ccm_open,     &diff_hkdf,
};

void diff_count(struct tally *row, const char *variant, unsigned n, uint64_t got, uint64_t expected, bool same)
{
	row->variant = variant;
	row->cases += n;
	row->accepted += (unsigned)__builtin_popcountll(got & diff_all(n));
	row->rejected += n - (unsigned)__builtin_popcountll(got & diff_all(n));
	row->wrong += got != expected || !same;
}

uint8_t *diff_room(struct gm_dice *d, struct gm_guard *g, size_t len)
{
	if (!g->start)
		*g = gm_guard_new(len > 8192 ? len : 8192);
	return gm_guard_at(g, len, gm_roll(d, 2));
}

void diff_fill(struct gm_dice *d, void *to, size_t len)
{
	static uint8_t pool[1 << 16];
	static size_t at = sizeof(pool);
	uint8_t *out = to;

	for (size_t some; len > 0; len -= some, out += some, at += some) {
		if (at == sizeof(pool)) {
			uint8_t seed[32];

			gm_roll_bytes(d, seed, sizeof(seed));
			gm_random_from(pool, sizeof(pool), seed);
			at = 0;
		}
		some = len < sizeof(pool) - at ? len : sizeof(pool) - at;
		memcpy(out, pool + at, some);
	}
}

uint8_t *diff_bytes(struct gm_dice *d, struct gm_guard *g, size_t len)
{
	uint8_t *p = diff_room(d, g, len);

	diff_fill(d, p, len);
	return p;
}

/* 1 to 17 and 62 to 64 */
static unsigned draw_n(struct gm_dice *d)
{
	return gm_roll(d, 3) == 0 ? 62 + gm_roll(d, 3) : 1 + gm_roll(d, 17);
}

static unsigned long run(const struct kind *kind, unsigned long jobs, uint32_t seed)
{
	struct tally tally[VARIANTS_MAX + 1] = {{0}};
	struct gm_dice d = {.seed = {'d', 'i', 'f', 'f'}};
	unsigned long wrong = 0;

	memcpy(d.seed + 4, &seed, sizeof(seed));
	memcpy(d.seed + 8, kind->name, strlen(kind->name) < 20 ? strlen(kind->name) : 20);
	for (unsigned long done = 0; done < jobs;) {
		unsigned n = draw_n(&d);

		kind->batch(&d, n, tally);
		done += n;
	}
	for (const struct tally *t = tally; t->variant; t++) {
		printf("%-16s %-14s %10lu cases %10lu accepted %10lu rejected %4lu wrong\n", kind->name, t->variant,
		       t->cases, t->accepted, t->rejected, t->wrong);
		wrong += t->wrong;
	}
	fflush(stdout);
	return wrong;
}

int main(int argc, char **argv)
{
	unsigned long jobs = 100000, seed = 1, wrong = 0;
	const char *only = NULL;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--jobs") == 0)
			jobs = strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--only") == 0)
			only = argv[i + 1];
	}
	if (!gm_crypto_init())
		return 2;
	for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (!only || strcmp(only, kinds[k]->name) == 0)
			wrong += run(kinds[k], only ? jobs : jobs * kinds[k]->share / 1000, (uint32_t)seed);
	return wrong != 0;
}
