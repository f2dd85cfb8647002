/* SPDX-License-Identifier: Apache-2.0 */
/* A frame that is a datagram lies within its bytes; laid out again it is read as the same, with a good checksum. */
#include "insist.h"

#include <stdlib.h>

#include "port/frame.h"

static void again(const uint8_t *data, const struct gm_frame *f)
{
	struct gm_frame_to to = {.dst = {2, 0, 0, 0, 0, 0x0a}, .peer = f->local, .local = f->peer};
	uint8_t *buf = malloc(GM_FRAME_HEAD + f->len + 1);
	struct gm_frame g;

	memcpy(buf + GM_FRAME_HEAD, data + f->off, f->len);
	unsigned head = gm_frame_lay(buf + GM_FRAME_HEAD, f->len, &to);
	const uint8_t *start = buf + GM_FRAME_HEAD - head;
	insist(gm_frame_parse(start, head + f->len, to.dst, &g) == GM_FRAME_UDP);
	insist(gm_frame_udp_good(start, &g));
	insist(gm_addr_eq(&f->peer, &g.peer) && gm_addr_eq(&f->local, &g.local) && f->len == g.len);
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0x0a};
	struct gm_frame f;

	gm_frame_flow(data, size);
	if (gm_frame_parse(data, size, mac, &f) != GM_FRAME_UDP)
		return 0;
	insist(gm_frame_flow(data, size) != 0);
	insist(f.off <= size && f.len <= size - f.off);
	gm_frame_udp_good(data, &f);
	again(data, &f);
	return 0;
}
