/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/backup.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 30 /* with who reads the copy: it keeps old pages from being used again */

static struct {
	struct gm_store *store;
	pthread_t thread;
	int fd;
	bool started;     /* and not joined */
	atomic_bool done;
} job;

static void *copy(void *arg)
{
	uint8_t good = gm_store_copy(job.store, job.fd) == GM_E_OK;

	(void)arg;
	send(job.fd, &good, 1, MSG_NOSIGNAL);
	shutdown(job.fd, SHUT_RDWR);
	atomic_store(&job.done, true);
	return NULL;
}

static void join(void)
{
	pthread_join(job.thread, NULL);
	close(job.fd);
	job.started = false;
}

enum gm_err gm_ctl_backup_start(struct gm_store *store, int fd)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};

	if (job.started && !atomic_load(&job.done))
		return GM_E_BUSY;
	if (job.started)
		join();
	job.store = store;
	job.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (job.fd < 0 || setsockopt(job.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0) {
		if (job.fd >= 0)
			close(job.fd);
		return GM_E_IO;
	}
	atomic_store(&job.done, false);
	job.started = pthread_create(&job.thread, NULL, copy, NULL) == 0;
	if (!job.started)
		close(job.fd);
	return job.started ? GM_E_OK : GM_E_NO_MEMORY;
}

void gm_ctl_backup_stop(void)
{
	if (!job.started)
		return;
	shutdown(job.fd, SHUT_RDWR);
	join();
}
