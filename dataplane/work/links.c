/* SPDX-License-Identifier: Apache-2.0 */
/* /.well-known/core: what there is, from this worker's own view of the groups. RFC 6690 */
#include <stdlib.h>

#include "wire/links.h"
#include "work/worker.h"

#define LINK_MAX (3u * GM_GROUP_NAME_MAX + 64u)
#define PLAIN_SZX 4u /* unprotected: 256 bytes, so that a forged source gains little */

bool gm_links_is(const struct gm_coap *m)
{
	return m->path_n == 2 && !m->path_more && gm_bytes_is(m->path[0], ".well-known") &&
	       gm_bytes_is(m->path[1], "core");
}

/* The links that pass the request's filters; NULL: out of memory. The caller frees out->start. */
static bool encode(struct worker *w, const struct gm_coap *m, struct gm_out *out)
{
	size_t n = 0, cap = (w->names_n + 4) * (size_t)LINK_MAX;
	struct gm_bytes *names = malloc((w->names_n + 1) * sizeof *names);

	*out = gm_out(malloc(cap), cap);
	for (uint32_t i = 0; names && i < w->groups_cap && n < w->names_n; i++) {
		const struct group *g = gm_group_at(w, i);
		if (g)
			names[n++] = (struct gm_bytes){(const uint8_t *)g->view.name, g->view.name_n};
	}
	if (names && out->start)
		gm_links_encode(out, names, n, m->query, m->query_n < 4 ? m->query_n : 4);
	bool good = names && out->start && out->err == GM_E_OK;
	free(names);
	return good;
}

/* One block, cut anew for each request: nothing is kept for strangers. */
static void put_block(struct plain *a, struct gm_coap_block *block, const struct gm_coap *m)
{
	if (m->has_block2)
		*block = m->block2;
	while (block->szx > PLAIN_SZX) {
		block->num *= 2;
		block->szx--;
	}
	size_t size = (size_t)16 << block->szx, from = block->num * size;
	struct gm_bytes whole = a->payload;
	block->more = from < whole.n && whole.n - from > size;
	a->payload = from < whole.n ? (struct gm_bytes){whole.p + from, block->more ? size : whole.n - from}
	                            : (struct gm_bytes){0};
	if (block->num || block->more)
		a->block2 = block;
	if (block->num && !a->payload.n)
		*a = (struct plain){.code = GM_COAP(4, 2), .format = GM_CF_NONE};
}

void gm_links_plain(struct worker *w, const struct gm_coap *m, const struct xch *x)
{
	struct gm_coap_block block = {.szx = PLAIN_SZX};
	struct plain a = {.code = GM_COAP(4, 5), .format = GM_CF_NONE};
	struct gm_out out = {0};

	if (m->code == GM_COAP_GET && encode(w, m, &out)) {
		a = (struct plain){.code = GM_COAP(2, 5), .format = GM_CF_LINK, .payload = gm_out_result(&out)};
		put_block(&a, &block, m);
	} else if (m->code == GM_COAP_GET) {
		a.code = GM_COAP(5, 0);
	}
	gm_answer_plain(w, x, &a, NULL);
	free(out.start);
}

void gm_links_protected(struct worker *w, struct ctx *c, const struct gm_coap *m, const struct xch *x, bool repeat)
{
	struct gm_out out = {0};
	bool good = m->code == GM_COAP_GET && encode(w, m, &out);
	struct answer a = {.code = GM_COAP(2, 5),
	                   .format = GM_CF_LINK,
	                   .own_piv = repeat,
	                   .payload = good ? gm_out_result(&out) : (struct gm_bytes){0}};

	if (good)
		gm_answer(w, c, x, &a);
	else if (!repeat)
		gm_answer_err(w, c, x, m->code == GM_COAP_GET ? GM_E_BUSY : GM_E_METHOD);
	free(out.start);
}
