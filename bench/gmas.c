/* SPDX-License-Identifier: Apache-2.0 */
/* gmas: a development Authorization Server. Makes keys, mints tokens, answers POST /token on loopback without
 * protection, and over a link introspects tokens and lists revoked ones. Not for production. */
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench/gmas/linkfile.h"
#include "bench/gmas/serve.h"
#include "bench/member/askey.h"
#include "gm/addr.h"
#include "gm/crypto.h"
#include "wire/cbor.h"
#include "wire/cwt.h"

#define GROUPS_MAX 16u
#define EXIT_USAGE 2
#define LIFE_S 86400

struct options {
	const char *alg, *iss, *aud, *key, *out, *listen;
	const char *groups[GROUPS_MAX];
	unsigned groups_n;
	const char *admins[GROUPS_MAX];
	unsigned admins_n;
	const char *addr, *link, *revoked, *tokens;
	bool reference, loose;
	const char *auds[4], *kid_of, *cnonce;
	unsigned auds_n;
	bool extended_scope;
	long exp_s, count, nbf_s, exi_s; /* exp_s 0, nbf_s LONG_MIN, exi_s -1: not given */
	int32_t osc_alg, osc_hkdf;       /* 0: not given */
	unsigned long long seq;
};

static const char usage[] =
    "usage: gmas keygen --alg AES-CCM-16-64-128|HMAC256|EdDSA|ES256 --iss NAME --aud AUDIENCE -o AS.json\n"
    "       gmas mint -k AS.json --group NAME=ROLE[,ROLE] [--group ...] [--exp SECONDS] [--count N] [-o TOKENS.jsonl]\n"
    "            [--nbf SECONDS] [--exi SECONDS --seq N] [--extended-scope] [--audience NAME ...] [--kid-of ID] [--cnonce HEX]\n"
    "            [--osc-alg NUMBER] [--osc-hkdf NUMBER] [--admin PATTERN=PERM[,PERM] ...] [--reference] [--loose]\n"
    "       gmas serve -k AS.json [--listen 127.0.0.1:5690] [--exp SECONDS] [--osc-alg NUMBER] [--osc-hkdf NUMBER]\n"
    "            [--link LINK.json [--reference] [--tokens TOKENS.jsonl] [--revoked HASHES]]\n"
    "       gmas link -o LINK.json --addr 127.0.0.1:5690\n"
    "\n"
    "A development Authorization Server for gmd: makes a key, mints CWTs with an OSCORE cnf, or answers\n"
    "POST /token on loopback, without any protection. Not for production.\n"
    "ROLE is requester, responder, monitor or verifier. Tokens live 86400 seconds unless --exp or --exi says otherwise.\n"
    "--osc-alg and --osc-hkdf name what client and gmd are to use between them, by COSE's numbers: AEADs 1, 2, 3,\n"
    "10 (the default), 11, 24, 30 and 31, hashes 5 HMAC 256/256 (the default) and 7 HMAC 512/512.\n"
    "--kid-of takes the id of an earlier token and mints an update of its client's rights.\n"
    "PATTERN is * for every group, re:REGEXP or a name; PERM is list, create, read, write or delete.\n"
    "--reference makes tokens that say nothing: serve answers what they stand for, at /introspect over the link. At /trl it\n"
    "lists what --revoked names, a hash a line; the file is read again when it changes. --loose leaves the CWT tag away.\n"
    "exit: 0 done, 1 failed, 2 wrong usage\n";

static int wrong(const char *what)
{
	fprintf(stderr, "gmas: %s\n%s", what, usage);
	return EXIT_USAGE;
}

static int failed(const char *what, enum gm_err err)
{
	fprintf(stderr, "gmas: %s: %s\n", what, gm_err_info(err)->text);
	return 1;
}

static int keygen(const struct options *o)
{
	struct gm_askey key;
	if (!o->alg || !o->iss || !o->aud || !o->out)
		return wrong("keygen needs --alg, --iss, --aud and -o");
	enum gm_err err = gm_askey_generate(&key, o->alg, o->iss, o->aud);
	if (err == GM_E_USAGE)
		return wrong("no such algorithm, or a name that is too long");
	if (err == GM_E_OK)
		err = gm_askey_save(&key, o->out);
	gm_wipe(&key, sizeof(key));
	return err == GM_E_OK ? 0 : failed(o->out, err);
}

static bool scope_of(struct gm_out *out, const struct options *o)
{
	gm_cbor_put_array(out, o->groups_n + o->admins_n);
	for (unsigned i = 0; i < o->groups_n; i++) {
		char name[65];
		const char *eq = strchr(o->groups[i], '=');
		uint32_t roles = eq ? gm_askey_roles(eq + 1) : 0;
		if (!roles || eq == o->groups[i] || eq - o->groups[i] > 64)
			return false;
		snprintf(name, sizeof(name), "%.*s", (int)(eq - o->groups[i]), o->groups[i]);
		gm_scope_put(out, name, roles);
	}
	for (unsigned i = 0; i < o->admins_n; i++) {
		char pattern[129];
		const char *eq = strrchr(o->admins[i], '=');
		uint32_t permissions = eq ? gm_permissions_parse(eq + 1) : 0;
		if (!permissions || eq == o->admins[i] || eq - o->admins[i] > 128)
			return false;
		snprintf(pattern, sizeof(pattern), "%.*s", (int)(eq - o->admins[i]), o->admins[i]);
		gm_scope_put_admin(out, pattern, permissions);
	}
	return out->err == GM_E_OK;
}

static void print_hex(FILE *to, const char *name, const uint8_t *p, size_t n)
{
	fprintf(to, "\"%s\":\"", name);
	for (size_t i = 0; i < n; i++)
		fprintf(to, "%02x", p[i]);
	fprintf(to, "\",");
}

static void print_minted(FILE *to, const struct gm_minted *m, const struct gm_mint *what)
{
	uint8_t hash[33];
	gm_token_hash(hash, (struct gm_bytes){m->token, m->token_n});
	fputc('{', to);
	print_hex(to, "token", m->token, m->token_n);
	if (what->kid.p) {
		print_hex(to, "kid", what->kid.p, what->kid.n);
	} else {
		print_hex(to, "id", m->osc_id, sizeof(m->osc_id));
		print_hex(to, "ms", m->ms, sizeof(m->ms));
		print_hex(to, "salt", m->salt, sizeof(m->salt));
	}
	if (what->reference)
		print_hex(to, "claims", m->claims, m->claims_n);
	print_hex(to, "hash", hash, sizeof(hash));
	if (!what->kid.p && what->osc_alg)
		fprintf(to, "\"alg\":%d,", what->osc_alg);
	if (!what->kid.p && what->osc_hkdf)
		fprintf(to, "\"hkdf\":%d,", what->osc_hkdf);
	fprintf(to, "\"exp\":%lld}\n", (long long)what->exp);
}

#define HEX_MAX 32u

/* 1 to 32 bytes; text NULL: nothing */
static bool hex_of(const char *text, uint8_t bytes[static HEX_MAX], struct gm_bytes *out)
{
	size_t n = text ? strlen(text) / 2 : 0;
	if (!text)
		return true;
	if (!n || n > HEX_MAX || strlen(text) % 2)
		return false;
	for (size_t i = 0; i < n; i++)
		if (sscanf(text + 2 * i, "%2hhx", &bytes[i]) != 1)
			return false;
	*out = (struct gm_bytes){bytes, n};
	return true;
}

static bool mint_of(const struct options *o, struct gm_mint *what, uint8_t kid[static HEX_MAX],
                    uint8_t cnonce[static HEX_MAX])
{
	int64_t now = (int64_t)time(NULL);
	*what = (struct gm_mint){
	    .extended_scope = o->extended_scope,
	    .reference = o->reference,
	    .loose = o->loose,
	    .exp = o->exp_s ? now + o->exp_s : o->exi_s >= 0 ? -1 : now + LIFE_S,
	    .nbf = o->nbf_s != LONG_MIN ? now + o->nbf_s : -1,
	    .exi = o->exi_s,
	    .exi_seq = o->seq,
	    .osc_alg = o->osc_alg,
	    .osc_hkdf = o->osc_hkdf,
	};
	memcpy(what->auds, o->auds, sizeof(what->auds));
	return hex_of(o->kid_of, kid, &what->kid) && hex_of(o->cnonce, cnonce, &what->cnonce);
}

static int mint(const struct options *o)
{
	struct gm_askey key;
	struct gm_minted m;
	struct gm_mint what;
	uint8_t bytes[512], kid[HEX_MAX], cnonce[HEX_MAX];
	struct gm_out scope = gm_out(bytes, sizeof(bytes));
	if (!o->key || !(o->groups_n + o->admins_n))
		return wrong("mint needs -k and --group or --admin");
	if (!scope_of(&scope, o))
		return wrong("--group takes NAME=ROLE[,ROLE], --admin PATTERN=PERM[,PERM]");
	if (!mint_of(o, &what, kid, cnonce))
		return wrong("--kid-of and --cnonce take 1 to 32 bytes in hex");
	what.scope = gm_out_result(&scope);
	enum gm_err err = gm_askey_load(&key, o->key);
	if (err != GM_E_OK)
		return failed(o->key, err);
	FILE *to = o->out ? fopen(o->out, "wx") : stdout;
	if (!to) {
		perror(o->out);
		return 1;
	}
	for (long i = 0; i < o->count && err == GM_E_OK; i++, what.exi_seq++) {
		err = gm_askey_mint_as(&m, &key, &what);
		if (err == GM_E_OK)
			print_minted(to, &m, &what);
	}
	gm_wipe(&key, sizeof(key));
	gm_wipe(&m, sizeof(m));
	if (fflush(to) != 0 || (to != stdout && fclose(to) != 0)) {
		perror("gmas");
		return 1;
	}
	return err == GM_E_OK ? 0 : failed("mint", err);
}

/* ---- serve */

static bool is_loopback(const struct gm_addr *a)
{
	static const uint8_t v4[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127}, v6[16] = {[15] = 1};
	return memcmp(a->ip, v4, sizeof(v4)) == 0 || memcmp(a->ip, v6, sizeof(v6)) == 0;
}

static int serve(const struct options *o)
{
	struct gm_askey key;
	struct gm_serve what = {.key = &key, .exp_s = o->exp_s ? o->exp_s : LIFE_S, .reference = o->reference, .link = o->link,
	                        .osc_alg = o->osc_alg, .osc_hkdf = o->osc_hkdf, .revoked = o->revoked, .tokens = o->tokens};
	if (!o->key)
		return wrong("serve needs -k");
	if (!o->link && (o->reference || o->revoked || o->tokens))
		return wrong("--reference, --revoked and --tokens are of use over a link: --link is missing");
	if (!gm_addr_parse(&what.listen, o->listen) || !is_loopback(&what.listen))
		return wrong("--listen takes a loopback address and port: what is served has no protection");
	enum gm_err err = gm_askey_load(&key, o->key);
	if (err != GM_E_OK)
		return failed(o->key, err);
	int code = gm_serve(&what);
	gm_wipe(&key, sizeof(key));
	return code;
}

static int link_file(const struct options *o)
{
	struct gm_addr addr;
	if (!o->out || !o->addr || !gm_addr_parse(&addr, o->addr) || !addr.port)
		return wrong("link needs -o and --addr with an address and a port");
	enum gm_err err = gm_linkfile_make(o->out, o->addr);
	return err == GM_E_OK ? 0 : failed(o->out, err);
}

/* ---- the command line */

enum how { TEXT, FLAG, NUMBER, POSITIVE, ALGORITHM, COUNTER, LIST };

#define ONE(field) offsetof(struct options, field), 0, 0
#define MANY(field) offsetof(struct options, field), offsetof(struct options, field##_n), sizeof((struct options){0}.field) / sizeof(char *)
static const struct row {
	const char *name;
	enum how how;
	char letter;           /* the short one; 0: none */
	size_t at;             /* in struct options */
	size_t count_at, most; /* LIST: where it is counted, and how many there may be */
} rows[] = {
	{"alg", TEXT, 0, ONE(alg)},
	{"iss", TEXT, 0, ONE(iss)},
	{"aud", TEXT, 0, ONE(aud)},
	{"output", TEXT, 'o', ONE(out)},
	{"key", TEXT, 'k', ONE(key)},
	{"group", LIST, 0, MANY(groups)},
	{"admin", LIST, 0, MANY(admins)},
	{"audience", LIST, 0, MANY(auds)},
	{"exp", POSITIVE, 0, ONE(exp_s)},
	{"exi", POSITIVE, 0, ONE(exi_s)},
	{"nbf", NUMBER, 0, ONE(nbf_s)},
	{"count", POSITIVE, 0, ONE(count)},
	{"seq", COUNTER, 0, ONE(seq)},
	{"osc-alg", ALGORITHM, 0, ONE(osc_alg)},
	{"osc-hkdf", ALGORITHM, 0, ONE(osc_hkdf)},
	{"kid-of", TEXT, 0, ONE(kid_of)},
	{"cnonce", TEXT, 0, ONE(cnonce)},
	{"extended-scope", FLAG, 0, ONE(extended_scope)},
	{"reference", FLAG, 0, ONE(reference)},
	{"loose", FLAG, 0, ONE(loose)},
	{"listen", TEXT, 0, ONE(listen)},
	{"addr", TEXT, 0, ONE(addr)},
	{"link", TEXT, 0, ONE(link)},
	{"revoked", TEXT, 0, ONE(revoked)},
	{"tokens", TEXT, 0, ONE(tokens)},
};
#define LONG_ONLY 256u /* and the row's place: what getopt_long() answers */
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static bool add(struct options *o, const struct row *row, const char *value)
{
	unsigned *n = (void *)((char *)o + row->count_at);
	const char **list = (void *)((char *)o + row->at);

	if (*n == row->most)
		return false;
	list[(*n)++] = value;
	return true;
}

static bool take(struct options *o, const struct row *row, const char *value)
{
	void *at = (char *)o + row->at;

	switch (row->how) {
	case TEXT:
		*(const char **)at = value;
		return true;
	case FLAG:
		*(bool *)at = true;
		return true;
	case NUMBER:
	case POSITIVE:
		*(long *)at = atol(value);
		return row->how == NUMBER || *(long *)at > 0;
	case ALGORITHM:
		*(int32_t *)at = (int32_t)atol(value);
		return true;
	case COUNTER:
		*(unsigned long long *)at = strtoull(value, NULL, 10);
		return true;
	case LIST:
		return add(o, row, value);
	}
	return false;
}

/* NULL: no such option */
static const struct row *row_of(int c)
{
	for (size_t i = 0; i < ROWS; i++)
		if (c == (int)(LONG_ONLY + i) || c == rows[i].letter)
			return &rows[i];
	return NULL;
}

static bool read_options(struct options *o, int argc, char **argv)
{
	struct option longs[ROWS + 1] = {0};

	for (size_t i = 0; i < ROWS; i++)
		longs[i] = (struct option){rows[i].name, rows[i].how == FLAG ? no_argument : required_argument, NULL, (int)(LONG_ONLY + i)};
	for (int c; (c = getopt_long(argc, argv, "o:k:", longs, NULL)) != -1;) {
		const struct row *row = row_of(c);
		if (!row || !take(o, row, optarg))
			return false;
	}
	return optind == argc;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct options *);
	} commands[] = {{"keygen", keygen}, {"mint", mint}, {"serve", serve}, {"link", link_file}};
	struct options o = {.exi_s = -1, .nbf_s = LONG_MIN, .count = 1, .listen = "127.0.0.1:5690"};

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("gmas " GM_VERSION);
		return 0;
	}
	if (argc < 2)
		return wrong("a command is needed");
	if (!gm_crypto_init()) {
		fputs("gmas: the crypto libraries do not start\n", stderr);
		return 1;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return read_options(&o, argc - 1, argv + 1) ? commands[i].run(&o) : wrong("options are wrong");
	return wrong("no such command");
}
