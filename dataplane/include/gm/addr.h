/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GM_ADDR_H
#define GM_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gm/err.h"

#define GM_ADDR_TEXT 64u
#define GM_LISTEN_MAX 8u /* addresses that one process listens at */

struct gm_addr { /* a UDP endpoint; IPv4 as ::ffff:a.b.c.d */
	uint8_t ip[16];
	uint32_t scope; /* interface index of a link-local address, else 0 */
	uint16_t port;  /* host order */
	uint16_t zero;
};

static inline bool gm_addr_eq(const struct gm_addr *a, const struct gm_addr *b)
{
	return memcmp(a->ip, b->ip, 16) == 0 && a->port == b->port && a->scope == b->scope;
}

/* "[::1]:5683", "127.0.0.1:5683", "::1" (port stays 0). false: not an IP literal. */
bool gm_addr_parse(struct gm_addr *addr, const char *text);
/* The same form back; returns buf. */
const char *gm_addr_text(const struct gm_addr *addr, char buf[static GM_ADDR_TEXT]);
bool gm_addr_is_v4(const struct gm_addr *addr);

struct gm_prefix { /* a network: the first bits of ip, the others 0; IPv4's bits count from 96 */
	uint8_t ip[16];
	uint8_t bits;
};

/* "2001:db8:15::/64", "10.1.0.0/16". NULL, or what is wrong with it, to follow the text itself. */
GM_NODISCARD const char *gm_prefix_parse(struct gm_prefix *prefix, const char *text);
const char *gm_prefix_text(const struct gm_prefix *prefix, char buf[static GM_ADDR_TEXT]); /* the same form back */
bool gm_prefix_is_v4(const struct gm_prefix *prefix);
struct gm_prefix gm_prefix_of(const struct gm_addr *addr, uint8_t bits); /* the network of that length it is in */

#endif
