/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/gmas/revoked.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/gmas/hex.h"
#include "wire/cbor.h"

enum { FULL_SET, DIFF_SET, CURSOR, MORE };                       /* RFC 9770 §12 */
enum { INVALID_VALUE, INVALID_SET, OUT_OF_BOUND };               /* RFC 9770 §13 */
#define TRL_ERROR 1

static void *need(void *p)
{
	if (!p) {
		fputs("gmas: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

/* ---- sets */

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, GM_REVOKED_HASH);
}

static void add(struct gm_hashes *h, const uint8_t *hash)
{
	h->at = need(realloc(h->at, (h->n + 1) * sizeof(*h->at)));
	memcpy(h->at[h->n++], hash, GM_REVOKED_HASH);
}

static bool has(const struct gm_hashes *h, const uint8_t *hash)
{
	return h->n && bsearch(hash, h->at, h->n, sizeof(*h->at), by_bytes) != NULL;
}

static void drop(struct gm_hashes *h)
{
	free(h->at);
	*h = (struct gm_hashes){0};
}

/* What a has and b has not. */
static struct gm_hashes without(const struct gm_hashes *a, const struct gm_hashes *b)
{
	struct gm_hashes d = {0};

	for (size_t i = 0; i < a->n; i++)
		if (!has(b, a->at[i]))
			add(&d, a->at[i]);
	return d;
}

/* ---- the file: a hash in hexadecimal digits a line; what begins with # is a comment */

static bool read_line(struct gm_hashes *h, char *line)
{
	uint8_t hash[GM_REVOKED_HASH];
	size_t n, len = strcspn(line, " \t\r\n#");

	if (len == 0)
		return true;
	if (!gm_hex_get(line, len, hash, sizeof(hash), &n) || n != sizeof(hash) || hash[0] != 1)
		return false;
	add(h, hash);
	return true;
}

static bool read_file(const char *path, struct gm_hashes *h)
{
	FILE *f = fopen(path, "re");
	char line[256];
	unsigned number = 0;
	bool good = f != NULL;

	if (!f)
		fprintf(stderr, "gmas: %s: %s\n", path, strerror(errno));
	while (good && fgets(line, sizeof(line), f)) {
		number++;
		good = read_line(h, line);
	}
	if (f && !good)
		fprintf(stderr, "gmas: %s:%u: 01 and a SHA-256 in hexadecimal digits are needed\n", path, number);
	if (f)
		fclose(f);
	if (!good)
		return false;
	if (h->n)
		qsort(h->at, h->n, sizeof(*h->at), by_bytes);
	size_t n = 0;
	for (size_t i = 0; i < h->n; i++)
		if (i == 0 || memcmp(h->at[i], h->at[n - 1], GM_REVOKED_HASH) != 0)
			memmove(h->at[n++], h->at[i], GM_REVOKED_HASH);
	h->n = n;
	return true;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void note_change(struct gm_revoked_list *list, struct gm_revoked_change c)
{
	struct gm_revoked_change *place = &list->change[list->changes++ % GM_REVOKED_MAX_N];

	drop(&place->removed);
	drop(&place->added);
	*place = c;
}

void gm_revoked_enter(struct gm_revoked_list *list, const uint8_t hash[static GM_REVOKED_HASH])
{
	struct gm_revoked_change c = {0};

	if (has(&list->now, hash))
		return;
	add(&list->now, hash);
	qsort(list->now.at, list->now.n, sizeof(*list->now.at), by_bytes);
	add(&c.added, hash);
	note_change(list, c);
}

bool gm_revoked_read(struct gm_revoked_list *list)
{
	struct gm_hashes now = {0};
	struct stat st;

	if (!list->path || stat(list->path, &st) != 0 || same_file(&st, &list->seen))
		return false;
	list->seen = st;
	if (!read_file(list->path, &now)) {
		drop(&now);
		return false;
	}
	struct gm_revoked_change c = {without(&list->now, &now), without(&now, &list->now)};
	drop(&list->now);
	list->now = now;
	if (!c.removed.n && !c.added.n)
		return false;
	note_change(list, c);
	return true;
}

void gm_revoked_forget(struct gm_revoked_list *list)
{
	drop(&list->now);
	for (unsigned i = 0; i < GM_REVOKED_MAX_N; i++) {
		drop(&list->change[i].removed);
		drop(&list->change[i].added);
	}
}

bool gm_revoked_has(const struct gm_revoked_list *list, const uint8_t hash[static GM_REVOKED_HASH])
{
	return has(&list->now, hash);
}

/* ---- queries                                                                RFC 9770 §6.3 */

static bool is_number(struct gm_bytes text, uint64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9' || *v > UINT32_MAX)
			return false;
		*v = *v * 10 + (uint64_t)(text.p[i] - '0');
	}
	return text.n > 0;
}

/* {1: {0: id, ?1: cursor}}; with_cursor: the index of the latest change, or null */
static enum gm_err fault(const struct gm_revoked_list *list, struct gm_out *out, int id, bool with_cursor)
{
	gm_cbor_put_map(out, 1);
	gm_cbor_put_uint(out, TRL_ERROR);
	gm_cbor_put_map(out, with_cursor ? 2 : 1);
	gm_cbor_put_uint(out, 0);
	gm_cbor_put_uint(out, (uint64_t)id);
	if (with_cursor)
		gm_cbor_put_uint(out, 1);
	if (with_cursor && list->changes)
		gm_cbor_put_uint(out, list->changes - 1);
	else if (with_cursor)
		gm_cbor_put_null(out);
	return GM_E_RANGE;
}

static bool value_of(struct gm_bytes query, const char *name, struct gm_bytes *value)
{
	size_t n = strlen(name);

	if (query.n <= n || memcmp(query.p, name, n) != 0 || query.p[n] != '=')
		return false;
	*value = (struct gm_bytes){query.p + n + 1, query.n - n - 1};
	return true;
}

enum gm_err gm_revoked_parse(const struct gm_revoked_list *list, const struct gm_bytes *query, unsigned query_n,
                             struct gm_revoked_query *q, struct gm_out *out)
{
	struct gm_bytes value, cursor = {0};

	*q = (struct gm_revoked_query){0};
	for (unsigned i = 0; i < query_n; i++) {
		if (value_of(query[i], "diff", &value)) {
			if (!is_number(value, &q->n))
				return fault(list, out, INVALID_VALUE, false);
			q->diff = true;
		} else if (value_of(query[i], "cursor", &value)) {
			cursor = value;
			q->has_cursor = true;
		}
	}
	if (q->has_cursor && !q->diff)
		return fault(list, out, INVALID_SET, false);
	if (q->has_cursor && !is_number(cursor, &q->cursor))
		return fault(list, out, INVALID_VALUE, true);
	if (q->has_cursor && list->changes && q->cursor > list->changes - 1)
		return fault(list, out, OUT_OF_BOUND, false);
	return GM_E_OK;
}

/* ---- answers                                                             RFC 9770 §7 to §9 */

static void put_set(struct gm_out *out, const struct gm_hashes *h)
{
	gm_cbor_put_array(out, h->n);
	for (size_t i = 0; i < h->n; i++)
		gm_cbor_put_bstr(out, h->at[i], GM_REVOKED_HASH);
}

size_t gm_revoked_size(const struct gm_revoked_list *list)
{
	size_t n = list->now.n;

	for (unsigned i = 0; i < GM_REVOKED_MAX_N; i++)
		n += list->change[i].removed.n + list->change[i].added.n;
	return 64 + 32u * GM_REVOKED_MAX_N + n * (GM_REVOKED_HASH + 2);
}

static void put_tail(struct gm_out *out, bool has_cursor, uint64_t cursor, bool more)
{
	gm_cbor_put_uint(out, CURSOR);
	if (has_cursor)
		gm_cbor_put_uint(out, cursor);
	else
		gm_cbor_put_null(out);
	gm_cbor_put_uint(out, MORE);
	gm_cbor_put_bool(out, more);
}

static void put_diff(const struct gm_revoked_list *list, const struct gm_revoked_query *q, struct gm_out *out)
{
	uint64_t kept = list->changes < GM_REVOKED_MAX_N ? list->changes : GM_REVOKED_MAX_N, oldest = list->changes - kept;
	uint64_t num = q->n && q->n < GM_REVOKED_MAX_N ? q->n : GM_REVOKED_MAX_N;
	bool lost = q->has_cursor && list->changes && q->cursor + 1 < oldest;
	uint64_t from = q->has_cursor && q->cursor + 1 > oldest ? q->cursor + 1 : oldest;

	if (lost || !list->changes)
		from = list->changes;
	if (list->changes - from > num)
		from = list->changes - num;
	uint64_t n = list->changes - from, batch = n < GM_REVOKED_MAX_BATCH ? n : GM_REVOKED_MAX_BATCH;
	gm_cbor_put_map(out, 3);
	gm_cbor_put_uint(out, DIFF_SET);
	gm_cbor_put_array(out, batch);
	for (uint64_t i = from + batch; i-- > from;) { /* of those the earliest, the newest of them first */
		gm_cbor_put_array(out, 2);
		put_set(out, &list->change[i % GM_REVOKED_MAX_N].removed);
		put_set(out, &list->change[i % GM_REVOKED_MAX_N].added);
	}
	put_tail(out, list->changes && !lost, from + batch - 1, lost || n > batch);
}

void gm_revoked_answer(const struct gm_revoked_list *list, const struct gm_revoked_query *q, struct gm_out *out)
{
	if (q->diff) {
		put_diff(list, q, out);
		return;
	}
	gm_cbor_put_map(out, 2);
	gm_cbor_put_uint(out, FULL_SET);
	put_set(out, &list->now);
	gm_cbor_put_uint(out, CURSOR);
	if (list->changes)
		gm_cbor_put_uint(out, list->changes - 1);
	else
		gm_cbor_put_null(out);
}
