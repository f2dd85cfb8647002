/* SPDX-License-Identifier: Apache-2.0 */
/* /.well-known/core: what there is, from this worker's own view of the groups. RFC 6690 */
#include <stdlib.h>

#include "gm/crypto.h"
#include "wire/links.h"
#include "work/worker.h"

#define LINK_MAX (3u * GM_GROUP_NAME_MAX + 64u)
#define PLAIN_AROUND 21u /* head, Content-Format, Block2, Echo and marker: all but token and payload */
#define PLAIN_SZX 6u     /* unprotected, once Echo has shown the source: 1,024 bytes */

bool gm_links_is(const struct gm_coap *m)
{
	return m->path_n == 2 && !m->path_more && gm_bytes_is(m->path[0], ".well-known") &&
	       gm_bytes_is(m->path[1], "core");
}

static struct blob *encode(struct worker *w, const struct gm_coap *m)
{
	size_t n = 0, cap = (w->names_n + 5) * (size_t)LINK_MAX;
	struct gm_bytes *names = malloc((w->names_n + 1) * sizeof *names);

	struct gm_out out = gm_out(malloc(cap), cap);
	for (uint32_t i = 0; names && i < w->groups_cap && n < w->names_n; i++) {
		const struct group *g = gm_group_at(w, i);
		if (g)
			names[n++] = (struct gm_bytes){(const uint8_t *)g->view.name, g->view.name_n};
	}
	if (names && out.start)
		gm_links_encode(&out, names, n, m->query, m->query_n);
	bool good = names && out.start && out.err == GM_E_OK;
	struct blob *links = good ? gm_blob_copy(out.start, gm_out_len(&out)) : NULL;
	free(names);
	free(out.start);
	return links;
}

/* 0: no filters */
static uint64_t key_of(const struct worker *w, const struct gm_coap *m)
{
	uint64_t key = 0;

	for (unsigned i = 0; i < m->query_n; i++)
		key = (key * 31 + gm_siphash(w->boot, m->query[i].p, m->query[i].n)) | 1;
	return key;
}

/* The links that pass the request's filters, encoded once until a group comes or goes: one place for all of them, one for
 * those of the latest filters. Borrowed; NULL: out of memory. */
static const struct blob *links_for(struct worker *w, const struct gm_coap *m)
{
	uint64_t key = key_of(w, m);
	struct links *kept = &w->links[key != 0];

	if (kept->body && kept->key == key && kept->names_moved == w->names_moved)
		return kept->body;
	gm_blob_drop(&kept->body);
	*kept = (struct links){.key = key, .names_moved = w->names_moved, .body = encode(w, m)};
	return kept->body;
}

void gm_links_free(struct worker *w)
{
	for (unsigned i = 0; i < sizeof w->links / sizeof *w->links; i++)
		gm_blob_drop(&w->links[i].body);
}

/* Largest block whose answer is within bounds. */
static uint8_t bound(const struct xch *x)
{
	size_t room = AMPLIFY * (size_t)x->datagram_n;
	uint8_t szx = PLAIN_SZX;

	while (!x->shown && szx && PLAIN_AROUND + x->token_len + ((size_t)16 << szx) > room)
		szx--;
	return szx;
}

/* One block: nothing is kept for strangers. */
static void put_block(struct plain *a, struct gm_coap_block *block, const struct gm_coap *m, uint8_t most)
{
	*block = m->has_block2 ? m->block2 : (struct gm_coap_block){.szx = most};
	while (block->szx > most) {
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
	struct gm_coap_block block;
	struct plain a = {.code = GM_COAP(4, 5), .format = GM_CF_NONE};
	bool acceptable = m->accept == GM_CF_NONE || m->accept == GM_CF_LINK;
	const struct blob *links = m->code == GM_COAP_GET && acceptable ? links_for(w, m) : NULL;
	uint8_t echo[GM_ECHO];

	gm_stranger_echo(w, &x->peer, echo);
	if (links) {
		a = (struct plain){.code = GM_COAP(2, 5), .format = GM_CF_LINK, .payload = {links->bytes, links->n}};
		put_block(&a, &block, m, bound(x));
		if (!x->shown && a.block2)
			a.echo = (struct gm_bytes){echo, sizeof echo};
	} else if (m->code == GM_COAP_GET) {
		a.code = acceptable ? GM_COAP(5, 0) : GM_COAP(4, 6);
	}
	gm_answer_plain(w, x, &a, NULL);
}

void gm_links_protected(struct worker *w, struct ctx *c, const struct gm_coap *m, const struct xch *x, bool repeat)
{
	const struct blob *links = m->code == GM_COAP_GET ? links_for(w, m) : NULL;
	struct answer a = {.code = GM_COAP(2, 5),
	                   .format = GM_CF_LINK,
	                   .own_piv = repeat,
	                   .payload = links ? (struct gm_bytes){links->bytes, links->n} : (struct gm_bytes){0}};

	if (links)
		gm_answer(w, c, x, &a);
	else if (!repeat)
		gm_answer_err(w, c, x, m->code == GM_COAP_GET ? GM_E_BUSY : GM_E_METHOD);
}
