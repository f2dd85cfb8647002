/* SPDX-License-Identifier: Apache-2.0 */
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

_Noreturn static void give_up(const char *what, const char *why)
{
	fprintf(stderr, "vectors: %s: %s\n", what, why);
	abort();
}

FILE *gm_vectors_open(const char *name)
{
	char path[1024];
	int len = snprintf(path, sizeof(path), "%s/%s", GM_VECTORS, name);
	if (len < 0 || (size_t)len >= sizeof(path))
		give_up(name, "name too long");

	FILE *file = fopen(path, "r");
	if (!file)
		give_up(path, "cannot open");
	return file;
}

json_t *gm_vectors_load(const char *name)
{
	FILE *file = gm_vectors_open(name);
	json_error_t err;
	json_t *root = json_loadf(file, 0, &err);

	fclose(file);
	if (!root)
		give_up(name, err.text);
	return root;
}

json_t *gm_vectors_next(FILE *file)
{
	int c;
	do
		c = fgetc(file);
	while (c == '\n' || c == '\r' || c == ' ');
	if (c == EOF)
		return NULL;
	ungetc(c, file);

	json_error_t err;
	json_t *row = json_loadf(file, JSON_DISABLE_EOF_CHECK, &err);
	if (!row)
		give_up("line", err.text);
	return row;
}

static unsigned nibble(const char *hex, char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	if (!at)
		give_up(hex, "not hex");
	return (unsigned)(at - digits);
}

size_t gm_hex(uint8_t *out, size_t cap, const char *hex)
{
	size_t len = strlen(hex) / 2;

	if (strlen(hex) % 2 || len > cap)
		give_up(hex, "half a byte, or too long");
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(nibble(hex, hex[2 * i]) << 4 | nibble(hex, hex[2 * i + 1]));
	return len;
}

size_t gm_vectors_get(uint8_t *out, size_t cap, const json_t *object, const char *key)
{
	const char *hex = json_string_value(json_object_get(object, key));

	if (!hex)
		give_up(key, "no such string");
	return gm_hex(out, cap, hex);
}

bool gm_vectors_have_flag(const json_t *test, const char *name)
{
	const json_t *flags = json_object_get(test, "flags");

	for (size_t i = 0; i < json_array_size(flags); i++)
		if (strcmp(json_string_value(json_array_get(flags, i)), name) == 0)
			return true;
	return false;
}
