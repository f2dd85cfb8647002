/* SPDX-License-Identifier: Apache-2.0 */
/* Comparison of two decoded CoAP messages, for the fuzz targets. */
#ifndef GM_FUZZ_SAME_H
#define GM_FUZZ_SAME_H

#include <stdlib.h>

#include "wire/coap.h"

static inline void insist(bool holds)
{
	if (!holds)
		abort();
}

static inline bool same_list(const struct gm_bytes *a, size_t a_n, const struct gm_bytes *b, size_t b_n)
{
	bool same = a_n == b_n;
	for (size_t i = 0; same && i < a_n; i++)
		same = gm_bytes_eq(a[i], b[i]);
	return same;
}

static inline bool same_block(bool has_a, struct gm_coap_block a, bool has_b, struct gm_coap_block b)
{
	return has_a == has_b && (!has_a || (a.num == b.num && a.more == b.more && a.szx == b.szx));
}

/* Code, options and payload; not the head, and not what a decoder reports about options that it did not keep. */
static inline void insist_same(const struct gm_coap *a, const struct gm_coap *b)
{
	insist(a->code == b->code);
	insist(same_list(a->path, a->path_n, b->path, b->path_n));
	insist(same_list(a->location, a->location_n, b->location, b->location_n));
	insist(same_list(a->query, a->query_n, b->query, b->query_n));
	insist(a->has_oscore == b->has_oscore && gm_bytes_eq(a->oscore, b->oscore));
	insist(a->has_echo == b->has_echo && gm_bytes_eq(a->echo, b->echo));
	insist(gm_bytes_eq(a->etag, b->etag));
	insist(a->has_observe == b->has_observe && a->observe == b->observe);
	insist(same_block(a->has_block1, a->block1, b->has_block1, b->block1));
	insist(same_block(a->has_block2, a->block2, b->has_block2, b->block2));
	insist(a->has_max_age == b->has_max_age && a->max_age == b->max_age);
	insist(a->size2 == b->size2);
	insist(a->content_format == b->content_format && a->accept == b->accept);
	insist(a->has_payload == b->has_payload && gm_bytes_eq(a->payload, b->payload));
}

#endif
