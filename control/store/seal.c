/* SPDX-License-Identifier: Apache-2.0 */
#include "store/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"

#define HEX (2u * GM_BOX_KEY)
#define AAD_MAX (1u + GM_KEY_MAX + 5u)

enum gm_err gm_why(char why[static GM_WHY], enum gm_err err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, GM_WHY, format, args);
	va_end(args);
	return err;
}

/* ------------------------------------------------------------------ the key */

static void derive_id(struct gm_seal_key *key)
{
	static const char info[] = "gmd store key id";
	uint8_t id[4];

	gm_hkdf_sha256(id, sizeof(id), NULL, 0, key->key, sizeof(key->key), (const uint8_t *)info, sizeof(info) - 1);
	key->id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
}

enum gm_err gm_seal_key_make(struct gm_seal_key *key, const char *path)
{
	static const char digits[] = "0123456789abcdef";
	char text[HEX + 1];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == EEXIST ? GM_E_EXISTS : GM_E_IO;
	gm_random(key->key, sizeof(key->key));
	derive_id(key);
	for (size_t i = 0; i < HEX; i++)
		text[i] = digits[key->key[i / 2] >> (i % 2 ? 0 : 4) & 15];
	text[HEX] = '\n';
	bool good = write(fd, text, sizeof(text)) == (ssize_t)sizeof(text) && fsync(fd) == 0;
	gm_wipe(text, sizeof(text));
	if (close(fd) == 0 && good)
		return GM_E_OK;
	unlink(path);
	return GM_E_IO;
}

static bool hex_digit(char c, uint8_t *v)
{
	if (c >= '0' && c <= '9')
		*v = (uint8_t)(c - '0');
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		*v = (uint8_t)((c | 0x20) - 'a' + 10);
	else
		return false;
	return true;
}

static bool decode(struct gm_seal_key *key, const char *text, ssize_t n)
{
	uint8_t high, low;

	if (n != HEX && (n != HEX + 1 || text[HEX] != '\n'))
		return false;
	for (size_t i = 0; i < sizeof(key->key); i++) {
		if (!hex_digit(text[2 * i], &high) || !hex_digit(text[2 * i + 1], &low))
			return false;
		key->key[i] = (uint8_t)(high << 4 | low);
	}
	derive_id(key);
	return true;
}

/* systemd gives a service its credentials by an ACL, whose mask shows as group bits; their directory is closed. */
static mode_t forbidden_bits(const char *path)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	size_t n = dir ? strlen(dir) : 0;

	return n && strncmp(path, dir, n) == 0 && path[n] == '/' ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
}

static enum gm_err read_key(struct gm_seal_key *key, int fd, const char *path, char why[static GM_WHY])
{
	char text[HEX + 2]; /* one more than allowed, to notice it */
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return gm_why(why, GM_E_STORE_KEY, "key file %s is not a regular file", path);
	if (st.st_mode & forbidden_bits(path))
		return gm_why(why, GM_E_STORE_KEY, "key file %s is open to others (mode %04o): chmod 600 it", path,
		              (unsigned)st.st_mode & 07777u);
	bool good = decode(key, text, read(fd, text, sizeof(text)));
	gm_wipe(text, sizeof(text));
	return good ? GM_E_OK
	            : gm_why(why, GM_E_STORE_KEY, "key file %s does not hold 64 hex digits and a newline", path);
}

enum gm_err gm_seal_key_read(struct gm_seal_key *key, const char *path, char why[static GM_WHY])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return gm_why(why, GM_E_STORE_KEY, "key file %s: %s", path, strerror(errno));
	enum gm_err err = read_key(key, fd, path, why);
	close(fd);
	return err;
}

/* ------------------------------------------------------------------ records */

static size_t associated(uint8_t aad[static AAD_MAX], uint8_t table, struct gm_bytes name, const uint8_t *head)
{
	struct gm_out o = gm_out(aad, AAD_MAX);

	gm_out_u8(&o, table);
	gm_out_bytes(&o, name.p, name.n);
	gm_out_bytes(&o, head, 5); /* version and key id; their length is fixed, so that the name's end is known */
	return gm_out_len(&o);
}

void gm_seal(const struct gm_seal_key *key, uint8_t table, struct gm_bytes name, struct gm_bytes value, uint8_t *out)
{
	struct gm_out o = gm_out(out, GM_SEAL_HEAD);
	uint8_t aad[AAD_MAX];

	gm_out_u8(&o, GM_SEAL_VERSION);
	gm_out_be(&o, key->id, 4);
	gm_random(o.p, GM_BOX_NONCE);
	gm_box_seal(out + GM_SEAL_HEAD, value.p, value.n, aad, associated(aad, table, name, out), o.p, key->key);
}

enum gm_err gm_unseal(const struct gm_seal_key *key, uint8_t table, struct gm_bytes name, struct gm_bytes record,
                      uint8_t *out, struct gm_bytes *value)
{
	struct gm_in in = gm_in_bytes(record);
	uint8_t version = gm_in_u8(&in), aad[AAD_MAX];
	uint32_t id = (uint32_t)gm_in_be(&in, 4);
	struct gm_bytes nonce = gm_in_take(&in, GM_BOX_NONCE);

	if (record.n < GM_SEAL_EXTRA || name.n > GM_KEY_MAX)
		return GM_E_CORRUPT;
	if (version != GM_SEAL_VERSION)
		return GM_E_STORE_VERSION;
	if (id != key->id)
		return GM_E_STORE_KEY;
	if (!gm_box_open(out, in.p, gm_in_left(&in), aad, associated(aad, table, name, record.p), nonce.p, key->key))
		return GM_E_CORRUPT;
	*value = (struct gm_bytes){.p = out, .n = record.n - GM_SEAL_EXTRA};
	return GM_E_OK;
}

bool gm_seal_is(const struct gm_seal_key *key, struct gm_bytes record)
{
	struct gm_in in = gm_in_bytes(record);
	uint8_t version = gm_in_u8(&in);

	return version == GM_SEAL_VERSION && (uint32_t)gm_in_be(&in, 4) == key->id && in.err == GM_E_OK;
}
