/* SPDX-License-Identifier: Apache-2.0 */
/* gmd-status: command line, the loop. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "gm/addr.h"
#include "status/status.h"

#define DEFAULT_SOCKET "/run/gmd/gmd.sock"
#define DEFAULT_LISTEN "127.0.0.1:9683"
#define LOOP_MS 1000

static volatile sig_atomic_t stopped;

static const char help[] =
	"usage: gmd-status [-s SOCKET] [-l ADDRESS:PORT] [--host NAME]...\n"
	"\n"
	"  -s, --socket SOCKET   control socket of gmd; else $GMD_SOCKET, else " DEFAULT_SOCKET "\n"
	"  -l, --listen ADDRESS  where to serve HTTP; default " DEFAULT_LISTEN ", port 0: any\n"
	"  --host NAME           also answer who asks under this name\n"
	"  --help, --version\n"
	"\n"
	"Serves / (a page), /metrics, /status.json and /health. See gmd-status(8).\n";

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

_Noreturn static void die(int code, const char *what, const char *why)
{
	fprintf(stderr, "gmd-status: %s%s%s\n", what, why[0] ? ": " : "", why);
	exit(code);
}

struct bound {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at;
	bool loopback;
};

static struct bound bound_of(const char *text)
{
	struct bound b = {0};
	struct gm_addr addr;

	if (!gm_addr_parse(&addr, text))
		die(2, "--listen: not an address and a port, such as 127.0.0.1:9683 or [::1]:9683", text);
	if (gm_addr_is_v4(&addr)) {
		b.at.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(addr.port)};
		memcpy(&b.at.v4.sin_addr, addr.ip + 12, 4);
		b.loopback = addr.ip[12] == 127;
	} else {
		b.at.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(addr.port), .sin6_scope_id = addr.scope};
		memcpy(&b.at.v6.sin6_addr, addr.ip, 16);
		b.loopback = IN6_IS_ADDR_LOOPBACK(&b.at.v6.sin6_addr);
	}
	return b;
}

static void tell_ready(struct MHD_Daemon *http, const char *listen, bool loopback)
{
	const union MHD_DaemonInfo *port = MHD_get_daemon_info(http, MHD_DAEMON_INFO_BIND_PORT);

	fprintf(stderr, "status.ready listen=%s port=%u\n", listen, port ? port->port : 0);
	if (!loopback)
		fprintf(stderr, "status.open reason=\"not on loopback: whoever reaches that address can read, without encryption\"\n");
}

static void loop(struct MHD_Daemon *http, struct served *served)
{
	const int epoll = MHD_get_daemon_info(http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	MHD_UNSIGNED_LONG_LONG ms;

	events_run(served->events);
	while (!stopped) {
		struct pollfd fds[2] = {{.fd = epoll, .events = POLLIN}, {.fd = events_fd(served->events), .events = POLLIN}};
		int wait = MHD_get_timeout(http, &ms) == MHD_YES && ms < LOOP_MS ? (int)ms : LOOP_MS;
		int n = poll(fds, 2, wait);
		if (n < 0 && errno != EINTR)
			die(1, "poll", strerror(errno));
		if (fds[1].fd < 0 || (n > 0 && fds[1].revents))
			events_run(served->events);
		MHD_run(http);
	}
}

static const struct option options[] = {{"socket", required_argument, NULL, 's'}, {"listen", required_argument, NULL, 'l'},
                                        {"host", required_argument, NULL, 'n'},   {"help", no_argument, NULL, 'h'},
                                        {"version", no_argument, NULL, 'v'},      {0}};

int main(int argc, char **argv)
{
	static struct served served;
	const char *path = getenv("GMD_SOCKET"), *listen = DEFAULT_LISTEN;

	path = path && path[0] ? path : DEFAULT_SOCKET;
	for (int c; (c = getopt_long(argc, argv, "s:l:h", options, NULL)) != -1;) {
		if (c == 's')
			path = optarg;
		else if (c == 'l')
			listen = optarg;
		else if (c == 'n' && served.hosts_n < HOSTS_MAX)
			served.host[served.hosts_n++] = optarg;
		else if (c == 'h')
			return fputs(help, stdout) < 0;
		else if (c == 'v')
			return printf("gmd-status %s\n", GM_VERSION) < 0;
		else
			die(2, c == 'n' ? "--host: at most 16" : "try gmd-status --help", "");
	}
	if (optind < argc)
		die(2, "no such argument", argv[optind]);
	struct bound bound = bound_of(listen);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
	sigaction(SIGINT, &(struct sigaction){.sa_handler = stop}, NULL);
	served.look.link = (struct link){.path = path, .fd = -1};
	served.events = events_new(path);
	status_policy();
	struct MHD_Daemon *http = served.events ? http_start(&served, &bound.at.any) : NULL;
	if (!http)
		die(1, listen, strerror(errno));
	tell_ready(http, listen, bound.loopback);
	loop(http, &served);
	MHD_stop_daemon(http);
	look_free(&served.look);
	events_free(served.events);
	return 0;
}
