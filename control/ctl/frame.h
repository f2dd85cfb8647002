/* SPDX-License-Identifier: Apache-2.0 */
/* What travels over the control socket: frames of u32 big-endian length and one CBOR map.
 *
 *   request  {"id": uint, "verb": tstr, "args": {tstr: uint | bool | tstr | bstr}}, and maybe "body": bstr, for what is no argument
 *   answer   {"id": uint, "row": {...}} any number of times, then
 *            {"id": uint, "end": {...}} or {"id": uint, "error": tstr, "code": tstr}
 *
 * `end` of a listing that has more to come holds "after": the request again with that argument goes on from there.
 * No I/O; one thread.
 */
#ifndef GM_CTL_FRAME_H
#define GM_CTL_FRAME_H

#include "gm/buf.h"

#define GM_CTL_FRAME_MAX (1u << 20) /* bytes behind the length */
#define GM_CTL_ARGS_MAX 24u
#define GM_CTL_KEY_MAX 31u
#define GM_CTL_TEXT_MAX 255u
#define GM_CTL_BODY_MAX 32768u

/* ---- a buffer that grows at its end and is eaten from its start; content is wiped when it goes */
struct gm_ctl_buf {
	uint8_t *bytes;
	size_t at, n, cap; /* [at, n) is filled */
};
/* Room for size bytes behind the content, NULL: out of memory. Content may move. */
uint8_t *gm_ctl_buf_room(struct gm_ctl_buf *buf, size_t size);
GM_NODISCARD bool gm_ctl_buf_append(struct gm_ctl_buf *buf, const void *p, size_t n);
void gm_ctl_buf_eat(struct gm_ctl_buf *buf, size_t n);
void gm_ctl_buf_free(struct gm_ctl_buf *buf);

/* The first whole frame: true, and frame is borrowed until the buffer changes; eat 4 + frame->n bytes afterwards.
 * *err gets TOO_LARGE where the length cannot be. */
bool gm_ctl_frame_next(const struct gm_ctl_buf *buf, struct gm_bytes *frame, enum gm_err *err);

/* ---- requests */
enum gm_ctl_type { GM_CTL_UINT, GM_CTL_BOOL, GM_CTL_TEXT, GM_CTL_BYTES };

struct gm_ctl_arg {
	char key[GM_CTL_KEY_MAX + 1];
	enum gm_ctl_type type;
	uint64_t u;                     /* UINT, BOOL */
	size_t n;                       /* TEXT, BYTES */
	char text[GM_CTL_TEXT_MAX + 1]; /* a zero byte follows; TEXT holds none inside */
};
enum gm_ctl_level { GM_CTL_NOBODY, GM_CTL_VIEWER, GM_CTL_OPERATOR, GM_CTL_ADMIN }; /* each may what those before it may */
#define GM_CTL_LEVELS 4u
const char *gm_ctl_level_text(enum gm_ctl_level level);

struct gm_ctl_request { /* may hold a key: wipe */
	uint64_t id;
	int fd; /* that came along, borrowed; -1: none */
	uint64_t conn; /* number of the connection; no two have the same */
	bool again; /* it had no answer yet: see gm_ctl_reply.later */
	enum gm_ctl_level level; /* of who asks; fd, conn, again, level, uid and pid do not travel: the server fills them in */
	unsigned uid;
	int pid;
	char verb[GM_CTL_KEY_MAX + 1];
	unsigned args_n;
	struct gm_ctl_arg args[GM_CTL_ARGS_MAX];
	struct gm_bytes body; /* borrowed from the frame; p NULL: none */
};
/* MALFORMED, TYPE, RANGE (text too long), DUPLICATE, MISSING; request->id is set if it could be read. */
GM_NODISCARD enum gm_err gm_ctl_request_decode(struct gm_bytes frame, struct gm_ctl_request *request);
/* NO_MEMORY */
GM_NODISCARD enum gm_err gm_ctl_request_append(struct gm_ctl_buf *buf, const struct gm_ctl_request *request);
const struct gm_ctl_arg *gm_ctl_arg(const struct gm_ctl_request *request, const char *key); /* NULL: absent */

/* ---- answers, written */
#define GM_CTL_ROW_MAX 16384u

struct gm_ctl_reply {
	struct gm_ctl_buf *buf; /* frames go here */
	uint64_t id;
	bool done;           /* end or error was said */
	bool refused;        /* it was an error */
	bool later;          /* instead: there is more to do than a turn has room for; the same request comes again with the next one */
	bool waits;          /* with later: not before something has happened, which makes a turn */
	bool watches;        /* instead: rows follow as things happen, see gm_ctl_server_tell() */
	char group[GM_CTL_TEXT_MAX + 1]; /* with watches: only of this one; empty: of all */
	bool no_members;     /* with watches: all but who joined, left or expired */
	bool no_memory;      /* an answer could not be kept; the connection has to be closed */
	struct gm_out pairs; /* of the row in the making */
	unsigned pairs_n;
	uint8_t scratch[GM_CTL_ROW_MAX];
};
void gm_ctl_reply_init(struct gm_ctl_reply *reply, struct gm_ctl_buf *buf, uint64_t id);
void gm_ctl_put_uint(struct gm_ctl_reply *reply, const char *key, uint64_t v);
void gm_ctl_put_int(struct gm_ctl_reply *reply, const char *key, int64_t v);
void gm_ctl_put_text(struct gm_ctl_reply *reply, const char *key, const char *s); /* NULL: null */
/* UTF-8 from elsewhere; p NULL: null. More than GM_CTL_TEXT_MAX is cut behind a whole character and ends with "..."; a NUL becomes '?'. */
void gm_ctl_put_text_of(struct gm_ctl_reply *reply, const char *key, struct gm_bytes text);
void gm_ctl_put_bytes(struct gm_ctl_reply *reply, const char *key, const void *p, size_t n);
void gm_ctl_put_bool(struct gm_ctl_reply *reply, const char *key, bool v);
void gm_ctl_row(struct gm_ctl_reply *reply); /* the pairs so far are a row */
void gm_ctl_end(struct gm_ctl_reply *reply); /* the pairs so far go into the end */
/* Pairs so far are dropped. */
__attribute__((format(printf, 3, 4))) void gm_ctl_error(struct gm_ctl_reply *reply, enum gm_err err, const char *fmt,
							...);

/* ---- answers, read */
enum gm_ctl_answer_kind { GM_CTL_ROW, GM_CTL_END, GM_CTL_ERROR };
struct gm_ctl_answer { /* borrowed from the frame */
	enum gm_ctl_answer_kind kind;
	uint64_t id;
	struct gm_bytes pairs;       /* ROW, END: a CBOR map */
	struct gm_bytes error, code; /* ERROR */
};
GM_NODISCARD enum gm_err gm_ctl_answer_decode(struct gm_bytes frame, struct gm_ctl_answer *answer);

#endif
