/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GM_ED25519_TABLES_H
#define GM_ED25519_TABLES_H

#include <stdint.h>

#define BASE_MULTIPLES 513u /* 0 to 512: what signed digits of ten bits need */
#define COMB_WINDOWS 51u    /* of five bits */

/* Multiples of the base point B, each as the 15 limbs of a niels point (field/ge.h). */
struct gm_ed25519_tables {
	/* [i] is i B: a row of its own, for indices that are public */
	uint64_t base[BASE_MULTIPLES][16] __attribute__((aligned(64)));
	/* [w][limb][i] is a limb of (i + 1) 32^w B: read whole, for indices that are secret */
	uint64_t comb[COMB_WINDOWS][15][16] __attribute__((aligned(64)));
};

extern struct gm_ed25519_tables gm_ed25519_tables;

/* Fills them. 160 KB that take about a millisecond: less to keep right than a program that writes them in every build.
 */
void gm_ed25519_tables_start(void);

#endif
