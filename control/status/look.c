/* SPDX-License-Identifier: Apache-2.0 */
#include "status/status.h"

#include <stdio.h>

#include "wire/cbor.h"

#define FRESH_MS 500u     /* however many ask, gmd is asked twice a second at most */
#define LATE_MS 5000u     /* who is late is looked for among all members of a group: seldom */
#define PATIENCE_MS 2000u /* for all of a look */
#define LATE_GROUPS 8u
#define LATE_ROWS 64u

/* ---- rows that are kept */

static bool rows_add(struct rows *rows, struct gm_bytes pairs)
{
	const uint32_t n = (uint32_t)pairs.n;

	return gm_ctl_buf_append(&rows->buf, &n, sizeof(n)) && gm_ctl_buf_append(&rows->buf, pairs.p, pairs.n);
}

bool rows_next(const struct rows *rows, size_t *at, struct gm_bytes *pairs)
{
	uint32_t n;

	if (rows->buf.n - *at < sizeof(n))
		return false;
	memcpy(&n, rows->buf.bytes + *at, sizeof(n));
	*pairs = (struct gm_bytes){rows->buf.bytes + *at + sizeof(n), n};
	*at += sizeof(n) + n;
	return true;
}

static void rows_empty(struct rows *rows)
{
	gm_ctl_buf_free(&rows->buf);
}

/* ---- a look */

/* Which text stands under key; empty: none. */
static struct gm_bytes text_of(struct gm_bytes pairs, const char *key)
{
	struct gm_in in = gm_in_bytes(pairs);

	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		struct gm_bytes k = gm_cbor_tstr(&in);
		if (gm_bytes_is(k, key) && gm_cbor_peek(&in) == GM_CBOR_TSTR)
			return gm_cbor_tstr(&in);
		gm_cbor_skip(&in);
	}
	return (struct gm_bytes){.p = (const uint8_t *)"", .n = 0};
}

static uint64_t value_of(struct gm_bytes pairs)
{
	struct gm_in in = gm_in_bytes(pairs);

	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		struct gm_bytes k = gm_cbor_tstr(&in);
		if (gm_bytes_is(k, "value"))
			return gm_cbor_uint(&in);
		gm_cbor_skip(&in);
	}
	return 0;
}

/* All rows, at most so many; what comes after them is read and dropped. false: look->why */
static bool ask_once(struct look *look, const struct asked *what, uint64_t deadline_ms, unsigned most, struct rows *to)
{
	struct gm_bytes pairs;
	enum link_next next;

	if (!link_send(&look->link, what, deadline_ms, look->why))
		return false;
	while ((next = link_next(&look->link, deadline_ms, &pairs, look->why)) == LINK_ROW) {
		if (most && !rows_add(to, pairs)) {
			snprintf(look->why, sizeof(look->why), "out of memory");
			link_close(&look->link);
			return false;
		}
		most -= most > 0;
	}
	return next == LINK_END;
}

/* gmd may have closed a connection that was quiet, or have started anew: then there is another try, over a new one. */
static bool ask(struct look *look, const struct asked *what, uint64_t deadline_ms, unsigned most, struct rows *to)
{
	const bool kept = look->link.fd >= 0;
	const size_t had = to->buf.n;

	return ask_once(look, what, deadline_ms, most, to) ||
	       (kept && look->link.fd < 0 && to->buf.n == had && ask_once(look, what, deadline_ms, most, to));
}

static bool is_late(struct gm_bytes pairs)
{
	return gm_bytes_is(text_of(pairs, "metric"), "gmd_group_late") && value_of(pairs);
}

static bool ask_late(struct look *look, uint64_t deadline_ms)
{
	unsigned groups = 0;
	struct gm_bytes pairs;
	char name[256];

	rows_empty(&look->late);
	for (size_t at = 0; groups < LATE_GROUPS && rows_next(&look->metrics, &at, &pairs);) {
		if (!is_late(pairs))
			continue;
		struct gm_bytes group = text_of(pairs, "group");
		snprintf(name, sizeof(name), "%.*s", (int)group.n, (const char *)group.p);
		const struct asked what = {.verb = "member list", .key = "group", .text = name, .flag = "late"};
		if (!rows_add(&look->late, pairs)) /* tells which group those behind it are of */
			return false;
		if (!ask(look, &what, deadline_ms, LATE_ROWS, &look->late) && look->link.fd < 0)
			return false; /* else the group has just gone */
		groups++;
	}
	look->late_ms = gm_clock_ms();
	return true;
}

static bool judge(struct look *look)
{
	struct gm_bytes pairs;

	look->well = true;
	for (size_t at = 0; rows_next(&look->health, &at, &pairs);)
		look->well &= gm_bytes_is(text_of(pairs, "state"), "ok");
	return true;
}

void look_now(struct look *look)
{
	const uint64_t now = gm_clock_ms(), deadline = now + PATIENCE_MS;
	static const struct asked metrics = {.verb = "metrics"}, health = {.verb = "health"};

	if (look->tried_ms && now < look->tried_ms + FRESH_MS)
		return;
	rows_empty(&look->metrics);
	rows_empty(&look->health);
	look->good = ask(look, &metrics, deadline, UINT32_MAX, &look->metrics) && ask(look, &health, deadline, UINT32_MAX, &look->health) &&
	             judge(look) && ((look->late_ms && now < look->late_ms + LATE_MS) || ask_late(look, deadline));
	look->tried_ms = gm_clock_ms();
}

void look_free(struct look *look)
{
	link_close(&look->link);
	rows_empty(&look->metrics);
	rows_empty(&look->health);
	rows_empty(&look->late);
}
