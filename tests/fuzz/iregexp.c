/* SPDX-License-Identifier: Apache-2.0 */
/* Group name patterns: a length byte, the pattern, a name. A name without special characters matches itself. */
#include "insist.h"

#include "wire/iregexp.h"

static bool plain(struct gm_bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] >= 0x80 || b.p[i] == 0 || strchr("()*+.?[\\]^{|}$", b.p[i]))
			return false;
	return b.n < 200;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_in in = gm_in(data, size);
	size_t n = gm_in_u8(&in);
	struct gm_bytes pattern = gm_in_take(&in, n < gm_in_left(&in) ? n : gm_in_left(&in));
	struct gm_bytes text = gm_in_take(&in, gm_in_left(&in) < 64 ? gm_in_left(&in) : 64);

	gm_iregexp_match(pattern, text);
	if (plain(text))
		insist(gm_iregexp_match(text, text));
	return 0;
}
