/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <stdlib.h>

#include "gm/crypto.h"
#include "gm/pages.h"

#define FIRST_CAP 65536u
#define KEEP_MAX (2u << 20) /* bytes that are kept from turn to turn */

static size_t change_size(size_t key_n, size_t value_n)
{
	return (sizeof(struct gm_change) + key_n + value_n + 7) & ~(size_t)7;
}

/* Not realloc: the old bytes have to be wiped. */
static void grow(struct gm_changes *c, size_t need)
{
	size_t cap = c->cap ? c->cap : FIRST_CAP;

	while (cap < need)
		cap *= 2;
	if (cap == c->cap)
		return;
	uint8_t *bytes = malloc(cap);

	if (!bytes)
		gm_out_of_memory();
	if (c->n)
		memcpy(bytes, c->bytes, c->n);
	if (c->n)
		gm_wipe(c->bytes, c->n);
	free(c->bytes);
	c->bytes = bytes;
	c->cap = cap;
}

/* FNV-1a */
static uint32_t place(uint8_t table, const uint8_t *key, size_t n)
{
	uint32_t h = (2166136261u ^ table) * 16777619u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ key[i]) * 16777619u;
	return (h ^ h >> 16) % GM_CHANGES_LATEST;
}

/* What a turn writes again and again, as the last piece of a group's stale set, reaches the disk once. Keys that share a place make
 * each other forgotten: then both changes are carried out, in order. */
static void supersede(struct gm_changes *c, struct gm_change *change)
{
	uint32_t *at = &c->latest[place(change->table, change->bytes, change->key_n)];
	struct gm_change *before = *at ? (void *)(c->bytes + 8 * (size_t)(*at - 1)) : NULL;

	if (before && before->table == change->table && before->key_n == change->key_n &&
	    memcmp(before->bytes, change->bytes, change->key_n) == 0) {
		before->superseded = 1;
		c->count--;
	}
	const size_t eighth = (size_t)((uint8_t *)change - c->bytes) / 8;
	*at = eighth < UINT32_MAX ? (uint32_t)eighth + 1 : 0;
}

static void add(struct gm_changes *c, const struct gm_change *head, const void *key, const void *value)
{
	size_t size = change_size(head->key_n, head->value_n);

	grow(c, c->n + size);
	struct gm_change *change = (void *)(c->bytes + c->n);

	memset(change, 0, size);
	*change = *head;
	memcpy(change->bytes, key, head->key_n);
	if (head->value_n)
		memcpy(change->bytes + head->key_n, value, head->value_n);
	c->n += size;
	c->count++;
	if (head->table != GM_TABLE_AUDIT) /* entries of a second have one key, and all of them count */
		supersede(c, change);
}

void gm_changes_put(struct gm_changes *c, uint32_t owner, enum gm_table table, const void *key, size_t key_n,
                    const void *value, size_t value_n)
{
	struct gm_change head = {
	    .owner = owner, .table = (uint8_t)table, .key_n = (uint8_t)key_n, .value_n = (uint32_t)value_n};

	add(c, &head, key, value);
}

void gm_changes_remove(struct gm_changes *c, uint32_t owner, enum gm_table table, const void *key, size_t key_n)
{
	struct gm_change head = {.owner = owner, .table = (uint8_t)table, .key_n = (uint8_t)key_n, .remove = 1};

	add(c, &head, key, NULL);
}

const struct gm_change *gm_changes_next(const struct gm_changes *c, const struct gm_change *at)
{
	if (!c->n) /* and perhaps no bytes */
		return NULL;
	const uint8_t *next = at ? (const uint8_t *)at + change_size(at->key_n, at->value_n) : c->bytes, *end = c->bytes + c->n;

	for (; next < end; next += change_size(at->key_n, at->value_n)) {
		at = (const void *)next;
		if (!at->superseded)
			return at;
	}
	return NULL;
}

void gm_changes_reset(struct gm_changes *c)
{
	if (c->n) {
		gm_wipe(c->bytes, c->n);
		memset(c->latest, 0, sizeof(c->latest));
	}
	c->n = 0;
	c->count = 0;
	if (c->cap <= KEEP_MAX)
		return;
	free(c->bytes); /* one turn needed so much */
	c->bytes = NULL;
	c->cap = 0;
}

void gm_changes_free(struct gm_changes *c)
{
	gm_changes_reset(c);
	free(c->bytes);
	*c = (struct gm_changes){0};
}
