/* SPDX-License-Identifier: Apache-2.0 */
/* Test vectors: JSON files below tests/vectors, hex inside.
 *
 *	json_t *file = gm_vectors_load("group-oscore.json");
 *	uint8_t secret[16];
 *	gm_vectors_get(secret, sizeof(secret), json_object_get(file, "inputs"), "master_secret");
 *	json_decref(file);
 *
 * A file that is missing, broken hex or a field that does not fit ends the test with a line on stderr:
 * callers check nothing.
 */
#ifndef GM_VECTORS_H
#define GM_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

/* One JSON document; the caller gives it back with json_decref(). name is relative to tests/vectors. */
json_t *gm_vectors_load(const char *name);

/* Any file, for reading; the caller closes it. */
FILE *gm_vectors_open(const char *name);
/* The next document of a file with one JSON document a line; NULL at the end. The caller owns it. */
json_t *gm_vectors_next(FILE *file);

/* Decode hex into out; the answer is the number of bytes, at most cap. */
size_t gm_hex(uint8_t *out, size_t cap, const char *hex);

/* The hex string object[key], decoded. */
size_t gm_vectors_get(uint8_t *out, size_t cap, const json_t *object, const char *key);

/* Is it among the "flags" of the test? */
bool gm_vectors_have_flag(const json_t *test, const char *name);

#endif
