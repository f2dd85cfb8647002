/* SPDX-License-Identifier: Apache-2.0 */
/* One gmd hands over to the next while members talk: what both sides say and do, over host/handover.h.
 *
 *   new process                            old process
 *   HELLO                          ->
 *                                  <-      WELCOME: its sockets, whom it reports to, its turn; from here it remembers
 *                                          which records its turns change
 *   loads the store, opens workers
 *   and ports, touches no socket;
 *   tells its workers; READY       ->      goes on till here; now requests that need core wait as datagrams, core
 *                                          answers what it has, commits; reads are answered by the workers
 *                                  <-      FROZEN: the last turn, the keys of what has changed, in a sealed file
 *   loads that anew, tells its
 *   workers; LOADED                ->      workers halt: from here nobody answers
 *                                  <-      CARRIED: windows, last answers, confirmations, datagrams, what was set by hand, in a
 *                                          sealed file
 *   gives them to its workers;
 *   TAKEN                          ->
 *                                  <-      BYE: does nothing any more; ends
 *   sees it end, takes the store's
 *   lock, commits new leases, serves
 *
 * Up to TAKEN the old process goes on as if nothing had been, when the new one ends, hangs up or takes too long; the new one
 * has written nothing. What it loaded before FROZEN serves nobody without the list of what has changed since: where that is lost, nothing
 * comes of it. Without BYE the new one does nothing with what it got: if the old one has ended, it starts as after
 * a crash, else it ends. Sequence numbers are leased anew above all that the old one may have used, so no nonce
 * depends on what is passed. Core thread. */
#ifndef GM_UPGRADE_H
#define GM_UPGRADE_H

#include "ctl/config.h"
#include "ctl/reload.h"
#include "ctl/server.h"
#include "host/handover.h"
#include "turns.h"

#define GM_UPGRADE_HANDED 3 /* exit code of the old process: where its manager takes it for the service, it is to start it again */

struct gm_upgrade {
	struct gm_handover line;
	struct gm_turns *turns; /* the owner's, as what follows */
	const struct gm_config *config;
	int signal_fd; /* old process: a signal ends a hand-over */
	/* old process: one turn without operators; last: nobody is kept waiting behind it. How many events. */
	unsigned (*turn)(void *arg, bool last);
	void (*settings)(void *arg, gm_set_each each, void *to); /* old process: what was set and is in no file */
	void *arg;
	int file, keys; /* in memory */
	/* new process: */
	int sockets[GM_WORKERS_MAX][GM_LISTEN_MAX];
	int control, handover; /* listeners; 0: none */
	uint32_t store;        /* WELCOME's */
	uint64_t first_turn;   /* likewise: behind it the store may be loaded */
	uint64_t last_turn;    /* FROZEN's */
	uint64_t keys_n;       /* bytes */
	const uint8_t *state; /* CARRIED's records */
	size_t state_n;
	unsigned contexts, held, datagrams; /* of them */
};

/* ---- old process */
void gm_upgrade_receive(struct gm_upgrade *u, const struct pollfd *fds, unsigned n, uint64_t now_ms); /* does not return where it hands over */

/* ---- new process. false: why says it; gm_upgrade_alone() tells whether to start as after a crash. */
GM_NODISCARD bool gm_upgrade_begin(struct gm_upgrade *u, char why[static GM_WHY]);
GM_NODISCARD bool gm_upgrade_freeze(struct gm_upgrade *u, char why[static GM_WHY]);
/* Whose records are other ones than before, since first_turn or a later one; free(*keys). */
GM_NODISCARD bool gm_upgrade_changed(const struct gm_upgrade *u, struct gm_changed_key **keys, size_t *n, char why[static GM_WHY]);
GM_NODISCARD bool gm_upgrade_take(struct gm_upgrade *u, char why[static GM_WHY]); /* after it the old process has ended */
void gm_upgrade_settings(const struct gm_upgrade *u, gm_set_each each, void *arg); /* as the old process had them */
void gm_upgrade_replay(struct gm_upgrade *u); /* once all is committed and told: the datagrams */
bool gm_upgrade_alone(const struct gm_upgrade *u);
void gm_upgrade_end(struct gm_upgrade *u);

#endif
