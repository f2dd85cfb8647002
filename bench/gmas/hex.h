/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GM_GMAS_HEX_H
#define GM_GMAS_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* 2n digits and a zero byte; returns to */
static inline const char *gm_hex_put(char *to, const uint8_t *p, size_t n)
{
	to[0] = 0;
	for (size_t i = 0; i < n; i++)
		snprintf(to + 2 * i, 3, "%02x", p[i]);
	return to;
}

static inline int gm_hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* text_n digits, at most cap bytes; false: not that */
static inline bool gm_hex_get(const char *text, size_t text_n, uint8_t *to, size_t cap, size_t *n)
{
	*n = text_n / 2;
	if (text_n % 2 || *n > cap)
		return false;
	for (size_t i = 0; i < *n; i++) {
		int high = gm_hex_digit(text[2 * i]), low = gm_hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

#endif
