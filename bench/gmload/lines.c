/* SPDX-License-Identifier: Apache-2.0 */
/* Lines from standard input, by a thread of their own, so that members go on meanwhile. */
#include "load.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096u

struct lines {
	struct load *load;
	pthread_mutex_t lock;
	pthread_cond_t taken;
	char *line; /* waits to be carried out */
	bool end;
	int over[2]; /* a pipe that is closed when nothing more is wanted */
};

static void hand_over(struct lines *in, char *line)
{
	pthread_mutex_lock(&in->lock);
	in->line = line;
	in->end = line == NULL;
	in->load->fleet.ops->wake(in->load->fleet.port);
	while (in->line)
		pthread_cond_wait(&in->taken, &in->lock);
	pthread_mutex_unlock(&in->lock);
}

/* More bytes of standard input behind the n that are there; 0: it ended, or nothing more is wanted. */
static size_t read_more(struct lines *in, char *buf, size_t n, size_t cap)
{
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = in->over[0], .events = POLLIN}};
	if (poll(fds, 2, -1) < 0 || fds[1].revents)
		return 0;
	ssize_t got = read(STDIN_FILENO, buf + n, cap - n);
	return got > 0 ? (size_t)got : 0;
}

static void *read_lines(void *arg)
{
	struct lines *in = arg;
	char buf[LINE_MAX_BYTES];
	size_t n = 0, got;
	while (n < sizeof(buf) && (got = read_more(in, buf, n, sizeof(buf))) > 0) {
		char *newline;
		n += got;
		while ((newline = memchr(buf, '\n', n)) != NULL) {
			size_t used = (size_t)(newline - buf) + 1;
			*newline = 0;
			hand_over(in, buf);
			if (in->load->quit)
				return NULL;
			memmove(buf, buf + used, n - used);
			n -= used;
		}
	}
	hand_over(in, NULL);
	return NULL;
}

bool load_interactive(struct load *l)
{
	struct lines in = {.load = l, .lock = PTHREAD_MUTEX_INITIALIZER, .taken = PTHREAD_COND_INITIALIZER};
	pthread_t thread;
	bool ok = true, end = false;
	if (pipe(in.over) != 0 || pthread_create(&thread, NULL, read_lines, &in) != 0)
		return false;
	while (!l->quit && !end) {
		pthread_mutex_lock(&in.lock);
		char *line = in.line;
		end = in.end;
		pthread_mutex_unlock(&in.lock);
		if (!line) {
			gm_fleet_turn(&l->fleet, 1000);
			continue;
		}
		ok = load_carry_out(l, line) && ok;
		pthread_mutex_lock(&in.lock);
		in.line = NULL;
		pthread_cond_signal(&in.taken);
		pthread_mutex_unlock(&in.lock);
	}
	close(in.over[1]);
	pthread_join(thread, NULL);
	close(in.over[0]);
	return ok;
}
