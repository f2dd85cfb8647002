/* SPDX-License-Identifier: Apache-2.0 */
#include "host/files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/sanitized.h"

/* newer than Debian 12's headers */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif

/* Rights that a version of Landlock knows: all up to this one. */
static const uint64_t last_right[] = {0, LANDLOCK_ACCESS_FS_MAKE_SYM, LANDLOCK_ACCESS_FS_REFER, LANDLOCK_ACCESS_FS_TRUNCATE,
                                      LANDLOCK_ACCESS_FS_TRUNCATE, LANDLOCK_ACCESS_FS_IOCTL_DEV};
#define VERSIONS ((long)(sizeof(last_right) / sizeof(last_right[0])))

/* that a rule for a file may name */
#define FOR_FILES (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
static const uint64_t rights[] = {
    [GM_FILES_READ] = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    [GM_FILES_RUN] = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    [GM_FILES_WRITE] = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |
                       LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                       LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR,
};

static bool is_absent(int err)
{
	return err == ENOENT || err == ENOTDIR;
}

/* The place counts, not the name: what fd leads to. */
static bool allow(int ruleset, int fd, uint64_t may)
{
	struct landlock_path_beneath_attr beneath = {.parent_fd = fd};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	beneath.allowed_access = S_ISDIR(st.st_mode) ? may : may & FOR_FILES;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0;
}

static bool allow_path(int ruleset, const char *path, uint64_t may)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return is_absent(errno);
	bool good = allow(ruleset, fd, may);
	close(fd);
	return good;
}

/* path is ours, and cut */
static bool allow_beside(int ruleset, char *path, uint64_t may)
{
	bool good = path && allow_path(ruleset, dirname(path), may);

	free(path);
	return good;
}

static bool allow_rule(int ruleset, const struct gm_files_rule *rule, uint64_t known)
{
	uint64_t may = rights[rule->may] & known;

	if (!rule->path || !rule->path[0])
		return true;
	if (!rule->beside)
		return allow_path(ruleset, rule->path, may);
	char *whole = realpath(rule->path, NULL);
	if (!whole && !is_absent(errno))
		return false;
	return allow_beside(ruleset, strdup(rule->path), may) && (!whole || allow_beside(ruleset, whole, may));
}

/* Its inode is another one after the kernel has forgotten it: so it stays open. */
static bool allow_self(int ruleset)
{
	int fd = open("/proc/self", O_PATH | O_CLOEXEC);

	return fd < 0 ? is_absent(errno) : allow(ruleset, fd, rights[GM_FILES_READ]);
}

static bool restrict_to(int ruleset, const struct gm_files_rule *rules, size_t n, uint64_t known)
{
	for (size_t i = 0; i < n; i++)
		if (!allow_rule(ruleset, &rules[i], known))
			return false;
	return allow_self(ruleset) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

enum gm_files_result gm_files_close(const struct gm_files_rule *rules, size_t n)
{
	struct landlock_ruleset_attr handled = {0};
	long version = SANITIZED ? 0 : syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (version < 1)
		return GM_FILES_NOT_HERE;
	handled.handled_access_fs = 2 * last_right[version < VERSIONS ? version : VERSIONS - 1] - 1;
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	if (ruleset < 0)
		return GM_FILES_FAILED;
	bool good = restrict_to(ruleset, rules, n, handled.handled_access_fs);
	int why = errno;
	close(ruleset);
	errno = why;
	return good ? GM_FILES_CLOSED : GM_FILES_FAILED;
}
