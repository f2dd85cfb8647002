/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/coap.h"

#define VERSION 1u
#define MARKER 0xffu
#define ONE_BYTE 13u  /* nibble: one more byte, holding the value less 13    RFC 7252 §3.1 */
#define TWO_BYTES 14u /* nibble: two more bytes, holding the value less 269 */
#define TWO_BYTES_FROM 269u
#define SZX_MAX 6u /* RFC 7959 §2.2 */

/* What is understood. Options that ask for what nobody here does (If-None-Match, Q-Block, EDHOC) have no
 * row: being critical, they have to be reported. */
struct rule {
	uint32_t number;
	uint16_t min, max; /* length of the value */
	bool repeatable;
	bool (*keep)(struct gm_coap *msg, struct gm_bytes value); /* false: bad value; NULL: nothing to keep */
};

static uint32_t uint_of(struct gm_bytes value)
{
	uint32_t v = 0;
	for (size_t i = 0; i < value.n; i++)
		v = v << 8 | value.p[i];
	return v;
}

static void keep_one_more(struct gm_coap *msg, struct gm_bytes *list, uint8_t *n, struct gm_bytes value)
{
	if (*n < GM_COAP_PATH_MAX)
		list[(*n)++] = value;
	else
		msg->path_more = true;
}

static bool keep_path(struct gm_coap *msg, struct gm_bytes value)
{
	keep_one_more(msg, msg->path, &msg->path_n, value);
	return true;
}

static bool keep_location(struct gm_coap *msg, struct gm_bytes value)
{
	keep_one_more(msg, msg->location, &msg->location_n, value);
	return true;
}

static bool keep_query(struct gm_coap *msg, struct gm_bytes value)
{
	if (msg->query_n < sizeof(msg->query) / sizeof(msg->query[0]))
		msg->query[msg->query_n++] = value;
	return true;
}

static bool keep_if_match(struct gm_coap *msg, struct gm_bytes value)
{
	if (msg->if_match_n == GM_COAP_IF_MATCH_MAX)
		return false;
	msg->if_match[msg->if_match_n++] = value;
	return true;
}

static bool keep_etag(struct gm_coap *msg, struct gm_bytes value)
{
	if (!msg->etag.p)
		msg->etag = value;
	return true;
}

static bool keep_oscore(struct gm_coap *msg, struct gm_bytes value)
{
	msg->has_oscore = true;
	msg->oscore = value;
	return true;
}

static bool keep_echo(struct gm_coap *msg, struct gm_bytes value)
{
	msg->has_echo = true;
	msg->echo = value;
	return true;
}

static bool keep_observe(struct gm_coap *msg, struct gm_bytes value)
{
	msg->has_observe = true;
	msg->observe = uint_of(value);
	return true;
}

static bool keep_max_age(struct gm_coap *msg, struct gm_bytes value)
{
	msg->has_max_age = true;
	msg->max_age = uint_of(value);
	return true;
}

static bool keep_size2(struct gm_coap *msg, struct gm_bytes value)
{
	msg->size2 = uint_of(value);
	return true;
}

static bool keep_content_format(struct gm_coap *msg, struct gm_bytes value)
{
	msg->content_format = (int32_t)uint_of(value);
	return true;
}

static bool keep_accept(struct gm_coap *msg, struct gm_bytes value)
{
	msg->accept = (int32_t)uint_of(value);
	return true;
}

static bool keep_proxy(struct gm_coap *msg, struct gm_bytes value)
{
	(void)value;
	msg->has_proxy = true;
	return true;
}

static bool keep_block(struct gm_coap_block *block, bool *has, struct gm_bytes value)
{
	uint32_t v = uint_of(value);
	*block = (struct gm_coap_block){.num = v >> 4, .more = v & 8, .szx = v & 7};
	*has = block->szx <= SZX_MAX;
	return *has;
}

static bool keep_block1(struct gm_coap *msg, struct gm_bytes value)
{
	return keep_block(&msg->block1, &msg->has_block1, value);
}

static bool keep_block2(struct gm_coap *msg, struct gm_bytes value)
{
	return keep_block(&msg->block2, &msg->has_block2, value);
}

/* RFC 7252 §5.10, RFC 7641 §2, RFC 7959 §2.1 and §4, RFC 8613 §2, RFC 9175 §2.2.1 */
static const struct rule rules[] = {
    {GM_OPT_IF_MATCH, 0, 8, true, keep_if_match},
    {GM_OPT_URI_HOST, 1, 255, false, NULL},
    {GM_OPT_ETAG, 1, 8, true, keep_etag},
    {GM_OPT_OBSERVE, 0, 3, false, keep_observe},
    {GM_OPT_URI_PORT, 0, 2, false, NULL},
    {GM_OPT_LOCATION_PATH, 0, 255, true, keep_location},
    {GM_OPT_OSCORE, 0, 255, false, keep_oscore},
    {GM_OPT_URI_PATH, 0, 255, true, keep_path},
    {GM_OPT_CONTENT_FORMAT, 0, 2, false, keep_content_format},
    {GM_OPT_MAX_AGE, 0, 4, false, keep_max_age},
    {GM_OPT_URI_QUERY, 0, 255, true, keep_query},
    {GM_OPT_ACCEPT, 0, 2, false, keep_accept},
    {GM_OPT_BLOCK2, 0, 3, false, keep_block2},
    {GM_OPT_BLOCK1, 0, 3, false, keep_block1},
    {GM_OPT_SIZE2, 0, 4, false, keep_size2},
    {GM_OPT_PROXY_URI, 1, 1034, false, keep_proxy},
    {GM_OPT_PROXY_SCHEME, 1, 255, false, keep_proxy},
    {GM_OPT_ECHO, 1, 40, false, keep_echo},
    {UINT32_MAX, 0, 0, false, NULL},
};

/* Elective options that are not understood are passed over, critical ones reported.       RFC 7252 §5.4.1 */
static void keep(struct gm_coap *msg, const struct rule *rule, uint32_t number, bool again, struct gm_bytes value)
{
	bool good =
	    rule->number == number && value.n >= rule->min && value.n <= rule->max && (rule->repeatable || !again);
	if (good && rule->keep)
		good = rule->keep(msg, value);
	if (!good && (number & 1) && !msg->unknown_critical)
		msg->unknown_critical = (uint16_t)number;
}

static uint32_t take_extended(struct gm_in *in, uint32_t nibble)
{
	if (nibble < ONE_BYTE)
		return nibble;
	if (nibble == ONE_BYTE)
		return ONE_BYTE + gm_in_u8(in);
	if (nibble == TWO_BYTES)
		return TWO_BYTES_FROM + gm_in_u16_be(in);
	gm_in_fail(in, GM_E_MALFORMED);
	return 0;
}

static enum gm_err take_options_and_payload(struct gm_in *in, struct gm_coap *msg)
{
	const struct rule *rule = rules;
	uint32_t number = 0;

	while (gm_in_left(in)) {
		uint8_t head = gm_in_u8(in);
		if (head == MARKER) {
			msg->payload = gm_in_take(in, gm_in_left(in));
			msg->has_payload = true;
			return msg->payload.n ? GM_E_OK : GM_E_MALFORMED;
		}
		uint32_t delta = take_extended(in, head >> 4);
		uint32_t n = take_extended(in, head & 0xfu);
		struct gm_bytes value = gm_in_take(in, n);
		number += delta;
		if (in->err != GM_E_OK || number > UINT16_MAX)
			return GM_E_MALFORMED;
		while (rule->number < number) /* both ascend */
			rule++;
		keep(msg, rule, number, delta == 0, value);
	}
	return GM_E_OK;
}

/* Nobody may send these: classes 1, 6 and 7.                                              RFC 7252 §3, §4.2 */
static bool reserved(uint8_t code)
{
	unsigned class = code >> 5;
	return class == 1 || class >= 6;
}

enum gm_err gm_coap_decode(struct gm_bytes datagram, struct gm_coap *msg)
{
	struct gm_in in = gm_in_bytes(datagram);
	*msg = (struct gm_coap){.content_format = GM_CF_NONE, .accept = GM_CF_NONE};

	uint8_t first = gm_in_u8(&in);
	uint8_t code = gm_in_u8(&in);
	uint16_t mid = gm_in_u16_be(&in);
	if (in.err != GM_E_OK || first >> 6 != VERSION)
		return GM_E_MALFORMED;
	msg->type = first >> 4 & 3;
	msg->code = code;
	msg->mid = mid;

	uint8_t token_len = first & 0xf;
	if (reserved(code) || token_len > GM_COAP_TOKEN_MAX || (code == GM_COAP_EMPTY && datagram.n != 4))
		return GM_E_MALFORMED;
	struct gm_bytes token = gm_in_take(&in, token_len);
	if (in.err != GM_E_OK)
		return GM_E_MALFORMED;
	msg->token_len = token_len;
	if (token_len)
		memcpy(msg->token, token.p, token_len);
	enum gm_err err = take_options_and_payload(&in, msg);
	if (msg->if_match_n && !msg->unknown_critical) /* nothing that is open to everybody can be changed */
		msg->unknown_critical = GM_OPT_IF_MATCH;
	return err;
}

enum gm_err gm_coap_decode_inner(struct gm_bytes plain, struct gm_coap *msg)
{
	struct gm_in in = gm_in_bytes(plain);
	*msg = (struct gm_coap){.content_format = GM_CF_NONE, .accept = GM_CF_NONE};

	msg->code = gm_in_u8(&in);
	if (msg->code == GM_COAP_EMPTY || reserved(msg->code))
		return GM_E_MALFORMED;
	return take_options_and_payload(&in, msg);
}

void gm_coap_put_head(struct gm_out *out, uint8_t type, uint8_t code, uint16_t mid, const uint8_t *token,
                      uint8_t token_len)
{
	gm_out_u8(out, (uint8_t)(VERSION << 6 | (type & 3u) << 4 | (token_len & 0xfu)));
	gm_out_u8(out, code);
	gm_out_be(out, mid, 2);
	gm_out_bytes(out, token, token_len);
}

static uint32_t nibble_of(uint32_t v)
{
	return v < ONE_BYTE ? v : v < TWO_BYTES_FROM ? ONE_BYTE : TWO_BYTES;
}

static void put_extended(struct gm_out *out, uint32_t v)
{
	if (v >= TWO_BYTES_FROM)
		gm_out_be(out, v - TWO_BYTES_FROM, 2);
	else if (v >= ONE_BYTE)
		gm_out_u8(out, (uint8_t)(v - ONE_BYTE));
}

void gm_coap_put_option(struct gm_out *out, uint16_t *last, uint16_t number, const void *value, size_t n)
{
	if (number < *last || n > TWO_BYTES_FROM + UINT16_MAX) {
		if (out->err == GM_E_OK)
			out->err = GM_E_USAGE;
		return;
	}
	uint32_t delta = (uint32_t)number - *last;
	gm_out_u8(out, (uint8_t)(nibble_of(delta) << 4 | nibble_of((uint32_t)n)));
	put_extended(out, delta);
	put_extended(out, (uint32_t)n);
	gm_out_bytes(out, value, n);
	*last = number;
}

void gm_coap_put_option_uint(struct gm_out *out, uint16_t *last, uint16_t number, uint32_t value)
{
	uint8_t b[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
	size_t zeros = 0;
	while (zeros < sizeof(b) && b[zeros] == 0)
		zeros++;
	gm_coap_put_option(out, last, number, b + zeros, sizeof(b) - zeros);
}

void gm_coap_put_block(struct gm_out *out, uint16_t *last, uint16_t number, struct gm_coap_block block)
{
	gm_coap_put_option_uint(out, last, number, block.num << 4 | (block.more ? 8u : 0u) | block.szx);
}

void gm_coap_put_path(struct gm_out *out, uint16_t *last, uint16_t number, const char *path, size_t n)
{
	const char *end = path + n;
	if (n && *path == '/')
		path++;
	if (path == end)
		return;
	for (const char *slash; path; path = slash ? slash + 1 : NULL) {
		slash = memchr(path, '/', (size_t)(end - path));
		gm_coap_put_option(out, last, number, path, (size_t)((slash ? slash : end) - path));
	}
}

void gm_coap_put_payload(struct gm_out *out, const void *payload, size_t n)
{
	if (n == 0)
		return;
	gm_out_u8(out, MARKER);
	gm_out_bytes(out, payload, n);
}

void gm_coap_put_empty(struct gm_out *out, uint8_t type, uint16_t mid)
{
	gm_coap_put_head(out, type, GM_COAP_EMPTY, mid, NULL, 0);
}
