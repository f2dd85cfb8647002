/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that are fetched by blocks. Each context has at most one; contexts that fetch the same long bytes share them.
 * The table holds a reference of its own, so that a body with one reference left is nobody's. RFC 7959 §2.4,
 * RFC 7959 */
#include "gm/crypto.h"
#include "work/worker.h"

static void uncount(struct worker *w, struct blob **body)
{
	w->bodies -= (*body)->n;
	SET(w, bodies_bytes, w->bodies);
	gm_blob_drop(body);
}

static void sweep(struct worker *w)
{
	for (unsigned i = 0; i < SNAPSHOTS; i++)
		if (w->snapshots[i].body && w->snapshots[i].body->refs == 1)
			uncount(w, &w->snapshots[i].body);
}

static struct blob *same(const struct worker *w, uint64_t etag, struct gm_bytes payload)
{
	for (unsigned i = 0; i < SNAPSHOTS; i++) {
		struct blob *b = w->snapshots[i].body;
		if (b && w->snapshots[i].etag == etag && gm_bytes_eq(payload, (struct gm_bytes){b->bytes, b->n}))
			return gm_blob_ref(b);
	}
	return NULL;
}

static void share(struct worker *w, uint64_t etag, struct blob *body)
{
	for (unsigned i = 0; i < SNAPSHOTS && body->n >= SNAPSHOT_MIN; i++) {
		if (w->snapshots[i].body)
			continue;
		w->snapshots[i].etag = etag;
		w->snapshots[i].body = gm_blob_ref(body);
		return;
	}
}

bool gm_body_keep(struct worker *w, struct ctx *c, struct gm_bytes payload)
{
	uint64_t etag = gm_siphash(w->boot, payload.p, payload.n) | 1;

	gm_ctx_forget_body(w, c);
	struct extra *x = gm_ctx_need_extra(w, c);
	if (!x)
		return false;
	x->body = payload.n >= SNAPSHOT_MIN ? same(w, etag, payload) : NULL;
	if (!x->body && w->bodies + payload.n <= BODIES_MAX && (x->body = gm_blob_copy(payload.p, payload.n))) {
		w->bodies += payload.n;
		SET(w, bodies_bytes, w->bodies);
		share(w, etag, x->body);
	}
	bool kept = x->body != NULL;
	x->body_counted = kept;
	x->body_etag = etag;
	gm_ctx_tidy(w, c);
	return kept;
}

void gm_body_drop(struct worker *w, struct ctx *c)
{
	struct extra *x = gm_ctx_extra(w, c);

	if (!x)
		return;
	if (x->body && x->body_counted && x->body->refs == 1)
		uncount(w, &x->body);
	gm_blob_drop(&x->body);
	x->body_counted = false;
	x->body_etag = 0;
	gm_ctx_tidy(w, c);
	sweep(w);
}

void gm_bodies_free(struct worker *w)
{
	for (unsigned i = 0; i < SNAPSHOTS; i++)
		gm_blob_drop(&w->snapshots[i].body);
}
