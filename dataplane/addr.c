/* SPDX-License-Identifier: Apache-2.0 */
#include "gm/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>

#include "port/util.h"

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

/* 1 to 5 digits and nothing else; 0 is a port here: the kernel chooses */
static bool parse_port(uint16_t *port, const char *text)
{
	size_t n = strspn(text, "0123456789");
	uint32_t v = 0;

	if (n == 0 || n > 5 || text[n] != '\0')
		return false;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (uint32_t)(text[i] - '0');
	if (v > UINT16_MAX)
		return false;
	*port = (uint16_t)v;
	return true;
}

static bool parse_v6(struct gm_addr *addr, char *host)
{
	char *zone = strchr(host, '%');

	if (zone) {
		*zone++ = '\0';
		addr->scope = if_nametoindex(zone);
		if (addr->scope == 0)
			return false;
	}
	return inet_pton(AF_INET6, host, addr->ip) == 1;
}

static bool parse_v4(struct gm_addr *addr, const char *host)
{
	memcpy(addr->ip, v4_mapped, sizeof(v4_mapped));
	return inet_pton(AF_INET, host, addr->ip + 12) == 1;
}

bool gm_addr_parse(struct gm_addr *addr, const char *text)
{
	struct gm_addr a = {0};
	char host[GM_ADDR_TEXT];
	bool bracket = text[0] == '[';
	const char *start = text + bracket;
	const char *colon = strchr(start, ':');
	bool v6 = bracket || (colon && strchr(colon + 1, ':'));
	size_t n = bracket ? strcspn(start, "]") : v6 ? strlen(start) : strcspn(start, ":");
	const char *rest = start + n;

	if (n >= sizeof(host) || (bracket && *rest++ != ']'))
		return false;
	memcpy(host, start, n);
	host[n] = '\0';
	if (*rest != '\0' && (*rest != ':' || !parse_port(&a.port, rest + 1)))
		return false;
	if (v6 ? !parse_v6(&a, host) : !parse_v4(&a, host))
		return false;
	*addr = a;
	return true;
}

bool gm_addr_is_v4(const struct gm_addr *addr)
{
	return gm_is_v4(addr->ip);
}

const char *gm_addr_text(const struct gm_addr *addr, char buf[static GM_ADDR_TEXT])
{
	char ip[40], zone[IF_NAMESIZE + 1] = "";

	if (gm_addr_is_v4(addr)) {
		const uint8_t *b = addr->ip + 12;

		snprintf(buf, GM_ADDR_TEXT, "%u.%u.%u.%u:%u", b[0], b[1], b[2], b[3], addr->port);
		return buf;
	}
	inet_ntop(AF_INET6, addr->ip, ip, sizeof(ip));
	if (addr->scope) {
		zone[0] = '%';
		if (!if_indextoname(addr->scope, zone + 1))
			snprintf(zone + 1, IF_NAMESIZE, "%u", addr->scope);
	}
	if (addr->port == 0)
		snprintf(buf, GM_ADDR_TEXT, "%s%s", ip, zone);
	else
		snprintf(buf, GM_ADDR_TEXT, "[%s%s]:%u", ip, zone, addr->port);
	return buf;
}

/* ---- prefixes */

bool gm_prefix_is_v4(const struct gm_prefix *prefix)
{
	return prefix->bits >= 96 && gm_is_v4(prefix->ip);
}

struct gm_prefix gm_prefix_of(const struct gm_addr *addr, uint8_t bits)
{
	struct gm_prefix p = {.bits = bits};
	size_t whole = bits / 8;

	memcpy(p.ip, addr->ip, whole);
	if (bits % 8)
		p.ip[whole] = (uint8_t)(addr->ip[whole] & 0xff << (8 - bits % 8));
	return p;
}

const char *gm_prefix_parse(struct gm_prefix *prefix, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : 0;
	struct gm_addr a = {0};
	char host[GM_ADDR_TEXT];
	uint16_t bits;

	if (!n || n >= sizeof(host) || strlen(slash + 1) > 3 || !parse_port(&bits, slash + 1))
		return "is not a prefix like 2001:db8:15::/64 or 10.1.0.0/16";
	memcpy(host, text, n);
	host[n] = '\0';
	bool v4 = !strchr(host, ':');
	if (strchr(host, '%') || !(v4 ? parse_v4(&a, host) : parse_v6(&a, host)))
		return "is not a prefix like 2001:db8:15::/64 or 10.1.0.0/16";
	if (!v4 && gm_addr_is_v4(&a))
		return "has to be written as IPv4";
	if (bits > (v4 ? 32 : 128))
		return v4 ? "has more than 32 bits" : "has more than 128 bits";
	*prefix = gm_prefix_of(&a, (uint8_t)(v4 ? bits + 96 : bits));
	return memcmp(prefix->ip, a.ip, sizeof(a.ip)) == 0 ? NULL : "has bits set behind its length";
}

const char *gm_prefix_text(const struct gm_prefix *prefix, char buf[static GM_ADDR_TEXT])
{
	bool v4 = gm_prefix_is_v4(prefix);
	char ip[40];

	inet_ntop(v4 ? AF_INET : AF_INET6, prefix->ip + (v4 ? 12 : 0), ip, sizeof(ip));
	snprintf(buf, GM_ADDR_TEXT, "%s/%u", ip, prefix->bits - (v4 ? 96u : 0u));
	return buf;
}
