/* SPDX-License-Identifier: Apache-2.0 */
#include "port/udp.h"

#include <errno.h>
#include <unistd.h>

#include "gm/dp.h"
#include "port/util.h"

#define PROBE_WAIT_MS 3000u
#define PROBE_STEP_MS 20u

static bool set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

static uint32_t ask_rcvbuf(int fd, unsigned bytes)
{
	int got = 0;
	socklen_t n = sizeof(got);

	if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)bytes))
		set(fd, SOL_SOCKET, SO_RCVBUF, (int)bytes);
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &n);
	return (uint32_t)got;
}

/* IPv4 datagrams carry Don't Fragment, whatever the kernel has heard of the path: ours fit 1,280 bytes, no forged ICMP
 * message has us send fragments, and the kernel need not look for an Identification that nobody has had, for each
 * destination another one.                                                              RFC 7252 §4.6 */
static void never_fragment(int fd)
{
	(void)set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
}

/* What came to a socket of one address came to that address: only others ask to be told. */
static bool open_inet(struct gm_udp *u, const struct gm_addr *listen)
{
	u->inet = true;
	u->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	return u->fd >= 0 && set(u->fd, IPPROTO_IP, IP_PKTINFO, gm_is_any(listen->ip));
}

static bool open_inet6(struct gm_udp *u, const struct gm_addr *listen)
{
	u->inet = false;
	u->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	return u->fd >= 0 && set(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) &&
	       set(u->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, gm_is_any(listen->ip));
}

static bool open_socket(struct gm_udp *u, const struct gm_addr *listen)
{
	bool open = gm_is_v4(listen->ip) ? open_inet(u, listen) : open_inet6(u, listen);

	if (open)
		never_fragment(u->fd);
	return open;
}

static bool bind_to(struct gm_udp *u, const struct gm_addr *listen)
{
	union gm_udp_name name;
	socklen_t n = gm_udp_put_name(u, &name, listen);

	if (bind(u->fd, &name.any, n) < 0 || getsockname(u->fd, &name.any, &n) < 0)
		return false;
	u->bound = gm_udp_get_name(&name);
	return true;
}

enum gm_err gm_udp_open(struct gm_udp *u, const struct gm_addr *listen, unsigned rcvbuf)
{
	if (!open_socket(u, listen) || !set(u->fd, SOL_SOCKET, SO_REUSEPORT, 1) || !bind_to(u, listen)) {
		int why = errno;

		gm_udp_close(u);
		errno = why;
		return GM_E_IO;
	}
	u->rcvbuf = ask_rcvbuf(u->fd, rcvbuf);
	return GM_E_OK;
}

enum gm_err gm_udp_adopt(struct gm_udp *u, int fd, unsigned rcvbuf)
{
	union gm_udp_name name;
	socklen_t n = sizeof(name);

	*u = (struct gm_udp){.fd = fd};
	if (getsockname(fd, &name.any, &n) < 0) {
		int why = errno;

		gm_udp_close(u);
		errno = why;
		return GM_E_IO;
	}
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): getsockname() fills it, by a transparent union */
	u->inet = name.any.sa_family == AF_INET;
	u->bound = gm_udp_get_name(&name);
	u->rcvbuf = ask_rcvbuf(fd, rcvbuf);
	return GM_E_OK;
}

enum gm_err gm_udp_probe(const struct gm_addr *listen)
{
	struct gm_udp u = {.fd = -1};
	enum gm_err err = open_socket(&u, listen) && bind_to(&u, listen) ? GM_E_OK : GM_E_IO;
	int why = errno;

	gm_udp_close(&u);
	errno = why;
	return err;
}

void gm_udp_close(struct gm_udp *u)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
}

enum gm_err gm_udp_open_all(struct gm_udp u[static GM_LISTEN_MAX], unsigned *n, const struct gm_port_config *config,
                            unsigned rcvbuf, uint32_t *granted)
{
	*granted = UINT32_MAX;
	for (*n = 0; *n < config->listen_n; ++*n) {
		bool ours = config->sockets && config->sockets[*n] >= 0;
		GM_TRY(ours ? gm_udp_adopt(&u[*n], config->sockets[*n], rcvbuf) : gm_udp_open(&u[*n], &config->listen[*n], rcvbuf));
		if (u[*n].rcvbuf < *granted)
			*granted = u[*n].rcvbuf;
	}
	return GM_E_OK;
}

enum gm_err gm_udp_check(const struct gm_port_config *config)
{
	for (unsigned i = 0, waited = 0; i < config->listen_n;) {
		if (gm_udp_probe(&config->listen[i]) == GM_E_OK)
			i++;
		else if (errno != EADDRINUSE || waited >= PROBE_WAIT_MS)
			return GM_E_IO;
		else
			usleep(PROBE_STEP_MS * 1000);
		waited += PROBE_STEP_MS;
	}
	return GM_E_OK;
}

static bool sends(const struct gm_udp *u, const struct gm_addr *local, const struct gm_addr *peer)
{
	if (gm_is_any(local->ip))
		return gm_is_v4(u->bound.ip) == gm_is_v4(peer->ip) || gm_is_any(u->bound.ip);
	return (local->port == 0 || local->port == u->bound.port) &&
	       (gm_is_any(u->bound.ip) || memcmp(local->ip, u->bound.ip, 16) == 0);
}

unsigned gm_udp_pick(const struct gm_udp *u, unsigned n, const struct gm_addr *local, const struct gm_addr *peer)
{
	for (unsigned i = 0; i < n; i++)
		if (sends(&u[i], local, peer))
			return i;
	return 0;
}

static bool link_local(const uint8_t ip[16])
{
	return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

socklen_t gm_udp_put_name(const struct gm_udp *u, union gm_udp_name *name, const struct gm_addr *peer)
{
	memset(name, 0, sizeof(*name));
	if (u->inet && gm_is_v4(peer->ip)) {
		name->v4.sin_family = AF_INET;
		name->v4.sin_port = htons(peer->port);
		memcpy(&name->v4.sin_addr, peer->ip + 12, 4);
		return sizeof(name->v4);
	}
	name->v6.sin6_family = AF_INET6;
	name->v6.sin6_port = htons(peer->port);
	name->v6.sin6_scope_id = peer->scope;
	memcpy(&name->v6.sin6_addr, peer->ip, 16);
	return sizeof(name->v6);
}

struct gm_addr gm_udp_get_name(const union gm_udp_name *name)
{
	struct gm_addr a = {.ip = {[10] = 0xff, [11] = 0xff}};

	if (name->any.sa_family == AF_INET) {
		a.port = ntohs(name->v4.sin_port);
		memcpy(a.ip + 12, &name->v4.sin_addr, 4);
		return a;
	}
	a.port = ntohs(name->v6.sin6_port);
	memcpy(a.ip, &name->v6.sin6_addr, 16);
	a.scope = link_local(a.ip) ? name->v6.sin6_scope_id : 0;
	return a;
}

static size_t put_cmsg(void *control, int level, int type, const void *data, size_t n)
{
	struct cmsghdr *c = control;

	memset(control, 0, CMSG_SPACE(n));
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(c), data, n);
	return CMSG_SPACE(n);
}

size_t gm_udp_put_source(const struct gm_udp *u, void *control, const struct gm_addr *local)
{
	struct in6_pktinfo v6 = {.ipi6_ifindex = local->scope};
	struct in_pktinfo v4 = {0};

	if (gm_is_any(local->ip) || memcmp(local->ip, u->bound.ip, 16) == 0)
		return 0;
	memcpy(&v6.ipi6_addr, local->ip, 16);
	memcpy(&v4.ipi_spec_dst, local->ip + 12, 4);
	return u->inet ? put_cmsg(control, IPPROTO_IP, IP_PKTINFO, &v4, sizeof(v4))
	               : put_cmsg(control, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof(v6));
}

struct gm_addr gm_udp_get_local(const struct gm_udp *u, void *control, size_t n)
{
	struct msghdr m = {.msg_control = control, .msg_controllen = n};
	struct gm_addr a = u->bound;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(a.ip, &info.ipi6_addr, 16);
			a.scope = link_local(a.ip) ? info.ipi6_ifindex : 0;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(a.ip + 12, &info.ipi_addr, 4);
		}
	}
	return a;
}

bool gm_dp_socket_addr(int fd, struct gm_addr *addr)
{
	union gm_udp_name name;
	socklen_t n = sizeof(name), type_n = sizeof(int);
	int type = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_n) < 0 || type != SOCK_DGRAM || getsockname(fd, &name.any, &n) < 0 ||
	    (name.any.sa_family != AF_INET && name.any.sa_family != AF_INET6)) /* NOLINT(clang-analyzer-core.UndefinedBinaryOperatorResult): likewise */
		return false;
	*addr = gm_udp_get_name(&name);
	return true;
}
