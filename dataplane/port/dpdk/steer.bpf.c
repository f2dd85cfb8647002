/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel runs this over each frame that an interface receives: whole UDP datagrams to a port and address of ours go to the
 * socket of their receive queue. Everything else, and all where nobody has a socket, is the kernel's as before. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer_map.h"

#define V4_HEAD 0x45              /* without options */
#define V4_MORE_OR_OFFSET 0x3fff

struct { /* by receive queue; DPDK's driver looks for this name */
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, GM_STEER_QUEUES);
	__type(key, int);
	__type(value, int);
} xsks_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, GM_STEER_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct gm_steer_key);
	__type(value, unsigned char);
} gm_ours SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct gm_steer_self);
} gm_self SEC(".maps");

static __always_inline int to_our_mac(const struct ethhdr *eth)
{
	const int first = 0;
	const struct gm_steer_self *self = bpf_map_lookup_elem(&gm_self, &first);

	if (!self)
		return 0;
	for (int i = 0; i < ETH_ALEN; i++)
		if (eth->h_dest[i] != self->mac[i])
			return 0;
	return 1;
}

/* Where the UDP header is, with the address it goes to; NULL: not UDP, not whole, or with extensions. */
static __always_inline const struct udphdr *find_udp(const struct ethhdr *eth, const void *end, struct gm_steer_key *key)
{
	const struct iphdr *v4 = (const void *)(eth + 1);
	const struct ipv6hdr *v6 = (const void *)(eth + 1);

	if (eth->h_proto == bpf_htons(ETH_P_IP) && (const void *)(v4 + 1) <= end) {
		if (*(const unsigned char *)v4 != V4_HEAD || v4->protocol != IPPROTO_UDP ||
		    v4->frag_off & bpf_htons(V4_MORE_OR_OFFSET))
			return 0;
		key->ip[10] = key->ip[11] = 0xff;
		__builtin_memcpy(key->ip + 12, &v4->daddr, 4);
		return (const void *)(v4 + 1);
	}
	if (eth->h_proto == bpf_htons(ETH_P_IPV6) && (const void *)(v6 + 1) <= end && v6->version == 6 &&
	    v6->nexthdr == IPPROTO_UDP) {
		__builtin_memcpy(key->ip, &v6->daddr, 16);
		return (const void *)(v6 + 1);
	}
	return 0;
}

SEC("xdp")
int gm_steer(struct xdp_md *ctx)
{
	const void *end = (const void *)(long)ctx->data_end;
	const struct ethhdr *eth = (const void *)(long)ctx->data;
	struct gm_steer_key key = {.bits = GM_STEER_PORT_BITS + 128};

	if ((const void *)(eth + 1) > end || !to_our_mac(eth))
		return XDP_PASS;
	const struct udphdr *udp = find_udp(eth, end, &key);
	if (!udp || (const void *)(udp + 1) > end)
		return XDP_PASS;
	__builtin_memcpy(key.port, &udp->dest, 2);
	if (!bpf_map_lookup_elem(&gm_ours, &key))
		return XDP_PASS;
	return (int)bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
}

char gm_license[] SEC("license") = "Apache-2.0";
