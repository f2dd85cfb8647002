/* SPDX-License-Identifier: Apache-2.0 */
/* A datagram: what was decoded, written again, decodes to the same. */
#include "same.h"

static void put_list(struct gm_out *out, uint16_t *last, uint16_t number, const struct gm_bytes *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		gm_coap_put_option(out, last, number, list[i].p, list[i].n);
}

static void put_uint_if(struct gm_out *out, uint16_t *last, uint16_t number, bool has, uint32_t v)
{
	if (has)
		gm_coap_put_option_uint(out, last, number, v);
}

static void write_again(struct gm_out *out, const struct gm_coap *m)
{
	uint16_t last = 0;
	gm_coap_put_head(out, m->type, m->code, m->mid, m->token, m->token_len);
	put_list(out, &last, GM_OPT_ETAG, &m->etag, m->etag.p != NULL);
	put_uint_if(out, &last, GM_OPT_OBSERVE, m->has_observe, m->observe);
	put_list(out, &last, GM_OPT_LOCATION_PATH, m->location, m->location_n);
	put_list(out, &last, GM_OPT_OSCORE, &m->oscore, m->has_oscore);
	put_list(out, &last, GM_OPT_URI_PATH, m->path, m->path_n);
	put_uint_if(out, &last, GM_OPT_CONTENT_FORMAT, m->content_format != GM_CF_NONE, (uint32_t)m->content_format);
	put_uint_if(out, &last, GM_OPT_MAX_AGE, m->has_max_age, m->max_age);
	put_list(out, &last, GM_OPT_URI_QUERY, m->query, m->query_n);
	put_uint_if(out, &last, GM_OPT_ACCEPT, m->accept != GM_CF_NONE, (uint32_t)m->accept);
	if (m->has_block2)
		gm_coap_put_block(out, &last, GM_OPT_BLOCK2, m->block2);
	if (m->has_block1)
		gm_coap_put_block(out, &last, GM_OPT_BLOCK1, m->block1);
	put_uint_if(out, &last, GM_OPT_SIZE2, m->size2 != 0, m->size2);
	put_list(out, &last, GM_OPT_ECHO, &m->echo, m->has_echo);
	gm_coap_put_payload(out, m->payload.p, m->payload.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_coap msg, again;
	if (gm_coap_decode((struct gm_bytes){data, size}, &msg) != GM_E_OK)
		return 0;

	size_t cap = size + 64; /* numbers and options may only shrink, but for their heads */
	uint8_t *b = malloc(cap);
	struct gm_out out = gm_out(b, cap);
	write_again(&out, &msg);
	insist(out.err == GM_E_OK);
	insist(gm_coap_decode(gm_out_result(&out), &again) == GM_E_OK);
	insist(again.unknown_critical == 0 && !again.path_more);
	insist(msg.type == again.type && msg.mid == again.mid && msg.token_len == again.token_len);
	insist(memcmp(msg.token, again.token, msg.token_len) == 0);
	insist_same(&msg, &again);
	free(b);
	return 0;
}
