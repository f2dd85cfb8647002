/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, held against bytes that a few lines of Python made from the words of RFC 768, 791, 1071 and 8200. */
#include <criterion/criterion.h>

#include "addr.h"
#include "port/frame.h"

static const uint8_t near[6] = {2, 0, 0, 0, 0, 0x0a}, far[6] = {2, 0, 0, 0, 0, 0x0b};

/* The last two are the first with other fragment fields; the sum of v4_zero_sum comes out as zero, sent as all ones. */
static const uint8_t v4[] = {
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x08, 0x00, 0x45, 0x00,
    0x00, 0x25, 0x12, 0x34, 0x00, 0x00, 0x40, 0x11, 0x53, 0xf8, 0x0a, 0x4d, 0x00, 0x02, 0x0a, 0x4d,
    0x00, 0x01, 0x4e, 0x20, 0x16, 0x33, 0x00, 0x11, 0x0d, 0x34, 0x6f, 0x76, 0x65, 0x72, 0x20, 0x49,
    0x50, 0x76, 0x34};
static const uint8_t v6[] = {
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x86, 0xdd, 0x60, 0x00,
    0x00, 0x00, 0x00, 0x12, 0x11, 0x40, 0xfd, 0x77, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xfd, 0x77, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x4e, 0x20, 0x16, 0x33, 0x00, 0x12, 0x24, 0xbb, 0x6f, 0x76,
    0x65, 0x72, 0x20, 0x49, 0x50, 0x76, 0x36, 0x21};
static const uint8_t v4_zero_sum[] = {
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x08, 0x00, 0x45, 0x00,
    0x00, 0x20, 0x00, 0x07, 0x00, 0x00, 0x40, 0x11, 0x66, 0x2a, 0x0a, 0x4d, 0x00, 0x02, 0x0a, 0x4d,
    0x00, 0x01, 0x4e, 0x20, 0x16, 0x33, 0x00, 0x0c, 0xff, 0xff, 0x0c, 0x6c, 0x7a, 0x7a};
static const uint8_t v4_fragment[] = {
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x08, 0x00, 0x45, 0x00,
    0x00, 0x25, 0x12, 0x34, 0x20, 0x00, 0x40, 0x11, 0x33, 0xf8, 0x0a, 0x4d, 0x00, 0x02, 0x0a, 0x4d,
    0x00, 0x01, 0x4e, 0x20, 0x16, 0x33, 0x00, 0x11, 0x0d, 0x34, 0x6f, 0x76, 0x65, 0x72, 0x20, 0x49,
    0x50, 0x76, 0x34};
static const uint8_t v4_last_fragment[] = {
    0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x08, 0x00, 0x45, 0x00,
    0x00, 0x25, 0x12, 0x34, 0x00, 0x10, 0x40, 0x11, 0x53, 0xe8, 0x0a, 0x4d, 0x00, 0x02, 0x0a, 0x4d,
    0x00, 0x01, 0x4e, 0x20, 0x16, 0x33, 0x00, 0x11, 0x0d, 0x34, 0x6f, 0x76, 0x65, 0x72, 0x20, 0x49,
    0x50, 0x76, 0x34};

struct known {
	const uint8_t *frame;
	size_t n;
	const char *peer, *local; /* as the receiver sees it */
	uint16_t ident;
	const char *text;
};

static const struct known known[] = {
    {v4, sizeof(v4), "10.77.0.2:20000", "10.77.0.1:5683", 0x1234, "over IPv4"},
    {v6, sizeof(v6), "[fd77::2]:20000", "[fd77::1]:5683", 0, "over IPv6!"},
    {v4_zero_sum, sizeof(v4_zero_sum), "10.77.0.2:20000", "10.77.0.1:5683", 7, NULL},
};
#define KNOWN_N (sizeof(known) / sizeof(known[0]))

static enum gm_frame_is parse(const uint8_t *p, size_t n, struct gm_frame *f)
{
	return gm_frame_parse(p, n, near, f);
}

Test(frame, reads_what_others_made)
{
	struct gm_frame f;

	for (size_t i = 0; i < KNOWN_N; i++) {
		const struct gm_addr peer = addr(known[i].peer), local = addr(known[i].local);

		cr_assert_eq(parse(known[i].frame, known[i].n, &f), GM_FRAME_UDP);
		cr_expect(gm_addr_eq(&f.peer, &peer) && gm_addr_eq(&f.local, &local));
		cr_expect(gm_frame_udp_good(known[i].frame, &f));
		if (known[i].text)
			cr_expect(f.len == strlen(known[i].text) && memcmp(known[i].frame + f.off, known[i].text, f.len) == 0);
	}
}

Test(frame, lays_out_the_same_bytes)
{
	struct gm_frame f;
	uint8_t buf[256];

	for (size_t i = 0; i < KNOWN_N; i++) {
		struct gm_frame_to to = {.peer = addr(known[i].local), .local = addr(known[i].peer), .ident = known[i].ident};

		memcpy(to.dst, near, 6);
		memcpy(to.src, far, 6);
		cr_assert_eq(parse(known[i].frame, known[i].n, &f), GM_FRAME_UDP);
		memcpy(buf + GM_FRAME_HEAD, known[i].frame + f.off, f.len);
		unsigned head = gm_frame_lay(buf + GM_FRAME_HEAD, f.len, &to);
		cr_expect_eq(head, f.off);
		cr_expect_arr_eq(buf + GM_FRAME_HEAD - head, known[i].frame, known[i].n);
		cr_expect_eq(gm_frame_ip_len(&to.peer, f.len) + GM_FRAME_ETH, known[i].n);
	}
}

Test(frame, leaves_checksums_to_a_card_that_fills_them_in)
{
	struct gm_frame_to to = {.peer = addr("10.77.0.1:5683"), .local = addr("10.77.0.2:20000"), .offload = true};
	uint8_t buf[GM_FRAME_HEAD + 9] = {0};
	unsigned head = gm_frame_lay(buf + GM_FRAME_HEAD, 9, &to);
	const uint8_t *ip = buf + GM_FRAME_HEAD - head + GM_FRAME_ETH;
	uint32_t sum = 0x0a4d + 0x0002 + 0x0a4d + 0x0001 + 17 + 17; /* addresses, protocol, UDP length */

	cr_expect(ip[10] == 0 && ip[11] == 0);
	cr_expect_eq((uint32_t)(ip[26] << 8 | ip[27]), sum);
}

Test(frame, sees_every_flipped_bit_of_an_ipv4_header)
{
	struct gm_frame f;
	uint8_t buf[sizeof(v4)];

	for (unsigned bit = 0; bit < 20 * 8; bit++) {
		memcpy(buf, v4, sizeof(v4));
		buf[GM_FRAME_ETH + bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_expect_eq(parse(buf, sizeof(buf), &f), GM_FRAME_BAD);
	}
}

Test(frame, sees_every_flipped_bit_of_a_payload)
{
	struct gm_frame f;
	uint8_t buf[sizeof(v6)];

	for (unsigned bit = 0; bit < 10 * 8; bit++) {
		memcpy(buf, v6, sizeof(v6));
		cr_assert_eq(parse(buf, sizeof(buf), &f), GM_FRAME_UDP);
		buf[f.off + bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_expect_not(gm_frame_udp_good(buf, &f));
	}
}

Test(frame, takes_no_frame_that_was_cut)
{
	struct gm_frame f;

	for (size_t n = 0; n < sizeof(v4); n++)
		cr_expect_neq(parse(v4, n, &f), GM_FRAME_UDP);
	for (size_t n = 0; n < sizeof(v6); n++)
		cr_expect_neq(parse(v6, n, &f), GM_FRAME_UDP);
}

Test(frame, does_not_mind_padding)
{
	struct gm_frame f;
	uint8_t buf[sizeof(v4) + 18] = {0};

	memcpy(buf, v4, sizeof(v4));
	cr_expect_eq(parse(buf, sizeof(buf), &f), GM_FRAME_UDP);
	cr_expect_eq(f.len, strlen("over IPv4"));
}

Test(frame, leaves_other_frames_to_the_kernel)
{
	struct gm_frame f;
	uint8_t buf[sizeof(v6)];

	cr_expect_eq(gm_frame_parse(v4, sizeof(v4), far, &f), GM_FRAME_OTHER);
	memcpy(buf, v6, sizeof(v6));
	buf[12] = 0x81, buf[13] = 0; /* VLAN */
	cr_expect_eq(parse(buf, sizeof(buf), &f), GM_FRAME_OTHER);
	memcpy(buf, v6, sizeof(v6));
	buf[20] = 6; /* TCP */
	cr_expect_eq(parse(buf, sizeof(buf), &f), GM_FRAME_OTHER);
	buf[20] = 0; /* hop by hop */
	cr_expect_eq(parse(buf, sizeof(buf), &f), GM_FRAME_OTHER);
}

Test(frame, knows_fragments)
{
	struct gm_frame f;
	uint8_t buf[sizeof(v6)];

	cr_expect_eq(parse(v4_fragment, sizeof(v4_fragment), &f), GM_FRAME_FRAGMENT);
	cr_expect_eq(parse(v4_last_fragment, sizeof(v4_last_fragment), &f), GM_FRAME_FRAGMENT);
	memcpy(buf, v6, sizeof(v6));
	buf[20] = 44;
	cr_expect_eq(parse(buf, sizeof(buf), &f), GM_FRAME_FRAGMENT);
}

Test(frame, takes_no_ipv6_without_checksum_and_none_that_passes_for_ipv4)
{
	struct gm_frame f;
	uint8_t buf[sizeof(v6)];

	memcpy(buf, v6, sizeof(v6));
	buf[60] = buf[61] = 0;
	cr_expect_eq(parse(buf, sizeof(buf), &f), GM_FRAME_BAD);
	memcpy(buf, v6, sizeof(v6));
	memcpy(buf + 22, (const uint8_t[12]){[10] = 0xff, [11] = 0xff}, 12);
	cr_expect_eq(parse(buf, sizeof(buf), &f), GM_FRAME_BAD);
}

Test(frame, tells_senders_apart_and_nothing_else)
{
	uint8_t a[sizeof(v4)], b[sizeof(v6)];

	memcpy(a, v4, sizeof(v4));
	memcpy(b, v6, sizeof(v6));
	uint32_t of_v4 = gm_frame_flow(a, sizeof(a)), of_v6 = gm_frame_flow(b, sizeof(b));
	cr_expect(of_v4 && of_v6 && of_v4 != of_v6);
	a[sizeof(a) - 1] ^= 1; /* the payload does not count, nor who it goes to */
	a[33] ^= 1;
	b[53] ^= 1;
	cr_expect_eq(gm_frame_flow(a, sizeof(a)), of_v4);
	cr_expect_eq(gm_frame_flow(b, sizeof(b)), of_v6);
	a[29] ^= 1;
	b[37] ^= 1;
	cr_expect_neq(gm_frame_flow(a, sizeof(a)), of_v4);
	cr_expect_neq(gm_frame_flow(b, sizeof(b)), of_v6);
	cr_expect_eq(gm_frame_flow(v4_fragment, sizeof(v4_fragment)), 0);
	for (size_t n = 0; n < 42; n++)
		cr_expect_eq(gm_frame_flow(v4, n), 0);
}

/* Sixteen bits at a time, as RFC 1071 §1 has it: slower than what it is held against, and written for nothing but that. */
static uint32_t plain_sum(const uint8_t *p, size_t n, uint32_t s)
{
	for (size_t i = 0; i < n; i++)
		s += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void expect_good_sums(const uint8_t *eth, size_t n)
{
	const uint8_t *ip = eth + GM_FRAME_ETH;
	const bool is_v4 = ip[0] == 0x45;
	const size_t head = is_v4 ? 20 : 40, udp_n = n - GM_FRAME_ETH - head;
	const uint32_t pseudo = plain_sum(is_v4 ? ip + 12 : ip + 8, is_v4 ? 8 : 32, (uint32_t)(17 + udp_n));

	if (is_v4)
		cr_assert_eq(plain_sum(ip, 20, 0), 0xffff, "%zu bytes", udp_n);
	cr_assert_eq(plain_sum(ip + head, udp_n, pseudo), 0xffff, "%zu bytes", udp_n);
}

Test(frame, has_right_checksums_at_every_length_and_place)
{
	static const char *const ends[][2] = {{"10.77.0.1:5683", "255.254.253.252:65535"}, {"[fd77::1]:1", "[ffff:ffff::fffe]:5683"}};
	uint8_t buf[GM_FRAME_HEAD + 320];
	struct gm_frame f;

	for (unsigned fill = 0; fill < 3; fill++)
		for (size_t len = 0; len <= 300; len++) {
			const size_t at = GM_FRAME_HEAD + len % 16;
			struct gm_frame_to to = {.local = addr(ends[len % 2][0]), .peer = addr(ends[len % 2][1]), .ident = (uint16_t)(len * 997)};
			for (size_t i = 0; i < len; i++)
				buf[at + i] = fill == 0 ? 0xff : fill == 1 ? 0 : (uint8_t)(i * 151 + len);
			memcpy(to.dst, near, 6);
			const unsigned head = gm_frame_lay(buf + at, len, &to);
			expect_good_sums(buf + at - head, head + len);
			cr_assert_eq(parse(buf + at - head, head + len, &f), GM_FRAME_UDP);
			cr_assert(gm_frame_udp_good(buf + at - head, &f));
			if (len) {
				buf[at + len - 1] ^= 0x10;
				cr_assert_not(gm_frame_udp_good(buf + at - head, &f), "%zu bytes", len);
			}
		}
}
