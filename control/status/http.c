/* SPDX-License-Identifier: Apache-2.0 */
/* GET and HEAD of four paths. Who asks under a name that is not ours is refused: a page of somebody else's, whose name is made to
 * mean this machine, would ask under that one. */
#include <microhttpd.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#include "status/status.h"

#define CONNECTION_BYTES (16u << 10)
#define IDLE_S 10u

struct body {
	char *bytes; /* malloc()ed, unless keep */
	size_t n;
	unsigned code;
	const char *type;
	bool keep;
};

static const char json[] = "application/json", text[] = "text/plain; charset=utf-8";

static struct body fixed(unsigned code, const char *words)
{
	return (struct body){.bytes = (char *)(uintptr_t)words, .n = strlen(words), .code = code, .type = text, .keep = true};
}

/* ---- the paths */

static struct body page(struct served *s, struct MHD_Connection *c)
{
	(void)s, (void)c;
	return (struct body){
		.bytes = (char *)(uintptr_t)status_page, .n = status_page_n(), .code = 200, .type = "text/html; charset=utf-8", .keep = true};
}

static struct body status(struct served *s, struct MHD_Connection *c)
{
	struct body b = {.type = json};

	(void)c;
	look_now(&s->look);
	b.code = s->look.good ? 200 : 503;
	b.bytes = answer_status(&s->look, s->events, &b.n);
	return b;
}

static struct body health(struct served *s, struct MHD_Connection *c)
{
	struct body b = {.type = json};

	(void)c;
	look_now(&s->look);
	b.code = s->look.good && s->look.well ? 200 : 503;
	b.bytes = answer_health(&s->look, &b.n);
	return b;
}

static struct body metrics(struct served *s, struct MHD_Connection *c)
{
	const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	bool open = accept && strstr(accept, "application/openmetrics-text");
	struct body b = {.code = 200, .type = open ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8"};

	look_now(&s->look);
	if (!s->look.good)
		return fixed(503, "gmd does not answer\n");
	b.bytes = answer_metrics(&s->look, open, &b.n);
	return b;
}

static const struct {
	const char *path;
	struct body (*get)(struct served *s, struct MHD_Connection *c);
} paths[] = {{"/", page}, {"/metrics", metrics}, {"/status.json", status}, {"/health", health}};

/* ---- who asks, and how */

static size_t name_len(const char *host) /* without the port */
{
	const char *close = host[0] == '[' ? strchr(host, ']') : NULL;

	return close ? (size_t)(close - host) + 1 : strcspn(host, ":");
}

static bool is_port(const char *p)
{
	return !p[0] || (p[0] == ':' && strlen(p) <= 6 && strspn(p + 1, "0123456789") == strlen(p + 1));
}

bool host_permitted(const struct served *s, const char *host)
{
	static const char *const ours[] = {"localhost", "127.0.0.1", "[::1]"};
	const size_t n = name_len(host);

	if (!is_port(host + n))
		return false;
	for (unsigned i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strlen(ours[i]) == n && strncasecmp(ours[i], host, n) == 0)
			return true;
	for (unsigned i = 0; i < s->hosts_n; i++)
		if (strlen(s->host[i]) == n && strncasecmp(s->host[i], host, n) == 0)
			return true;
	return false;
}

static bool reads_only(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static struct body answer(struct served *s, struct MHD_Connection *c, const char *path, const char *method)
{
	const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);

	if (!host || !host_permitted(s, host))
		return fixed(403, "asked under a name that is not permitted: --host\n");
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (strcmp(path, paths[i].path) != 0)
			continue;
		struct body b = reads_only(method) ? paths[i].get(s, c) : fixed(405, "GET and HEAD only\n");
		return b.bytes ? b : fixed(500, "out of memory\n");
	}
	return reads_only(method) ? fixed(404, "not found\n") : fixed(405, "GET and HEAD only\n");
}

static const char *const headers[][2] = {
	{"X-Content-Type-Options", "nosniff"},       {"Referrer-Policy", "no-referrer"}, {"Cross-Origin-Resource-Policy", "same-origin"},
	{"Cross-Origin-Opener-Policy", "same-origin"}, {"Cache-Control", "no-store"},      {"X-Frame-Options", "DENY"}};

static enum MHD_Result send_body(struct MHD_Connection *c, const struct body *b)
{
	struct MHD_Response *r =
		MHD_create_response_from_buffer(b->n, b->bytes, b->keep ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);
	enum MHD_Result done;

	if (!r) {
		if (!b->keep)
			free(b->bytes);
		return MHD_NO;
	}
	for (unsigned i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		MHD_add_response_header(r, headers[i][0], headers[i][1]);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, b->type);
	MHD_add_response_header(r, "Content-Security-Policy", status_policy());
	if (b->code == 405)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	done = MHD_queue_response(c, b->code, r);
	MHD_destroy_response(r);
	return done;
}

/* ---- places. An idle connection is closed after a while, but one that trickles is not idle: where all are taken, the one that has
 * been longest at the same (its head, its answer, waiting for the next) makes room for a newcomer. */

static void moves(struct served *s, struct MHD_Connection *c)
{
	struct place *place = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

	if (place)
		place->since = ++s->moves;
}

static void make_room(struct served *s)
{
	struct place *oldest = NULL;
	unsigned n = 0;

	for (struct place *p = s->places; p < s->places + PLACES; p++) {
		if (!p->since || p->goes)
			continue;
		n++;
		if (!oldest || p->since < oldest->since)
			oldest = p;
	}
	if (n < CONNECTIONS_MAX)
		return;
	oldest->goes = true;
	shutdown(oldest->fd, SHUT_RDWR); /* it is closed as if it had gone */
}

static void take(struct served *s, struct MHD_Connection *c, void **place)
{
	for (struct place *p = s->places; p < s->places + PLACES; p++) {
		if (p->since)
			continue;
		*p = (struct place){.fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, .since = ++s->moves};
		*place = p;
		return;
	}
}

static void came_or_went(void *arg, struct MHD_Connection *c, void **place, enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		make_room(arg);
		take(arg, c, place);
	} else if (*place) {
		((struct place *)*place)->since = 0;
	}
}

static void answered(void *arg, struct MHD_Connection *c, void **seen, enum MHD_RequestTerminationCode how)
{
	(void)seen, (void)how;
	moves(arg, c);
}

/* Called when the head has come, for pieces of a body, which nobody reads, and at its end. */
static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *path, const char *method, const char *version,
                              const char *upload, size_t *upload_n, void **seen)
{
	(void)version, (void)upload;
	bool first = !*seen, more = *upload_n > 0;

	*seen = arg;
	*upload_n = 0;
	if (first)
		moves(arg, c);
	if ((first || more) && reads_only(method)) /* libmicrohttpd takes an answer to these at the end of all only */
		return MHD_YES;
	struct body b = answer(arg, c, path, method);
	return send_body(c, &b);
}

struct MHD_Daemon *http_start(struct served *served, const struct sockaddr *addr)
{
	const unsigned six = addr->sa_family == AF_INET6 ? MHD_USE_IPv6 : 0;

	return MHD_start_daemon(MHD_USE_EPOLL | six, 0, NULL, NULL, handle, served, MHD_OPTION_SOCK_ADDR, addr, MHD_OPTION_CONNECTION_LIMIT,
	                        PLACES, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	                        (size_t)CONNECTION_BYTES, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_NOTIFY_CONNECTION, came_or_went,
	                        served, MHD_OPTION_NOTIFY_COMPLETED, answered, served, MHD_OPTION_END);
}
