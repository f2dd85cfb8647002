/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzz targets insist on. */
#ifndef GM_FUZZ_INSIST_H
#define GM_FUZZ_INSIST_H

#include <stdlib.h>

#include "gm/buf.h"

/* Ends the program where something does not hold, for libFuzzer to notice. */
static inline void insist(bool holds)
{
	if (!holds)
		abort();
}

#define GM_FUZZ_CAP 16384u

/* Decode input and write it again to out; false where it is refused. */
typedef bool gm_fuzz_rewrite(struct gm_bytes input, struct gm_out *out);

/* What was accepted and written again is accepted, and written to the same bytes. */
static inline void insist_stable(gm_fuzz_rewrite *rewrite, const uint8_t *data, size_t size)
{
	static uint8_t once[GM_FUZZ_CAP], twice[GM_FUZZ_CAP];
	struct gm_out first = gm_out(once, sizeof once), second = gm_out(twice, sizeof twice);

	if (!rewrite((struct gm_bytes){data, size}, &first) || first.err != GM_E_OK)
		return;
	insist(rewrite(gm_out_result(&first), &second));
	insist(second.err == GM_E_OK && gm_bytes_eq(gm_out_result(&first), gm_out_result(&second)));
}

#endif
