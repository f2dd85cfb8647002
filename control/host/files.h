/* SPDX-License-Identifier: Apache-2.0 */
/* Which files gmd may still reach, by Landlock: those below some directories, whatever the user it runs as may do elsewhere. */
#ifndef GM_FILES_H
#define GM_FILES_H

#include <stdbool.h>
#include <stddef.h>

enum gm_files_may { GM_FILES_READ, GM_FILES_RUN, GM_FILES_WRITE }; /* RUN: read as well; WRITE: read, make and remove as well */

struct gm_files_rule {
	const char *path;       /* a directory and all below it, or a file; NULL, "" and what is not there: no rule */
	enum gm_files_may may;
	bool beside; /* not path, but the directory that it is in, and the one where links lead: files are replaced by renaming */
};

enum gm_files_result { GM_FILES_CLOSED, GM_FILES_NOT_HERE /* the kernel has no Landlock, or does not let us */, GM_FILES_FAILED };

/* From now on, for this thread and those that it starts, and for good: no other file can be opened, made, removed or run, and
 * there are no new privileges. What is open stays so, /proc/self can be read. errno says why not. Builds with sanitizers, which read
 * more: NOT_HERE. */
enum gm_files_result gm_files_close(const struct gm_files_rule *rules, size_t n);

#endif
