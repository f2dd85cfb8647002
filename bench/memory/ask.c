/* SPDX-License-Identifier: Apache-2.0 */
/* One member of the store asks the running gmd for its node, from the address that the store knows. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

#include "member.h"
#include "parts.h"

#define ASK_MS 20000u

struct asking {
	int fd;
	uint64_t timer_ms;
	bool done;
	uint8_t code;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_send(void *arg, struct gm_member *m, const struct gm_addr *to, const uint8_t *p, size_t n)
{
	(void)m;
	(void)to;
	if (send(((struct asking *)arg)->fd, p, n, 0) < 0)
		perror("memory: send");
}

static void on_timer(void *arg, struct gm_member *m, uint64_t at_ms)
{
	(void)m;
	((struct asking *)arg)->timer_ms = at_ms;
}

static void on_done(void *arg, struct gm_member *m, enum gm_member_op op, uint8_t code, uint64_t took_ns)
{
	struct asking *a = arg;

	(void)m;
	(void)op;
	(void)took_ns;
	a->done = true;
	a->code = code;
}

static void on_nothing(void *arg, struct gm_member *m)
{
	(void)arg;
	(void)m;
}

static void on_context(void *arg, struct gm_member *m, struct gm_bytes ms, struct gm_bytes salt)
{
	(void)arg;
	(void)m;
	(void)ms;
	(void)salt;
}

static void on_failed(void *arg, struct gm_member *m, const char *reason)
{
	(void)arg;
	(void)m;
	fprintf(stderr, "memory: the member says: %s\n", reason);
}

static int open_socket(const struct gm_addr *server)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(server->port)};

	memcpy(&to.sin6_addr, server->ip, sizeof(to.sin6_addr));
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	perror("memory: socket");
	if (fd >= 0)
		close(fd);
	return -1;
}

static void converse(struct gm_member_env *env, struct gm_member *m, struct asking *a)
{
	uint64_t end = now_ns() + ASK_MS * UINT64_C(1000000);
	uint8_t bytes[2048];

	env->now_ns = now_ns();
	gm_member_plan(env, m, GM_PLAN(GM_OP_ASK));
	while (!a->done && env->now_ns < end) {
		struct pollfd fd = {.fd = a->fd, .events = POLLIN};
		poll(&fd, 1, 50);
		env->now_ns = now_ns();
		ssize_t n = fd.revents ? recv(a->fd, bytes, sizeof(bytes), MSG_DONTWAIT) : -1;
		if (n > 0)
			gm_member_receive(env, m, (struct gm_bytes){bytes, (size_t)n}, &env->server);
		else if (a->timer_ms && env->now_ns / 1000000 >= a->timer_ms)
			gm_member_timeout(env, m);
		gm_member_flush(env);
	}
}

static bool keys_in(const struct gm_member_ask *ask, const struct known *known)
{
	struct gm_keying_map map;

	return ask->code == GM_COAP(2, 5) && gm_keying_decode((struct gm_bytes){ask->body, ask->body_n}, &map) == GM_E_OK &&
	       map.ms.n > 0 && gm_bytes_eq(map.sid, (struct gm_bytes){known->sid, known->sid_n});
}

bool bench_ask(const struct gm_addr *server, const struct known *known)
{
	struct asking a = {.fd = open_socket(server)};
	struct gm_member_group group = {.name = ""};
	struct gm_member_env env = {.arg = &a, .send = on_send, .timer = on_timer, .done = on_done, .context = on_context,
	                            .installed = on_nothing, .failed = on_failed, .server = *server, .groups = &group,
	                            .groups_n = 1};
	struct gm_member *m = calloc(1, sizeof(*m));
	struct gm_member_ask ask = {.method = GM_COAP_GET, .content_format = -1};

	if (a.fd < 0 || !m || gm_member_env_init(&env) != GM_E_OK) {
		free(m);
		if (a.fd >= 0)
			close(a.fd);
		return false;
	}
	memcpy(group.name, known->group, sizeof(group.name));
	gm_member_init(m, 0, server, 0, GM_ROLE_REQUESTER, false);
	m->state = GM_MEMBER_IN;
	m->has_context = true;
	m->oscore = known->keys;
	m->ask = &ask;
	snprintf(ask.path, sizeof(ask.path), "/ace-group/%s/nodes/%s", known->group, known->node);
	converse(&env, m, &a);
	bool ok = keys_in(&ask, known);
	if (!ok)
		fprintf(stderr, "memory: GET %s: %u.%02u, %zu bytes\n", ask.path, ask.code >> 5, ask.code & 31u, ask.body_n);
	free(ask.body);
	gm_member_clear(m);
	free(m);
	gm_member_env_free(&env);
	close(a.fd);
	return ok;
}
