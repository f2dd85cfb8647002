/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of a card, by rte_flow, that bring our datagrams to our queues. From the thread that makes the device. */
#ifndef GM_DPDK_FLOW_H
#define GM_DPDK_FLOW_H

#include "gm/dp.h"

/* Whole UDP datagrams to the ports of `listen`, of the families heard there: spread over the card's first queues by addresses and
 * ports; the card is started. All rules or none: false, and why has what the driver says. They go with the card. */
bool gm_flow_steer(uint16_t card, uint16_t queues, uint64_t rss, const struct gm_addr *listen, unsigned n,
                   char why[static GM_WHY]);

#endif
