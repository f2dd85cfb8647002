/* SPDX-License-Identifier: Apache-2.0 */
/* Backup files: whatever passes the check was ended by us. */
#include "insist.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/backup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[64], why[GM_WHY] = "";
	int fd = memfd_create("backup", MFD_CLOEXEC);

	insist(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	enum gm_err err = gm_backup_check(name, why);
	insist(err == GM_E_OK || why[0]);
	close(fd);
	return 0;
}
