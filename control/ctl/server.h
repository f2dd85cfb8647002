/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: frames in, requests to a handler, answers out.
 *
 * The caller polls. receive() reads and hands each whole request to the handler, which writes its answer; nothing is
 * sent before flush(), so that an answer can wait for the commit it reports. A connection whose answer was not taken
 * yet is not read: a slow reader holds one answer, never a queue, and not for longer than 10 s. Where all places are taken
 * somebody of a lower level than the newcomer's makes room, else one of its own that says nothing. One thread, and one that
 * closes for it.
 */
#ifndef GM_CTL_SERVER_H
#define GM_CTL_SERVER_H

#include <poll.h>

#include "ctl/frame.h"

#define GM_CTL_CONNS_MAX 32u
#define GM_CTL_WATCHERS_MAX 8u         /* of them: so there is always room for commands */
#define GM_CTL_WATCH_MAX (64u << 10) /* bytes of events that one of those may be behind */
#define GM_CTL_FDS_MAX (GM_CTL_CONNS_MAX + 1)

struct gm_ctl_server;

struct gm_ctl_server_config {
	const char *path; /* of the socket; mode 0660, or 0666 where more than one group is named: then who connects is looked at alone */
	const char *groups[GM_CTL_LEVELS]; /* Unix groups whose members have a level; NULL or empty: none. Root and our own uid have all */
	/* Has to end the reply: gm_ctl_end(), gm_ctl_error(), or reply->watches. request is wiped afterwards. */
	void (*handle)(void *arg, const struct gm_ctl_request *request, struct gm_ctl_reply *reply);
	void (*gone)(void *arg, uint64_t conn); /* that connection is closed; NULL: nobody wants to know */
	void *arg;
	int listener; /* a predecessor's, at that path; 0: there is none */
	unsigned patience_ms; /* with who does not read an answer; 0: 10 s */
};

/* A dead socket at path is replaced. BUSY: somebody listens there; UNKNOWN: no such group; IO. `why`: a sentence. */
GM_NODISCARD enum gm_err gm_ctl_server_open(struct gm_ctl_server **server, const struct gm_ctl_server_config *config,
                                            char why[static GM_WHY]);
/* A Unix group as the server looks it up; empty: none is named. UNKNOWN: why says so */
GM_NODISCARD enum gm_err gm_ctl_group_known(const char *name, char why[static GM_WHY]);
int gm_ctl_server_listener(const struct gm_ctl_server *server);
void gm_ctl_server_close(struct gm_ctl_server *server); /* removes the socket; NULL is fine */
/* Fills fds with what to wait for; returns how many. */
unsigned gm_ctl_server_poll(struct gm_ctl_server *server, struct pollfd fds[static GM_CTL_FDS_MAX]);
/* fds as polled. A request may wait in a buffer though its socket is quiet: call it each turn. */
void gm_ctl_server_receive(struct gm_ctl_server *server, const struct pollfd *fds, unsigned n);
/* Sends what is waiting, as far as the sockets take it. true: a buffered request can be received right away. */
bool gm_ctl_server_flush(struct gm_ctl_server *server);
/* Something happened: line, as it is logged. Those who watch are told at the next flush; who is too far behind loses it, and is
 * told later how much was lost. */
void gm_ctl_server_tell(struct gm_ctl_server *server, int64_t wall_s, const char *line);

#endif
