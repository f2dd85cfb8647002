/* SPDX-License-Identifier: Apache-2.0 */
/* What steer.bpf.c and steer.c both mean. */
#ifndef GM_STEER_MAP_H
#define GM_STEER_MAP_H

#define GM_STEER_QUEUES 64
#define GM_STEER_PREFIXES 4096
#define GM_STEER_PORT_BITS 32 /* of a key, before the address */

struct gm_steer_key { /* a UDP port and a prefix of addresses that are ours */
	unsigned int bits;      /* of what follows */
	unsigned char port[4];  /* in network order, and two zeros */
	unsigned char ip[16];   /* IPv4 mapped */
};

struct gm_steer_self {
	unsigned char mac[6], zero[2];
};

#endif
