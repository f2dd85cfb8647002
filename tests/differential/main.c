/* SPDX-License-Identifier: Apache-2.0 */
/* Random and damaged jobs for every variant of every batch that this processor can run, against libsodium and OpenSSL;
 * buffers end or begin at closed pages.
 *
 *	differential [--jobs N] [--curves N] [--again N] [--seed N] [--only KIND,KIND...] [--variants NAME,NAME...]
 *
 * N jobs of each kind, of those with points of a curve as many as --curves says, or a tenth. A line for each door and
 * variant: cases, accepted, rejected, wrong; variants that are slow get a part of the jobs, which their lines tell. The library
 * takes most of the time, so fast variants get jobs with curves --again so often: in other lanes, or damaged. Exit 0: nothing
 * was wrong. The same seed draws the same jobs. */
#include "differential/rig.h"

#include <stdio.h>
#include <unistd.h>

static const struct kind *const kinds[] = {
    &diff_ed25519_verify, &diff_ed25519_sign, &diff_ed25519_public, &diff_x25519,
    &diff_map,            &diff_ccm_seal,     &diff_ccm_open,       &diff_ccm_seal_same, &diff_hkdf,
};

unsigned diff_again;
struct gm_dice diff_other = {.seed = {'a', 'g', 'a', 'i', 'n'}};

/* The row of a door's variant, or the end */
static struct tally *find_row(struct tally *tally, const char *door, const char *variant)
{
	while (tally->door && (strcmp(tally->door, door) != 0 || strcmp(tally->variant, variant) != 0))
		tally++;
	return tally;
}

void diff_count(struct tally *tally, const char *door, const char *variant, unsigned n, uint64_t got, uint64_t expected,
                bool same)
{
	struct tally *row = find_row(tally, door, variant);

	row->door = door;
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
	static struct pool {
		uint8_t bytes[1 << 16];
		size_t used;
	} pools[2];
	struct pool *p = &pools[d == &diff_other];
	const size_t size = sizeof(p->bytes);
	uint8_t *out = to;

	for (size_t some; len > 0; len -= some, out += some, p->used = (p->used + some) % size) {
		if (p->used == 0) {
			uint8_t seed[32];

			gm_roll_bytes(d, seed, sizeof(seed));
			gm_random_from(p->bytes, size, seed);
		}
		some = len < size - p->used ? len : size - p->used;
		memcpy(out, p->bytes + p->used, some);
	}
}

uint8_t *diff_bytes(struct gm_dice *d, struct gm_guard *g, size_t len)
{
	uint8_t *p = diff_room(d, g, len);

	diff_fill(d, p, len);
	return p;
}

unsigned diff_n(struct gm_dice *d, unsigned long left)
{
	const unsigned n = gm_roll(d, 3) == 0 ? 62 + gm_roll(d, 3) : 1 + gm_roll(d, 17);

	return n < left ? n : (unsigned)left;
}

static const char *variants, *only; /* these alone, with commas between them; NULL: all */

static bool wanted(const char *names, const char *name)
{
	const size_t len = strlen(name);

	for (const char *p = names; p; p = strchr(p, ','), p = p ? p + 1 : p)
		if (strncmp(p, name, len) == 0 && (p[len] == ',' || p[len] == 0))
			return true;
	return !names;
}

bool diff_turn(struct gm_dice *d, struct tally *tally, const char *door, const char *variant, unsigned one_of)
{
	const bool again = d == &diff_other, turn = again ? one_of == 1 : gm_roll(d, one_of) == 0;

	return wanted(variants, variant) && (turn || find_row(tally, door, variant)->cases == 0);
}

void diff_shuffle(unsigned *order, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		order[i] = i;
	for (unsigned i = n; i > 1; i--) {
		const unsigned k = gm_roll(&diff_other, i), last = order[i - 1];

		order[i - 1] = order[k];
		order[k] = last;
	}
}

static unsigned long run(const struct kind *kind, unsigned long jobs, uint32_t seed)
{
	struct tally tally[ROWS_MAX + 1] = {{0}};
	struct gm_dice d = {.seed = {'d', 'i', 'f', 'f'}};
	unsigned long wrong = 0;

	memcpy(d.seed + 4, &seed, sizeof(seed));
	memcpy(d.seed + 8, kind->name, strlen(kind->name) < 20 ? strlen(kind->name) : 20);
	for (unsigned long done = 0; done < jobs;)
		done += kind->batch(&d, jobs - done, tally);
	for (const struct tally *t = tally; t->door; t++) {
		printf("%-27s %-14s %10lu cases %10lu accepted %10lu rejected %4lu wrong\n", t->door, t->variant, t->cases,
		       t->accepted, t->rejected, t->wrong);
		wrong += t->wrong;
	}
	fflush(stdout);
	return wrong;
}

int main(int argc, char **argv)
{
	unsigned long jobs = 100000, curves = 0, seed = 1, wrong = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--jobs") == 0)
			jobs = strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--curves") == 0)
			curves = strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--again") == 0)
			diff_again = (unsigned)strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--only") == 0)
			only = argv[i + 1];
		else if (strcmp(argv[i], "--variants") == 0)
			variants = argv[i + 1];
	}
	if (!gm_crypto_init())
		return 2;
	for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (wanted(only, kinds[k]->name))
			wrong += run(kinds[k], kinds[k]->curve ? (curves ? curves : jobs / 10) : jobs, (uint32_t)seed);
	return wrong != 0;
}
