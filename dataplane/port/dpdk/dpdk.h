/* SPDX-License-Identifier: Apache-2.0 */
/* What gmd finds in gmd-dpdk.so under the name gm_port_object. Both sides have to mean the same by the structs. */
#ifndef GM_PORT_DPDK_H
#define GM_PORT_DPDK_H

#include "port/port.h"

struct gm_port_object {
	uint32_t ops_size, config_size, stats_size, dgram_size;
	const char *version; /* GM_VERSION */
	const struct gm_port_ops *ops;
};
#define GM_PORT_OBJECT(port_ops)                                                                                           \
	{                                                                                                                  \
		sizeof(struct gm_port_ops), sizeof(struct gm_port_config), sizeof(struct gm_port_stats),                   \
		    sizeof(struct gm_dgram), GM_VERSION, port_ops                                                          \
	}

extern const struct gm_port_ops gm_port_dpdk; /* within the object */

#endif
