/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/gmas/association.h"

#include "gm/crypto.h"
#include "wire/cbor.h"

void gm_server_init(struct gm_server_ctx *ctx, const struct gm_link *link)
{
	*ctx = (struct gm_server_ctx){.link = *link};
}

static enum gm_err derive(const struct gm_link *link, const uint8_t *id_context, size_t n, struct gm_oscore_keys *keys)
{
	struct gm_oscore_input input = {
	    .ms = {link->ms, link->ms_n},
	    .salt = {link->salt, link->salt_n},
	    .id_context = {id_context, n},
	    .sid = {link->rid, link->rid_n}, /* the file is written for the other side */
	    .rid = {link->sid, link->sid_n},
	};

	return gm_oscore_derive(keys, &input);
}

static bool open_with(const struct gm_oscore_keys *keys, const struct gm_coap *msg, const struct gm_oscore_option *option,
                      struct gm_server_request *x)
{
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;

	return gm_oscore_unwrap(keys, msg->payload, option, &x->of, true, x->text, sizeof(x->text), &scratch, &job) == GM_E_OK &&
	       gm_aead_open_many(&job, 1) == 1 &&
	       gm_coap_decode_inner((struct gm_bytes){x->text, job.text_len}, &x->inner) == GM_E_OK;
}

static enum gm_err seal(const struct gm_oscore_keys *keys, const struct gm_oscore_request *request, struct gm_oscore_outer *outer,
                        struct gm_bytes plain, struct gm_out *pkt)
{
	struct gm_oscore_scratch scratch;
	struct gm_aead_job job;
	bool own = outer->option.piv_n > 0;

	GM_TRY(gm_oscore_wrap(keys, outer, request, own ? &keys->sid : &request->kid, own ? outer->option.piv : request->piv,
	                      own ? outer->option.piv_n : request->piv_n, plain, pkt, &scratch, &job));
	return gm_aead_seal_many(&job, 1) == 1 ? GM_E_OK : GM_E_RANGE;
}

enum gm_err gm_server_seal(struct gm_server_ctx *ctx, const struct gm_oscore_request *request, struct gm_oscore_outer *outer,
                           bool own_piv, struct gm_bytes plain, struct gm_out *pkt)
{
	outer->option = (struct gm_oscore_option){0};
	if (own_piv)
		outer->option.piv_n = gm_oscore_piv(outer->option.piv, ctx->seq++);
	return seal(&ctx->keys, request, outer, plain, pkt);
}

/* ---- a context is made */

/* Response #1: 4.01 with R2, under the keys of R2 || R1. R2 is fresh, so the request's nonce serves. */
static enum gm_err answer_hello(struct gm_server_ctx *ctx, const struct gm_coap *msg, const struct gm_server_request *x,
                                struct gm_bytes r1, struct gm_out *pkt)
{
	static const uint8_t unauthorized[] = {GM_COAP(4, 1)};
	uint8_t id_context[GM_SERVER_R2 + 64], kid_context[GM_SERVER_R2 + 2];
	uint8_t *r2 = ctx->r2[ctx->r2_n++ % GM_SERVER_R2S];
	struct gm_out kc = gm_out(kid_context, sizeof(kid_context));
	struct gm_oscore_keys second;
	bool con = msg->type == GM_COAP_CON;
	struct gm_oscore_outer outer = {.type = con ? GM_COAP_ACK : GM_COAP_NON, .code = GM_COAP(2, 4), .mid = msg->mid};

	gm_random(r2, GM_SERVER_R2);
	memcpy(id_context, r2, GM_SERVER_R2);
	memcpy(id_context + GM_SERVER_R2, r1.p, r1.n);
	GM_TRY(derive(&ctx->link, id_context, GM_SERVER_R2 + r1.n, &second));
	gm_cbor_put_bstr(&kc, r2, GM_SERVER_R2);
	outer.token_len = msg->token_len;
	memcpy(outer.token, msg->token, sizeof(outer.token));
	outer.option = (struct gm_oscore_option){.has_kid_context = true, .kid_context = gm_out_result(&kc)};
	enum gm_err err = seal(&second, &x->of, &outer, (struct gm_bytes){unauthorized, 1}, pkt);
	gm_wipe(&second, sizeof(second));
	return err;
}

/* Does the ID Context begin with an R2 that is out? Then it is used up. */
static bool take_r2(struct gm_server_ctx *ctx, struct gm_bytes id)
{
	unsigned n = ctx->r2_n < GM_SERVER_R2S ? ctx->r2_n : GM_SERVER_R2S;

	for (unsigned i = 0; i < n; i++) {
		if (id.n <= GM_SERVER_R2 || memcmp(ctx->r2[i], id.p, GM_SERVER_R2) != 0)
			continue;
		gm_random(ctx->r2[i], GM_SERVER_R2);
		return true;
	}
	return false;
}

static bool has_r2(const struct gm_server_ctx *ctx, struct gm_bytes id)
{
	for (unsigned i = 0; i < ctx->r2_n && i < GM_SERVER_R2S; i++)
		if (id.n > GM_SERVER_R2 && memcmp(ctx->r2[i], id.p, GM_SERVER_R2) == 0)
			return true;
	return false;
}

static enum gm_server_got new_context(struct gm_server_ctx *ctx, const struct gm_coap *msg, const struct gm_oscore_option *option,
                                      struct gm_bytes id, struct gm_server_request *x, struct gm_out *pkt)
{
	bool third = has_r2(ctx, id);
	struct gm_oscore_keys keys;

	if (id.n > sizeof(ctx->id_context) || derive(&ctx->link, id.p, id.n, &keys) != GM_E_OK || !open_with(&keys, msg, option, x))
		return GM_SERVER_BAD;
	if (!third)
		return answer_hello(ctx, msg, x, id, pkt) == GM_E_OK ? GM_SERVER_HELLO : GM_SERVER_BAD;
	take_r2(ctx, id);
	ctx->keys = keys;
	ctx->up = true;
	ctx->generation++;
	ctx->id_context_n = id.n;
	memcpy(ctx->id_context, id.p, id.n);
	ctx->window = (struct gm_oscore_window){0};
	ctx->seq = 0;
	gm_oscore_window_accept(&ctx->window, gm_oscore_piv_seq(option->piv, option->piv_n));
	return GM_SERVER_REQUEST;
}

/* ---- requests */

static enum gm_server_got present_context(struct gm_server_ctx *ctx, const struct gm_coap *msg,
                                          const struct gm_oscore_option *option, struct gm_server_request *x)
{
	uint64_t seq = gm_oscore_piv_seq(option->piv, option->piv_n);

	if (!ctx->up)
		return GM_SERVER_UNKNOWN;
	if (!gm_oscore_window_fresh(&ctx->window, seq))
		return GM_SERVER_REPLAY;
	if (!open_with(&ctx->keys, msg, option, x))
		return GM_SERVER_BAD;
	gm_oscore_window_accept(&ctx->window, seq);
	return GM_SERVER_REQUEST;
}

enum gm_server_got gm_server_open(struct gm_server_ctx *ctx, const struct gm_coap *msg, struct gm_server_request *x,
                                  struct gm_out *pkt)
{
	struct gm_oscore_option option;
	struct gm_bytes id = {0};

	if (gm_oscore_option_decode(msg->oscore, &option) != GM_E_OK || !option.has_kid || !option.piv_n)
		return GM_SERVER_BAD;
	if (!gm_bytes_eq(option.kid, (struct gm_bytes){ctx->link.sid, ctx->link.sid_n}))
		return GM_SERVER_UNKNOWN;
	x->of = (struct gm_oscore_request){.kid.n = (uint8_t)option.kid.n, .piv_n = option.piv_n};
	memcpy(x->of.kid.b, option.kid.p, option.kid.n);
	memcpy(x->of.piv, option.piv, sizeof(option.piv));
	if (option.has_kid_context) {
		struct gm_in in = gm_in_bytes(option.kid_context);
		id = gm_cbor_bstr(&in);
		if (gm_cbor_end(&in) != GM_E_OK || !id.n)
			return GM_SERVER_BAD;
	}
	if (!option.has_kid_context || (ctx->up && gm_bytes_eq(id, (struct gm_bytes){ctx->id_context, ctx->id_context_n})))
		return present_context(ctx, msg, &option, x);
	return new_context(ctx, msg, &option, id, x, pkt);
}
