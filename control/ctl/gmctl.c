/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's client: one command, its answer as a table or as JSON, an exit code. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ctl/frame.h"
#include "ctl/verbs.h"
#include "gm/crypto.h"
#include "store/backup.h"
#include "wire/cbor.h"

#define DEFAULT_SOCKET "/run/gmd/gmd.sock"
#define KEY_FILE_MAX 8192u

enum exit_code { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_RUNNING, EXIT_DENIED };

static const char help_head[] =
	"usage: gmctl [-s SOCKET] [--json] COMMAND ...\n"
	"\n"
	"  -s, --socket SOCKET  control socket of gmd; else $GMD_SOCKET, else " DEFAULT_SOCKET "\n"
	"  --json               one JSON object a line instead of tables\n"
	"\n"
	"commands:\n";
static const char help_tail[] =
	"\n"
	"  restore [-c FILE] BACKUP, recover [-c FILE] --rekey-all, rotate-key [-c FILE]\n"
	"      while no gmd runs; see gmd(8)\n"
	"\n"
	"Exit: 0 done, 1 refused or failed, 2 bad usage, 3 gmd is not running, 4 permission denied. See gmctl(1).\n";

__attribute__((format(printf, 2, 3), noreturn)) static void die(enum exit_code code, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("gmctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit((int)code);
}

static void print_help(void)
{
	fputs(help_head, stdout);
	for (unsigned i = 0; i < gm_ctl_verbs_n; i++) {
		const struct gm_ctl_verb *v = &gm_ctl_verbs[i];
		printf("  %s%s%s\n      %s\n", v->name, v->args[0] ? " " : "", v->args, v->help);
	}
	fputs(help_tail, stdout);
}

/* ---- rows, collected: for people the widths have to be known first */

struct cell {
	char *key, *text;
	bool number;
};
struct row {
	struct cell *cells;
	unsigned n;
};
struct rows {
	struct row *rows;
	size_t n, cap;
};

static void *need(void *p)
{
	if (!p)
		die(EXIT_FAILED, "out of memory");
	return p;
}

static char *text_of(struct gm_bytes b) /* control characters would reach the terminal */
{
	char *s = need(malloc(b.n + 1));

	for (size_t i = 0; i < b.n; i++)
		s[i] = b.p[i] < 0x20 || b.p[i] == 0x7f ? '?' : (char)b.p[i];
	s[b.n] = '\0';
	return s;
}

static char *hex_of(struct gm_bytes b)
{
	char *s = need(malloc(2 * b.n + 1));

	s[0] = '\0';
	for (size_t i = 0; i < b.n; i++)
		snprintf(s + 2 * i, 3, "%02x", b.p[i]);
	return s;
}

static bool is_time(const char *key)
{
	size_t n = strlen(key);
	return n > 3 && strcmp(key + n - 3, "_at") == 0;
}

static char *number_text(const char *key, int64_t v)
{
	char buf[32];
	time_t t = (time_t)v;
	struct tm tm;

	if (is_time(key) && v <= 0)
		snprintf(buf, sizeof(buf), "-");
	else if (is_time(key) && gmtime_r(&t, &tm))
		strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%SZ", &tm);
	else
		snprintf(buf, sizeof(buf), "%lld", (long long)v);
	return need(strdup(buf));
}

static struct cell read_cell(struct gm_in *in)
{
	struct cell cell = {.key = text_of(gm_cbor_tstr(in))};

	switch (gm_cbor_peek(in)) {
	case GM_CBOR_UINT:
	case GM_CBOR_NINT:
		cell.text = number_text(cell.key, gm_cbor_int(in));
		cell.number = true;
		break;
	case GM_CBOR_TSTR:
		cell.text = text_of(gm_cbor_tstr(in));
		break;
	case GM_CBOR_BSTR:
		cell.text = hex_of(gm_cbor_bstr(in));
		break;
	case GM_CBOR_SIMPLE:
		if (gm_cbor_is_null(in)) {
			gm_cbor_null(in);
			cell.text = need(strdup(""));
		} else {
			cell.text = need(strdup(gm_cbor_bool(in) ? "yes" : "no"));
		}
		break;
	default:
		cell.text = need(strdup("?"));
		gm_cbor_skip(in);
	}
	return cell;
}

static void keep_row(struct rows *rows, struct gm_bytes pairs)
{
	struct gm_in in = gm_in_bytes(pairs);
	uint64_t n = gm_cbor_map(&in);

	if (rows->n == rows->cap) {
		rows->cap = rows->cap ? 2 * rows->cap : 64;
		rows->rows = need(realloc(rows->rows, rows->cap * sizeof(rows->rows[0])));
	}
	struct row *row = &rows->rows[rows->n++];
	*row = (struct row){.cells = need(calloc(n ? n : 1, sizeof(struct cell)))};
	while (row->n < n)
		row->cells[row->n++] = read_cell(&in);
	if (in.err != GM_E_OK)
		die(EXIT_FAILED, "gmd's answer cannot be read");
}

static bool same_columns(const struct row *a, const struct row *b)
{
	bool same = a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++)
		same = strcmp(a->cells[i].key, b->cells[i].key) == 0;
	return same;
}

static int width_of(const char *s) /* in characters, UTF-8 */
{
	int n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void print_padded(const char *s, int width, bool right, bool last)
{
	int pad = width - width_of(s);

	if (right)
		printf("%*s", pad > 0 ? pad : 0, "");
	fputs(s, stdout);
	if (!right && !last)
		printf("%*s", pad > 0 ? pad : 0, "");
	fputs(last ? "\n" : "  ", stdout);
}

static int column_width(const struct rows *rows, unsigned c)
{
	int width = width_of(rows->rows[0].cells[c].key);

	for (size_t r = 0; r < rows->n; r++) {
		int w = c < rows->rows[r].n ? width_of(rows->rows[r].cells[c].text) : 0;
		width = w > width ? w : width;
	}
	return width;
}

static bool to_the_right(const struct cell *cell)
{
	return cell->number && !is_time(cell->key);
}

/* A line per row, keys on top. */
static void print_table(const struct rows *rows)
{
	const struct row *first = rows->rows;
	unsigned columns = rows->n ? first->n : 0;
	int *width = need(calloc(columns + 1, sizeof(int)));

	for (unsigned c = 0; c < columns; c++) {
		char head[64];
		width[c] = column_width(rows, c);
		snprintf(head, sizeof(head), "%s", first->cells[c].key);
		for (char *h = head; *h; h++)
			*h = *h == '_' ? '-' : (char)toupper((unsigned char)*h);
		print_padded(head, width[c], to_the_right(&first->cells[c]), c + 1 == columns);
	}
	for (size_t r = 0; r < rows->n; r++) {
		const struct row *row = &rows->rows[r];
		for (unsigned c = 0; c < row->n; c++)
			print_padded(row->cells[c].text, c < columns ? width[c] : 0, to_the_right(&row->cells[c]),
				     c + 1 == row->n);
	}
	free(width);
}

/* A line per key, a column per row; rows with the same keys stand side by side. */
static void print_sheets(const struct rows *rows)
{
	for (size_t from = 0, to; from < rows->n; from = to) {
		const struct row *first = &rows->rows[from];
		int key_width = 0;
		for (to = from + 1; to < rows->n && same_columns(first, &rows->rows[to]);)
			to++;
		for (unsigned c = 0; c < first->n; c++)
			key_width =
				width_of(first->cells[c].key) > key_width ? width_of(first->cells[c].key) : key_width;
		for (unsigned c = 0; c < first->n; c++) {
			if (strcmp(first->cells[c].key, "what") == 0) {
				printf("%s%s\n", from ? "\n" : "", first->cells[c].text);
				continue;
			}
			printf("  ");
			print_padded(first->cells[c].key, key_width, false, false);
			for (size_t r = from; r < to; r++)
				print_padded(rows->rows[r].cells[c].text, to - from > 1 ? 10 : 0, to - from > 1,
					     r + 1 == to);
		}
	}
}

static void free_rows(struct rows *rows)
{
	for (size_t r = 0; r < rows->n; r++) {
		for (unsigned c = 0; c < rows->rows[r].n; c++) {
			free(rows->rows[r].cells[c].key);
			free(rows->rows[r].cells[c].text);
		}
		free(rows->rows[r].cells);
	}
	free(rows->rows);
	*rows = (struct rows){0};
}

/* ---- JSON */

static json_t *json_cell(struct gm_in *in)
{
	struct gm_bytes b;
	char *hex;
	json_t *v;

	switch (gm_cbor_peek(in)) {
	case GM_CBOR_UINT:
	case GM_CBOR_NINT:
		return json_integer((json_int_t)gm_cbor_int(in));
	case GM_CBOR_TSTR:
		b = gm_cbor_tstr(in);
		return json_stringn((const char *)b.p, b.n);
	case GM_CBOR_BSTR:
		hex = hex_of(gm_cbor_bstr(in));
		v = json_string(hex);
		free(hex);
		return v;
	default:
		if (!gm_cbor_is_null(in))
			return json_boolean(gm_cbor_bool(in));
		gm_cbor_null(in);
		return json_null();
	}
}

static void print_json(struct gm_bytes pairs)
{
	struct gm_in in = gm_in_bytes(pairs);
	json_t *object = need(json_object());

	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		char *key = text_of(gm_cbor_tstr(&in));
		json_object_set_new(object, key, json_cell(&in));
		free(key);
	}
	if (in.err != GM_E_OK || json_dumpf(object, stdout, JSON_COMPACT) != 0)
		die(EXIT_FAILED, "gmd's answer cannot be read");
	putchar('\n');
	json_decref(object);
}

/* ---- the request out of the command line */

static struct gm_ctl_arg *add_arg(struct gm_ctl_request *request, const char *key, enum gm_ctl_type type)
{
	if (gm_ctl_arg(request, key))
		die(EXIT_USAGE, "%s is given twice", key);
	if (request->args_n == GM_CTL_ARGS_MAX)
		die(EXIT_USAGE, "too many arguments");
	struct gm_ctl_arg *arg = &request->args[request->args_n++];
	snprintf(arg->key, sizeof(arg->key), "%s", key);
	arg->type = type;
	return arg;
}

static void set_text(struct gm_ctl_arg *arg, const char *text)
{
	arg->n = strlen(text);
	if (arg->n > GM_CTL_TEXT_MAX)
		die(EXIT_USAGE, "%s is too long", arg->key);
	memcpy(arg->text, text, arg->n + 1);
}

static void set_hex(struct gm_ctl_arg *arg, const char *text)
{
	size_t n = strlen(text);

	if (n % 2 || n / 2 > GM_CTL_TEXT_MAX || strspn(text, "0123456789abcdefABCDEF") != n)
		die(EXIT_USAGE, "%s: hexadecimal digits are needed, two a byte", arg->key);
	for (size_t i = 0; i < n / 2; i++) {
		const char two[3] = {text[2 * i], text[2 * i + 1], '\0'};
		arg->text[i] = (char)strtoul(two, NULL, 16);
	}
	arg->n = n / 2;
}

static void set_uint(struct gm_ctl_arg *arg, const char *text)
{
	char *end;

	errno = 0;
	arg->u = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno)
		die(EXIT_USAGE, "%s: a whole number is needed, not '%s'", arg->key, text);
}

/* One member of a key file, unless the command line named it already. */
static void take_member(struct gm_ctl_request *request, const json_t *json, const char *member, const char *key,
			bool hex)
{
	const char *text = json_string_value(json_object_get(json, member));

	if (!text || gm_ctl_arg(request, key))
		return;
	if (hex)
		set_hex(add_arg(request, key, GM_CTL_BYTES), text);
	else
		set_text(add_arg(request, key, GM_CTL_TEXT), text);
}

static char file_text[KEY_FILE_MAX]; /* secret */
static json_t *volatile file_json; /* of the file that is read: die() leaves it here, where it is no leak; volatile, for else nobody reads it */

/* The text of a file, without what is white at its end; returns its length. */
static size_t read_secret(const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

	if (!f)
		die(EXIT_USAGE, "%s: %s", path, strerror(errno));
	size_t n = fread(file_text, 1, sizeof(file_text) - 1, f);
	if (ferror(f))
		die(EXIT_USAGE, "%s: %s", path, strerror(errno));
	if (f != stdin)
		fclose(f);
	while (n && isspace((unsigned char)file_text[n - 1]))
		n--;
	file_text[n] = '\0';
	return n;
}

static json_t *read_json(const char *path, size_t n)
{
	json_error_t error;

	file_json = json_loadb(file_text, n, 0, &error);
	if (!file_json)
		die(EXIT_USAGE, "%s:%d:%d: %s", path, error.line, error.column, error.text);
	if (!json_is_object(file_json))
		die(EXIT_USAGE, "%s: a JSON object is needed", path);
	return file_json;
}

/* {"kid": hex, "alg": "…", "key": hex or "pub": hex, "iss": "…"}, or nothing but the key in hex. */
static void take_key_file(struct gm_ctl_request *request, const char *path)
{
	size_t n = read_secret(path);

	if (file_text[0] != '{') {
		set_hex(add_arg(request, "key", GM_CTL_BYTES), file_text);
	} else {
		json_t *json = read_json(path, n);
		take_member(request, json, "pub", "key", true);
		take_member(request, json, "key", "key", true);
		take_member(request, json, "kid", "kid", true);
		take_member(request, json, "alg", "alg", false);
		take_member(request, json, "iss", "issuer", false);
		json_decref(json);
	}
	gm_wipe(file_text, sizeof(file_text));
}

/* What is no string is a mistake, not absent. */
static const char *text_member(const char *path, const json_t *json, const char *member)
{
	const json_t *value = json_object_get(json, member);

	if (value && !json_is_string(value))
		die(EXIT_USAGE, "%s: %s: a string is needed", path, member);
	return json_string_value(value);
}

/* Between least and most bytes, in hex; least 0: may be absent. */
static void put_hex_member(struct gm_out *o, const char *path, const json_t *json, const char *member, size_t least, size_t most)
{
	const char *text = text_member(path, json, member);
	size_t n = text ? strlen(text) : 0;
	struct gm_ctl_arg bytes = {.key = "link"};

	if (n > 2 * most || n % 2 || n / 2 < least || (text && strspn(text, "0123456789abcdefABCDEF") != n))
		die(EXIT_USAGE, "%s: %s: %zu to %zu bytes in hexadecimal digits are needed", path, member, least, most);
	set_hex(&bytes, text ? text : "");
	gm_cbor_put_bstr(o, bytes.text, bytes.n);
	gm_wipe(&bytes, sizeof(bytes));
}

/* {"addr": "host:port", "ms": hex, "salt": hex, "sid": hex, "rid": hex, "alg": number} travels as the array of the six. sid is
 * ours, rid the server's; salt may be absent, and so may alg. */
static void take_link_file(struct gm_ctl_request *request, const char *path)
{
	json_t *json = read_json(path, read_secret(path)), *alg = json_object_get(json, "alg");
	const char *addr = json_string_value(json_object_get(json, "addr"));
	struct gm_ctl_arg *arg = add_arg(request, "link", GM_CTL_BYTES);
	struct gm_out o = gm_out((uint8_t *)arg->text, GM_CTL_TEXT_MAX);

	if (!addr || strlen(addr) >= 64)
		die(EXIT_USAGE, "%s: addr: an address and a port are needed, as 127.0.0.1:5690 or [::1]:5690", path);
	if (alg && (!json_is_integer(alg) || json_integer_value(alg) < 1 || json_integer_value(alg) > 127))
		die(EXIT_USAGE, "%s: alg: the COSE number of an AEAD is needed", path);
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

static void take_value(struct gm_ctl_request *request, const struct gm_ctl_spec *spec, const char *text)
{
	struct gm_ctl_arg *arg = add_arg(request, spec->key, gm_ctl_spec_wire(spec->type));

	if (spec->type == GM_CTL_SPEC_UINT)
		set_uint(arg, text);
	else if (spec->type == GM_CTL_SPEC_HEX)
		set_hex(arg, text);
	else
		set_text(arg, text);
}

struct line { /* the command line, understood */
	const struct gm_ctl_verb *verb;
	struct gm_ctl_request request;
	const char *repeats_key; /* positional that may repeat: asked once for each */
	char **repeats;
	int repeats_n;
	const char *key_file, *link_file;
};

static int take_option(struct line *line, const struct gm_ctl_spec *specs, unsigned n, char **argv, int argc)
{
	const char *name = argv[0] + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);

	for (unsigned i = 0; i < n; i++) {
		const struct gm_ctl_spec *spec = &specs[i];
		if (spec->positional || strlen(spec->key) != len || strncmp(spec->key, name, len) != 0)
			continue;
		if (spec->type == GM_CTL_SPEC_FLAG) {
			if (equals)
				die(EXIT_USAGE, "--%s takes no value", spec->key);
			add_arg(&line->request, spec->key, GM_CTL_BOOL)->u = 1;
			return 1;
		}
		if (!equals && spec->optional) {
			add_arg(&line->request, spec->key, gm_ctl_spec_wire(spec->type));
			return 1;
		}
		if (!equals && argc < 2)
			die(EXIT_USAGE, "--%s needs a value", spec->key);
		const char *value = equals ? equals + 1 : argv[1];
		if (spec->type == GM_CTL_SPEC_FILE && strcmp(spec->key, "link") == 0)
			line->link_file = value;
		else if (spec->type == GM_CTL_SPEC_FILE)
			line->key_file = value;
		else
			take_value(&line->request, spec, value);
		return equals ? 1 : 2;
	}
	die(EXIT_USAGE, "%s: no such option '%s'", line->verb->name, argv[0]);
}

static void take_arguments(struct line *line, int argc, char **argv)
{
	struct gm_ctl_spec specs[GM_CTL_SPECS_MAX];
	unsigned n = gm_ctl_specs(line->verb, specs), at = 0;
	bool only_words = false;

	line->repeats = need(calloc((size_t)argc + 1, sizeof(char *)));
	for (int i = 0; i < argc;) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
			i++;
			continue;
		}
		if (!only_words && strncmp(argv[i], "--", 2) == 0) {
			i += take_option(line, specs, n, argv + i, argc - i);
			continue;
		}
		while (at < n && !specs[at].positional)
			at++;
		if (at == n)
			die(EXIT_USAGE, "%s: too many arguments, '%s'", line->verb->name, argv[i]);
		if (specs[at].repeats) {
			line->repeats_key = specs[at].key;
			line->repeats[line->repeats_n++] = argv[i++];
		} else {
			take_value(&line->request, &specs[at++], argv[i++]);
		}
	}
	for (unsigned i = 0; i < n; i++) {
		bool given = specs[i].repeats ? line->repeats_n > 0 : gm_ctl_arg(&line->request, specs[i].key) != NULL;
		if (specs[i].positional && !given)
			die(EXIT_USAGE, "%s: %s is missing", line->verb->name, specs[i].key);
	}
	if (line->repeats_n) { /* specs goes away */
		static char key[GM_CTL_KEY_MAX + 1];
		snprintf(key, sizeof(key), "%s", line->repeats_key);
		line->repeats_key = key;
	}
	if (line->key_file)
		take_key_file(&line->request, line->key_file);
	if (line->link_file)
		take_link_file(&line->request, line->link_file);
}

/* "group create" before "rekey": the longest verb that the words begin with. */
static int take_verb(struct line *line, int argc, char **argv)
{
	char two[2 * GM_CTL_KEY_MAX + 2];

	if (argc > 1 && strlen(argv[0]) <= GM_CTL_KEY_MAX && strlen(argv[1]) <= GM_CTL_KEY_MAX) {
		snprintf(two, sizeof(two), "%s %s", argv[0], argv[1]);
		line->verb = gm_ctl_verb(two);
	}
	int words = line->verb ? 2 : 1;
	if (!line->verb)
		line->verb = gm_ctl_verb(argv[0]);
	if (!line->verb)
		die(EXIT_USAGE, "no such command '%s%s%s'; try gmctl --help", argv[0], argc > 1 ? " " : "",
		    argc > 1 ? argv[1] : "");
	snprintf(line->request.verb, sizeof(line->request.verb), "%s", line->verb->name);
	return words;
}

/* ---- asking */

static int connect_to(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(addr.sun_path))
		die(EXIT_USAGE, "%s: path too long for a socket", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (fd < 0)
		die(EXIT_FAILED, "socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		die(EXIT_DENIED, "%s: permission denied", path);
	if (errno == ENOENT || errno == ECONNREFUSED)
		die(EXIT_NOT_RUNNING, "gmd is not running (nobody listens at %s)", path);
	die(EXIT_FAILED, "%s: %s", path, strerror(errno));
}

/* passed: a descriptor that goes with it; -1: none */
static ssize_t send_with(int fd, const uint8_t *p, size_t n, int passed)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (passed >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(c), &passed, sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static void send_request(int fd, const struct gm_ctl_request *request)
{
	struct gm_ctl_buf buf = {0};
	int passed = request->fd;

	if (gm_ctl_request_append(&buf, request) != GM_E_OK)
		die(EXIT_FAILED, "out of memory");
	while (buf.n > buf.at) {
		ssize_t n = send_with(fd, buf.bytes + buf.at, buf.n - buf.at, passed);
		if (n < 0 && errno == EINTR)
			continue;
		passed = -1;
		if (n < 0)
			break; /* a refusal may be waiting to be read */
		gm_ctl_buf_eat(&buf, (size_t)n);
	}
	gm_ctl_buf_free(&buf);
}

static void receive_frame(int fd, struct gm_ctl_buf *in, struct gm_bytes *frame)
{
	enum gm_err err;

	while (!gm_ctl_frame_next(in, frame, &err)) {
		uint8_t *room = err == GM_E_OK ? gm_ctl_buf_room(in, 1u << 16) : NULL;
		if (!room)
			die(EXIT_FAILED, "gmd's answer cannot be read");
		ssize_t n = recv(fd, room, 1u << 16, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die(EXIT_FAILED, "gmd closed the connection before it had answered");
		in->n += (size_t)n;
	}
}

static void refused(const struct gm_ctl_answer *answer)
{
	enum exit_code code = gm_bytes_is(answer->code, "denied")  ? EXIT_DENIED
	                      : gm_bytes_is(answer->code, "usage") ? EXIT_USAGE
	                                                           : EXIT_FAILED;
	char *text = text_of(answer->error);

	die(code, "%s", text);
}

/* Number under "after" in the end of a page; false: it was the last. */
static bool goes_on(struct gm_bytes pairs, uint64_t *after)
{
	struct gm_in in = gm_in_bytes(pairs);

	for (uint64_t n = gm_cbor_map(&in); n && in.err == GM_E_OK; n--) {
		struct gm_bytes key = gm_cbor_tstr(&in);
		if (gm_bytes_is(key, "after")) {
			*after = gm_cbor_uint(&in);
			return in.err == GM_E_OK;
		}
		gm_cbor_skip(&in);
	}
	return false;
}

struct session {
	int fd;
	bool json;
	struct gm_ctl_buf in;
	struct rows rows;
};

/* One page. true: there is more after *after. */
static bool ask_page(struct session *s, const struct gm_ctl_request *request, uint64_t *after)
{
	struct gm_ctl_answer answer;
	struct gm_bytes frame;

	send_request(s->fd, request);
	for (;;) {
		receive_frame(s->fd, &s->in, &frame);
		if (gm_ctl_answer_decode(frame, &answer) != GM_E_OK)
			die(EXIT_FAILED, "gmd's answer cannot be read");
		if (answer.kind == GM_CTL_ERROR)
			refused(&answer);
		if (answer.kind == GM_CTL_END)
			break;
		if (s->json)
			print_json(answer.pairs);
		else
			keep_row(&s->rows, answer.pairs);
		gm_ctl_buf_eat(&s->in, 4 + frame.n);
	}
	bool more = goes_on(answer.pairs, after);
	gm_ctl_buf_eat(&s->in, 4 + frame.n);
	return more;
}

static void ask(struct session *s, struct gm_ctl_request *request)
{
	struct gm_ctl_arg *cursor = NULL;
	uint64_t after;

	request->id++;
	while (ask_page(s, request, &after)) {
		if (!cursor)
			cursor = add_arg(request, "after", GM_CTL_UINT);
		cursor->u = after;
		request->id++;
	}
}

static void ask_and_print(struct session *s, struct line *line)
{
	ask(s, &line->request);
	if (line->verb->show == GM_CTL_TABLE)
		print_table(&s->rows);
	else
		print_sheets(&s->rows);
	free_rows(&s->rows);
}

/* ---- backup: gmd sends the copy, the file is ours */

static const char *unfinished; /* file of a backup that is not whole; leaves with us */

static void give_up(void)
{
	if (unfinished)
		unlink(unfinished);
}

/* All that comes, into file; the last byte tells whether gmd got to the end. */
static bool receive_copy(int from, int file, uint64_t *bytes)
{
	static uint8_t step[1u << 16];
	uint8_t last = 0;
	ssize_t n;

	*bytes = 0;
	while ((n = recv(from, step, sizeof(step), 0)) > 0 || (n < 0 && errno == EINTR)) {
		for (ssize_t at = 0, k; at < n; at += k)
			if ((k = write(file, step + at, (size_t)(n - at))) <= 0)
				die(EXIT_FAILED, "%s: %s", unfinished, strerror(errno));
		*bytes += n > 0 ? (uint64_t)n : 0;
		last = n > 0 ? step[n - 1] : last;
	}
	return n == 0 && *bytes && last == 1 && ftruncate(file, (off_t)--*bytes) == 0;
}

static void back_up(struct session *s, struct line *line)
{
	const char *path = gm_ctl_arg(&line->request, "file")->text;
	char why[GM_WHY] = "";
	uint64_t bytes;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		die(EXIT_FAILED, "socket: %s", strerror(errno));
	int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0)
		die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	unfinished = path;
	atexit(give_up);
	line->request.fd = ends[1];
	ask(s, &line->request);
	close(ends[1]);
	if (!receive_copy(ends[0], file, &bytes))
		die(EXIT_FAILED, "%s: gmd did not get to the end of the copy", path);
	if (gm_backup_end(file, path, why) != GM_E_OK || close(file) < 0)
		die(EXIT_FAILED, "%s: %s", path, why[0] ? why : strerror(errno));
	unfinished = NULL;
	close(ends[0]);
	if (s->json)
		printf("{\"bytes\":%llu}\n", (unsigned long long)bytes);
	else
		printf("%llu bytes; whoever restores it needs the store's key, which is not in it\n", (unsigned long long)bytes);
}

static void run(struct session *s, struct line *line)
{
	struct gm_ctl_request *request = &line->request;

	request->fd = -1;
	if (strcmp(line->verb->name, "backup") == 0) {
		back_up(s, line);
		return;
	}
	if (!line->repeats_n)
		ask_and_print(s, line);
	for (int i = 0; i < line->repeats_n; i++) {
		const unsigned args_n = request->args_n;
		set_text(add_arg(request, line->repeats_key, GM_CTL_TEXT), line->repeats[i]);
		ask_and_print(s, line);
		request->args_n = args_n;
		request->args[args_n] = (struct gm_ctl_arg){0};
	}
}

/* What is done to a store while no gmd runs on it is gmd's: it alone holds keys. */
static void hand_over(int argc, char **argv)
{
	static const char *const words[] = {"restore", "recover", "rotate-key"};
	char program[4096], *slash;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(argv[0], words[i]) != 0)
			continue;
		char **args = need(calloc((size_t)argc + 2, sizeof(char *)));
		ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 8);
		program[n > 0 ? n : 0] = '\0';
		slash = strrchr(program, '/');
		strcpy(slash ? slash + 1 : program, "gmd");
		args[0] = program;
		memcpy(args + 1, argv, (size_t)argc * sizeof(char *));
		execv(program, args);
		execvp("gmd", args);
		die(EXIT_FAILED, "gmd: %s", strerror(errno));
	}
}

int main(int argc, char **argv)
{
	const char *path = getenv("GMD_SOCKET");
	struct session session = {0};
	static struct line line;
	int i = 1;

	path = path && path[0] ? path : DEFAULT_SOCKET;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			session.json = true;
		} else if ((strcmp(argv[i], "-s") == 0 || strcmp(argv[i], "--socket") == 0) && i + 1 < argc) {
			path = argv[++i];
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_help();
			return EXIT_DONE;
		} else if (strcmp(argv[i], "--version") == 0) {
			printf("gmctl %s\n", GM_VERSION);
			return EXIT_DONE;
		} else {
			die(EXIT_USAGE, "bad option '%s'; try gmctl --help", argv[i]);
		}
	}
	if (i == argc)
		die(EXIT_USAGE, "no command; try gmctl --help");
	hand_over(argc - i, argv + i);
	i += take_verb(&line, argc - i, argv + i);
	for (int k = i; k < argc; k++) { /* also behind the command */
		if (strcmp(argv[k], "--json") == 0) {
			session.json = true;
			memmove(argv + k, argv + k + 1, (size_t)(argc-- - k) * sizeof(char *));
			k--;
		}
	}
	take_arguments(&line, argc - i, argv + i);
	session.fd = connect_to(path);
	run(&session, &line);
	gm_wipe(&line.request, sizeof(line.request));
	free(line.repeats);
	gm_ctl_buf_free(&session.in);
	close(session.fd);
	if (fflush(stdout) != 0)
		die(EXIT_FAILED, "writing: %s", strerror(errno));
	return EXIT_DONE;
}
