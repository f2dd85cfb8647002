/* SPDX-License-Identifier: Apache-2.0 */
/* gmas: a development Authorization Server. Makes keys, mints tokens, answers POST /token on loopback without
 * protection. Not for production. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "bench/member/askey.h"
#include "bench/member/sockets.h"
#include "gm/addr.h"
#include "gm/crypto.h"
#include "wire/cbor.h"
#include "wire/coap.h"
#include "wire/cwt.h"
#include "wire/fields.h"

#define GROUPS_MAX 16u
#define EXIT_USAGE 2
#define LIFE_S 86400

struct options {
	const char *alg, *iss, *aud, *key, *out, *listen;
	const char *groups[GROUPS_MAX];
	unsigned groups_n;
	const char *auds[4], *kid_of, *cnonce;
	unsigned auds_n;
	bool extended_scope;
	long exp_s, count, nbf_s, exi_s; /* exp_s 0, exi_s -1: not given */
	int32_t osc_alg, osc_hkdf;       /* 0: not given */
	unsigned long long seq;
	bool has_nbf;
};

static const char usage[] =
    "usage: gmas keygen --alg AES-CCM-16-64-128|HMAC256|EdDSA|ES256 --iss NAME --aud AUDIENCE -o AS.json\n"
    "       gmas mint -k AS.json --group NAME=ROLE[,ROLE] [--group ...] [--exp SECONDS] [--count N] [-o TOKENS.jsonl]\n"
    "            [--nbf SECONDS] [--exi SECONDS --seq N] [--extended-scope] [--audience NAME ...] [--kid-of ID] [--cnonce HEX]\n"
    "            [--osc-alg NUMBER] [--osc-hkdf NUMBER]\n"
    "       gmas serve -k AS.json [--listen 127.0.0.1:5690] [--exp SECONDS] [--osc-alg NUMBER] [--osc-hkdf NUMBER]\n"
    "\n"
    "A development Authorization Server for gmd: makes a key, mints CWTs with an OSCORE cnf, or answers\n"
    "POST /token on loopback, without any protection. Not for production.\n"
    "ROLE is requester, responder, monitor or verifier. Tokens live 86400 seconds unless --exp or --exi says otherwise.\n"
    "--osc-alg and --osc-hkdf name what client and gmd are to use between them, by COSE's numbers: AEADs 1, 2, 3,\n"
    "10 (the default), 11, 24, 30 and 31, hashes 5 HMAC 256/256 (the default) and 7 HMAC 512/512.\n"
    "--kid-of takes the id of an earlier token and mints an update of its client's rights.\n"
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
	gm_cbor_put_array(out, o->groups_n);
	for (unsigned i = 0; i < o->groups_n; i++) {
		char name[65];
		const char *eq = strchr(o->groups[i], '=');
		uint32_t roles = eq ? gm_roles_parse(eq + 1) : 0;
		if (!roles || eq == o->groups[i] || eq - o->groups[i] > 64)
			return false;
		snprintf(name, sizeof(name), "%.*s", (int)(eq - o->groups[i]), o->groups[i]);
		gm_scope_put(out, name, roles);
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
	    .exp = o->exp_s ? now + o->exp_s : o->exi_s >= 0 ? -1 : now + LIFE_S,
	    .nbf = o->has_nbf ? now + o->nbf_s : -1,
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
	if (!o->key || !o->groups_n)
		return wrong("mint needs -k and --group");
	if (!scope_of(&scope, o))
		return wrong("--group takes NAME=ROLE[,ROLE]");
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

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

struct token_ask { /* RFC 9200 §5.8.1 */
	struct gm_bytes audience, scope;
};

static void put_number(struct gm_out *body, unsigned label, int32_t n)
{
	if (!n)
		return;
	gm_cbor_put_uint(body, label);
	gm_cbor_put_int(body, n);
}

static uint8_t answer_token(struct gm_out *body, const struct gm_askey *key, const struct gm_coap *msg,
                            const struct options *o)
{
	static const struct gm_field fields[] = {
	    {5, GM_FIELD_TSTR, offsetof(struct token_ask, audience)},
	    {9, GM_FIELD_BSTR, offsetof(struct token_ask, scope)},
	};
	struct token_ask ask = {0};
	struct gm_in in = gm_in_bytes(msg->payload);
	struct gm_minted m;
	if (msg->path_n != 1 || !gm_bytes_is(msg->path[0], "token"))
		return GM_COAP(4, 4);
	if (msg->code != GM_COAP_POST)
		return GM_COAP(4, 5);
	gm_fields_read(&in, fields, GM_FIELDS_N(fields), &ask);
	if (gm_cbor_end(&in) != GM_E_OK || !ask.scope.p || gm_scope_check(ask.scope) != GM_E_OK ||
	    (ask.audience.p && !gm_bytes_is(ask.audience, key->aud)))
		return GM_COAP(4, 0);
	long exp_s = o->exp_s ? o->exp_s : LIFE_S;
	struct gm_mint what = {.scope = ask.scope,
	                       .exp = (int64_t)time(NULL) + exp_s,
	                       .nbf = -1,
	                       .exi = -1,
	                       .osc_alg = o->osc_alg,
	                       .osc_hkdf = o->osc_hkdf};
	if (gm_askey_mint_as(&m, key, &what) != GM_E_OK)
		return GM_COAP(5, 0);
	gm_cbor_put_map(body, 4);
	gm_cbor_put_uint(body, 1);
	gm_cbor_put_bstr(body, m.token, m.token_n);
	gm_cbor_put_uint(body, 2);
	gm_cbor_put_uint(body, (uint64_t)exp_s);
	gm_cbor_put_uint(body, 8); /* cnf: {4 osc: {0 id, 2 ms, 3 hkdf, 4 alg, 5 salt}}          RFC 9203 §3.2 */
	gm_cbor_put_map(body, 1);
	gm_cbor_put_uint(body, 4);
	gm_cbor_put_map(body, 3u + (o->osc_hkdf != 0) + (o->osc_alg != 0));
	gm_cbor_put_uint(body, 0);
	gm_cbor_put_bstr(body, m.osc_id, sizeof(m.osc_id));
	gm_cbor_put_uint(body, 2);
	gm_cbor_put_bstr(body, m.ms, sizeof(m.ms));
	put_number(body, 3, o->osc_hkdf);
	put_number(body, 4, o->osc_alg);
	gm_cbor_put_uint(body, 5);
	gm_cbor_put_bstr(body, m.salt, sizeof(m.salt));
	gm_cbor_put_uint(body, 38);
	gm_cbor_put_uint(body, 2);
	gm_wipe(&m, sizeof(m));
	return GM_COAP(2, 1);
}

static void serve_one(struct gm_port *port, const struct gm_dgram *in, const struct gm_askey *key,
                      const struct options *o)
{
	static uint16_t mid;
	struct gm_coap msg;
	struct gm_dgram d;
	uint8_t bytes[1024];
	uint16_t last = 0;
	if (gm_coap_decode((struct gm_bytes){in->data, in->len}, &msg) != GM_E_OK || msg.code == 0 || msg.code >= 32 ||
	    gm_port_sockets.tx_get(port, &d, 1) != 1)
		return;
	bool con = msg.type == GM_COAP_CON;
	struct gm_out body = gm_out(bytes, sizeof(bytes)), pkt = gm_out(d.data, d.cap);
	uint8_t code = answer_token(&body, key, &msg, o);
	gm_coap_put_head(&pkt, con ? GM_COAP_ACK : GM_COAP_NON, code, con ? msg.mid : mid++, msg.token, msg.token_len);
	if (gm_out_len(&body)) {
		gm_coap_put_option_uint(&pkt, &last, GM_OPT_CONTENT_FORMAT, GM_CF_ACE);
		gm_coap_put_payload(&pkt, bytes, gm_out_len(&body));
	}
	d.len = (uint16_t)gm_out_len(&pkt);
	d.peer = in->peer;
	d.local = in->local;
	if (pkt.err == GM_E_OK && body.err == GM_E_OK)
		gm_port_sockets.tx_burst(port, &d, 1);
	gm_wipe(bytes, sizeof(bytes));
}

static bool is_loopback(const struct gm_addr *a)
{
	static const uint8_t v4[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127}, v6[16] = {[15] = 1};
	return memcmp(a->ip, v4, sizeof(v4)) == 0 || memcmp(a->ip, v6, sizeof(v6)) == 0;
}

static int serve(const struct options *o)
{
	struct gm_askey key;
	struct gm_port *port;
	unsigned one = 1;
	struct gm_port_config config = {.listen_n = 1, .arg = &one};
	struct gm_dgram d[8];
	if (!o->key)
		return wrong("serve needs -k");
	if (!gm_addr_parse(&config.listen[0], o->listen) || !is_loopback(&config.listen[0]))
		return wrong("--listen takes a loopback address and port: what is served has no protection");
	enum gm_err err = gm_askey_load(&key, o->key);
	if (err != GM_E_OK)
		return failed(o->key, err);
	if (gm_port_sockets.open(&port, &config) != GM_E_OK) {
		perror(o->listen);
		return 1;
	}
	struct sigaction sa = {.sa_handler = on_signal};
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	fprintf(stderr, "gmas: coap://%s/token for development: unprotected, no client is authenticated\n", o->listen);
	while (!stopped) {
		gm_port_sockets.wait(port, 1000000000u);
		unsigned n = gm_port_sockets.rx_burst(port, d, 8);
		for (unsigned i = 0; i < n; i++)
			serve_one(port, &d[i], &key, o);
	}
	gm_port_sockets.close(port);
	gm_wipe(&key, sizeof(key));
	return 0;
}

static bool read_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"alg", required_argument, NULL, 'a'},    {"iss", required_argument, NULL, 'i'},
	    {"aud", required_argument, NULL, 'u'},    {"output", required_argument, NULL, 'o'},
	    {"key", required_argument, NULL, 'k'},    {"group", required_argument, NULL, 'g'},
	    {"exp", required_argument, NULL, 'e'},    {"count", required_argument, NULL, 'n'},
	    {"listen", required_argument, NULL, 'l'}, {"nbf", required_argument, NULL, 'b'},
	    {"exi", required_argument, NULL, 'x'},    {"seq", required_argument, NULL, 's'},
	    {"audience", required_argument, NULL, 'A'}, {"kid-of", required_argument, NULL, 'K'},
	    {"extended-scope", no_argument, NULL, 'S'}, {"cnonce", required_argument, NULL, 'C'},
	    {"osc-alg", required_argument, NULL, 'L'}, {"osc-hkdf", required_argument, NULL, 'H'},
	    {0},
	};
	for (int c; (c = getopt_long(argc, argv, "o:k:", longs, NULL)) != -1;) {
		switch (c) {
		case 'a':
			o->alg = optarg;
			break;
		case 'i':
			o->iss = optarg;
			break;
		case 'u':
			o->aud = optarg;
			break;
		case 'o':
			o->out = optarg;
			break;
		case 'k':
			o->key = optarg;
			break;
		case 'e':
			o->exp_s = atol(optarg);
			if (o->exp_s < 1)
				return false;
			break;
		case 'n':
			o->count = atol(optarg);
			break;
		case 'l':
			o->listen = optarg;
			break;
		case 'b':
			o->nbf_s = atol(optarg);
			o->has_nbf = true;
			break;
		case 'x':
			o->exi_s = atol(optarg);
			if (o->exi_s < 1)
				return false;
			break;
		case 's':
			o->seq = strtoull(optarg, NULL, 10);
			break;
		case 'L':
			o->osc_alg = (int32_t)atol(optarg);
			break;
		case 'H':
			o->osc_hkdf = (int32_t)atol(optarg);
			break;
		case 'K':
			o->kid_of = optarg;
			break;
		case 'C':
			o->cnonce = optarg;
			break;
		case 'S':
			o->extended_scope = true;
			break;
		case 'A':
			if (o->auds_n == sizeof(o->auds) / sizeof(o->auds[0]))
				return false;
			o->auds[o->auds_n++] = optarg;
			break;
		case 'g':
			if (o->groups_n == GROUPS_MAX)
				return false;
			o->groups[o->groups_n++] = optarg;
			break;
		default:
			return false;
		}
	}
	return optind == argc && o->exp_s >= 0 && o->count > 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct options *);
	} commands[] = {{"keygen", keygen}, {"mint", mint}, {"serve", serve}};
	struct options o = {.exi_s = -1, .count = 1, .listen = "127.0.0.1:5690"};

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
