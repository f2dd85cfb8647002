/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/frame.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "gm/crypto.h"
#include "wire/cbor.h"

uint8_t *gm_ctl_buf_room(struct gm_ctl_buf *buf, size_t size)
{
	if (buf->bytes && buf->cap - buf->n >= size)
		return buf->bytes + buf->n;
	size_t used = buf->n - buf->at, cap = buf->cap ? buf->cap : 4096;

	while (cap - used < size)
		cap *= 2;
	uint8_t *bytes = malloc(cap);
	if (!bytes)
		return NULL;
	if (buf->bytes)
		memcpy(bytes, buf->bytes + buf->at, used);
	gm_ctl_buf_free(buf); /* wipes */
	*buf = (struct gm_ctl_buf){.bytes = bytes, .n = used, .cap = cap};
	return bytes + used;
}

bool gm_ctl_buf_append(struct gm_ctl_buf *buf, const void *p, size_t n)
{
	uint8_t *to = gm_ctl_buf_room(buf, n);

	if (!to)
		return false;
	memcpy(to, p, n);
	buf->n += n;
	return true;
}

void gm_ctl_buf_eat(struct gm_ctl_buf *buf, size_t n)
{
	if (!n)
		return;
	gm_wipe(buf->bytes + buf->at, n);
	buf->at += n;
	if (buf->at == buf->n)
		buf->at = buf->n = 0;
}

void gm_ctl_buf_free(struct gm_ctl_buf *buf)
{
	if (buf->n)
		gm_wipe(buf->bytes, buf->n);
	free(buf->bytes);
	*buf = (struct gm_ctl_buf){0};
}

bool gm_ctl_frame_next(const struct gm_ctl_buf *buf, struct gm_bytes *frame, enum gm_err *err)
{
	struct gm_in in = gm_in(buf->bytes + buf->at, buf->n - buf->at);

	*err = GM_E_OK;
	if (gm_in_left(&in) < 4)
		return false;
	size_t n = (size_t)gm_in_be(&in, 4);
	if (n > GM_CTL_FRAME_MAX) {
		*err = GM_E_TOO_LARGE;
		return false;
	}
	if (gm_in_left(&in) < n)
		return false;
	*frame = gm_in_take(&in, n);
	return true;
}

/* ---- requests */

static void copy_text(struct gm_in *in, struct gm_bytes text, char *to, size_t max)
{
	if (text.n > max || (text.n && memchr(text.p, 0, text.n))) {
		gm_in_fail(in, GM_E_RANGE);
		return;
	}
	if (text.n)
		memcpy(to, text.p, text.n);
	to[text.n] = '\0';
}

static void decode_arg(struct gm_in *in, struct gm_ctl_arg *arg)
{
	struct gm_bytes b;

	copy_text(in, gm_cbor_tstr(in), arg->key, GM_CTL_KEY_MAX);
	switch (gm_cbor_peek(in)) {
	case GM_CBOR_UINT:
		arg->type = GM_CTL_UINT;
		arg->u = gm_cbor_uint(in);
		break;
	case GM_CBOR_SIMPLE:
		arg->type = GM_CTL_BOOL;
		arg->u = gm_cbor_bool(in);
		break;
	case GM_CBOR_TSTR:
		arg->type = GM_CTL_TEXT;
		b = gm_cbor_tstr(in);
		arg->n = b.n;
		copy_text(in, b, arg->text, GM_CTL_TEXT_MAX);
		break;
	case GM_CBOR_BSTR:
		arg->type = GM_CTL_BYTES;
		b = gm_cbor_bstr(in);
		if (b.n > GM_CTL_TEXT_MAX)
			gm_in_fail(in, GM_E_RANGE);
		else if (b.n)
			memcpy(arg->text, b.p, b.n);
		arg->n = b.n;
		break;
	default:
		gm_in_fail(in, GM_E_TYPE);
	}
}

static void decode_args(struct gm_in *in, struct gm_ctl_request *request)
{
	uint64_t n = gm_cbor_map(in);

	if (n > GM_CTL_ARGS_MAX)
		gm_in_fail(in, GM_E_RANGE);
	for (uint64_t i = 0; i < n && in->err == GM_E_OK; i++) {
		struct gm_ctl_arg *arg = &request->args[request->args_n];
		decode_arg(in, arg);
		if (in->err == GM_E_OK && gm_ctl_arg(request, arg->key))
			gm_in_fail(in, GM_E_DUPLICATE);
		request->args_n++;
	}
}

enum gm_err gm_ctl_request_decode(struct gm_bytes frame, struct gm_ctl_request *request)
{
	enum { ID = 1, VERB = 2, ARGS = 4, BODY = 8 };
	struct gm_in in = gm_in_bytes(frame);
	uint64_t n = gm_cbor_map(&in);
	unsigned seen = 0;

	*request = (struct gm_ctl_request){0};
	for (uint64_t i = 0; i < n && in.err == GM_E_OK; i++) {
		struct gm_bytes key = gm_cbor_tstr(&in);
		unsigned bit = gm_bytes_is(key, "id")     ? ID
			       : gm_bytes_is(key, "verb") ? VERB
			       : gm_bytes_is(key, "args") ? ARGS
			       : gm_bytes_is(key, "body") ? BODY
							  : 0;
		if (seen & bit)
			gm_in_fail(&in, GM_E_DUPLICATE);
		seen |= bit;
		if (bit == ID)
			request->id = gm_cbor_uint(&in);
		else if (bit == VERB)
			copy_text(&in, gm_cbor_tstr(&in), request->verb, GM_CTL_KEY_MAX);
		else if (bit == ARGS)
			decode_args(&in, request);
		else if (bit == BODY)
			request->body = gm_cbor_bstr(&in);
		else
			gm_cbor_skip(&in);
	}
	GM_TRY(gm_cbor_end(&in));
	if (request->body.n > GM_CTL_BODY_MAX)
		return GM_E_RANGE;
	return (seen & (ID | VERB)) == (ID | VERB) ? GM_E_OK : GM_E_MISSING;
}

const char *gm_ctl_level_text(enum gm_ctl_level level)
{
	static const char *const texts[GM_CTL_LEVELS] = {"nobody", "viewer", "operator", "admin"};
	return texts[level];
}

const struct gm_ctl_arg *gm_ctl_arg(const struct gm_ctl_request *request, const char *key)
{
	for (unsigned i = 0; i < request->args_n; i++)
		if (strcmp(request->args[i].key, key) == 0)
			return &request->args[i];
	return NULL;
}

static enum gm_err append_frame(struct gm_ctl_buf *buf, const struct gm_out *out)
{
	uint8_t head[4];
	struct gm_out h = gm_out(head, sizeof(head));
	size_t n = gm_out_len(out);

	if (out->err != GM_E_OK)
		return out->err;
	gm_out_be(&h, n, 4);
	if (!gm_ctl_buf_room(buf, sizeof(head) + n) || !gm_ctl_buf_append(buf, head, sizeof(head)) ||
	    !gm_ctl_buf_append(buf, out->start, n))
		return GM_E_NO_MEMORY;
	return GM_E_OK;
}

enum gm_err gm_ctl_request_append(struct gm_ctl_buf *buf, const struct gm_ctl_request *request)
{
	uint8_t frame[64 + GM_CTL_ARGS_MAX * (GM_CTL_KEY_MAX + GM_CTL_TEXT_MAX + 8) + GM_CTL_BODY_MAX];
	struct gm_out out = gm_out(frame, sizeof(frame));

	gm_cbor_put_map(&out, request->body.p ? 4 : 3);
	gm_cbor_put_text(&out, "id");
	gm_cbor_put_uint(&out, request->id);
	gm_cbor_put_text(&out, "verb");
	gm_cbor_put_text(&out, request->verb);
	gm_cbor_put_text(&out, "args");
	gm_cbor_put_map(&out, request->args_n);
	for (const struct gm_ctl_arg *a = request->args; a < request->args + request->args_n; a++) {
		gm_cbor_put_text(&out, a->key);
		if (a->type == GM_CTL_UINT)
			gm_cbor_put_uint(&out, a->u);
		else if (a->type == GM_CTL_BOOL)
			gm_cbor_put_bool(&out, a->u != 0);
		else if (a->type == GM_CTL_TEXT)
			gm_cbor_put_tstr(&out, a->text, a->n);
		else
			gm_cbor_put_bstr(&out, a->text, a->n);
	}
	if (request->body.p) {
		gm_cbor_put_text(&out, "body");
		gm_cbor_put_bstr(&out, request->body.p, request->body.n);
	}
	enum gm_err err = append_frame(buf, &out);
	gm_wipe(frame, sizeof(frame));
	return err;
}

/* ---- answers, written */

void gm_ctl_reply_init(struct gm_ctl_reply *reply, struct gm_ctl_buf *buf, uint64_t id)
{
	reply->buf = buf;
	reply->id = id;
	reply->done = reply->refused = reply->later = reply->waits = reply->no_memory = reply->watches = reply->no_members = false;
	reply->group[0] = '\0';
	reply->pairs = gm_out(reply->scratch, sizeof(reply->scratch));
	reply->pairs_n = 0;
}

static struct gm_out *pair(struct gm_ctl_reply *reply, const char *key)
{
	gm_cbor_put_text(&reply->pairs, key);
	reply->pairs_n++;
	return &reply->pairs;
}

void gm_ctl_put_uint(struct gm_ctl_reply *reply, const char *key, uint64_t v)
{
	gm_cbor_put_uint(pair(reply, key), v);
}

void gm_ctl_put_int(struct gm_ctl_reply *reply, const char *key, int64_t v)
{
	gm_cbor_put_int(pair(reply, key), v);
}

void gm_ctl_put_text(struct gm_ctl_reply *reply, const char *key, const char *s)
{
	if (s)
		gm_cbor_put_text(pair(reply, key), s);
	else
		gm_cbor_put_null(pair(reply, key));
}

#define CUT "..."

void gm_ctl_put_text_of(struct gm_ctl_reply *r, const char *key, struct gm_bytes text)
{
	char cut[GM_CTL_TEXT_MAX + 1];
	size_t n = text.n;

	if (n > GM_CTL_TEXT_MAX)
		for (n = GM_CTL_TEXT_MAX - strlen(CUT); n && (text.p[n] & 0xc0) == 0x80; n--)
			;
	for (size_t i = 0; i < n; i++)
		cut[i] = text.p[i] ? (char)text.p[i] : '?'; /* as gmctl shows what else is no text */
	snprintf(cut + n, sizeof(cut) - n, "%s", n < text.n ? CUT : "");
	gm_ctl_put_text(r, key, text.p ? cut : NULL);
}

void gm_ctl_put_bytes(struct gm_ctl_reply *reply, const char *key, const void *p, size_t n)
{
	gm_cbor_put_bstr(pair(reply, key), p, n);
}

void gm_ctl_put_bool(struct gm_ctl_reply *reply, const char *key, bool v)
{
	gm_cbor_put_bool(pair(reply, key), v);
}

static void emit(struct gm_ctl_reply *reply, const struct gm_out *out)
{
	if (append_frame(reply->buf, out) != GM_E_OK)
		reply->no_memory = true;
	reply->pairs = gm_out(reply->scratch, sizeof(reply->scratch));
	reply->pairs_n = 0;
}

static void emit_pairs(struct gm_ctl_reply *reply, const char *name)
{
	uint8_t frame[GM_CTL_ROW_MAX + 64];
	struct gm_out out = gm_out(frame, sizeof(frame));

	gm_cbor_put_map(&out, 2);
	gm_cbor_put_text(&out, "id");
	gm_cbor_put_uint(&out, reply->id);
	gm_cbor_put_text(&out, name);
	gm_cbor_put_map(&out, reply->pairs_n);
	gm_out_bytes(&out, reply->scratch, gm_out_len(&reply->pairs));
	if (reply->pairs.err != GM_E_OK)
		out.err = reply->pairs.err;
	emit(reply, &out);
}

void gm_ctl_row(struct gm_ctl_reply *reply)
{
	emit_pairs(reply, "row");
}

void gm_ctl_end(struct gm_ctl_reply *reply)
{
	emit_pairs(reply, "end");
	reply->done = true;
}

/* What a format cut in the middle of a character is none: whoever reads the answer would refuse it whole. */
static void keep_utf8(char *text)
{
	const uint8_t *p = (const uint8_t *)text;

	for (size_t n = strlen(text), at = 0, len; at < n; at += len ? len : 1) {
		len = gm_utf8_len(p + at, n - at);
		if (!len)
			text[at] = '?';
	}
}

void gm_ctl_error(struct gm_ctl_reply *reply, enum gm_err err, const char *fmt, ...)
{
	uint8_t frame[1024];
	struct gm_out out = gm_out(frame, sizeof(frame));
	char text[512], code[32];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	keep_utf8(text);
	snprintf(code, sizeof(code), "%s", gm_err_info(err)->name);
	for (char *c = code; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	gm_cbor_put_map(&out, 3);
	gm_cbor_put_text(&out, "id");
	gm_cbor_put_uint(&out, reply->id);
	gm_cbor_put_text(&out, "error");
	gm_cbor_put_text(&out, text);
	gm_cbor_put_text(&out, "code");
	gm_cbor_put_text(&out, code);
	emit(reply, &out);
	reply->done = reply->refused = true;
}

/* ---- answers, read */

enum gm_err gm_ctl_answer_decode(struct gm_bytes frame, struct gm_ctl_answer *answer)
{
	struct gm_in in = gm_in_bytes(frame);
	uint64_t n = gm_cbor_map(&in);
	bool kind = false;

	*answer = (struct gm_ctl_answer){0};
	for (uint64_t i = 0; i < n && in.err == GM_E_OK; i++) {
		struct gm_bytes key = gm_cbor_tstr(&in);
		if (gm_bytes_is(key, "id")) {
			answer->id = gm_cbor_uint(&in);
		} else if (gm_bytes_is(key, "row") || gm_bytes_is(key, "end")) {
			answer->kind = gm_bytes_is(key, "row") ? GM_CTL_ROW : GM_CTL_END;
			if (gm_cbor_peek(&in) != GM_CBOR_MAP)
				gm_in_fail(&in, GM_E_TYPE);
			answer->pairs = gm_cbor_item(&in);
			kind = true;
		} else if (gm_bytes_is(key, "error")) {
			answer->kind = GM_CTL_ERROR;
			answer->error = gm_cbor_tstr(&in);
			kind = true;
		} else if (gm_bytes_is(key, "code")) {
			answer->code = gm_cbor_tstr(&in);
		} else {
			gm_cbor_skip(&in);
		}
	}
	GM_TRY(gm_cbor_end(&in));
	return kind ? GM_E_OK : GM_E_MISSING;
}
