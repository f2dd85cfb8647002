/* SPDX-License-Identifier: Apache-2.0 */
/* CBOR items from a seed, and what our decoder makes of each: for cbor.py, which asks another decoder. Items are drawn freely, with heads
 * longer than needed, or are pieces of the files named, changed here and there.
 *
 *   codec_items SEED N FILE...
 *
 * A record for each on standard output, numbers in network order: length of the item u16; error of the whole, as skipping it says, u8; error of
 * reading it, u8; bytes that it has, u16; length of it written again, u16; the item; what was written. An item is at most 512 bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "cbor_copy.h"

#define ITEM_MAX 512u
#define FILES_MAX 4096u
#define DEEPEST 20u /* a few below what our decoder takes */

static struct file {
	uint8_t *bytes;
	size_t n;
} files[FILES_MAX];
static unsigned files_n;

/* ---- chance */

static uint64_t state;

static uint64_t draw(void) /* splitmix64 */
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
	return n ? (unsigned)(draw() % n) : 0;
}

/* ---- items drawn freely */

static void put_head(struct gm_out *o, unsigned type, uint64_t v)
{
	unsigned least = v < 24 ? 0 : v <= UINT8_MAX ? 1 : v <= UINT16_MAX ? 2 : v <= UINT32_MAX ? 3 : 4;
	unsigned form = below(5) ? least : least + below(5 - least);

	gm_out_u8(o, (uint8_t)(type << 5 | (form ? 23 + form : v)));
	if (form)
		gm_out_be(o, v, (size_t)1 << (form - 1));
}

static uint64_t draw_number(void)
{
	return draw() >> below(64);
}

static void put_text(struct gm_out *o, unsigned type)
{
	static const char *const pieces[] = {"a", "Z", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x91", "\x7f", "\0"};
	static const char bad[][4] = {"\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xc0\x80z", "\xc1\xbfz", "\xf4\x90\x80"};
	uint8_t bytes[64];
	struct gm_out text = gm_out(bytes, sizeof bytes);

	for (unsigned n = below(12); n; n--) {
		const char *piece = pieces[below(7)];
		gm_out_bytes(&text, piece, *piece ? strlen(piece) : 1);
	}
	if (type == 3 && !below(40))
		gm_out_bytes(&text, bad[below(6)], 3);
	if (!below(40))
		gm_out_u8(&text, (uint8_t)draw());
	put_head(o, type, gm_out_len(&text));
	gm_out_bytes(o, bytes, gm_out_len(&text));
}

static void put_simple(struct gm_out *o)
{
	unsigned form = below(16);

	if (form < 8)
		gm_out_u8(o, (uint8_t)(0xf4 + below(4)));
	else if (form < 10)
		gm_out_u8(o, (uint8_t)(0xe0 + below(32)));
	else if (form < 12)
		gm_out_be(o, 0xf800u | below(256), 2);
	else if (form < 14)
		gm_out_be(o, 0xf90000u | below(65536), 3);
	else {
		gm_out_u8(o, (uint8_t)(form == 14 ? 0xfa : 0xfb));
		gm_out_be(o, form == 14 ? draw() >> 32 : draw(), form == 14 ? 4 : 8);
	}
}

static void put_item(struct gm_out *o, unsigned depth)
{
	unsigned type = below(8);

	if (depth >= DEEPEST && type >= 4 && type <= 6)
		type = 0;
	if (type <= 1)
		put_head(o, type, draw_number());
	else if (type <= 3)
		put_text(o, type);
	else if (type == 6)
		put_head(o, type, below(3) ? 16 + below(80) : draw_number());
	else if (type == 7)
		put_simple(o);
	if (type != 4 && type != 5 && type != 6)
		return;
	unsigned n = type == 6 ? 1 : below(depth ? 4 : 6);
	if (type != 6)
		put_head(o, type, n + (!below(200) ? below(3) : 0));
	for (n *= type == 5 ? 2 : 1; n; n--)
		put_item(o, depth + 1);
}

/* ---- changes */

static size_t change(uint8_t *b, size_t n)
{
	static const uint8_t heads[] = {0x00, 0x17, 0x18, 0x1b, 0x20, 0x38, 0x3b, 0x40, 0x5f, 0x60, 0x78, 0x7f, 0x80, 0x9f, 0x9b,
	                                0xa0, 0xbf, 0xbb, 0xc0, 0xc2, 0xd2, 0xd8, 0xf4, 0xf6, 0xf7, 0xf8, 0xf9, 0xfb, 0xff, 0x1c};
	size_t at = below((unsigned)n + 1);

	switch (below(5)) {
	case 0:
		if (at < n)
			b[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		if (at < n)
			b[at] = heads[below(sizeof heads)];
		break;
	case 2:
		if (n < ITEM_MAX) {
			memmove(b + at + 1, b + at, n++ - at);
			b[at] = heads[below(sizeof heads)];
		}
		break;
	case 3:
		if (at < n)
			memmove(b + at, b + at + 1, --n - at);
		break;
	default:
		n = at;
	}
	return n;
}

static size_t make(uint8_t b[static ITEM_MAX])
{
	struct gm_out o = gm_out(b, ITEM_MAX);
	size_t n;

	if (below(2) && files_n) {
		const struct file *f = &files[below(files_n)];
		size_t at = below(4) ? 0 : below((unsigned)f->n);
		n = f->n - at < ITEM_MAX ? f->n - at : ITEM_MAX;
		memcpy(b, f->bytes + at, n);
	} else {
		unsigned under = below(60) ? 0 : below(DEEPEST);
		for (unsigned i = 0; i < under; i++)
			gm_out_u8(&o, below(2) ? 0x81 : 0xd8), gm_out_u8(&o, 0x81); /* an array of an array, or tag 129 */
		put_item(&o, 0);
		n = o.err == GM_E_OK ? gm_out_len(&o) : 0;
	}
	for (unsigned k = below(3) ? 0 : 1 + below(4); k; k--)
		n = change(b, n);
	return n;
}

static void tell(const uint8_t *item, size_t n)
{
	uint8_t written[2 * ITEM_MAX], head[8];
	struct gm_in whole = gm_in(item, n), in = whole;
	struct gm_out out = gm_out(written, sizeof written), o = gm_out(head, sizeof head);

	gm_cbor_skip(&whole);
	if (whole.err == GM_E_OK)
		cbor_copy(&in, &out);
	bool good = whole.err == GM_E_OK && in.err == GM_E_OK && out.err == GM_E_OK;
	gm_out_be(&o, n, 2);
	gm_out_be(&o, whole.err, 1);
	gm_out_be(&o, in.err, 1);
	gm_out_be(&o, whole.err == GM_E_OK ? (uint64_t)(whole.p - item) : 0, 2);
	gm_out_be(&o, good ? gm_out_len(&out) : 0, 2);
	fwrite(head, 1, sizeof head, stdout);
	fwrite(item, 1, n, stdout);
	if (good)
		fwrite(written, 1, gm_out_len(&out), stdout);
}

static bool take_file(const char *path)
{
	struct file *f = &files[files_n];
	FILE *in = fopen(path, "rb");

	if (!in)
		return false;
	f->bytes = malloc(ITEM_MAX);
	f->n = f->bytes ? fread(f->bytes, 1, ITEM_MAX, in) : 0;
	fclose(in);
	if (f->n)
		files_n++;
	else
		free(f->bytes);
	return true;
}

int main(int argc, char **argv)
{
	uint8_t item[ITEM_MAX + 1];

	if (argc < 3) {
		fputs("usage: codec_items SEED N FILE...\n", stderr);
		return 2;
	}
	state = strtoull(argv[1], NULL, 10);
	for (int i = 3; i < argc && files_n < FILES_MAX; i++)
		if (!take_file(argv[i])) {
			perror(argv[i]);
			return 1;
		}
	for (unsigned long n = strtoul(argv[2], NULL, 10); n; n--)
		tell(item, make(item));
	for (unsigned i = 0; i < files_n; i++)
		free(files[i].bytes);
	return fflush(stdout) != 0;
}
