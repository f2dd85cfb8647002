/* SPDX-License-Identifier: Apache-2.0 */
/* What the rig's Group Manager sends to its members as confirmable messages of its own, in order. */
#ifndef SENDS_H
#define SENDS_H

#include "flow_rig.h"

#define SENDS_MAX 65536u

struct send {
	unsigned member;
	uint64_t ns, hash;
	uint16_t mid;
	struct gm_addr to;
};

struct sends {
	struct flow *r;
	unsigned n;
	struct send at[SENDS_MAX];
};

static inline void sends_tap(void *arg, const struct gm_addr *to, const uint8_t *data, size_t n)
{
	static const uint8_t key[16] = "what was sent";
	struct sends *s = arg;

	if (to->port == 5683 || n < 4 || (data[0] & 0x30) != 0 || s->n == SENDS_MAX) /* CON alone */
		return;
	s->at[s->n++] = (struct send){
		.member = (unsigned)(to->ip[14] << 8 | to->ip[15]),
		.ns = s->r->dp->worker[0]->now_ns,
		.hash = gm_siphash(key, data, n),
		.mid = (uint16_t)(data[2] << 8 | data[3]),
		.to = *to,
	};
}

/* From here on; end with r->far_tap = NULL. */
static inline void sends_watch(struct sends *s, struct flow *r)
{
	s->r = r;
	s->n = 0;
	r->far_arg = s;
	r->far_tap = sends_tap;
}

#endif
