/* SPDX-License-Identifier: Apache-2.0 */
#include "store/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE "gmd witness 1 store %08" PRIx32 " turn %020" PRIu64 " recoveries %010" PRIu32 "\n"
#define LINE_N 77u

static enum gm_err read_line(struct gm_witness *w, const char *path, char why[static GM_WHY])
{
	char line[LINE_N + 1] = "", again[LINE_N + 1];
	ssize_t n = pread(w->fd, line, LINE_N, 0);

	if (n < 0)
		return gm_why(why, GM_E_IO, "witness %s: %s", path, strerror(errno));
	if (n == 0)
		return GM_E_OK;
	if (sscanf(line, "gmd witness 1 store %8" SCNx32 " turn %20" SCNu64 " recoveries %10" SCNu32, &w->store, &w->turn,
	           &w->recoveries) == 3) {
		snprintf(again, sizeof(again), LINE, w->store, w->turn, w->recoveries);
		if (strcmp(line, again) == 0)
			return GM_E_OK;
	}
	return gm_why(why, GM_E_CORRUPT, "witness %s is damaged: gmd recover makes it anew", path);
}

enum gm_err gm_witness_open(struct gm_witness *w, const char *path, char why[static GM_WHY])
{
	*w = (struct gm_witness){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
	if (w->fd < 0)
		return gm_why(why, GM_E_IO, "witness %s: %s", path, strerror(errno));
	return read_line(w, path, why);
}

bool gm_witness_say(struct gm_witness *w, uint64_t turn)
{
	char line[LINE_N + 1];

	if (w->fd < 0)
		return true;
	snprintf(line, sizeof(line), LINE, w->store, turn, w->recoveries);
	if (pwrite(w->fd, line, LINE_N, 0) != (ssize_t)LINE_N)
		return false;
	w->turn = turn;
	return true;
}

void gm_witness_close(struct gm_witness *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}
