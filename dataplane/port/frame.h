/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet frames that carry UDP over IPv4 or IPv6: read from a network, laid out around a payload. No I/O. */
#ifndef GM_FRAME_H
#define GM_FRAME_H

#include "gm/addr.h"

#define GM_FRAME_HEAD 62u /* bytes that gm_frame_lay writes before a payload at most */
#define GM_FRAME_ETH 14u

enum gm_frame_is {
	GM_FRAME_UDP,      /* a whole datagram */
	GM_FRAME_OTHER,    /* anything else: VLAN, ARP, TCP, extension headers, not for this MAC; the kernel's business */
	GM_FRAME_FRAGMENT, /* part of a datagram over UDP, or of one that does not say what it is over (IPv6) */
	GM_FRAME_BAD,      /* lengths or the IPv4 header's checksum are wrong, or IPv6 without checksum */
	GM_FRAME_N
};

struct gm_frame {
	struct gm_addr peer, local; /* scope is 0 */
	uint32_t off, len;          /* of the payload */
};

/* Reads n bytes; *frame is set for UDP, and without off and len for FRAGMENT. The UDP checksum is not looked at: on veth
 * it is not filled in, and what comes through here is protected end to end.                      RFC 768, 791, 8200 */
enum gm_frame_is gm_frame_parse(const uint8_t *p, size_t n, const uint8_t mac[static 6], struct gm_frame *frame);
/* Is the UDP checksum of a frame that is UDP right, or absent over IPv4? */
bool gm_frame_udp_good(const uint8_t *p, const struct gm_frame *frame);

/* A number that is the same for all datagrams of one sender; 0: not UDP, or not whole.  Looks at n bytes, trusts none. */
uint32_t gm_frame_flow(const uint8_t *p, size_t n);

struct gm_frame_to {
	uint8_t dst[6], src[6];
	struct gm_addr peer, local; /* of the same family */
	uint16_t ident;             /* IPv4: of the datagram, for those who fragment it */
	bool offload;               /* the card fills in checksums: UDP gets the pseudo header's sum, IPv4 zero */
};

/* Writes the headers in front of len bytes (65,000 at most) of payload; returns how many bytes. */
unsigned gm_frame_lay(uint8_t *payload, size_t len, const struct gm_frame_to *to);
/* Bytes of IP packet that a payload becomes. */
size_t gm_frame_ip_len(const struct gm_addr *peer, size_t len);

#endif
