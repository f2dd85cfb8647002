/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/gmctl/gmctl.h"

#include <stdio.h>
#include <stdlib.h>

#include "wire/cbor.h"

static json_t *json_cell(struct gm_in *in)
{
	struct gm_bytes b;
	char *hex;
	json_t *v;

	switch (gm_cbor_peek(in)) {
	case GM_CBOR_UINT:
	case GM_CBOR_NINT:
		return json_integer((json_int_t)gm_cbor_int(in));
	case GM_CBOR_TSTR:
		b = gm_cbor_tstr(in);
		return json_stringn((const char *)b.p, b.n);
	case GM_CBOR_BSTR:
		hex = gm_cli_hex(gm_cbor_bstr(in));
		v = json_string(hex);
		free(hex);
		return v;
	default:
		if (!gm_cbor_is_null(in))
			return json_boolean(gm_cbor_bool(in));
		gm_cbor_null(in);
		return json_null();
	}
}

json_t *gm_cli_object(struct gm_bytes pairs)
{
	struct gm_in in = gm_in_bytes(pairs);
	json_t *object = gm_cli_need(json_object());

	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		char *key = gm_cli_text(gm_cbor_tstr(&in));
		json_object_set_new(object, key, json_cell(&in));
		free(key);
	}
	if (in.err != GM_E_OK)
		gm_cli_die(EXIT_FAILED, "gmd's answer cannot be read");
	return object;
}

/* What a terminal obeys stands in texts alone, and JSON has another form for it there. */
static void put_char(FILE *to, const char *p, size_t len)
{
	uint32_t c = gm_utf8_char((const uint8_t *)p, len);

	if (gm_utf8_hides(c))
		fprintf(to, "\\u%04x", (unsigned)c);
	else
		fwrite(p, 1, len, to);
}

char *gm_cli_dumped(const json_t *object)
{
	char *text = gm_cli_need(json_dumps(object, JSON_COMPACT)), *shown;
	size_t n = strlen(text), shown_n;
	FILE *to = gm_cli_need(open_memstream(&shown, &shown_n));

	for (size_t at = 0, len; at < n; at += len) {
		len = gm_utf8_len((const uint8_t *)text + at, n - at);
		len = len ? len : 1;
		put_char(to, text + at, len);
	}
	free(text);
	if (fclose(to) != 0)
		gm_cli_die(EXIT_FAILED, "no memory");
	return shown;
}

void gm_cli_json(void *arg, struct gm_bytes pairs)
{
	json_t *object = gm_cli_object(pairs);
	char *text = gm_cli_dumped(object);

	(void)arg;
	if (puts(text) == EOF)
		gm_cli_die(EXIT_FAILED, "nobody reads");
	fflush(stdout); /* whoever reads gets whole lines, and at once */
	free(text);
	json_decref(object);
}
