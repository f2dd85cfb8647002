/* SPDX-License-Identifier: Apache-2.0 */
/* In place of steer.c where clang or libbpf-dev was not there: net_af_xdp then needs a program of somebody else, which is not ours
 * to look after. */
#include "port/dpdk/eal.h"
#include "port/dpdk/steer.h"

static bool nothing(void)
{
	return gm_eal_failed("net_af_xdp: gmd was built without clang or libbpf-dev, so xdp_prog= has to name a program");
}

const char *gm_steer_argument(void)
{
	nothing();
	return NULL;
}

struct gm_steer *gm_steer_new(unsigned ifindex, const uint8_t mac[static 6])
{
	(void)ifindex;
	(void)mac;
	nothing();
	return NULL;
}

void gm_steer_free(struct gm_steer *s)
{
	(void)s;
}

bool gm_steer_unhook(struct gm_steer *s)
{
	(void)s;
	return nothing();
}

bool gm_steer_queue(struct gm_steer *s, unsigned queue, int fd)
{
	(void)s;
	(void)queue;
	(void)fd;
	return nothing();
}

bool gm_steer_attach(struct gm_steer *s)
{
	(void)s;
	return nothing();
}

void gm_steer_listen(struct gm_steer *s, const struct gm_addr *listen, unsigned n, const struct gm_hops *hops)
{
	(void)s;
	(void)listen;
	(void)n;
	(void)hops;
}

int gm_steer_find_socket(const int *but, unsigned n)
{
	(void)but;
	(void)n;
	return -1;
}
