/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever comes by netlink, as lists and unasked: it stays within its bytes, and what was learned can be asked for. */
#include "insist.h"

#include <stdlib.h>

#include "port/rtnl.h"

#define VA 2u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gm_rtnl r = {.ifindex = VA}; /* with each input the lists are new, and what was before is forgotten */
	uint8_t *copy = malloc(size + !size), mac[6], ip[16];
	size_t step, left = size;
	unsigned bits;

	if (!r.hops)
		r.hops = gm_hops_new();
	insist(r.hops && copy);
	memcpy(copy, data, size);
	gm_hops_begin(r.hops);
	for (const struct nlmsghdr *m; (m = gm_rtnl_first(copy + size - left, left, &step)); left -= step) {
		insist(step >= sizeof(*m) && step <= left);
		gm_rtnl_listed(&r, m);
		gm_rtnl_happened(&r, m);
	}
	gm_hops_done(r.hops, 1);
	for (unsigned i = 0; gm_hops_local(r.hops, i, ip, &bits); i++) {
		insist(bits <= 128 && gm_hops_is_local(r.hops, ip));
		gm_hops_find(r.hops, ip, 1, mac);
	}
	if (size >= 16) /* any address */
		gm_hops_find(r.hops, data + size - 16, 1, mac);
	gm_hops_stale_router(r.hops, ip);
	free(copy);
	return 0;
}
