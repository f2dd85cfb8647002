/* SPDX-License-Identifier: Apache-2.0 */
/* A port of plain sockets for members: on IPv4 one socket for all of 127.1.0.0/16, on IPv6 one per member. */
#ifndef GM_MEMBER_SOCKETS_H
#define GM_MEMBER_SOCKETS_H

#include "port/port.h"

#define GM_SOCKETS_MAX 1000u

/* config->listen[0] is the first address; config->arg points to an unsigned: the number of sockets on consecutive
 * ports. */
extern const struct gm_port_ops gm_port_sockets;

#endif
