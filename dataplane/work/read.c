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

static void answer(struct worker *w, struct ctx *c, const struct xch *x, struct gm_bytes body, bool repeat)
{
	struct answer a = {
		.code = GM_COAP(2, 5),
		.format = GM_CF_GROUPCOMM,
		.own_piv = repeat,
		.payload = body,
	};

	gm_answer(w, c, x, &a);
	COUNT(w, reads_local);
}

static struct gm_bytes encode_keys(struct worker *w, const struct group *g, struct gm_bytes sid, uint8_t *to, size_t cap)
{
	struct gm_keying keying = gm_view_keying(w, g, sid);
	struct gm_out out = gm_out(to, cap);

	gm_keying_encode(&out, &keying, (struct gm_bytes){0}, (struct gm_bytes){0});
	return out.err ? (struct gm_bytes){0} : gm_out_result(&out);
}

/* The same bytes for all members, until the group changes or the second is over. */
static struct gm_bytes keys_of_group(struct worker *w, const struct group *g)
{
	struct kept_keys *k = &w->kept_keys;

	if (!k->n || k->group != g->view.index || k->wall_s != w->wall_s) {
		k->n = encode_keys(w, g, (struct gm_bytes){0}, k->bytes, sizeof k->bytes).n;
		k->group = g->view.index;
		k->wall_s = w->wall_s;
	}
	return (struct gm_bytes){k->bytes, k->n};
}

static bool read_keys(struct worker *w, struct ctx *c, const struct xch *x, const struct gm_coap *m, enum gm_res res, bool repeat)
{
	struct group *g;
	struct member *member = reader(w, c, m, &g);
	uint8_t own[512];

	if (!member)
		return false;
	if (res == GM_RES_NODE && !gm_bytes_eq(m->path[3], (struct gm_bytes){(uint8_t *)member->node, member->node_n}))
		return false;
	struct gm_bytes sid = {member->sid_n ? member->sid : NULL, member->sid_n};
	struct gm_bytes body = res == GM_RES_NODE ? encode_keys(w, g, sid, own, sizeof own) : keys_of_group(w, g);
	if (!body.n)
		return false;
	answer(w, c, x, body, repeat);
	if (res == GM_RES_NODE)
		gm_wipe(own, body.n);
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
	answer(w, c, x, gm_out_result(&out), repeat);
	return true;
}

/* What a FETCH seems to ask for: the Sender ID that its filter ends with, if that names one, and the member's own. How many */
static unsigned seems_to_ask(const struct worker *w, const struct opening *o, size_t n, struct gm_roster_ask ask[static 2])
{
	const struct ctx *c = n > 4 && o->text[0] == GM_COAP_FETCH ? gm_ctx_at(w, o->ctx) : NULL;
	const struct member *m = c && c->members ? gm_member_at(w, c->members) : NULL;

	if (!m || !m->sid_n || (o->text[n - 1 - m->sid_n] != (0x40 | m->sid_n)))
		return 0;
	ask[0] = (struct gm_roster_ask){m->group, {m->sid, m->sid_n}};
	ask[1] = (struct gm_roster_ask){m->group, {o->text + n - m->sid_n, m->sid_n}};
	return 2;
}

void gm_read_ahead(struct worker *w, unsigned n, uint64_t good)
{
	const struct opening *o = &w->opening[w->openings_at];
	struct gm_roster_ask ask[2 * BURST];
	unsigned asks = 0;

	for (unsigned i = 0; i < n; i++)
		if (good >> i & 1 && !o[i].out)
			asks += seems_to_ask(w, &o[i], w->open_job[i].text_len, &ask[asks]);
	if (asks)
		gm_roster_ahead(w->dp->roster, ask, asks);
}

bool gm_read_here(struct worker *w, struct ctx *c, const struct xch *x, const struct gm_coap *m, enum gm_res res, bool repeat)
{
	if ((res == GM_RES_GROUP || res == GM_RES_NODE) && m->code == GM_COAP_GET)
		return read_keys(w, c, x, m, res, repeat);
	return res == GM_RES_CREDS && m->code == GM_COAP_FETCH && read_creds(w, c, x, m, repeat);
}
