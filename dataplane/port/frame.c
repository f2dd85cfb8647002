/* SPDX-License-Identifier: Apache-2.0 */
#include "port/frame.h"

#include "port/util.h"

#define ETH GM_FRAME_ETH
#define V4 20u
#define V6 40u
#define UDP 8u
#define PROTO_UDP 17u
#define PROTO_FRAGMENT 44u
#define HOPS 64u
#define V4_MORE_OR_OFFSET 0x3fffu
#define ALL_ONES 0xffffu

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "headers are put together as they lie in memory");

static const uint8_t type_v4[2] = {0x08, 0x00}, type_v6[2] = {0x86, 0xdd};

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* ---- checksums: 64 bits of one's complement sum, folded at the end                              RFC 1071 */

typedef unsigned __int128 wide;

/* The last n bytes before end, fewer than eight; whole: there are eight. A copy of so many would be a call. */
static uint64_t tail(const uint8_t *end, size_t n, bool whole)
{
	uint64_t v = 0;

	if (whole && n) {
		memcpy(&v, end - 8, 8);
		return v >> (64 - 8 * n);
	}
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)(end - n)[i] << 8 * i;
	return v;
}

/* Eight bytes a step, in the order of memory: the sum does not mind, the fold gives it back so. Most steps are taken four at a time,
 * on two ways that do not wait for each other. */
static uint64_t sum(const uint8_t *p, size_t n, uint64_t s)
{
	const uint8_t *end = p + n;
	wide all = s + (wide)tail(end, n % 8, n >= 8), other = 0;
	uint64_t v[4];

	for (; end - p >= 32; p += 32) {
		memcpy(v, p, 32);
		all += (wide)v[0] + v[1];
		other += (wide)v[2] + v[3];
	}
	for (; end - p >= 8; p += 8) {
		memcpy(v, p, 8);
		all += v[0];
	}
	all += other;
	s = (uint64_t)all;
	return (s & 0xffffffff) + (s >> 32) + (uint64_t)(all >> 64); /* 2^64 is 2^32 is 1 */
}

static uint16_t fold(uint64_t s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffffffff) + (s >> 32);
	uint32_t half = (uint32_t)(s & 0xffff) + (uint32_t)(s >> 16);
	half = (half & 0xffff) + (half >> 16);
	return (uint16_t)((half & 0xffff) + (half >> 16));
}

static uint64_t halves(uint64_t v)
{
	return (v & 0xffffffff) + (v >> 32);
}

/* As two bytes of a header that is put together in a register. */
static uint64_t be16(size_t v)
{
	return __builtin_bswap16((uint16_t)v);
}

/* What of the pseudo header stands behind the addresses. */
static uint64_t pseudo_tail(size_t udp_len)
{
	return (uint64_t)PROTO_UDP << 8 | be16(udp_len) << 16;
}

/* addrs: source and destination as they lie in the IP header */
static uint64_t pseudo(const uint8_t *addrs, size_t n, size_t udp_len)
{
	return sum(addrs, n, pseudo_tail(udp_len));
}

/* ---- reading */

static void map_v4(uint8_t ip[static 16], const uint8_t *v4)
{
	memset(ip, 0, 10);
	ip[10] = ip[11] = 0xff;
	memcpy(ip + 12, v4, 4);
}

static enum gm_frame_is parse_udp(const uint8_t *udp, size_t n, struct gm_frame *f)
{
	if (n < UDP || get16(udp + 4) < UDP || get16(udp + 4) > n)
		return GM_FRAME_BAD;
	f->peer.port = (uint16_t)get16(udp);
	f->local.port = (uint16_t)get16(udp + 2);
	f->len = get16(udp + 4) - UDP;
	return GM_FRAME_UDP;
}

static enum gm_frame_is parse_v4(const uint8_t *p, size_t n, struct gm_frame *f)
{
	if (n < V4 || p[0] >> 4 != 4)
		return GM_FRAME_BAD;
	size_t head = (size_t)(p[0] & 15) * 4, total = get16(p + 2);
	if (head < V4 || total < head || total > n)
		return GM_FRAME_BAD;
	if (fold(sum(p, head, 0)) != ALL_ONES)
		return GM_FRAME_BAD;
	if (p[9] != PROTO_UDP)
		return GM_FRAME_OTHER;
	map_v4(f->peer.ip, p + 12);
	map_v4(f->local.ip, p + 16);
	if (get16(p + 6) & V4_MORE_OR_OFFSET)
		return GM_FRAME_FRAGMENT;
	f->off = (uint32_t)(ETH + head + UDP);
	return parse_udp(p + head, total - head, f);
}

static enum gm_frame_is parse_v6(const uint8_t *p, size_t n, struct gm_frame *f)
{
	if (n < V6 || p[0] >> 4 != 6 || get16(p + 4) > n - V6)
		return GM_FRAME_BAD;
	if (p[6] != PROTO_UDP && p[6] != PROTO_FRAGMENT)
		return GM_FRAME_OTHER;
	memcpy(f->peer.ip, p + 8, 16);
	memcpy(f->local.ip, p + 24, 16);
	if (gm_is_v4(f->peer.ip) || gm_is_v4(f->local.ip)) /* would pass for IPv4 further up */
		return GM_FRAME_BAD;
	if (p[6] == PROTO_FRAGMENT)
		return GM_FRAME_FRAGMENT;
	f->off = ETH + V6 + UDP;
	enum gm_frame_is is = parse_udp(p + V6, get16(p + 4), f);
	return is == GM_FRAME_UDP && get16(p + V6 + 6) == 0 ? GM_FRAME_BAD : is;
}

enum gm_frame_is gm_frame_parse(const uint8_t *p, size_t n, const uint8_t mac[static 6], struct gm_frame *frame)
{
	*frame = (struct gm_frame){0};
	if (n < ETH || memcmp(p, mac, 6) != 0)
		return GM_FRAME_OTHER;
	if (memcmp(p + 12, type_v4, 2) == 0)
		return parse_v4(p + ETH, n - ETH, frame);
	if (memcmp(p + 12, type_v6, 2) == 0)
		return parse_v6(p + ETH, n - ETH, frame);
	return GM_FRAME_OTHER;
}

bool gm_frame_udp_good(const uint8_t *p, const struct gm_frame *frame)
{
	const uint8_t *udp = p + frame->off - UDP;
	bool v4 = gm_is_v4(frame->peer.ip);
	size_t len = frame->len + UDP;
	uint64_t s = v4 ? pseudo(p + ETH + 12, 8, len) : pseudo(p + ETH + 8, 32, len);

	if (v4 && get16(udp + 6) == 0)
		return true;
	return fold(sum(udp, len, s)) == ALL_ONES;
}

static uint32_t mix(const uint8_t *ip, const uint8_t *port)
{
	uint64_t a, b;

	memcpy(&a, ip, 8);
	memcpy(&b, ip + 8, 8);
	a = (a ^ get16(port) ^ (b * 0x9e3779b97f4a7c15u)) * 0xff51afd7ed558ccdu;
	return (uint32_t)(a >> 32) | 1;
}

uint32_t gm_frame_flow(const uint8_t *p, size_t n)
{
	uint8_t mapped[16];

	if (n >= ETH + V6 + UDP && memcmp(p + 12, type_v6, 2) == 0)
		return p[ETH + 6] == PROTO_UDP ? mix(p + ETH + 8, p + ETH + V6) : 0;
	if (n < ETH + V4 + UDP || memcmp(p + 12, type_v4, 2) != 0)
		return 0;
	size_t head = (size_t)(p[ETH] & 15) * 4;
	if (head < V4 || n < ETH + head + UDP || p[ETH + 9] != PROTO_UDP || get16(p + ETH + 6) & V4_MORE_OR_OFFSET)
		return 0;
	map_v4(mapped, p + ETH + 12);
	return mix(mapped, p + ETH + head);
}

/* ---- laying out */

/* Headers are put together in registers, stored whole, and never read back: their parts would have to leave the core first. */
static void lay_udp(uint8_t *udp, size_t len, uint64_t pseudo_sum, const struct gm_frame_to *to)
{
	uint64_t head = be16(to->local.port) | be16(to->peer.port) << 16 | be16(len) << 32;
	uint16_t check;

	if (to->offload) {
		check = fold(pseudo_sum);
	} else {
		check = (uint16_t)~fold(sum(udp + UDP, len - UDP, pseudo_sum + halves(head)));
		check = check ? check : 0xffff; /* zero says: no checksum */
	}
	head |= (uint64_t)check << 48;
	memcpy(udp, &head, sizeof(head));
}

static void lay_v4(uint8_t *ip, size_t udp_len, const struct gm_frame_to *to)
{
	uint64_t first = 0x45 | be16(V4 + udp_len) << 16 | be16(to->ident) << 32, second = HOPS | PROTO_UDP << 8;
	uint32_t from, dst;

	memcpy(&from, to->local.ip + 12, 4);
	memcpy(&dst, to->peer.ip + 12, 4);
	if (!to->offload)
		second |= (uint64_t)(uint16_t)~fold(halves(first) + second + from + dst) << 16;
	second |= (uint64_t)from << 32;
	memcpy(ip, &first, sizeof(first));
	memcpy(ip + 8, &second, sizeof(second));
	memcpy(ip + 16, &dst, sizeof(dst));
	lay_udp(ip + V4, udp_len, pseudo_tail(udp_len) + from + dst, to);
}

static void lay_v6(uint8_t *ip, size_t udp_len, const struct gm_frame_to *to)
{
	uint64_t first = 0x60 | be16(udp_len) << 32 | (uint64_t)PROTO_UDP << 48 | (uint64_t)HOPS << 56;

	memcpy(ip, &first, sizeof(first));
	memcpy(ip + 8, to->local.ip, 16);
	memcpy(ip + 24, to->peer.ip, 16);
	lay_udp(ip + V6, udp_len, sum(to->peer.ip, 16, sum(to->local.ip, 16, pseudo_tail(udp_len))), to);
}

unsigned gm_frame_lay(uint8_t *payload, size_t len, const struct gm_frame_to *to)
{
	bool v4 = gm_is_v4(to->peer.ip);
	unsigned head = ETH + (v4 ? V4 : V6) + UDP;
	uint8_t *eth = payload - head;

	memcpy(eth, to->dst, 6);
	memcpy(eth + 6, to->src, 6);
	memcpy(eth + 12, v4 ? type_v4 : type_v6, 2);
	if (v4)
		lay_v4(eth + ETH, len + UDP, to);
	else
		lay_v6(eth + ETH, len + UDP, to);
	return head;
}

size_t gm_frame_ip_len(const struct gm_addr *peer, size_t len)
{
	return len + UDP + (gm_is_v4(peer->ip) ? V4 : V6);
}
