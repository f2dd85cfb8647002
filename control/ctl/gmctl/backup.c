/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/gmctl/gmctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store/backup.h"

static const char *unfinished; /* file of a backup that is not whole; leaves with us */

static void give_up(void)
{
	if (unfinished)
		unlink(unfinished);
}

/* All that comes, into file; the last byte tells whether gmd got to the end. */
static bool receive_copy(int from, int file, uint64_t *bytes)
{
	static uint8_t step[1u << 16];
	uint8_t last = 0;
	ssize_t n;

	*bytes = 0;
	while ((n = recv(from, step, sizeof(step), 0)) > 0 || (n < 0 && errno == EINTR)) {
		for (ssize_t at = 0, k; at < n; at += k)
			if ((k = write(file, step + at, (size_t)(n - at))) <= 0)
				gm_cli_die(EXIT_FAILED, "%s: %s", unfinished, strerror(errno));
		*bytes += n > 0 ? (uint64_t)n : 0;
		last = n > 0 ? step[n - 1] : last;
	}
	return n == 0 && *bytes && last == 1 && ftruncate(file, (off_t)--*bytes) == 0;
}

static void no_rows(void *arg, struct gm_bytes pairs)
{
	(void)arg, (void)pairs;
}

void gm_cli_backup(struct session *s, struct line *line)
{
	const char *path = gm_ctl_arg(&line->request, "file")->text;
	char why[GM_WHY] = "";
	uint64_t bytes;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		gm_cli_die(EXIT_FAILED, "socket: %s", strerror(errno));
	int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0)
		gm_cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	unfinished = path;
	atexit(give_up);
	line->request.fd = ends[1];
	gm_cli_ask(s, &line->request, no_rows, NULL);
	close(ends[1]);
	if (!receive_copy(ends[0], file, &bytes))
		gm_cli_die(EXIT_FAILED, "%s: gmd did not get to the end of the copy", path);
	if (gm_backup_end(file, path, why) != GM_E_OK || close(file) < 0)
		gm_cli_die(EXIT_FAILED, "%s: %s", path, why[0] ? why : strerror(errno));
	unfinished = NULL;
	close(ends[0]);
	if (s->json)
		printf("{\"bytes\":%llu}\n", (unsigned long long)bytes);
	else
		printf("%llu bytes; whoever restores it needs the store's key, which is not in it\n", (unsigned long long)bytes);
}
