/* SPDX-License-Identifier: Apache-2.0 */
/* A network in memory: ports attach by address through gm_port_mem with the net as config.arg; every other address is a
 * client's, played by the test with gm_mem_send and gm_mem_recv. Time is virtual. All calls may come from any thread.
 * The same seed and the same order of calls give the same losses. */
#ifndef GM_MEM_H
#define GM_MEM_H

#include <stdbool.h>

#include "port/port.h"

#define GM_MEM_DGRAM_MAX 1900u /* bytes; longer ones are truncated: dropped and counted by the receiving port */

struct gm_mem_dgram {
	struct gm_addr from, to;
	uint16_t len;
	uint8_t data[GM_MEM_DGRAM_MAX];
};

struct gm_mem_faults {               /* chances in a million, per datagram and independent */
	uint32_t loss, dup, corrupt; /* corrupt: one bit flipped */
	uint32_t late;               /* arrives late_ns later than it would: overtaken */
	uint64_t late_ns;
	uint64_t delay_ns, jitter_ns; /* every datagram: delay plus 0..jitter */
	uint32_t tx_max;              /* datagrams a port accepts per tx_burst, 0: all */
};

struct gm_mem_config {
	uint64_t seed;
	struct gm_mem_faults faults;
	/* true: wait() never sleeps but moves the clock to what is due next, for tests on one thread.
	 * false: wait() sleeps until the test steps the clock, something is due, or wake() */
	bool wait_steps;
	/* Sees every datagram as sent, before faults; must not call the net. May be NULL */
	void (*tap)(void *arg, const struct gm_addr *from, const struct gm_addr *to, const uint8_t *data, size_t len);
	void *tap_arg;
};

struct gm_mem_net;

/* NULL: out of memory. The clock starts at one second. */
struct gm_mem_net *gm_mem_net_new(const struct gm_mem_config *config);
/* All ports must be closed. */
void gm_mem_net_free(struct gm_mem_net *net);
void gm_mem_set_faults(struct gm_mem_net *net, const struct gm_mem_faults *faults);

uint64_t gm_mem_now(struct gm_mem_net *net);
/* Move the clock by ns and wake the ports that sleep. */
void gm_mem_step(struct gm_mem_net *net, uint64_t ns);
/* When the next datagram is due or the next wait() ends, as clock time; UINT64_MAX: nothing waits. */
uint64_t gm_mem_next(struct gm_mem_net *net);
/* All ports sleep in wait() and nothing is due at any. */
bool gm_mem_quiet(struct gm_mem_net *net);

/* As a client: faults apply. */
void gm_mem_send(struct gm_mem_net *net, const struct gm_addr *from, const struct gm_addr *to, const void *data,
                 size_t len);
/* The oldest datagram due at a client's address, at NULL: at any client's. false: none. */
bool gm_mem_recv(struct gm_mem_net *net, const struct gm_addr *at, struct gm_mem_dgram *d);

#endif
