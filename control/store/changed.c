/* SPDX-License-Identifier: Apache-2.0 */
#include "store/changed.h"

#include <stdlib.h>

#define FIRST_CAP 65536u
#define HEAD 2u

void gm_changed_end(struct gm_changed *c)
{
	free(c->bytes);
	*c = (struct gm_changed){0};
}

void gm_changed_begin(struct gm_changed *c)
{
	gm_changed_end(c);
	c->on = true;
}

static bool room(struct gm_changed *c, size_t more)
{
	size_t cap = c->cap ? 2 * c->cap : FIRST_CAP;

	if (c->n + more <= c->cap)
		return true;
	uint8_t *bytes = cap <= GM_CHANGED_MAX ? realloc(c->bytes, cap) : NULL;
	if (!bytes)
		return false;
	c->bytes = bytes;
	c->cap = cap;
	return true;
}

void gm_changed_note(struct gm_changed *c, const struct gm_changes *turn)
{
	if (!c->on || c->lost)
		return;
	for (const struct gm_change *change = NULL; (change = gm_changes_next(turn, change));) {
		if (change->table >= GM_TABLE_N)
			continue;
		if (!room(c, HEAD + change->key_n)) {
			c->lost = true;
			return;
		}
		c->bytes[c->n] = change->table;
		c->bytes[c->n + 1] = change->key_n;
		memcpy(c->bytes + c->n + HEAD, change->bytes, change->key_n);
		c->n += HEAD + change->key_n;
	}
}

/* ---- at the other end */

static enum gm_err take(struct gm_in *in, struct gm_changed_key *key)
{
	*key = (struct gm_changed_key){.table = (uint8_t)gm_in_be(in, 1), .key_n = (uint8_t)gm_in_be(in, 1)};
	if (in->err != GM_E_OK || key->table >= GM_TABLE_N || !key->key_n || key->key_n > GM_KEY_MAX || gm_in_left(in) < key->key_n)
		return GM_E_BAD_FORMAT;
	memcpy(key->key, gm_in_take(in, key->key_n).p, key->key_n);
	return GM_E_OK;
}

/* As in the store: by table, and the shorter of two that begin alike is first. */
static int order(const void *a, const void *b)
{
	const struct gm_changed_key *x = a, *y = b;
	int by_table = x->table - y->table, by_key = memcmp(x->key, y->key, x->key_n < y->key_n ? x->key_n : y->key_n);

	return by_table ? by_table : by_key ? by_key : x->key_n - y->key_n;
}

static size_t unique(struct gm_changed_key *keys, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!kept || order(&keys[kept - 1], &keys[i]) != 0)
			keys[kept++] = keys[i];
	return kept;
}

enum gm_err gm_changed_keys(struct gm_bytes bytes, struct gm_changed_key **keys, size_t *n)
{
	struct gm_in in = gm_in_bytes(bytes);
	struct gm_changed_key key, *all;
	size_t count = 0;

	*keys = NULL;
	*n = 0;
	for (; gm_in_left(&in); count++)
		GM_TRY(take(&in, &key));
	if (!count)
		return GM_E_OK;
	all = malloc(count * sizeof(*all));
	if (!all)
		return GM_E_NO_MEMORY;
	in = gm_in_bytes(bytes);
	for (size_t i = 0; i < count; i++) {
		enum gm_err err = take(&in, &all[i]);
		if (err != GM_E_OK) {
			free(all);
			return err;
		}
	}
	qsort(all, count, sizeof(*all), order);
	*keys = all;
	*n = unique(all, count);
	return GM_E_OK;
}
