/* SPDX-License-Identifier: Apache-2.0 */
/* What members do with their keys: talk to each other, fail to read what is not for them, answer "ping". */
#ifndef GM_TRAFFIC_H
#define GM_TRAFFIC_H

#include "fleet.h"
#include "group_oscore.h"

struct gm_traffic { /* what a sample of members did, in one process */
	unsigned pairs, group_mode, pairwise_mode, monitors;
	unsigned old_keys_refused; /* attempts to read a new message with the keys from before the latest rekey */
	unsigned learned, given;   /* keys of peers from the Group Manager's answers; from the harness */
};
/* Up to sample pairs of requester and responder exchange a request and an answer in each mode the group has. What goes
 * wrong is a failed check of the fleet. */
struct gm_traffic gm_traffic_sample(struct gm_fleet *f, int group, unsigned sample, uint32_t (*draw)(void *, uint32_t),
                                    void *arg);
/* A member that is out cannot read what a member with newer keys sends: how many attempts failed as they must; failed
 * checks otherwise. 0 with a failed check: nobody has newer keys. */
unsigned gm_traffic_evicted(struct gm_fleet *f, const struct gm_member *out);

struct gm_end { /* a member as an endpoint of its group */
	struct gm_group_oscore ctx;
	struct gm_group_endpoint e;
	struct gm_cred_pub pub; /* of a peer */
};
/* With keys k of the group and what Gid they are said to be of. false: no context comes of them */
bool gm_end_with(struct gm_end *end, const struct gm_fleet *f, const struct gm_member *m, const struct gm_member_keys *k,
                 struct gm_bytes gid);
/* With the member's own keys; false: it has none. */
bool gm_end_own(struct gm_end *end, const struct gm_fleet *f, const struct gm_member *m);
/* Somebody whom a member knows: the endpoint only, without a context. */
bool gm_end_peer(struct gm_end *end, const struct gm_fleet *f, unsigned group, struct gm_bytes sid);

/* A peer, as any member of the group learned it from the Group Manager; NULL: nobody did. */
const struct gm_member_peer *gm_traffic_peer(const struct gm_fleet *f, unsigned group, struct gm_bytes sid);

struct gm_ping { /* one request to a member elsewhere */
	struct gm_member *from;
	struct gm_addr to;
	uint8_t sid_n, sid[GM_SID_MAX];
	bool pairwise;
	const char *payload; /* NULL: GET, the answer says "pong"; else POST, the answer says the same */
	/* the rest is the callee's */
	uint8_t token[4], pkt[1024];
	size_t pkt_n;
	struct gm_group_request request;
	bool answered;
	const char *fault; /* NULL: the answer was right */
	uint64_t took_ns;
};
/* Members answer Group OSCORE requests for /ping from now on. */
void gm_ping_listen(struct gm_fleet *f);
/* Send and wait, with repeats, at most timeout_ms; true: answered as it should be. */
bool gm_ping(struct gm_fleet *f, struct gm_ping *ping, uint64_t timeout_ms);

#endif
