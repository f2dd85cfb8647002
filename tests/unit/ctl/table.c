/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/table.h"
#include "ctl/verbs.h"
#include "gm/crypto.h"
#include "port/mem.h"
#include "wire/cbor.h"

static struct gm_changes changes;
static struct gm_effects effects = {.workers = 1};
static struct gm_ctl_env env;
static struct gm_ctl_buf buf;
static struct gm_ctl_reply reply;
static struct gm_ctl_request request;
static enum gm_ctl_level level = GM_CTL_ADMIN;
static char said[65536]; /* the last answer: "k=v k=v\n" for each row, then "end k=v\n" or "error code: text\n" */

static void txn(void *arg, struct gm_txn *txn)
{
	(void)arg;
	*txn = (struct gm_txn){.wall_s = 1800000000, .mono_ms = 1000, .changes = &changes, .effects = &effects};
	gm_random(txn->dice, sizeof(txn->dice));
}

static void start(void)
{
	const struct gm_core_config config = {.workers = 1,
	                                      .contexts_max = 100,
	                                      .members_max = 100,
	                                      .groups_max = 400,
	                                      .pending_per_token = 4,
	                                      .pending_s = 60,
	                                      .audience = "gm"};
	cr_assert(gm_crypto_init());
	env = (struct gm_ctl_env){.core = gm_core_new(&config), .workers = 1, .txn = txn};
	cr_assert_not_null(env.core);
	struct gm_txn t;
	do
		txn(NULL, &t);
	while (gm_core_loaded(env.core, &t));
}

static void stop(void)
{
	gm_core_free(env.core);
	gm_changes_free(&changes);
	gm_effects_free(&effects);
	gm_ctl_buf_free(&buf);
}

TestSuite(table, .init = start, .fini = stop);

static void write_value(struct gm_in *in, FILE *f)
{
	struct gm_bytes b;

	switch (gm_cbor_peek(in)) {
	case GM_CBOR_UINT:
	case GM_CBOR_NINT:
		fprintf(f, "%lld", (long long)gm_cbor_int(in));
		break;
	case GM_CBOR_TSTR:
		b = gm_cbor_tstr(in);
		fprintf(f, "%.*s", (int)b.n, (const char *)b.p);
		break;
	case GM_CBOR_BSTR:
		b = gm_cbor_bstr(in);
		for (size_t i = 0; i < b.n; i++)
			fprintf(f, "%02x", b.p[i]);
		break;
	default:
		if (gm_cbor_is_null(in))
			gm_cbor_null(in);
		else
			fputs(gm_cbor_bool(in) ? "yes" : "no", f);
	}
}

static void write_pairs(struct gm_bytes pairs, FILE *f)
{
	struct gm_in in = gm_in_bytes(pairs);

	for (uint64_t n = gm_cbor_map(&in); n; n--) {
		struct gm_bytes key = gm_cbor_tstr(&in);
		fprintf(f, " %.*s=", (int)key.n, (const char *)key.p);
		write_value(&in, f);
	}
	fputc('\n', f);
	cr_assert_eq(in.err, GM_E_OK);
}

static void write_answers(void)
{
	FILE *f = fmemopen(said, sizeof(said), "w");
	struct gm_ctl_answer answer;
	struct gm_bytes frame;
	enum gm_err err;

	while (gm_ctl_frame_next(&buf, &frame, &err)) {
		cr_assert_eq(gm_ctl_answer_decode(frame, &answer), GM_E_OK);
		cr_expect_eq(answer.id, 5);
		if (answer.kind == GM_CTL_ERROR) {
			fprintf(f, "error %.*s: %.*s\n", (int)answer.code.n, (const char *)answer.code.p,
				(int)answer.error.n, (const char *)answer.error.p);
		} else {
			fputs(answer.kind == GM_CTL_ROW ? "row" : "end", f);
			write_pairs(answer.pairs, f);
		}
		gm_ctl_buf_eat(&buf, 4 + frame.n);
	}
	fclose(f);
}

/* One argument as text: "key=text", "key:number", "key!" a flag, "key#hex". */
static void add(const char *text)
{
	struct gm_ctl_arg *arg = &request.args[request.args_n++];
	size_t n = strcspn(text, "=:!#");
	const char *value = text + n + 1;

	*arg = (struct gm_ctl_arg){0};
	memcpy(arg->key, text, n);
	arg->type = text[n] == '='   ? GM_CTL_TEXT
	            : text[n] == ':' ? GM_CTL_UINT
	            : text[n] == '!' ? GM_CTL_BOOL
	                             : GM_CTL_BYTES;
	if (text[n] == '=') {
		arg->n = strlen(value);
		memcpy(arg->text, value, arg->n);
	} else if (text[n] == '#') {
		for (; value[2 * arg->n]; arg->n++) {
			const char two[] = {value[2 * arg->n], value[2 * arg->n + 1], 0};
			arg->text[arg->n] = (char)strtoul(two, NULL, 16);
		}
	} else {
		arg->u = text[n] == '!' ? 1 : strtoull(value, NULL, 10);
	}
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})
static const char *run(const char *const *words)
{
	request = (struct gm_ctl_request){.id = 5, .level = level};
	snprintf(request.verb, sizeof(request.verb), "%s", words[0]);
	for (unsigned i = 1; words[i]; i++)
		add(words[i]);
	gm_ctl_reply_init(&reply, &buf, request.id);
	gm_ctl_run(&env, &request, &reply);
	cr_expect(reply.done);
	write_answers();
	return said;
}

#define SAYS(text) cr_expect_not_null(strstr(said, text), "'%s' is not in: %s", text, said)
#define SAYS_NOT(text) cr_expect_null(strstr(said, text), "'%s' is in: %s", text, said)

Test(table, makes_shows_and_deletes_a_group)
{
	cr_expect_str_eq(RUN("group create", "group=g1", "max-members:300", "backward=each", "rekey-every:60"),
			 "end\n");
	cr_expect_gt(changes.count, 0, "it is to be stored");
	RUN("group show", "group=g1");
	SAYS("row group=g1 state=idle members=0 ");
	SAYS(" backward=each ");
	SAYS(" rekey_every_s=60 ");
	SAYS(" group_mode=yes pairwise_mode=yes ");
	SAYS(" ecdh_alg=-27\n");
	cr_expect_str_eq(RUN("group delete", "group=g1"), "end\n");
	cr_expect_str_eq(RUN("group delete", "group=g1"), "error unknown: no group 'g1'\n");
}

Test(table, lets_each_level_do_what_is_its_own_and_says_what_it_would_take)
{
	static const struct {
		const char *verb;
		enum gm_ctl_level least;
	} verbs[] = {{"status", GM_CTL_VIEWER},          {"group list", GM_CTL_VIEWER}, {"group create", GM_CTL_OPERATOR},
	             {"member evict", GM_CTL_OPERATOR}, {"rekey", GM_CTL_OPERATOR},   {"group delete", GM_CTL_ADMIN},
	             {"as add", GM_CTL_ADMIN},          {"backup", GM_CTL_ADMIN}};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		cr_expect_eq(gm_ctl_verb(verbs[i].verb)->level, verbs[i].least, "%s", verbs[i].verb);
	level = GM_CTL_OPERATOR;
	cr_expect_str_eq(RUN("group create", "group=g1"), "end\n");
	cr_expect_str_eq(RUN("group delete", "group=g1"),
	                 "error denied: group delete: permission denied: it takes an admin, you are an operator\n");
	level = GM_CTL_VIEWER;
	cr_expect_str_eq(RUN("rekey", "group=g1"), "error denied: rekey: permission denied: it takes an operator, you are a viewer\n");
	RUN("group list");
	SAYS("row group=g1 ");
	level = GM_CTL_NOBODY;
	cr_expect_str_eq(RUN("group list"), "error denied: group list: permission denied: it takes a viewer, you are a nobody\n");
}

Test(table, looks_at_what_would_become_of_a_command_and_changes_nothing)
{
	RUN("group create", "group=g1");
	gm_changes_reset(&changes);
	cr_expect_str_eq(RUN("group delete", "group=g1", "preview!"),
	                 "row evicts=0 groups=1 rekeys=0 seconds=0 says=deletes the group g1, which has 0 members asks=yes\nend\n");
	cr_expect_str_eq(RUN("member evict", "group=g1", "node=n", "preview!"),
	                 "row evicts=0 groups=0 rekeys=0 seconds=0 says=evicts nobody asks=no\nend\n");
	cr_expect_str_eq(RUN("member evict", "group=g2", "node=n", "preview!"), "error unknown: no group 'g2'\n");
	cr_expect_str_eq(RUN("device evict", "device=g1/n", "preview!"), "error unknown: no device 'g1/n'\n");
	cr_expect_str_eq(RUN("group create", "group=g3", "preview!"), "error usage: group create: no such argument 'preview'\n");
	cr_expect_eq(changes.count, 0);
	RUN("group show", "group=g1");
	SAYS("row group=g1 ");
}

Test(table, freezes_and_thaws_a_group)
{
	RUN("group create", "group=g1");
	cr_expect_str_eq(RUN("group freeze", "group=g1"), "end\n");
	RUN("group show", "group=g1");
	SAYS("state=inactive");
	cr_expect_str_eq(RUN("group thaw", "group=g1"), "end\n");
	RUN("group show", "group=g1");
	SAYS("state=idle");
	cr_expect_str_eq(RUN("group thaw", "group=g9"), "error unknown: no group 'g9'\n");
}

Test(table, leaves_the_pairwise_mode_out_on_request)
{
	RUN("group create", "group=g1", "signature-only!");
	RUN("group show", "group=g1");
	SAYS(" group_mode=yes pairwise_mode=no ");
	SAYS(" alg=0 ecdh_alg=0\n");
	RUN("group create", "group=g2", "signature-only!", "pairwise-too!");
	SAYS("error usage: signature-only, pairwise-only and pairwise-too exclude each other");
}

Test(table, says_which_group_exists_already_or_not_at_all)
{
	RUN("group create", "group=g1");
	cr_expect_str_eq(RUN("group create", "group=g1"), "error exists: group 'g1' exists already\n");
	cr_expect_str_eq(RUN("group show", "group=g9"), "error unknown: no group 'g9'\n");
	cr_expect_str_eq(RUN("rekey", "group=g9"), "error unknown: no group 'g9'\n");
	cr_expect_str_eq(RUN("member list", "group=g9"), "error unknown: no group 'g9'\n");
	cr_expect_str_eq(RUN("member show", "group=g9", "node=n"), "error unknown: no group 'g9'\n");
	cr_expect_str_eq(RUN("member show", "group=g1", "node=n"), "error unknown: no member 'n' in group 'g1'\n");
	cr_expect_str_eq(RUN("member evict", "group=g1", "node=n"), "error unknown: no member 'n' in group 'g1'\n");
}

Test(table, refuses_values_that_cannot_be)
{
	cr_expect_str_eq(RUN("group create", "group=g", "backward=often"),
	                 "error usage: backward: off, window or each, not 'often'\n");
	cr_expect_str_eq(RUN("group create", "group=g", "max-members:65537"),
			 "error usage: max-members: at most 65536\n");
	RUN("group create", "group=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	cr_expect_str_eq(said, "error usage: group: longer than 64 bytes\n");
	cr_expect_str_eq(RUN("dance"), "error usage: no such command 'dance'\n");
	cr_expect_str_eq(RUN("group create"), "error usage: group create: argument 'group' is missing\n");
}

Test(table, lists_groups_in_pages)
{
	char name[32];
	unsigned rows = 0;

	cr_expect_str_eq(RUN("group list"), "end\n");
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "group=g%03u", i);
		cr_assert_str_eq(RUN("group create", name), "end\n");
	}
	RUN("group list");
	SAYS("row group=g255 ");
	SAYS_NOT("row group=g256 ");
	SAYS("\nend after=");
	const char *after = strstr(said, "after=") + 6;
	char next[32];
	snprintf(next, sizeof(next), "after:%u", (unsigned)atoi(after));
	RUN("group list", next);
	for (const char *p = said; (p = strstr(p, "row ")); p++)
		rows++;
	cr_expect_eq(rows, 44);
	SAYS("row group=g299 ");
	SAYS("\nend\n");
}

#define KEY32 "key#000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

Test(table, trusts_an_authorization_server_and_shows_no_key)
{
	cr_expect_str_eq(RUN("as add", "name=as1", KEY32, "alg=HMAC256", "kid#0a0b", "issuer=coap://as"), "end\n");
	cr_expect_str_eq(RUN("as add", "name=as1", KEY32, "alg=HMAC256", "kid#0a0c"),
	                 "error exists: authorization server 'as1' exists already\n");
	RUN("as list");
	SAYS(" alg=HMAC256 kid=0a0b issuer=coap://as ");
	SAYS_NOT("0001020304");
	RUN("as remove", "name=as1");
	SAYS("row evicted=0\nend\n");
	cr_expect_str_eq(RUN("as list"), "end\n");
	cr_expect_str_eq(RUN("as remove", "name=as1"), "error unknown: no authorization server 'as1'\n");
}

Test(table, refuses_keys_that_do_not_fit_their_algorithm)
{
	cr_expect_str_eq(RUN("as add", "name=a", "alg=EdDSA"), "error usage: key: is missing\n");
	cr_expect_str_eq(RUN("as add", "name=a", "alg=AES-CCM-16-64-128", KEY32),
	                 "error usage: key: 16 bytes for AES-CCM-16-64-128, not 32\n");
	RUN("as add", "name=a", "alg=DES", KEY32);
	SAYS("error usage: alg: ");
	RUN("as add", "name=a", KEY32);
	SAYS("error usage: alg: ");
	cr_expect_str_eq(RUN("as add", "name=a", "alg=30", KEY32), "error usage: key: 16 bytes for 30, not 32\n");
	cr_expect_str_eq(RUN("as add", "name=a", "alg=-8", KEY32), "end\n");
}

/* ["127.0.0.1:5690", sixteen bytes, "", h'00', h'01', 10] */
#define LINK_OF(addr, sid, alg) "link#866e" addr "505152535455565758595a5b5c5d5e5f6040" "41" sid "4101" alg
#define ADDR "3132372e302e302e313a35363930"

Test(table, takes_a_link_and_what_goes_over_it_and_shows_no_secret)
{
	cr_expect_str_eq(RUN("as add", "name=as1", KEY32, "alg=HMAC256", LINK_OF(ADDR, "00", "0a"), "introspect=", "trl=/revoked/list",
	                     "trl-every:60"), "end\n");
	RUN("as list");
	SAYS(" link=127.0.0.1:5690 introspect=introspect trl=starting");
	RUN("as show", "name=as1");
	SAYS(" trl_path=revoked/list ");
	SAYS(" trl_every_s=60 ");
	SAYS(" loose_tokens=no ");
	SAYS_NOT("5051525354");
	cr_expect_str_eq(RUN("as show", "name=as2"), "error unknown: no authorization server 'as2'\n");
}

Test(table, says_what_is_wrong_with_a_link)
{
	static const struct {
		const char *link, *why;
	} bad[] = {
		{"link#80", "error usage: link: an array of six is needed\n"},
		{"link#86000000000000", "error usage: link: a part of it is missing, or too long\n"},
		{LINK_OF("3132372e302e302e312035363930", "00", "0a"),
		 "error usage: link: addr: an address and a port are needed, as 127.0.0.1:5690 or [::1]:5690\n"},
		{LINK_OF(ADDR, "01", "0a"), "error usage: link: sid and rid must differ\n"},
		{"link#866e" ADDR "505152535455565758595a5b5c5d5e5f6040420002410" "10c", "error usage: link: sid and rid are too long for alg\n"},
		{LINK_OF(ADDR, "00", "05"), "error usage: link: alg: the COSE number of an AEAD that is known here is needed\n"},
		{"link#866e" ADDR "4151404100410" "10a", "error usage: link: ms: at least 16 bytes are needed\n"},
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_str_eq(RUN("as add", "name=as1", KEY32, "alg=HMAC256", bad[i].link), bad[i].why);
	cr_expect_str_eq(RUN("as add", "name=as1", KEY32, "alg=HMAC256", "trl="),
	                 "error usage: trl: only over a link: --link=FILE is missing\n");
	cr_expect_str_eq(RUN("as add", "name=as1", KEY32, "alg=HMAC256", LINK_OF(ADDR, "00", "0a"), "trl=a//b"),
	                 "error usage: trl: a path of at most 63 bytes is needed, not 'a//b'\n");
	cr_expect_str_eq(RUN("as add", "name=as1", KEY32, "alg=HMAC256", LINK_OF(ADDR, "00", "0a"), "loose-tokens!"),
	                 "error usage: loose-tokens: only with --trl\n");
	cr_expect_str_eq(RUN("as list"), "end\n", "nothing is half done");
}

Test(table, takes_a_token_back_by_its_hash)
{
	cr_expect_str_eq(RUN("token revoke", "hash#01000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
	                 "row evicted=0\nend\n");
	RUN("token revoke", "hash#00000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
	SAYS("error usage: hash: ");
	RUN("token revoke", "hash#0100");
	SAYS("error usage: hash: ");
}

Test(hist, counts_in_powers_of_two_and_gives_the_lower_end)
{
	uint64_t hist[GM_HIST] = {0};

	cr_expect_eq(gm_hist_quantile(hist, 0.5), 0);
	cr_expect_eq(gm_hist_bucket(0), 0);
	cr_expect_eq(gm_hist_bucket(1), 1);
	cr_expect_eq(gm_hist_bucket(64), 7);
	cr_expect_eq(gm_hist_bucket(127), 7);
	cr_expect_eq(gm_hist_bucket(UINT64_MAX), GM_HIST - 1);
	hist[gm_hist_bucket(5)] = 6;
	hist[gm_hist_bucket(1000)] = 4;
	cr_expect_eq(gm_hist_sum(hist), 10);
	cr_expect_eq(gm_hist_quantile(hist, 0.5), 4);
	cr_expect_eq(gm_hist_quantile(hist, 0.6), 4);
	cr_expect_eq(gm_hist_quantile(hist, 0.61), 512);
	cr_expect_eq(gm_hist_quantile(hist, 1), 512);
}

Test(hist, estimates_times_inside_a_bucket)
{
	uint64_t hist[GM_HIST] = {0};

	cr_expect_eq(gm_hist_estimate(hist, 0.5), 0);
	hist[gm_hist_bucket(1024)] = 100;
	cr_expect_eq(gm_hist_estimate(hist, 0.5), 1536);
	cr_expect_eq(gm_hist_estimate(hist, 1), 2048);
	hist[gm_hist_bucket(4096)] = 100;
	cr_expect_eq(gm_hist_estimate(hist, 0.5), 2048);
	cr_expect_eq(gm_hist_estimate(hist, 0.75), 6144);
}

Test(table, makes_groups_of_other_algorithms)
{
	cr_expect_str_eq(RUN("group create", "group=g1", "sign-alg=ES384", "hkdf=sha512", "alg=A128GCM", "gp-enc-alg=A256CTR"),
			 "end\n");
	RUN("group show", "group=g1");
	SAYS(" hkdf=7 gp_enc_alg=-65532 sign_alg=-35 sign_crv=2 cred_fmt=14 ecdh_crv=2 alg=1 ecdh_alg=-28\n");
	RUN("group create", "group=g2", "pairwise-only!");
	RUN("group show", "group=g2");
	SAYS(" group_mode=no pairwise_mode=yes ");
	SAYS(" gp_enc_alg=0 sign_alg=0 sign_crv=0 cred_fmt=14 ecdh_crv=4 alg=10 ecdh_alg=-27\n");
	RUN("group create", "group=g3", "pairwise-only!", "ecdh-curve=P-521", "alg=24");
	RUN("group show", "group=g3");
	SAYS(" ecdh_crv=3 alg=24 ecdh_alg=-27\n");
}

Test(table, says_which_algorithm_does_not_do)
{
	RUN("group create", "group=g1", "sign-alg=PS256");
	SAYS("error usage: sign-alg: 'PS256' is not known");
	RUN("group create", "group=g1", "alg=A128CTR");
	SAYS("error usage: alg: an AEAD");
	RUN("group create", "group=g1", "gp-enc-alg=AES-CCM-64-64-128", "max-members:101");
	SAYS("error usage: alg: the nonces");
	cr_expect_str_eq(RUN("group create", "group=g1", "gp-enc-alg=AES-CCM-64-64-128", "max-members:100"), "end\n");
}

Test(table, pace_of_all_is_changed_and_shown)
{
	const struct gm_mem_config quiet = {.seed = 1};
	struct gm_mem_net *net = gm_mem_net_new(&quiet);
	struct gm_dp_config config = {
	    .port = &gm_port_mem, .port_arg = net, .listen_n = 1, .workers = 2, .contexts_max = 64, .pace = 20000};

	gm_addr_parse(&config.listen[0], "127.0.0.1:5683");
	cr_assert_eq(gm_dp_start(&env.dp, &config), GM_E_OK);
	env.workers = 2;
	RUN("pace");
	SAYS("row network=all rate=20000 rate_now=20000 ");
	RUN("pace", "all:5000");
	SAYS("row network=all rate=5000 rate_now=5000 ");
	cr_expect_eq(gm_dp_pace_for_all(env.dp), 5000);
	RUN("pace", "all:0");
	SAYS("row network=all rate=unlimited ");
	RUN("pace", "all:100000001");
	SAYS("error usage: all: at most 100000000\n");
	RUN("pace", "all=fast");
	SAYS("error usage: pace: wrong type of argument 'all'\n");
	cr_expect_eq(gm_dp_pace_for_all(env.dp), 0, "what is wrong changes nothing");
	gm_dp_stop(env.dp);
	gm_mem_net_free(net);
}
