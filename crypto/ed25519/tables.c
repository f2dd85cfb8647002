/* SPDX-License-Identifier: Apache-2.0 */
#define GM_LANES_PLAIN 1
#include "ed25519/tables.h"
#include "field/ge.h"

#define CHUNK 16u

struct gm_ed25519_tables gm_ed25519_tables;

static const uint64_t base_y[4] = {0x6666666666666658, 0x6666666666666666, 0x6666666666666666, 0x6666666666666666};

static struct ge base_point(void)
{
	vec words[4];
	struct ge b = ge_identity();
	vmask good;

	for (unsigned i = 0; i < 4; i++)
		words[i] = v_set1(base_y[i]);
	ge_decode(&good, &b.X, &b.Y, words, 1);
	b.T = fe_mul(b.X, b.Y);
	return b;
}

/* Limbs of CHUNK points; each canonical, so that tables made by any back end are the same */
static void put_rows(uint64_t (*rows)[NIELS_ROW], const struct ge *p)
{
	struct fe z[CHUNK], prefix[CHUNK];

	for (unsigned i = 0; i < CHUNK; i++)
		z[i] = p[i].Z;
	fe_invert_many(z, prefix, CHUNK);
	for (unsigned i = 0; i < CHUNK; i++) {
		const struct ge_niels n = ge_to_niels(fe_mul(p[i].X, z[i]), fe_mul(p[i].Y, z[i]));
		const struct fe part[3] = {fe_freeze(n.plus), fe_freeze(n.minus), fe_freeze(n.t2d)};

		memcpy(rows[i], part, sizeof(part));
	}
}

/* p[i] = (from + i) step, where p[0] is already there */
static void multiples(struct ge *p, unsigned n, const struct ge_cached *step)
{
	for (unsigned i = 1; i < n; i++) {
		p[i] = p[i - 1];
		ge_add(&p[i], step);
	}
}

static void fill_base(const struct ge *b)
{
	const struct ge_cached step = ge_to_cached(b);
	struct ge p[CHUNK + 1];

	p[0] = ge_identity();
	for (unsigned from = 0; from < BASE_MULTIPLES - 1; from += CHUNK) {
		multiples(p, CHUNK + 1, &step);
		put_rows(&gm_ed25519_tables.base[from], p);
		p[0] = p[CHUNK];
	}
	multiples(p, CHUNK, &step); /* 512 and more, of which the first is wanted */
	uint64_t rows[CHUNK][NIELS_ROW] = {{0}};
	put_rows(rows, p);
	memcpy(gm_ed25519_tables.base[BASE_MULTIPLES - 1], rows[0], sizeof(rows[0]));
}

static void fill_comb(const struct ge *b)
{
	struct ge p[CHUNK];

	p[0] = *b;
	for (unsigned w = 0; w < COMB_WINDOWS; w++) {
		const struct ge_cached step = ge_to_cached(&p[0]);
		uint64_t rows[CHUNK][NIELS_ROW] = {{0}};

		multiples(p, CHUNK, &step);
		put_rows(rows, p);
		for (unsigned limb = 0; limb < 15; limb++)
			for (unsigned i = 0; i < CHUNK; i++)
				gm_ed25519_tables.comb[w][limb][i] = rows[i][limb];
		p[0] = p[CHUNK - 1]; /* 16 of 32^w, so that the double is one of the next */
		ge_double(&p[0], 1);
	}
}

void gm_ed25519_tables_start(void)
{
	const struct ge b = base_point();

	if (gm_ed25519_tables.base[1][0] != 0)
		return;
	fill_comb(&b);
	fill_base(&b);
}
