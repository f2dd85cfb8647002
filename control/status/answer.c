/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ctl/metrics.h"
#include "status/events.h"
#include "wire/cbor.h"

/* ---- rows as JSON */

static json_t *hex_of(struct gm_bytes b)
{
	char text[129];

	text[0] = '\0';
	for (size_t i = 0; i < b.n && i < 64; i++)
		snprintf(text + 2 * i, 3, "%02x", b.p[i]);
	return json_string(text);
}

static json_t *value_of(struct gm_in *in)
{
	switch (gm_cbor_peek(in)) {
	case GM_CBOR_UINT:
	case GM_CBOR_NINT:
		return json_integer((json_int_t)gm_cbor_int(in));
	case GM_CBOR_TSTR: {
		struct gm_bytes b = gm_cbor_tstr(in);
		return json_stringn((const char *)b.p, b.n);
	}
	case GM_CBOR_BSTR:
		return hex_of(gm_cbor_bstr(in));
	default:
		if (!gm_cbor_is_null(in))
			return json_boolean(gm_cbor_bool(in));
		gm_cbor_null(in);
		return json_null();
	}
}

json_t *json_of_pairs(struct gm_bytes pairs)
{
	struct gm_in in = gm_in_bytes(pairs);
	json_t *object = json_object();

	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		struct gm_bytes key = gm_cbor_tstr(&in);
		char text[GM_CTL_KEY_MAX + 1];
		snprintf(text, sizeof(text), "%.*s", (int)key.n, (const char *)key.p);
		json_object_set_new(object, text, value_of(&in));
	}
	return object;
}

static json_t *json_of_rows(const struct rows *rows)
{
	json_t *array = json_array();
	struct gm_bytes pairs;

	for (size_t at = 0; rows_next(rows, &at, &pairs);)
		json_array_append_new(array, json_of_pairs(pairs));
	return array;
}

/* {"gmd_joins_total": [{"result": "ok", "value": 3}, ...], ...} */
static json_t *json_of_metrics(const struct rows *rows)
{
	json_t *object = json_object();
	struct gm_bytes pairs;

	for (size_t at = 0; rows_next(rows, &at, &pairs);) {
		json_t *row = json_of_pairs(pairs);
		const char *name = json_string_value(json_object_get(row, "metric"));
		json_t *list = name ? json_object_get(object, name) : NULL;
		if (name && !list) {
			list = json_array();
			json_object_set_new(object, name, list);
		}
		if (list)
			json_array_append(list, row);
		if (name)
			json_object_del(row, "metric");
		json_decref(row);
	}
	return object;
}

/* Those of a group stand behind the row that names it. */
static json_t *json_of_late(const struct rows *rows)
{
	json_t *array = json_array();
	char group[256] = "";
	struct gm_bytes pairs;

	for (size_t at = 0; rows_next(rows, &at, &pairs);) {
		json_t *row = json_of_pairs(pairs);
		const char *name = json_string_value(json_object_get(row, "group"));
		if (json_object_get(row, "metric")) {
			snprintf(group, sizeof(group), "%s", name ? name : "");
		} else {
			json_object_set_new(row, "group", json_string(group));
			json_array_append(array, row);
		}
		json_decref(row);
	}
	return array;
}

/* ---- bodies */

static char *text_of(json_t *object, size_t *n)
{
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	*n = text ? strlen(text) : 0;
	return text;
}

static json_t *begin(const struct look *look)
{
	json_t *object = json_object();

	json_object_set_new(object, "state", json_string(!look->good ? "unreachable" : look->well ? "ok" : "degraded"));
	if (!look->good)
		json_object_set_new(object, "error", json_string(look->why));
	else
		json_object_set_new(object, "health", json_of_rows(&look->health));
	return object;
}

char *answer_health(const struct look *look, size_t *n)
{
	return text_of(begin(look), n);
}

char *answer_status(const struct look *look, const struct events *e, size_t *n)
{
	json_t *object = begin(look);

	json_object_set_new(object, "at_ms", json_integer((json_int_t)look->tried_ms));
	json_object_set_new(object, "time", json_integer((json_int_t)time(NULL)));
	json_object_set(object, "events", events_kept(e));
	if (look->good) {
		json_object_set_new(object, "metrics", json_of_metrics(&look->metrics));
		json_object_set_new(object, "late", json_of_late(&look->late));
	}
	return text_of(object, n);
}

char *answer_metrics(const struct look *look, bool open, size_t *n)
{
	struct gm_bytes pairs;
	char *body = NULL;
	FILE *to = open_memstream(&body, n);
	struct gm_metrics_text text = {.to = to, .open = open};

	if (!to)
		return NULL;
	for (size_t at = 0; rows_next(&look->metrics, &at, &pairs);)
		gm_metrics_row(&text, pairs); /* of a gmd that is newer than we are: what we know */
	gm_metrics_end(&text);
	if (fclose(to) == 0)
		return body;
	free(body);
	return NULL;
}
