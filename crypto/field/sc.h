/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic modulo L, the order of the base point, in every lane: L = 2^252 + c with c < 2^125.
 *
 * A scalar is the sum of v[i] 2^(52 i), its limbs < 2^52; a wide number has ten such limbs and stays below 2^512.
 * No branch, no address depends on a scalar.
 */
#ifndef GM_SC_H
#define GM_SC_H

#include "field/lanes.h"

struct sc {
	vec v[5];
};

struct sc_wide {
	vec v[10];
};

static const uint64_t sc_c_limbs[3] = {0x2631a5cf5d3ed, 0xdea2f79cd6581, 0x14def9};
static const uint64_t sc_order_limbs[5] = {0x2631a5cf5d3ed, 0xdea2f79cd6581, 0x14def9, 0, 0x100000000000};

/* n <= 8 words of 64 bits -> limbs of 52 */
LANE_FN void limbs_of_words(vec *limb, unsigned limbs, const vec *w, unsigned words)
{
	for (unsigned i = 0; i < limbs; i++) {
		const unsigned at = 52 * i / 64, shift = 52 * i % 64;
		vec x = at < words ? v_shr(w[at], shift) : v_zero();

		if (shift > 12 && at + 1 < words)
			x = v_or(x, v_shl(w[at + 1], 64 - shift));
		limb[i] = v_and(x, v_set1(M52));
	}
}

LANE_FN struct sc sc_of_words(const vec w[static 4])
{
	struct sc r;

	limbs_of_words(r.v, 5, w, 4);
	return r;
}

LANE_FN struct sc_wide sc_wide_of_words(const vec w[static 8])
{
	struct sc_wide r;

	limbs_of_words(r.v, 10, w, 8);
	return r;
}

LANE_FN void sc_to_words(vec w[static 4], struct sc a)
{
	w[0] = v_or(a.v[0], v_shl(a.v[1], 52));
	w[1] = v_or(v_shr(a.v[1], 12), v_shl(a.v[2], 40));
	w[2] = v_or(v_shr(a.v[2], 24), v_shl(a.v[3], 28));
	w[3] = v_or(v_shr(a.v[3], 36), v_shl(a.v[4], 16));
}

/* Limbs of either sign, within +-2^62 -> [0, 2^52), but the last, which keeps the sign of the whole. */
LANE_HOT void sc_ripple(vec *limb, unsigned n)
{
	for (unsigned i = 0; i + 1 < n; i++) {
		limb[i + 1] = v_add(limb[i + 1], v_sar(limb[i], 52));
		limb[i] = v_and(limb[i], v_set1(M52));
	}
}

/* out[0 .. m + n - 1] += a[m] b[n], limbs < 2^52; a column gains < 2 min(m, n) 2^52 <= 10 * 2^52. Not yet rippled. */
LANE_HOT void sc_mul_add(vec *out, const vec *a, unsigned m, const vec *b, unsigned n)
{
	for (unsigned i = 0; i < m; i++)
		for (unsigned j = 0; j < n; j++) {
			out[i + j] = v_madd52lo(out[i + j], a[i], b[j]);
			out[i + j + 1] = v_madd52hi(out[i + j + 1], a[i], b[j]);
		}
}

/* x of n > 5 limbs -> what stands above bit 252, in n - 4 limbs; x keeps what stands below in its first five */
LANE_HOT void sc_split(vec *above, vec *x, unsigned n)
{
	for (unsigned i = 0; i < n - 4; i++) {
		above[i] = v_shr(x[i + 4], 44);
		if (i + 5 < n)
			above[i] = v_or(above[i], v_and(v_shl(x[i + 5], 8), v_set1(M52)));
	}
	x[4] = v_and(x[4], v_set1((UINT64_C(1) << 44) - 1));
}

/* a - multiple L, unless that is negative */
LANE_HOT struct sc sc_less(struct sc a, uint64_t multiple)
{
	struct sc r;

	for (unsigned i = 0; i < 5; i++)
		r.v[i] = v_sub(a.v[i], v_set1(multiple * sc_order_limbs[i]));
	sc_ripple(r.v, 5);
	vmask negative = v_negative(r.v[4]);
	for (unsigned i = 0; i < 5; i++)
		r.v[i] = v_select(negative, a.v[i], r.v[i]);
	return r;
}

/* x < 2^512 -> x mod L. As 2^252 = -c: with x = x1 2^252 + x0, c x1 = y1 2^252 + y0, c y1 = z1 2^252 + z0 it is
 * x0 - y0 + z0 - c z1; x1 < 2^260, y1 < 2^133, z1 < 2^6, c z1 < 2^131. With 2 L added it lies in (0, 4 L). */
LANE_FN struct sc sc_reduce(struct sc_wide x)
{
	vec c[3], x1[6], y[9], y1[5], z[7], z1[3], cz[5];
	struct sc r;

	for (unsigned i = 0; i < 3; i++)
		c[i] = v_set1(sc_c_limbs[i]);
	for (unsigned i = 0; i < 9; i++)
		y[i] = v_zero();
	for (unsigned i = 0; i < 7; i++)
		z[i] = v_zero();
	for (unsigned i = 0; i < 5; i++)
		cz[i] = v_zero();
	sc_split(x1, x.v, 10); /* x1[5] is 0 */
	sc_mul_add(y, c, 3, x1, 5);
	sc_ripple(y, 8); /* < 2^385 */
	sc_split(y1, y, 8);
	sc_mul_add(z, c, 3, y1, 3); /* y1[3] is 0 */
	sc_ripple(z, 6);
	sc_split(z1, z, 6);
	sc_mul_add(cz, c, 3, z1, 1); /* z1[1] is 0 */
	for (unsigned i = 0; i < 5; i++) {
		r.v[i] = v_add(v_sub(x.v[i], y[i]), v_sub(z[i], cz[i]));
		r.v[i] = v_add(r.v[i], v_set1(2 * sc_order_limbs[i]));
	}
	sc_ripple(r.v, 5);
	return sc_less(sc_less(r, 2), 1);
}

/* (a b + c) mod L for a b + c < 2^512 */
LANE_FN struct sc sc_mul_plus(struct sc a, struct sc b, struct sc c)
{
	struct sc_wide x;

	for (unsigned i = 0; i < 10; i++)
		x.v[i] = i < 5 ? c.v[i] : v_zero();
	sc_mul_add(x.v, a.v, 5, b.v, 5);
	sc_ripple(x.v, 10);
	return sc_reduce(x);
}

/* Digits d[i] in -2^(width - 1) .. 2^(width - 1) - 1 with a = sum of d[i] 2^(width i). a < 2^(width n - 1), so that the
 * last digit hands on nothing. */
LANE_FN void sc_digits(vec *d, unsigned n, unsigned width, struct sc a)
{
	const vec m = v_set1((UINT64_C(1) << width) - 1), half = v_set1(UINT64_C(1) << (width - 1));
	vec carry = v_zero();

	for (unsigned i = 0; i < n; i++) {
		const unsigned at = width * i / 52, shift = width * i % 52;
		vec w = v_shr(a.v[at], shift);

		if (shift + width > 52 && at + 1 < 5)
			w = v_or(w, v_shl(a.v[at + 1], 52 - shift));
		w = v_add(v_and(w, m), carry);
		carry = v_shr(v_add(w, half), width);
		d[i] = v_sub(w, v_shl(carry, width));
	}
}

/* |a| of a digit */
LANE_FN vec digit_size(vec a)
{
	return v_select(v_negative(a), v_sub(v_zero(), a), a);
}

#endif
