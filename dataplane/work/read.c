/* SPDX-License-Identifier: Apache-2.0 */
/* What members read that needs no decision: keys out of the view, credentials by Sender ID out of the roster. Whatever is
 * not plain goes up: core knows all rules, and all errors. */
#include "gm/crypto.h"
#include "work/worker.h"

/* Of a live association, so that core has let it in and not yet put it out: whom core bars is no member. */
static struct member *reader(struct worker *w, const struct ctx *c, const struct gm_coap *m, struct group **g)
{
	*g = c->state == CTX_LIVE && !m->has_observe ? gm_group_named(w, m->path[1]) : NULL;
	return *g ? gm_member_of(w, c, (*g)->view.index, NULL) : NULL;
}

static void answer(struct worker *w, struct ctx *c, const struct xch *x, const struct gm_out *out, bool repeat)
{
	struct answer a = {
		.code = GM_COAP(2, 5),
		.format = GM_CF_GROUPCOMM,
		.own_piv = repeat,
		.payload = gm_out_result(out),
	};

	gm_answer(w, c, x, &a);
	COUNT(w, reads_local);
}

static bool read_keys(struct worker *w, struct ctx *c, const struct xch *x, const struct gm_coap *m, enum gm_res res, bool repeat)
{
	struct group *g;
	struct member *member = reader(w, c, m, &g);

	if (!member)
		return false;
	if (res == GM_RES_NODE && !gm_bytes_eq(m->path[3], (struct gm_bytes){(uint8_t *)member->node, member->node_n}))
		return false;
	struct gm_bytes sid = {res == GM_RES_NODE && member->sid_n ? member->sid : NULL, member->sid_n};
	struct gm_keying keying = gm_view_keying(w, g, sid);
	uint8_t body[512];
	struct gm_out out = gm_out(body, sizeof body);
	gm_keying_encode(&out, &keying, (struct gm_bytes){0}, (struct gm_bytes){0});
	if (out.err)
		return false;
	answer(w, c, x, &out, repeat);
	gm_wipe(body, sizeof body);
	return true;
}

/* ---- credentials */

static struct gm_cred_row row_at(const void *arg, uint32_t i)
{
	return ((const struct gm_roster_found *)arg)->row[i];
}

/* One datagram's worth; what comes in blocks is kept, and made once, from core's answer. */
static size_t room(const struct xch *x)
{
	unsigned szx = x->has_block2 && x->block2.szx < BLOCK_SZX ? x->block2.szx : BLOCK_SZX;

	return (size_t)16 << szx;
}

/* The roster may be ahead of the view, by a turn that is still on its way: then core is asked. So it is where that turn put out
 * the reader itself, whose own Sender ID is looked for together with the others; monitors have none. */
static bool read_creds(struct worker *w, struct ctx *c, const struct xch *x, const struct gm_coap *m, bool repeat)
{
	bool plain = !m->has_block1 && (m->content_format == GM_CF_NONE || m->content_format == GM_CF_GROUPCOMM);
	struct group *g = NULL;
	struct gm_creds_filter filter;
	struct gm_roster_found found;
	uint8_t body[(size_t)16 << BLOCK_SZX];
	const struct member *member = plain ? reader(w, c, m, &g) : NULL;

	if (!member || !member->sid_n || gm_creds_filter_decode(m->payload, &filter) != GM_E_OK || !gm_creds_filter_names(&filter))
		return false;
	struct gm_roster_group at = {g->view.index, g->view.gen, g->view.version};
	struct gm_out out = gm_out(body, room(x));
	if (!gm_roster_find(w->dp->roster, &at, (struct gm_bytes){member->sid, member->sid_n}, filter.ids, &found))
		return false;
	if (found.n)
		gm_creds_answer_rows(&out, at.version, found.n, row_at, &found);
	else
		gm_nothing_encode(&out);
	if (out.err)
		return false;
	answer(w, c, x, &out, repeat);
	return true;
}

bool gm_read_here(struct worker *w, struct ctx *c, const struct xch *x, const struct gm_coap *m, enum gm_res res, bool repeat)
{
	if ((res == GM_RES_GROUP || res == GM_RES_NODE) && m->code == GM_COAP_GET)
		return read_keys(w, c, x, m, res, repeat);
	return res == GM_RES_CREDS && m->code == GM_COAP_FETCH && read_creds(w, c, x, m, repeat);
}
