/* SPDX-License-Identifier: Apache-2.0 */
/* gmd-status, inside: what gmd says over its control socket, as a page, as JSON and as metrics, over HTTP on loopback. It asks as a
 * viewer may, and holds no secret. One thread. */
#ifndef GM_STATUS_H
#define GM_STATUS_H

#include <stdint.h>

#include "ctl/clock.h"
#include "ctl/frame.h"

#define WHY_MAX 160u

/* ---- link.c: a connection to gmd. Whatever fails, the next try begins anew. */
struct link {
	const char *path;
	int fd; /* -1: none */
	struct gm_ctl_buf in;
	size_t last; /* bytes of in that were returned, and go with the next call */
	uint64_t id;
};
struct asked { /* a command with at most one text and one flag */
	const char *verb, *key, *text, *flag;
};
enum link_next { LINK_ROW, LINK_END, LINK_FAILED, LINK_NOTHING };

void link_close(struct link *l);
bool link_send(struct link *l, const struct asked *what, uint64_t deadline_ms, char why[static WHY_MAX]); /* connects */
/* The next answer; borrowed until the next call. FAILED: why says what is wrong; where gmd refused, the connection stands. */
enum link_next link_next(struct link *l, uint64_t deadline_ms, struct gm_bytes *pairs, char why[static WHY_MAX]);
bool link_read(struct link *l); /* what is there without waiting; false: it is gone */
enum link_next link_take(struct link *l, struct gm_bytes *pairs, char why[static WHY_MAX]); /* of what was read; NOTHING: no whole answer */

/* ---- look.c: gmd, looked at as a whole; half a second old at most */
struct rows { /* CBOR maps, each behind its length */
	struct gm_ctl_buf buf;
};
bool rows_next(const struct rows *rows, size_t *at, struct gm_bytes *pairs); /* false: no more */

struct look {
	struct link link;
	uint64_t tried_ms, late_ms; /* 0: never */
	bool good, well; /* gmd answers; its health is ok */
	char why[WHY_MAX];
	struct rows metrics, health, late;
};
void look_now(struct look *look); /* unless it has just been done */
void look_free(struct look *look);

/* ---- events.c: what gmd tells those who watch, the latest of it */
struct events;
struct events *events_new(const char *path);
void events_free(struct events *e);
int events_fd(const struct events *e); /* -1: not connected */
void events_run(struct events *e);     /* reads, and connects again where that is due */

/* ---- answer.c: bodies; malloc()ed, NULL: out of memory */
char *answer_metrics(const struct look *look, bool open, size_t *n);
char *answer_status(const struct look *look, const struct events *e, size_t *n);
char *answer_health(const struct look *look, size_t *n);

/* ---- page.c */
extern const char status_page[];
size_t status_page_n(void);
const char *status_policy(void); /* Content-Security-Policy: what is in the page, and nothing else */

/* ---- http.c */
#define HOSTS_MAX 16u
#define CONNECTIONS_MAX 32u
#define PLACES (2 * CONNECTIONS_MAX) /* of connections, with those that are being closed: at its own limit libmicrohttpd may pause for a second */
struct served {
	struct look look;
	struct events *events;
	const char *host[HOSTS_MAX]; /* names under which it may be asked, but for those of loopback */
	unsigned hosts_n;
	struct place { /* of a connection */
		int fd;
		bool goes; /* is being closed */
		uint64_t since; /* count of what moved when it came, its head was whole, its answer sent; 0: nobody's */
	} places[PLACES];
	uint64_t moves;
};
bool host_permitted(const struct served *served, const char *host);
struct MHD_Daemon;
struct sockaddr;
struct MHD_Daemon *http_start(struct served *served, const struct sockaddr *addr); /* NULL: errno says why */

#endif
