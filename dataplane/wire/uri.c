/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/uri.h"

#include <arpa/inet.h>

#define SEGMENT_MAX 255u /* Uri-Path, RFC 7252 §5.10 */

static bool take_prefix(struct gm_in *in, const char *prefix)
{
	size_t n = strlen(prefix);
	if (gm_in_left(in) < n || memcmp(in->p, prefix, n) != 0)
		return false;
	in->p += n;
	return true;
}

/* Bytes up to one of stops or the end. */
static struct gm_bytes take_until(struct gm_in *in, const char *stops)
{
	const uint8_t *from = in->p;
	while (in->p < in->end && (*in->p == 0 || !strchr(stops, *in->p)))
		in->p++;
	return (struct gm_bytes){from, (size_t)(in->p - from)};
}

static bool address(int family, struct gm_bytes text, uint8_t *to)
{
	char s[INET6_ADDRSTRLEN] = {0};
	if (text.n >= sizeof s || memchr(text.p, 0, text.n))
		return false;
	memcpy(s, text.p, text.n);
	return inet_pton(family, s, to) == 1;
}

/* One node: neither multicast nor broadcast nor unspecified, so that nobody has us send to many. */
static bool unicast(const uint8_t ip[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t none[16];

	if (memcmp(ip, mapped, sizeof mapped) == 0)
		return ip[12] != 0 && ip[12] < 224;
	return ip[0] != 0xff && memcmp(ip, none, sizeof none) != 0;
}

static bool read_host(struct gm_in *in, uint8_t ip[static 16])
{
	if (take_prefix(in, "["))
		return address(AF_INET6, take_until(in, "]/"), ip) && take_prefix(in, "]") && unicast(ip);
	memset(ip, 0, 10);
	memset(ip + 10, 0xff, 2);
	return address(AF_INET, take_until(in, ":/"), ip + 12) && unicast(ip);
}

static bool read_port(struct gm_in *in, uint16_t *port)
{
	if (!take_prefix(in, ":"))
		return true;
	struct gm_bytes digits = take_until(in, "/");
	uint32_t v = 0;
	for (size_t i = 0; i < digits.n; i++) {
		if (i == 5 || digits.p[i] < '0' || digits.p[i] > '9')
			return false;
		v = v * 10 + (uint32_t)(digits.p[i] - '0');
	}
	*port = (uint16_t)v;
	return v > 0 && v <= UINT16_MAX;
}

/* pchar without percent-encoding                                                         RFC 3986 §3.3 */
static bool is_pchar(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       (c && strchr("-._~!$&'()*+,;=:@", c));
}

static bool read_path(struct gm_in *in)
{
	while (take_prefix(in, "/")) {
		struct gm_bytes s = take_until(in, "/");
		if (s.n > SEGMENT_MAX || (s.n == 1 && s.p[0] == '.') || (s.n == 2 && s.p[0] == '.' && s.p[1] == '.'))
			return false;
		for (size_t i = 0; i < s.n; i++)
			if (!is_pchar(s.p[i]))
				return false;
	}
	return in->p == in->end;
}

enum gm_err gm_uri_decode(struct gm_bytes text, struct gm_uri *uri)
{
	*uri = (struct gm_uri){0};
	if (!text.n)
		return GM_E_RANGE;
	struct gm_in in = gm_in_bytes(text);
	struct gm_uri u = {0};

	if (!take_prefix(&in, "coap://") || !read_host(&in, u.ip) || !read_port(&in, &u.port))
		return GM_E_RANGE;
	u.path = (struct gm_bytes){in.p, gm_in_left(&in)};
	if (!read_path(&in))
		return GM_E_RANGE;
	if (!u.path.n)
		u.path = (struct gm_bytes){(const uint8_t *)"/", 1};
	*uri = u;
	return GM_E_OK;
}

/* ---- paths of groups */

static void put_segment(struct gm_out *out, struct gm_bytes name)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];
		if (is_pchar(c))
			gm_out_u8(out, c);
		else
			gm_out_bytes(out, (char[]){'%', digits[c >> 4], digits[c & 15]}, 3);
	}
}

void gm_group_path_encode(struct gm_out *out, struct gm_bytes name)
{
	gm_out_bytes(out, GM_GROUPS_PATH "/", sizeof(GM_GROUPS_PATH));
	put_segment(out, name);
}
