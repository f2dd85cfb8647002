/* SPDX-License-Identifier: Apache-2.0 */
/* The line between two gmd processes, of which the second takes over from the first: who is at the other end, messages,
 * descriptors, and the file in memory that holds what no store has. What is said when is control/upgrade.c's.
 *
 * A Unix socket beside the control socket, for its own user alone; SO_PEERCRED is asked besides, at both ends. Core thread. */
#ifndef GM_HANDOVER_H
#define GM_HANDOVER_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gm/dp.h"

#define GM_HANDOVER_FORMAT 2u  /* of struct gm_handover_msg and what is said when; 1 passed no keys */
#define GM_HANDOVER_FDS_MAX (GM_WORKERS_MAX * GM_LISTEN_MAX + 2u) /* sockets of workers, and two that are listened at */
_Static_assert(GM_HANDOVER_FDS_MAX <= 253, "the kernel passes no more with one message: unix(7), SCM_RIGHTS");
#define GM_HANDOVER_POLL 2u

enum gm_handover_step { /* N: said by the new process, O: by the old one */
	GM_HANDOVER_HELLO = 1, /* N: I would take over */
	GM_HANDOVER_WELCOME,   /* O: these are the sockets, do not touch them yet */
	GM_HANDOVER_READY,     /* N: I have loaded all, here are two files in memory; come to an end */
	GM_HANDOVER_FROZEN,    /* O: that is the last turn, and what has changed since WELCOME */
	GM_HANDOVER_LOADED,    /* N: I have it */
	GM_HANDOVER_CARRIED,   /* O: I have halted, the file is full and sealed */
	GM_HANDOVER_TAKEN,     /* N: I have it, end */
	GM_HANDOVER_BYE,       /* O: I shall do nothing any more */
	GM_HANDOVER_REFUSED,   /* either: this comes to nothing; why */
};

struct gm_handover_msg {
	char magic[8];
	uint32_t handover, carry; /* formats */
	uint32_t step;
	uint32_t store;           /* WELCOME: its id */
	uint64_t turn;            /* WELCOME: the latest; FROZEN: the last */
	uint64_t bytes;           /* FROZEN, CARRIED: in the file */
	uint64_t watchdog_us;     /* WELCOME: who the old one reports to, and how often */
	char manager[112];
	char why[GM_WHY];
};
_Static_assert(sizeof(struct gm_handover_msg) == 416, "another message has another GM_HANDOVER_FORMAT");

struct gm_handover { /* zeroed descriptors are none */
	int listener, line; /* line: to the other process */
	int peer;           /* new process: of the old one, readable when that has ended */
	pid_t pid;          /* of the other process */
	uint64_t since_ms;
};

/* Where an old process listens: beside its control socket. false: the path is too long, there is no hand-over. */
bool gm_handover_path(const char *control_socket, char path[static 108]);

/* Old process: listens, at a socket of its own, or at one that a predecessor passed (fd > 0). */
GM_NODISCARD enum gm_err gm_handover_listen(struct gm_handover *h, const char *control_socket, int fd,
                                            char why[static GM_WHY]);
unsigned gm_handover_poll(const struct gm_handover *h, struct pollfd fds[static GM_HANDOVER_POLL]);
/* Accepts one at a time, of our own user or root; DENIED, BUSY: others are told so. */
void gm_handover_accept(struct gm_handover *h, uint64_t now_ms);
/* Does nobody listen at the control socket? Then why says so. */
bool gm_handover_nobody(const char *control_socket, char why[static GM_WHY]);
/* New process: connects, and knows who listens. UNKNOWN: nobody does; DENIED: not our own user. */
GM_NODISCARD enum gm_err gm_handover_connect(struct gm_handover *h, const char *control_socket,
                                             char why[static GM_WHY]);

/* Fills in magic and formats. IO: the other one is gone. */
GM_NODISCARD enum gm_err gm_handover_send(const struct gm_handover *h, struct gm_handover_msg *msg, const int *fds, unsigned n);
/* The next message, and at most `most` descriptors, which are the caller's. AGAIN: none yet; IO: the other one is gone;
 * STORE_VERSION: it speaks another format; BAD_FORMAT: that is no message. In the last three cases `why` is set. */
GM_NODISCARD enum gm_err gm_handover_receive(const struct gm_handover *h, struct gm_handover_msg *msg, int *fds, unsigned most,
                                             unsigned *n, char why[static GM_WHY]);
/* Tells the other one why, where it still listens, and hangs up. */
void gm_handover_refuse(struct gm_handover *h, const char *why);
void gm_handover_hang_up(struct gm_handover *h);
void gm_handover_close(struct gm_handover *h); /* all of it; the path stays */

/* ---- the file in memory */
int gm_handover_file(void); /* -1: errno says why */
bool gm_handover_is_file(int fd); /* in memory, empty, nobody's by name */
GM_NODISCARD bool gm_handover_seal(int fd); /* nobody changes it any more */
GM_NODISCARD bool gm_handover_sealed(int fd, uint64_t bytes);

#endif
