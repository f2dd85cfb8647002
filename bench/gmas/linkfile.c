/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/gmas/linkfile.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/gmas/hex.h"
#include "gm/crypto.h"
#include "wire/cose.h"

enum gm_err gm_linkfile_make(const char *path, const char *addr)
{
	uint8_t ms[16], salt[8];
	char ms_hex[sizeof(ms) * 2 + 1], salt_hex[sizeof(salt) * 2 + 1];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == EEXIST ? GM_E_EXISTS : GM_E_IO;
	gm_random(ms, sizeof(ms));
	gm_random(salt, sizeof(salt));
	bool ok = dprintf(fd,
	                  "{\n \"addr\": \"%s\",\n \"ms\": \"%s\",\n \"salt\": \"%s\",\n \"sid\": \"00\",\n \"rid\": \"01\",\n"
	                  " \"alg\": %d\n}\n",
	                  addr, gm_hex_put(ms_hex, ms, sizeof(ms)), gm_hex_put(salt_hex, salt, sizeof(salt)), GM_ALG_CCM_16_64_128) > 0;
	gm_wipe(ms, sizeof(ms));
	gm_wipe(ms_hex, sizeof(ms_hex));
	return close(fd) == 0 && ok ? GM_E_OK : GM_E_IO;
}

static bool get(const json_t *o, const char *name, uint8_t *to, size_t cap, uint8_t *n)
{
	const char *text = json_string_value(json_object_get(o, name));
	size_t got = 0;
	bool ok = text && gm_hex_get(text, strlen(text), to, cap, &got);

	*n = (uint8_t)got;
	return ok;
}

enum gm_err gm_linkfile_load(struct gm_link *link, const char *path)
{
	json_error_t why;
	json_t *o = json_load_file(path, 0, &why);

	*link = (struct gm_link){0};
	if (!o)
		return access(path, R_OK) == 0 ? GM_E_MALFORMED : GM_E_IO;
	const char *addr = json_string_value(json_object_get(o, "addr"));
	bool ok = addr && gm_addr_parse(&link->peer, addr) && get(o, "ms", link->ms, sizeof(link->ms), &link->ms_n) &&
	          get(o, "salt", link->salt, sizeof(link->salt), &link->salt_n) &&
	          get(o, "sid", link->sid, sizeof(link->sid), &link->sid_n) &&
	          get(o, "rid", link->rid, sizeof(link->rid), &link->rid_n) && link->ms_n >= 16;
	json_decref(o);
	return ok ? GM_E_OK : GM_E_MALFORMED;
}
