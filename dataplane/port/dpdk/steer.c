/* SPDX-License-Identifier: Apache-2.0 */
#include "port/dpdk/steer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/dpdk/eal.h"
#include "port/dpdk/steer_map.h"
#include "port/util.h"

/* What clang made of steer.bpf.c. */
__asm__(".pushsection .rodata\n"
        ".balign 8\n"
        "gm_steer_object: .incbin \"" GM_STEER_OBJECT "\"\n"
        "gm_steer_object_end:\n"
        ".popsection\n");
extern const uint8_t gm_steer_object[], gm_steer_object_end[];

struct gm_steer {
	unsigned ifindex;
	struct bpf_object *object;
	int prog, sockets, ours, link;
	struct gm_steer_key key[GM_STEER_PREFIXES]; /* in the map */
	unsigned key_n;
};

static size_t object_size(void)
{
	return (size_t)(gm_steer_object_end - gm_steer_object);
}

const char *gm_steer_argument(void)
{
	static char argument[64];
	int fd = memfd_create("gm_steer", MFD_CLOEXEC); /* the driver reads it when a queue starts: it stays open */

	if (fd < 0 || write(fd, gm_steer_object, object_size()) != (ssize_t)object_size()) {
		gm_eal_failed("net_af_xdp: a file in memory: %s", strerror(errno));
		return NULL;
	}
	snprintf(argument, sizeof(argument), ",xdp_prog=/proc/self/fd/%d", fd);
	return argument;
}

/* ---- leftovers */

static bool told_of(int fd, struct bpf_prog_info *info)
{
	uint32_t n = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &n) == 0;
}

/* The same name and the same instructions as ours have. */
static bool is_ours(const struct gm_steer *s, int fd)
{
	struct bpf_prog_info mine, its;

	return told_of(s->prog, &mine) && told_of(fd, &its) && memcmp(mine.tag, its.tag, sizeof(mine.tag)) == 0 &&
	       strncmp(mine.name, its.name, sizeof(mine.name)) == 0;
}

static bool take_away(const struct gm_steer *s, int fd)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, expect, .old_prog_fd = fd);

	return bpf_xdp_detach((int)s->ifindex, 0, &expect) == 0;
}

static bool clear(const struct gm_steer *s)
{
	uint32_t id = 0;
	int fd;

	if (bpf_xdp_query_id((int)s->ifindex, 0, &id) < 0 || id == 0)
		return true;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return gm_eal_failed("net_af_xdp: the interface has XDP program %u, and we may not look whose: %s; to take it "
		                     "away: ip link set dev INTERFACE xdp off", id, strerror(errno));
	bool ours = is_ours(s, fd), away = ours && take_away(s, fd);
	close(fd);
	if (away)
		return true;
	return gm_eal_failed("net_af_xdp: the interface has XDP program %u, of %s", id,
	                     ours ? "a gmd that runs" : "somebody else");
}

/* ---- life */

static int map_of(const struct gm_steer *s, const char *name)
{
	return bpf_object__find_map_fd_by_name(s->object, name);
}

static bool load(struct gm_steer *s, const uint8_t mac[static 6])
{
	struct gm_steer_self self;
	const int first = 0;

	s->object = bpf_object__open_mem(gm_steer_object, object_size(), NULL);
	if (!s->object || bpf_object__load(s->object) < 0)
		return gm_eal_failed("net_af_xdp: the kernel does not take the steering program: %s", strerror(errno));
	s->prog = bpf_program__fd(bpf_object__find_program_by_name(s->object, "gm_steer"));
	s->sockets = map_of(s, "xsks_map");
	s->ours = map_of(s, "gm_ours");
	memset(&self, 0, sizeof(self));
	memcpy(self.mac, mac, sizeof(self.mac));
	if (bpf_map_update_elem(map_of(s, "gm_self"), &first, &self, 0) < 0)
		return gm_eal_failed("net_af_xdp: the steering program's map: %s", strerror(errno));
	return true;
}

/* What goes wrong is told in words by those who ask. */
static int say_nothing(enum libbpf_print_level level, const char *text, va_list ap)
{
	(void)level, (void)text, (void)ap;
	return 0;
}

struct gm_steer *gm_steer_new(unsigned ifindex, const uint8_t mac[static 6])
{
	struct gm_steer *s = calloc(1, sizeof(*s));

	if (!s) {
		gm_eal_failed("out of memory");
		return NULL;
	}
	*s = (struct gm_steer){.ifindex = ifindex, .prog = -1, .link = -1};
	libbpf_set_print(say_nothing);
	if (load(s, mac) && clear(s))
		return s;
	gm_steer_free(s);
	return NULL;
}

void gm_steer_free(struct gm_steer *s)
{
	if (!s)
		return;
	if (s->link >= 0)
		close(s->link);
	bpf_object__close(s->object);
	free(s);
}

bool gm_steer_unhook(struct gm_steer *s)
{
	return bpf_xdp_detach((int)s->ifindex, 0, NULL) == 0 ||
	       gm_eal_failed("net_af_xdp: the driver's XDP program stays: %s", strerror(errno));
}

bool gm_steer_queue(struct gm_steer *s, unsigned queue, int fd)
{
	return bpf_map_update_elem(s->sockets, &queue, &fd, 0) == 0 ||
	       gm_eal_failed("net_af_xdp: queue %u: %s", queue, strerror(errno));
}

bool gm_steer_attach(struct gm_steer *s)
{
	s->link = bpf_link_create(s->prog, (int)s->ifindex, BPF_XDP, NULL);
	return s->link >= 0 || gm_eal_failed("net_af_xdp: the steering program: %s", strerror(errno));
}

int gm_steer_find_socket(const int *but, unsigned n)
{
	DIR *dir = opendir("/proc/self/fd");
	int found = -1;

	for (struct dirent *e; dir && found < 0 && (e = readdir(dir));) {
		int fd = atoi(e->d_name), domain = 0;
		socklen_t len = sizeof(domain);
		bool known = e->d_name[0] == '.' || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_XDP;

		for (unsigned i = 0; i < n; i++)
			known = known || but[i] == fd;
		found = known ? -1 : fd;
	}
	if (dir)
		closedir(dir);
	return found;
}

/* ---- what is ours */

struct keys {
	struct gm_steer_key at[GM_STEER_PREFIXES];
	unsigned n;
};

static void add_key(struct keys *k, const uint8_t ip[static 16], unsigned bits, uint16_t port)
{
	if (k->n == GM_STEER_PREFIXES)
		return;
	struct gm_steer_key *key = &k->at[k->n++];
	*key = (struct gm_steer_key){.bits = GM_STEER_PORT_BITS + bits, .port = {(uint8_t)(port >> 8), (uint8_t)port}};
	memcpy(key->ip, ip, 16);
}

static void add_listener(struct keys *k, const struct gm_addr *listen, const struct gm_hops *hops)
{
	bool any = gm_is_any(listen->ip), only_v4 = gm_is_v4(listen->ip);
	uint8_t ip[16];
	unsigned bits;

	if (!any && !gm_is_loopback(listen->ip))
		add_key(k, listen->ip, 128, listen->port);
	for (unsigned i = 0; any && gm_hops_local(hops, i, ip, &bits); i++)
		if (!only_v4 || gm_is_v4(ip))
			add_key(k, ip, bits, listen->port);
}

static bool holds(const struct gm_steer_key *at, unsigned n, const struct gm_steer_key *key)
{
	for (unsigned i = 0; i < n; i++)
		if (memcmp(&at[i], key, sizeof(*key)) == 0)
			return true;
	return false;
}

/* Those that stay are left alone: no frame takes the slow way because others change. */
void gm_steer_listen(struct gm_steer *s, const struct gm_addr *listen, unsigned n, const struct gm_hops *hops)
{
	const uint8_t yes = 1;
	struct keys *k = calloc(1, sizeof(*k)); /* none: what there was stays */

	if (!k)
		return;
	for (unsigned i = 0; i < n; i++)
		add_listener(k, &listen[i], hops);
	for (unsigned i = 0; i < k->n; i++)
		if (!holds(s->key, s->key_n, &k->at[i]))
			bpf_map_update_elem(s->ours, &k->at[i], &yes, 0);
	for (unsigned i = 0; i < s->key_n; i++)
		if (!holds(k->at, k->n, &s->key[i]))
			bpf_map_delete_elem(s->ours, &s->key[i]);
	memcpy(s->key, k->at, k->n * sizeof(k->at[0]));
	s->key_n = k->n;
	free(k);
}
