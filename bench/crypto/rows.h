/* SPDX-License-Identifier: Apache-2.0 */
/* What bench/crypto.c measures. A primitive is a file with a table of rows, and a line in crypto.c's list of tables. */
#ifndef GM_BENCH_ROWS_H
#define GM_BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gm/crypto.h>

/* One way to do the work of a row: all of its operations, once. */
struct way {
	const char *name;
	bool (*usable)(void); /* NULL: everywhere */
	void (*run)(void *work, const void *arg);
	const void *arg; /* handed to run: a variant, say */
};

struct row {
	const char *bench;
	unsigned n;                           /* operations in one call */
	size_t size;                          /* bytes of a message; 0: means nothing here */
	bool quick;                           /* measured with --quick too */
	void *(*make)(const struct row *row); /* inputs, from malloc(); NULL: no memory */
	struct way base;                      /* what ratios are to: the library, one at a time */
	const struct way *ways;               /* ends with a name of NULL */
};

/* What the project wants, as a ratio to the baseline on a processor that has what is needed. */
struct goal {
	const char *bench;
	unsigned n;
	double ratio;
	unsigned needs;    /* enum gm_cpu */
	const char *named; /* that, for people */
};

/* each ends with a row without a name */
extern const struct row bench_ccm_rows[], bench_oscore_rows[], bench_hkdf_rows[], bench_curve25519_rows[],
    bench_ed25519_batch_rows[];

/* ---- for the files of rows */

#define BENCH_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Stops the run: what was computed is wrong, and no number means anything. */
_Noreturn void bench_wrong(const char *what);

#endif
