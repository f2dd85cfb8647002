/* SPDX-License-Identifier: Apache-2.0 */
#include "port/dpdk/flow.h"

#include <rte_errno.h>
#include <rte_flow.h>
#include <stdio.h>

#include "port/port.h"
#include "port/util.h"

#define RULES_MAX (2 * GM_LISTEN_MAX)

struct rules {
	uint16_t card;
	struct rte_flow_action_rss spread;
	unsigned n;
	struct rte_flow *made[RULES_MAX];
	struct { uint16_t port; bool v4; } of[RULES_MAX];
};

static bool has(const struct rules *r, uint16_t port, bool v4)
{
	for (unsigned i = 0; i < r->n; i++)
		if (r->of[i].port == port && r->of[i].v4 == v4)
			return true;
	return false;
}

static bool add(struct rules *r, uint16_t port, bool v4, struct rte_flow_error *error)
{
	const struct rte_flow_attr in = {.ingress = 1};
	const struct rte_flow_item_udp to = {.hdr.dst_port = rte_cpu_to_be_16(port)}, whole = {.hdr.dst_port = 0xffff};
	const struct rte_flow_item pattern[] = {
	    {.type = RTE_FLOW_ITEM_TYPE_ETH},
	    {.type = v4 ? RTE_FLOW_ITEM_TYPE_IPV4 : RTE_FLOW_ITEM_TYPE_IPV6},
	    {.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &to, .mask = &whole},
	    {.type = RTE_FLOW_ITEM_TYPE_END},
	};
	const struct rte_flow_action actions[] = {{.type = RTE_FLOW_ACTION_TYPE_RSS, .conf = &r->spread},
	                                          {.type = RTE_FLOW_ACTION_TYPE_END}};

	if (has(r, port, v4))
		return true;
	r->made[r->n] = rte_flow_create(r->card, &in, pattern, actions, error);
	if (!r->made[r->n])
		return false;
	r->of[r->n].port = port;
	r->of[r->n++].v4 = v4;
	return true;
}

static bool add_all(struct rules *r, const struct gm_addr *listen, unsigned n, struct rte_flow_error *error)
{
	for (unsigned i = 0; i < n; i++) {
		bool v4 = gm_is_v4(listen[i].ip), both = !v4 && gm_is_any(listen[i].ip);

		if (!listen[i].port) /* the kernel will choose one: a test's */
			continue;
		if (!add(r, listen[i].port, v4, error) || (both && !add(r, listen[i].port, true, error)))
			return false;
	}
	return true;
}

bool gm_flow_steer(uint16_t card, uint16_t queues, uint64_t rss, const struct gm_addr *listen, unsigned n,
                   char why[static GM_WHY])
{
	uint16_t queue[GM_WORKERS_MAX];
	struct rules r = {.card = card, .spread = {.types = rss, .queue_num = queues, .queue = queue}};
	struct rte_flow_error error = {0};

	for (uint16_t q = 0; q < queues; q++)
		queue[q] = q;
	if (add_all(&r, listen, n, &error))
		return r.n > 0;
	snprintf(why, GM_WHY, "%s", error.message ? error.message : rte_strerror(rte_errno));
	while (r.n-- > 0)
		rte_flow_destroy(card, r.made[r.n], NULL);
	return false;
}
