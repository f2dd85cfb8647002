/* SPDX-License-Identifier: Apache-2.0 */
/* Files with keys: read here, so that no key is on a command line. */
#include "ctl/gmctl/gmctl.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "gm/crypto.h"
#include "wire/cbor.h"

#define KEY_FILE_MAX 8192u

static void take_hex(struct gm_ctl_request *request, const char *path, const char *key, const char *text)
{
	if (!gm_cli_put_hex(gm_cli_add(request, key, GM_CTL_BYTES), text))
		gm_cli_die(EXIT_FAILED, "%s: %s: hexadecimal digits are needed, two a byte", path, key);
}

/* One member of a key file, unless the command line named it already. */
static void take_member(struct gm_ctl_request *request, const char *path, const json_t *json, const char *member, const char *key, bool hex)
{
	const char *text = json_string_value(json_object_get(json, member));

	if (!text || gm_ctl_arg(request, key))
		return;
	if (hex)
		take_hex(request, path, key, text);
	else if (strlen(text) > GM_CTL_TEXT_MAX)
		gm_cli_die(EXIT_FAILED, "%s: %s: longer than %u bytes", path, member, GM_CTL_TEXT_MAX);
	else
		gm_cli_set_text(gm_cli_add(request, key, GM_CTL_TEXT), text);
}

static char file_text[KEY_FILE_MAX]; /* secret */
static json_t *volatile file_json; /* of the file that is read: gm_cli_die() leaves it here, where it is no leak; volatile, for else nobody reads it */

/* The text of a file, without what is white at its end; returns its length. */
static size_t read_secret(const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

	if (!f)
		gm_cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	size_t n = fread(file_text, 1, sizeof(file_text) - 1, f);
	if (ferror(f))
		gm_cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	if (f != stdin)
		fclose(f);
	while (n && isspace((unsigned char)file_text[n - 1]))
		n--;
	if (!n)
		gm_cli_die(EXIT_FAILED, "%s: is empty", f == stdin ? "standard input" : path);
	file_text[n] = '\0';
	return n;
}

static json_t *read_json(const char *path, size_t n)
{
	json_error_t error;

	file_json = json_loadb(file_text, n, 0, &error);
	if (!file_json)
		gm_cli_die(EXIT_FAILED, "%s:%d:%d: %s", path, error.line, error.column, error.text);
	if (!json_is_object(file_json))
		gm_cli_die(EXIT_FAILED, "%s: a JSON object is needed", path);
	return file_json;
}

/* {"kid": hex, "alg": "…", "key": hex or "pub": hex, "iss": "…"}, or nothing but the key in hex. */
void gm_cli_key_file(struct gm_ctl_request *request, const char *path)
{
	size_t n = read_secret(path);

	if (file_text[0] != '{') {
		take_hex(request, path, "key", file_text);
	} else {
		json_t *json = read_json(path, n);
		take_member(request, path, json, "pub", "key", true);
		take_member(request, path, json, "key", "key", true);
		take_member(request, path, json, "kid", "kid", true);
		take_member(request, path, json, "alg", "alg", false);
		take_member(request, path, json, "iss", "issuer", false);
		json_decref(json);
	}
	gm_wipe(file_text, sizeof(file_text));
}

/* {"token": hex}, as gmas mint has it, or nothing but the token in hex. */
void gm_cli_token_file(struct gm_ctl_request *request, const char *path)
{
	size_t n = read_secret(path);

	if (file_text[0] != '{') {
		take_hex(request, path, "token", file_text);
	} else {
		json_t *json = read_json(path, n);
		take_member(request, path, json, "token", "token", true);
		json_decref(json);
	}
	gm_wipe(file_text, sizeof(file_text));
}

/* What is no string is a mistake, not absent. */
static const char *text_member(const char *path, const json_t *json, const char *member)
{
	const json_t *value = json_object_get(json, member);

	if (value && !json_is_string(value))
		gm_cli_die(EXIT_FAILED, "%s: %s: a string is needed", path, member);
	return json_string_value(value);
}

/* Between least and most bytes, in hex; least 0: may be absent. */
static void put_hex_member(struct gm_out *o, const char *path, const json_t *json, const char *member, size_t least, size_t most)
{
	const char *text = text_member(path, json, member);
	size_t n = text ? strlen(text) : 0;
	struct gm_ctl_arg bytes = {.key = "link"};

	if (n > 2 * most || n % 2 || n / 2 < least || (text && strspn(text, "0123456789abcdefABCDEF") != n))
		gm_cli_die(EXIT_FAILED, "%s: %s: %zu to %zu bytes in hexadecimal digits are needed", path, member, least, most);
	gm_cli_set_hex(&bytes, text ? text : "");
	gm_cbor_put_bstr(o, bytes.text, bytes.n);
	gm_wipe(&bytes, sizeof(bytes));
}

/* {"addr": "host:port", "ms": hex, "salt": hex, "sid": hex, "rid": hex, "alg": number} travels as the array of the six. sid is
 * ours, rid the server's; salt may be absent, and so may alg. */
void gm_cli_link_file(struct gm_ctl_request *request, const char *path)
{
	json_t *json = read_json(path, read_secret(path)), *alg = json_object_get(json, "alg");
	const char *addr = json_string_value(json_object_get(json, "addr"));
	struct gm_ctl_arg *arg = gm_cli_add(request, "link", GM_CTL_BYTES);
	struct gm_out o = gm_out((uint8_t *)arg->text, GM_CTL_TEXT_MAX);

	if (!addr || strlen(addr) >= 64)
		gm_cli_die(EXIT_FAILED, "%s: addr: an address and a port are needed, as 127.0.0.1:5690 or [::1]:5690", path);
	if (alg && (!json_is_integer(alg) || json_integer_value(alg) < 1 || json_integer_value(alg) > 127))
		gm_cli_die(EXIT_FAILED, "%s: alg: the COSE number of an AEAD is needed", path);
	gm_cbor_put_array(&o, 6);
	gm_cbor_put_text(&o, addr);
	put_hex_member(&o, path, json, "ms", 16, 32);
	put_hex_member(&o, path, json, "salt", 0, 16);
	put_hex_member(&o, path, json, "sid", 0, 7);
	put_hex_member(&o, path, json, "rid", 0, 7);
	gm_cbor_put_int(&o, alg ? json_integer_value(alg) : 10);
	arg->n = gm_out_len(&o);
	json_decref(json);
	gm_wipe(file_text, sizeof(file_text));
}
