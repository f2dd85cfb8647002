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

void gm_cli_json(void *arg, struct gm_bytes pairs)
{
	json_t *object = gm_cli_object(pairs);

	(void)arg;
	if (json_dumpf(object, stdout, JSON_COMPACT) != 0)
		gm_cli_die(EXIT_FAILED, "nobody reads");
	putchar('\n');
	fflush(stdout); /* whoever reads gets whole lines, and at once */
	json_decref(object);
}
