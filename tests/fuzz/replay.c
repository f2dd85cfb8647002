/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over the files of the directories and files named, so that a corpus is replayed without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		exit(1);
	}
	uint8_t *buf = malloc(1u << 20); /* exact size below, so that ASan sees a read past the end */
	size_t n = fread(buf, 1, 1u << 20, f);
	fclose(f);
	uint8_t *exact = malloc(n ? n : 1);
	for (size_t i = 0; i < n; i++)
		exact[i] = buf[i];
	free(buf);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 1;
}

static unsigned replay(const char *path)
{
	DIR *d = opendir(path);
	if (!d)
		return replay_file(path);
	unsigned n = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		char sub[4096];
		snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
		n += replay_file(sub);
	}
	closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	unsigned n = 0;
	for (int i = 1; i < argc; i++)
		n += replay(argv[i]);
	printf("%u inputs replayed\n", n);
	return n ? 0 : 1;
}
