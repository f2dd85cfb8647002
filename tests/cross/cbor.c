/* SPDX-License-Identifier: Apache-2.0 */
/* Our CBOR decoder beside libcbor: the corpora of all targets, and random items, whole and damaged. What may differ, and why, is the table in
 * tests/fuzz/cbor_peer.c. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>

#include "dice.h"

#include "../fuzz/cbor_peer.c"

#define CASES 100000u
#define ITEM_MAX 256u

static struct gm_dice die;

/* Heads of every length, more of them short; arguments at the edges of their forms. */
static void put_head_of(struct gm_out *out, unsigned major)
{
	static const uint8_t bytes[] = {0, 0, 0, 0, 1, 2, 4, 8};
	unsigned n = bytes[gm_roll(&die, sizeof(bytes))];
	uint64_t v = gm_roll(&die, 30);

	if (gm_roll(&die, 4) == 0)
		gm_roll_bytes(&die, (uint8_t *)&v, sizeof(v));
	if (n == 0) {
		gm_out_u8(out, (uint8_t)(major << 5 | v % 24));
		return;
	}
	gm_out_u8(out, (uint8_t)(major << 5 | (23 + (n == 1 ? 1 : n == 2 ? 2 : n == 4 ? 3 : 4))));
	gm_out_be(out, n == 8 ? v : v & ((UINT64_C(1) << 8 * n) - 1), n);
}

static void put_random(struct gm_out *out, unsigned depth);

static void put_inside(struct gm_out *out, unsigned depth, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		put_random(out, depth + 1);
}

static void put_text_of(struct gm_out *out, size_t n)
{
	static const char *const sequences[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x91", "\xff"};
	const char *text = sequences[gm_roll(&die, 5)];

	for (size_t i = 0; i < n; i += strlen(text))
		gm_out_bytes(out, text, strlen(text) < n - i ? strlen(text) : n - i);
}

/* An item that is well-formed, but for a few that are indefinite, or simple values. */
static void put_random(struct gm_out *out, unsigned depth)
{
	unsigned major = gm_roll(&die, 8);
	uint64_t n = gm_roll(&die, 5);

	if (out->err != GM_E_OK)
		return;
	if (depth > 20)
		major = GM_CBOR_UINT;
	switch (major) {
	case GM_CBOR_BSTR:
		gm_cbor_put_bstr(out, "\x01\x02\x03\x04\x05", n);
		break;
	case GM_CBOR_TSTR:
		gm_cbor_put_bstr_head(out, n);
		if (out->err == GM_E_OK)
			out->p[-1] |= 0x20;
		put_text_of(out, n);
		break;
	case GM_CBOR_ARRAY:
		gm_cbor_put_array(out, n);
		put_inside(out, depth, n);
		break;
	case GM_CBOR_MAP:
		gm_cbor_put_map(out, n);
		put_inside(out, depth, 2 * n);
		break;
	case GM_CBOR_TAG:
		put_head_of(out, GM_CBOR_TAG);
		put_inside(out, depth, 1);
		break;
	default:
		put_head_of(out, major);
		break;
	}
}

static void damage(uint8_t *p, size_t n)
{
	for (unsigned k = gm_roll(&die, 3); n && k; k--)
		p[gm_roll(&die, (uint32_t)n)] = (uint8_t)gm_roll(&die, 256);
}

Test(cbor_peer, random_items_are_read_as_libcbor_reads_them)
{
	uint8_t room[ITEM_MAX];

	for (unsigned i = 0; i < CASES; i++) {
		struct gm_out out = gm_out(room, sizeof(room));

		put_random(&out, 0);
		size_t n = gm_out_len(&out);
		if (i % 2)
			damage(room, n);
		if (i % 8 == 7 && n)
			n = gm_roll(&die, (uint32_t)n);
		uint8_t *exact = malloc(n + !n); /* so that a sanitizer sees what reads behind it */
		memcpy(exact, room, n);
		LLVMFuzzerTestOneInput(exact, n);
		free(exact);
	}
}

static unsigned compare_file(const char *path)
{
	uint8_t bytes[8192];
	FILE *f = fopen(path, "rbe");
	size_t n = f ? fread(bytes, 1, sizeof(bytes), f) : 0;

	if (f)
		fclose(f);
	for (size_t at = 0; at < n; at++) /* a corpus of another target has its items behind something else */
		LLVMFuzzerTestOneInput(bytes + at, n - at);
	return f != NULL;
}

static unsigned compare_all(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned files = 0;

	cr_assert_not_null(d, "%s", dir);
	for (struct dirent *e; (e = readdir(d));) {
		char path[1024];

		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			files += compare_file(path);
	}
	closedir(d);
	return files;
}

Test(cbor_peer, messages_of_the_corpora_are_read_as_libcbor_reads_them)
{
	static const char *const names[] = {"cbor", "cwt", "cose", "join_request", "token_request", "resources", "keying", "creds_filter", "scope",
	                                    "cred", "admin", "introspect", "trl", "ctl_frame"};
	unsigned files = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char dir[512];

		snprintf(dir, sizeof(dir), GM_VECTORS "/../fuzz/corpus/%s", names[i]);
		files += compare_all(dir);
	}
	cr_assert_gt(files, 300);
}
