/* SPDX-License-Identifier: Apache-2.0 */
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/lmdb.h"

#define NAME "gmd backup 1\n\0\0\0"
#define NAME_N 16u
#define TRAILER_N 64u
#define STEP (1u << 20)

struct mapped { /* a file, or its copy without the trailer */
	uint8_t *p;
	size_t n;
};

static bool map(struct mapped *m, int fd)
{
	struct stat st;

	*m = (struct mapped){0};
	if (fstat(fd, &st) < 0)
		return false;
	m->n = (size_t)st.st_size;
	if (m->n)
		m->p = mmap(NULL, m->n, PROT_READ, MAP_PRIVATE, fd, 0);
	return m->p != MAP_FAILED;
}

static void unmap(struct mapped *m)
{
	if (m->p && m->p != MAP_FAILED)
		munmap(m->p, m->n);
}

static void trailer_of(uint8_t trailer[static TRAILER_N], const uint8_t *copy, size_t n)
{
	struct gm_out o = gm_out(trailer, TRAILER_N);
	uint8_t hash[GM_SHA256];

	gm_sha256(hash, copy, n);
	gm_out_bytes(&o, (const uint8_t *)NAME, NAME_N);
	gm_out_be(&o, n, 8);
	gm_out_be(&o, 0, 8);
	gm_out_bytes(&o, hash, sizeof(hash));
}

static bool write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n < STEP ? n : STEP);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

enum gm_err gm_backup_end(int fd, const char *file, char why[static GM_WHY])
{
	uint8_t trailer[TRAILER_N];
	struct mapped m;
	bool good = map(&m, fd);

	if (good) {
		trailer_of(trailer, m.p, m.n);
		good = lseek(fd, 0, SEEK_END) >= 0 && write_all(fd, trailer, sizeof(trailer)) && fsync(fd) == 0 &&
		       gm_lmdb_sync_parent(file);
	}
	int error = errno;
	unmap(&m);
	return good ? GM_E_OK : gm_why(why, GM_E_IO, "%s", strerror(error));
}

/* ---- reading one */

static enum gm_err check(const struct mapped *m, const char *file, char why[static GM_WHY])
{
	uint8_t trailer[TRAILER_N];

	if (m->n < TRAILER_N || memcmp(m->p + m->n - TRAILER_N, NAME, NAME_N) != 0)
		return gm_why(why, GM_E_CORRUPT, "%s is no backup of gmd, or is cut short", file);
	trailer_of(trailer, m->p, m->n - TRAILER_N);
	if (memcmp(trailer, m->p + m->n - TRAILER_N, TRAILER_N) != 0)
		return gm_why(why, GM_E_CORRUPT, "%s is damaged: its SHA-256 is another", file);
	return GM_E_OK;
}

static enum gm_err open_good(struct mapped *m, const char *file, char why[static GM_WHY])
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	bool mapped = fd >= 0 && map(m, fd);
	enum gm_err err = mapped ? check(m, file, why) : gm_why(why, GM_E_IO, "%s: %s", file, strerror(errno));

	if (fd >= 0)
		close(fd);
	if (err != GM_E_OK && mapped)
		unmap(m);
	return err;
}

enum gm_err gm_backup_check(const char *file, char why[static GM_WHY])
{
	struct mapped m = {0};

	GM_TRY(open_good(&m, file, why));
	unmap(&m);
	return GM_E_OK;
}

static bool write_file(const char *path, const uint8_t *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return false;
	bool good = write_all(fd, p, n) && fsync(fd) == 0;
	return close(fd) == 0 && good;
}

static enum gm_err no_store_in(const char *dir, char data[static GM_PATH], char why[static GM_WHY])
{
	if (!gm_in_dir(data, dir, "data.mdb"))
		return gm_why(why, GM_E_IO, "the path of store %.64s... is too long", dir);
	if (gm_path_exists(data))
		return gm_why(why, GM_E_EXISTS, "there is a store in %s: move its data.mdb away first", dir);
	return GM_E_OK;
}

enum gm_err gm_backup_restore(const char *dir, const char *aside, const char *file, char why[static GM_WHY])
{
	char data[GM_PATH];
	struct mapped m = {0};

	GM_TRY(no_store_in(dir, data, why));
	GM_TRY(open_good(&m, file, why));
	gm_backup_tidy(aside); /* of a run that was interrupted */
	enum gm_err err = GM_E_OK;
	bool made = (mkdir(dir, 0700) == 0 || errno == EEXIST) && mkdir(aside, 0700) == 0;
	if (!made || !gm_in_dir(data, aside, "data.mdb") || !write_file(data, m.p, m.n - TRAILER_N))
		err = gm_why(why, GM_E_IO, "%s: %s", aside, strerror(errno));
	unmap(&m);
	if (err != GM_E_OK)
		gm_backup_tidy(aside);
	return err;
}

enum gm_err gm_backup_in_place(const char *dir, const char *aside, char why[static GM_WHY])
{
	char from[GM_PATH], data[GM_PATH], old_lock[GM_PATH];

	GM_TRY(no_store_in(dir, data, why));
	if (!gm_in_dir(from, aside, "data.mdb") || !gm_in_dir(old_lock, dir, "lock.mdb"))
		return gm_why(why, GM_E_IO, "the path of store %.64s... is too long", dir);
	unlink(old_lock); /* readers of another file */
	if (rename(from, data) < 0 || !gm_lmdb_sync_parent(data))
		return gm_why(why, GM_E_IO, "%s: %s", data, strerror(errno));
	return GM_E_OK;
}

void gm_backup_tidy(const char *aside)
{
	static const char *const names[] = {"data.mdb", "lock.mdb", "lock"};
	char path[GM_PATH];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (gm_in_dir(path, aside, names[i]))
			unlink(path);
	rmdir(aside);
}
