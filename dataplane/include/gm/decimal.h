/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GM_DECIMAL_H
#define GM_DECIMAL_H

#include "gm/buf.h"

/* v in decimal digits, as printf() would write it */
static inline void gm_out_decimal(struct gm_out *out, uint64_t v)
{
	char digits[20];
	size_t n = sizeof(digits);

	do
		digits[--n] = (char)('0' + v % 10);
	while (v /= 10);
	gm_out_bytes(out, digits + n, sizeof(digits) - n);
}

#endif
