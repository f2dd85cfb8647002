/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of /.well-known/core, one a line, then an empty line and the name of a group: each filter can only take links
 * away, and only whole ones. */
#include "insist.h"

#include "wire/links.h"

#define QUERY_MAX 8u

static struct gm_bytes line(struct gm_in *in)
{
	const uint8_t *from = in->p;
	const uint8_t *eol = from < in->end ? memchr(from, '\n', gm_in_left(in)) : NULL;
	const uint8_t *to = eol ? eol : in->end;
	in->p = eol ? eol + 1 : in->end;
	return (struct gm_bytes){from, (size_t)(to - from)};
}

/* Links in a text: a '<' is in no path and in no attribute of ours. */
static size_t count(struct gm_bytes text)
{
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '<';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t text[GM_FUZZ_CAP];
	struct gm_in in = gm_in(data, size);
	struct gm_bytes query[QUERY_MAX], names[2] = {{(const uint8_t *)"g1", 2}};
	size_t n = 0, all = 5;

	while (n < QUERY_MAX && gm_in_left(&in)) {
		query[n] = line(&in);
		if (!query[n].n)
			break;
		n++;
	}
	names[1] = (struct gm_bytes){in.p, gm_in_left(&in)};
	if (names[1].n > 64)
		return 0;
	for (size_t i = 0; i <= n; i++) {
		struct gm_out o = gm_out(text, sizeof text), tight;
		gm_links_encode(&o, names, 2, query, i);
		insist(o.err == GM_E_OK);
		size_t left = count(gm_out_result(&o));
		insist(left <= all && (i > 0 || left == all));
		all = left;
		if (!gm_out_len(&o))
			continue;
		tight = gm_out(text, gm_out_len(&o) - 1);
		gm_links_encode(&tight, names, 2, query, i);
		insist(tight.err == GM_E_ROOM);
	}
	return 0;
}
