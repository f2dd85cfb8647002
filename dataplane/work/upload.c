/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that come by blocks, one at a time per context, in order. RFC 7959 §2.5 */
#include "work/worker.h"

void gm_upload_drop(struct worker *w, struct ctx *c)
{
	struct extra *x = gm_ctx_extra(w, c);

	if (!x)
		return;
	gm_wheel_del(&w->wheel, x->upload_timer);
	x->upload_timer = 0;
	if (x->upload)
		w->uploads--;
	gm_blob_drop(&x->upload);
	x->upload_n = 0;
	gm_ctx_tidy(w, c);
}

static void answer(struct worker *w, struct ctx *c, const struct xch *x, uint8_t code, uint32_t size1)
{
	struct answer a = {.code = code, .format = GM_CF_NONE, .size1 = size1, .save = true};

	gm_answer(w, c, x, &a);
}

static enum gm_err begin(struct worker *w, struct ctx *c, uint32_t key)
{
	gm_upload_drop(w, c);
	struct extra *x = w->uploads < UPLOADS_MAX ? gm_ctx_need_extra(w, c) : NULL;
	if (!x)
		return GM_E_BUSY;
	x->upload = gm_blob_new(REQUEST_MAX);
	if (!x->upload) {
		gm_ctx_tidy(w, c);
		return GM_E_BUSY;
	}
	w->uploads++;
	x->upload_key = key;
	return GM_E_OK;
}

static enum gm_err add(struct worker *w, struct ctx *c, const struct xch *x, const struct gm_coap *m)
{
	size_t size = (size_t)16 << m->block1.szx;

	if (m->block1.szx > BLOCK_SZX || (m->block1.more ? m->payload.n != size : m->payload.n > size))
		return GM_E_MALFORMED;
	if (m->block1.num == 0)
		GM_TRY(begin(w, c, x->key));
	struct extra *e = gm_ctx_extra(w, c);
	if (!e || !e->upload || e->upload_key != x->key || m->block1.num * size != e->upload_n)
		return GM_E_INCOMPLETE;
	if (e->upload_n + m->payload.n > REQUEST_MAX)
		return GM_E_TOO_LARGE;
	if (m->payload.n)
		memcpy(e->upload->bytes + e->upload_n, m->payload.p, m->payload.n);
	e->upload_n += (uint32_t)m->payload.n;
	return GM_E_OK;
}

struct blob *gm_upload_take(struct worker *w, struct ctx *c, const struct xch *x, const struct gm_coap *m)
{
	enum gm_err err = add(w, c, x, m);
	const struct blob *upload = err == GM_E_OK ? gm_ctx_extra(w, c)->upload : NULL;
	struct blob *whole;

	if (err == GM_E_OK && m->block1.more) {
		struct extra *e = gm_ctx_extra(w, c);
		gm_wheel_del(&w->wheel, e->upload_timer);
		e->upload_timer = gm_wheel_add(&w->wheel, w->now_ms + BODY_IDLE_MS, TIMER_UPLOAD, x->ctx);
		answer(w, c, x, GM_COAP(2, 31), 0);
		return NULL;
	}
	whole = upload ? gm_blob_copy(upload->bytes, gm_ctx_extra(w, c)->upload_n) : NULL;
	gm_upload_drop(w, c);
	if (err == GM_E_TOO_LARGE)
		answer(w, c, x, GM_COAP(4, 13), REQUEST_MAX);
	else if (!whole)
		gm_answer_err(w, c, x, err == GM_E_OK ? GM_E_BUSY : err);
	return whole;
}
