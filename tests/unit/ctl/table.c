/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/device.h"
#include "core/state.h"
#include "ctl/table.h"
#include "ctl/verbs.h"
#include "ctl/verbs/call.h"
#include "entries.h"
#include "gm/crypto.h"
#include "gm/pages.h"
#include "port/mem.h"
#include "wire/cbor.h"
#include "wire/cwt.h"

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
	SAYS(" ecdh_alg=-27 ");
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
	cr_expect_str_eq(RUN("as remove", "name=nobody", "preview!"), "error unknown: no authorization server 'nobody'\n");
	cr_expect_str_eq(RUN("group create", "group=g3", "preview!"), "error usage: group create: no such argument 'preview'\n");
	cr_expect_eq(changes.count, 0);
	RUN("group show", "group=g1");
	SAYS("row group=g1 ");
}

Test(table, asks_before_a_change_lowers_max_members)
{
	RUN("group create", "group=g1", "max-members:300");
	gm_changes_reset(&changes);
	RUN("group set", "group=g1", "alg=AES-CCM-64-64-128", "preview!");
	SAYS("row evicts=0 groups=1 rekeys=0 seconds=0 says=puts out 0 members, max_members becomes 100 and cannot be raised again asks=yes\n");
	RUN("group set", "group=g1", "alg=A128GCM", "preview!");
	SAYS(" asks=no\n");
	cr_expect_str_eq(RUN("group set", "group=g1", "max-stale-sets:1", "preview!"), "error usage: max-stale-sets: has to be 2 to 64, not '1'\n");
	cr_expect_eq(changes.count, 0);
	cr_expect_str_eq(RUN("group set", "group=g1", "alg=A128GCM"), "end\n");
	cr_expect_str_eq(RUN("group set", "group=g1", "alg=AES-CCM-64-64-128"), "row evicted=0 max_members=100\nend\n");
	cr_expect_str_eq(RUN("group set", "group=g1", "alg=AES-CCM-64-128-128"), "end\n");
}

Test(table, says_how_long_later_keys_live_where_the_present_ones_end_at_a_time)
{
	RUN("group create", "group=g1"); /* at 1800000000 */
	cr_expect_str_eq(RUN("group set", "group=g1", "expires:1800089980"), "row key_lifetime_s=89980\nend\n");
	RUN("group show", "group=g1");
	SAYS(" keys_end_at=1800089980 key_lifetime_s=89980 ");
	cr_expect_str_eq(RUN("group set", "group=g1", "expires:1800000010"), "row key_lifetime_s=60\nend\n");
}

Test(table, shows_all_that_group_set_has_set)
{
	RUN("group create", "group=g1");
	RUN("group show", "group=g1");
	SAYS(" description= app_groups= as_uri= check_interval_s=3600 expiration_delta_s=0\n");
	RUN("as add", "name=as1", "key#000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "alg=HMAC256", "uri=coap://as/token");
	cr_expect_str_eq(RUN("group set", "group=g1", "description=Lamps, north", "app-groups=lamps,north", "check-interval:60", "expiration-delta:5"), "end\n");
	RUN("group show", "group=g1");
	SAYS(" description=Lamps, north app_groups=lamps,north as_uri=coap://as/token check_interval_s=60 expiration_delta_s=5\n");
	cr_expect_str_eq(RUN("group set", "group=g1", "description=", "app-groups="), "end\n");
	RUN("group show", "group=g1");
	SAYS(" description= app_groups= as_uri=coap://as/token check_interval_s=60 expiration_delta_s=5\n");
}

Test(table, refuses_a_change_of_nothing_and_names_that_are_none)
{
	static const char *const bad[] = {"a b,,c", "a,", ",a", "a,,b", " a", "a, b", ","};
	char arg[32];

	RUN("group create", "group=g1");
	gm_changes_reset(&changes);
	cr_expect_str_eq(RUN("group set", "group=g1"), "error usage: group 'g1': nothing to change, no option is given\n");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(arg, sizeof(arg), "app-groups=%s", bad[i]);
		RUN("group set", "group=g1", arg);
		SAYS("error usage: app-groups: has to be names without blanks, with commas between, such as lamps,north, not '");
	}
	cr_expect_eq(changes.count, 0, "no entry of the audit log either");
	cr_expect_str_eq(RUN("group set", "group=g1", "app-groups=a,bc"), "end\n");
}

Test(table, max_members_decides_the_length_of_sender_ids)
{
	static const struct {
		const char *create, *show;
	} groups[] = {{"max-members:1", " max_members=1 "},         {"max-members:100", " max_members=100 "},
	              {"max-members:101", " max_members=101 "},     {"max-members:40000", " max_members=40000 "},
	              {"max-members:40001", " max_members=40001 "}, {"max-members:65536", " max_members=65536 "}};
	static const char *const lengths[] = {" sid_len=1 ", " sid_len=1 ", " sid_len=2 ", " sid_len=2 ", " sid_len=3 ", " sid_len=3 "};
	char name[16];

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		snprintf(name, sizeof(name), "group=g%zu", i);
		RUN("group create", name, groups[i].create);
		RUN("group show", name);
		SAYS(groups[i].show);
		SAYS(lengths[i]);
	}
	RUN("group create", "group=usual");
	RUN("group show", "group=usual");
	SAYS(" max_members=40000 ");
}

/* What was passed over for the rows of an answer is work as well. */
Test(table, ends_an_answer_when_enough_was_looked_at)
{
	struct gm_ctl_call call = {.env = &env, .request = &request, .reply = &reply};
	unsigned n = 0;

	gm_ctl_reply_init(&reply, &buf, 5);
	cr_assert(gm_call_next_row(&call, 7));
	while (n < 1000000 && gm_call_pass_over(&call, 8 + n))
		n++;
	cr_expect_eq(n, 16383);
	gm_call_end_page(&call);
	write_answers();
	cr_expect_str_eq(said, "end after=16391\n", "%s", said);
}

/* Memberships of a token's holder are. */
Test(table, ends_an_answer_when_its_rows_took_enough_looking)
{
	struct gm_ctl_call call = {.env = &env, .request = &request, .reply = &reply};

	gm_ctl_reply_init(&reply, &buf, 5);
	cr_assert(gm_call_next_row(&call, 7));
	cr_expect(gm_call_looked_at(&call, 16000));
	cr_assert(gm_call_next_row(&call, 8));
	cr_expect_not(gm_call_looked_at(&call, 16000), "it need not be met exactly");
	gm_call_end_page(&call);
	write_answers();
	cr_expect_str_eq(said, "end after=8\n", "%s", said);
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
	SAYS(" alg=0 ecdh_alg=0 ");
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
	                 "error usage: backward: has to be off, window or each, not 'often'\n");
	cr_expect_str_eq(RUN("group create", "group=g", "max-members:65537"),
			 "error usage: max-members: has to be 1 to 65536, not '65537'\n");
	RUN("group create", "group=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	SAYS("error usage: group: a name has 1 to 64 letters, digits and -._~!$&'()*+,;=:@, and is neither . nor .., not 'aaa");
	cr_expect_str_eq(RUN("dance"), "error usage: no such command 'dance'\n");
	cr_expect_str_eq(RUN("group create"), "error usage: group create: argument 'group' is missing\n");
}

#define KEY32 "key#000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

Test(table, says_what_names_may_be)
{
	static const char *const bad[] = {"", "bad name", "\xc3\xa9", "a/b", ".", "..", "a\"b"};
	static const char *const hidden[] = {"name=", "name= x", "name=x ", "name=a\nb", "name=\xc3", "name=\x1b]0;x"};
	static const char rule[] = "error usage: group: a name has 1 to 64 letters, digits and -._~!$&'()*+,;=:@, and is neither . nor .., not ";
	char name[32], quoted[32];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(name, sizeof(name), "group=%s", bad[i]);
		snprintf(quoted, sizeof(quoted), "'%s'\n", bad[i]);
		RUN("group create", name);
		SAYS(rule);
		SAYS(quoted);
	}
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		RUN("as add", hidden[i], KEY32, "alg=HMAC256");
		SAYS("error usage: name: a name has 1 to 63 bytes of UTF-8, without control characters or a space at an end, not '");
	}
	RUN("device set", "device=as:1:00", "groups=a b/requester c\"d");
	SAYS("error usage: groups: a name has 1 to 64 letters, digits and -._~!$&'()*+,;=:@, and is neither . nor .., not 'c\"d'\n");
	cr_expect_str_eq(RUN("as add", "name=Server No. 1, \xc3\xa9", "key#202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "alg=HMAC256"), "end\n");
	RUN("schedule set", "schedule=a b");
	SAYS("error usage: schedule: a name has 1 to 31 letters, digits and -._, and begins with no dash, not 'a b'\n");
	cr_expect_str_eq(RUN("schedule set", "schedule=s", "groups= "), "error usage: schedule 's': groups: at least one pattern is needed\n");
	cr_expect_str_eq(RUN("schedule set", "schedule=s", "groups=*", "at-once:0"), "error usage: schedule 's': at-once: at least 1\n");
}

Test(table, quotes_no_half_of_a_character)
{
	char name[128] = "group=";

	memset(name + 6, 'a', 79);
	strcat(name, "\xc3\xa9\xc3\xa9");
	RUN("group create", name);
	SAYS("aaa?'\n");
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

Test(table, trusts_an_authorization_server_and_shows_no_key)
{
	cr_expect_str_eq(RUN("as add", "name=as1", KEY32, "alg=HMAC256", "kid#0a0b", "issuer=coap://as"), "end\n");
	cr_expect_str_eq(RUN("as add", "name=as1", KEY32, "alg=HMAC256", "kid#0a0c"),
	                 "error exists: authorization server 'as1' exists already\n");
	cr_expect_str_eq(RUN("as add", "name=as2", KEY32, "alg=HMAC256", "kid#0a0b", "issuer=coap://other"),
	                 "error exists: authorization server 'as2': its key is that of 'as1'; a key is trusted once\n");
	RUN("as add", "name=as2", KEY32, "alg=HMAC256");
	SAYS("its key is that of 'as1'"); /* a key without a kid verifies any token */
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

static const void *effect_made(unsigned type)
{
	const struct gm_effect_buf *b = &effects.to[0];

	for (size_t at = 0; at < b->n;) {
		const struct gm_rec *rec = (const void *)(b->bytes + at);
		if (rec->type == type)
			return rec;
		at += (rec->len + 7u) & ~7u;
	}
	return NULL;
}

static unsigned entries_about(const char *text) /* in what the turn writes */
{
	struct entries e = {0};

	for (const struct gm_change *c = NULL; (c = gm_changes_next(&changes, c));)
		(void)entries_take(&e, c);
	unsigned n = e.text ? entries_of(&e, "command", text) : 0;
	entries_free(&e);
	return n;
}

static void introspect(bool again) /* a turn of it */
{
	gm_changes_reset(&changes);
	gm_effects_reset(&effects);
	request = (struct gm_ctl_request){.id = 5, .level = GM_CTL_OPERATOR, .verb = "token introspect", .conn = 3, .again = again};
	add("token#0102030405");
	gm_ctl_reply_init(&reply, &buf, request.id);
	gm_ctl_run(&env, &request, &reply);
}

Test(table, has_in_the_audit_log_that_servers_are_asked_about_a_token_no_later_than_they_are_asked)
{
	static const char command[] = "\"command\":\"token introspect\"";
	struct gm_ev_answered silent = {.rec = {.type = GM_EV_ANSWERED, .len = sizeof(silent)}, .err = GM_E_BUSY};
	struct gm_txn t;

	introspect(false);
	cr_expect(reply.refused);
	cr_expect_eq(entries_about(command), 0, "nobody can be asked");
	write_answers();
	RUN("as add", "name=as1", KEY32, "alg=HMAC256", LINK_OF(ADDR, "00", "0a"), "introspect=");
	introspect(false);
	cr_expect(reply.waits);
	const struct gm_eff_ask *ask = effect_made(GM_EFF_ASK);
	cr_assert_not_null(ask);
	cr_expect_eq(entries_about(command), 1, "what leaves with a turn leaves when that is on the disk");
	silent.ask = ask->ask;
	silent.as_id = ask->as_id;
	introspect(true);
	cr_expect(reply.waits);
	cr_expect_eq(entries_about(command), 0);
	txn(NULL, &t);
	gm_core_apply(env.core, &t, &silent.rec);
	introspect(true);
	cr_expect(reply.done);
	cr_expect_eq(entries_about(command), 0, "once is enough");
	write_answers();
	SAYS("row state=unknown ");
}

/* Claims of an active token: so many groups, whose names have 30 characters of two bytes, one with a NUL in it, and an administrator's entry. */
static struct gm_bytes claims_about(unsigned groups)
{
	static uint8_t bytes[4096];
	uint8_t scope[3072];
	struct gm_out s = gm_out(scope, sizeof(scope)), o = gm_out(bytes, sizeof(bytes));

	gm_cbor_put_array(&s, groups + 2);
	for (unsigned i = 0; i < groups; i++) {
		char name[64] = "";
		for (unsigned k = 0; k < 30; k++)
			strcat(name, "\xc3\xa4");
		gm_cbor_put_array(&s, 2);
		gm_cbor_put_text(&s, name);
		gm_cbor_put_uint(&s, GM_ROLE_REQUESTER);
	}
	gm_out_bytes(&s, "\x82\x63g\0h\x02" "\x82\xf5\x03", 9);
	struct gm_cwt cwt = {.exp = 1900000000, .nbf = -1, .iat = -1, .exi = -1, .scope = gm_out_result(&s), .has_osc = true, .ace_profile = -1};
	cwt.osc.id = (struct gm_bytes){(const uint8_t *)"\x0a", 1};
	cwt.osc.ms = (struct gm_bytes){(const uint8_t *)"0123456789abcdef", 16};
	cwt.osc.alg = 10;
	cwt.osc.hkdf = 5;
	cwt.osc.version = 1;
	gm_cwt_encode(&o, &cwt);
	cr_assert((bytes[0] & 0xe0) == 0xa0 && (bytes[0] & 0x1f) < 0x17, "a short map");
	bytes[0]++;
	gm_cbor_put_uint(&o, 10);
	gm_cbor_put_bool(&o, true);
	return gm_out_result(&o);
}

static const char *scope_said(unsigned groups)
{
	static struct { _Alignas(8) uint8_t b[sizeof(struct gm_ev_answered) + 4096]; } room;
	struct gm_ev_answered *ev = (void *)room.b;
	struct gm_bytes claims = claims_about(groups);
	struct gm_txn t;

	introspect(false);
	const struct gm_eff_ask *ask = effect_made(GM_EFF_ASK);
	cr_assert_not_null(ask);
	*ev = (struct gm_ev_answered){.rec = {.type = GM_EV_ANSWERED, .len = (uint32_t)(sizeof(*ev) + claims.n)},
	                              .as_id = ask->as_id,
	                              .ask = ask->ask,
	                              .code = GM_COAP(2, 1),
	                              .content_format = 19,
	                              .payload = {sizeof(*ev), (uint32_t)claims.n}};
	memcpy(room.b + sizeof(*ev), claims.p, claims.n);
	txn(NULL, &t);
	gm_core_apply(env.core, &t, &ev->rec);
	introspect(true);
	cr_assert(reply.done);
	write_answers();
	return said;
}

Test(table, names_as_many_groups_of_a_token_as_have_room_whole_and_counts_the_others)
{
	RUN("as add", "name=as1", KEY32, "alg=HMAC256", LINK_OF(ADDR, "00", "0a"), "introspect=");
	scope_said(0);
	SAYS(" scope=g?h/requester administration (1) ");
	scope_said(1);
	SAYS("\xc3\xa4/requester g?h/requester administration (1) ");
	scope_said(40);
	SAYS("/requester g?h/requester and 27 more administration (1) ");
}

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

static void count(uint64_t hist[static GM_HIST_N], uint64_t v, unsigned times)
{
	while (times--)
		gm_hist_count(hist, v);
}

Test(hist, counts_in_powers_of_two_and_gives_the_lower_end)
{
	uint64_t hist[GM_HIST_N] = {0};

	cr_expect_eq(gm_hist_quantile(hist, 0.5), 0);
	count(hist, 0, 1);
	count(hist, 1, 2);
	count(hist, 64, 3);
	count(hist, 127, 4);
	count(hist, UINT64_MAX, 5);
	cr_expect(hist[0] == 1 && hist[1] == 2 && hist[7] == 7 && hist[GM_HIST - 1] == 5);
	memset(hist, 0, sizeof(hist));
	count(hist, 5, 6);
	count(hist, 1000, 4);
	cr_expect_eq(gm_hist_sum(hist), 10);
	cr_expect_eq(gm_hist_quantile(hist, 0.5), 4);
	cr_expect_eq(gm_hist_quantile(hist, 0.6), 4);
	cr_expect_eq(gm_hist_quantile(hist, 0.61), 512);
	cr_expect_eq(gm_hist_quantile(hist, 1), 512);
	cr_expect_eq(gm_hist_most(hist), 1000);
}

Test(hist, is_said_bucket_by_bucket)
{
	uint64_t hist[GM_HIST_N] = {0};
	char text[GM_HIST_TEXT];

	gm_hist_text(hist, text);
	cr_expect_str_eq(text, "");
	hist[0] = 1, hist[7] = 120, hist[8] = 7;
	gm_hist_text(hist, text);
	cr_expect_str_eq(text, "0:1 64:120 128:7");
	for (unsigned i = 0; i < GM_HIST; i++)
		hist[i] = UINT64_MAX;
	gm_hist_text(hist, text);
	cr_expect_str_eq(strrchr(text, ' '), " 274877906944:18446744073709551615", "the longest fits");
}

Test(hist, estimates_times_inside_a_bucket)
{
	uint64_t hist[GM_HIST_N] = {0};

	cr_expect_eq(gm_hist_estimate(hist, 0.5), 0);
	count(hist, 1024, 99);
	count(hist, 2047, 1);
	cr_expect_eq(gm_hist_estimate(hist, 0.5), 1536);
	cr_expect_eq(gm_hist_estimate(hist, 1), 2047);
	count(hist, 4096, 99);
	count(hist, 8191, 1);
	cr_expect_eq(gm_hist_estimate(hist, 0.5), 2048);
	cr_expect_eq(gm_hist_estimate(hist, 0.75), 6144);
}

Test(hist, no_estimate_is_above_the_largest_value)
{
	static const uint64_t values[] = {0, 1, 3, 700, 1024, 1025, 2000, 70000};

	for (unsigned n = 1; n <= sizeof(values) / sizeof(values[0]); n++) {
		uint64_t hist[GM_HIST_N] = {0};
		for (unsigned i = 0; i < n; i++)
			count(hist, values[i], 1 + 7 * i);
		uint64_t p50 = gm_hist_estimate(hist, 0.5), p99 = gm_hist_estimate(hist, 0.99);
		cr_expect_eq(gm_hist_most(hist), values[n - 1]);
		cr_expect(p50 <= p99 && p99 <= gm_hist_most(hist), "%llu %llu %llu", (unsigned long long)p50, (unsigned long long)p99,
		          (unsigned long long)gm_hist_most(hist));
	}
}

Test(table, makes_groups_of_other_algorithms)
{
	cr_expect_str_eq(RUN("group create", "group=g1", "sign-alg=ES384", "hkdf=sha512", "alg=A128GCM", "gp-enc-alg=A256CTR"),
			 "end\n");
	RUN("group show", "group=g1");
	SAYS(" hkdf=7 gp_enc_alg=-65532 sign_alg=-35 sign_crv=2 cred_fmt=14 ecdh_crv=2 alg=1 ecdh_alg=-28 ");
	RUN("group create", "group=g2", "pairwise-only!");
	RUN("group show", "group=g2");
	SAYS(" group_mode=no pairwise_mode=yes ");
	SAYS(" gp_enc_alg=0 sign_alg=0 sign_crv=0 cred_fmt=14 ecdh_crv=4 alg=10 ecdh_alg=-27 ");
	RUN("group create", "group=g3", "pairwise-only!", "ecdh-curve=P-521", "alg=24");
	RUN("group show", "group=g3");
	SAYS(" ecdh_crv=3 alg=24 ecdh_alg=-27 ");
}

Test(table, says_which_algorithm_does_not_do)
{
	RUN("group create", "group=g1", "sign-alg=PS256");
	cr_expect_str_eq(said, "error usage: sign-alg: has to be EdDSA, ES256, ES384 or ES512, not 'PS256'\n");
	RUN("group create", "group=g1", "alg=A128CTR");
	cr_expect_str_eq(said, "error usage: alg: has to be A128GCM, A192GCM, A256GCM, AES-CCM-16-64-128, AES-CCM-16-64-256, AES-CCM-64-64-128, "
	                       "AES-CCM-64-64-256, ChaCha20/Poly1305, AES-CCM-16-128-128, AES-CCM-16-128-256, AES-CCM-64-128-128 or "
	                       "AES-CCM-64-128-256, not 'A128CTR'\n");
	RUN("group create", "group=g1", "gp-enc-alg=HMAC-with-a-name-that-is-far-too-long");
	SAYS("AES-CCM-64-128-256, A128CTR, A192CTR or A256CTR, not 'HMAC-with-a-name-that-is-far-to'\n");
	RUN("group create", "group=g1", "pairwise-only!", "ecdh-curve=Ed25519");
	SAYS("error usage: ecdh-curve: has to be X25519, P-256, P-384 or P-521, not 'Ed25519'\n");
	RUN("group create", "group=g1", "hkdf=sha1");
	SAYS("error usage: hkdf: has to be sha256 or sha512, not 'sha1'\n");
	RUN("group create", "group=g1", "hkdf=10");
	SAYS("error usage: hkdf: has to be sha256 or sha512, not '10'\n");
	RUN("group create", "group=g1", "gp-enc-alg=AES-CCM-64-64-128", "max-members:101");
	SAYS("error usage: alg: the nonces");
	cr_expect_str_eq(RUN("group create", "group=g1", "gp-enc-alg=AES-CCM-64-64-128", "max-members:100"), "end\n");
	cr_expect_str_eq(RUN("group create", "group=g2", "gp-enc-alg=-65534", "alg=24", "sign-alg=-35", "hkdf=7"), "end\n");
	RUN("group list", "settings!");
	SAYS(" sign_alg=ES384 hkdf=sha512 alg=ChaCha20/Poly1305 gp_enc_alg=A128CTR ");
}

Test(table, refuses_what_the_modes_of_a_group_leave_no_use_for)
{
	cr_expect_str_eq(RUN("group create", "group=g", "signature-only!", "ecdh-curve=X25519"),
	                 "error usage: ecdh-curve: serves no group without pairwise mode\n");
	cr_expect_str_eq(RUN("group create", "group=g", "alg=A128GCM", "signature-only!"), "error usage: alg: serves no group without pairwise mode\n");
	cr_expect_str_eq(RUN("group create", "group=g", "pairwise-only!", "sign-alg=ES256"), "error usage: sign-alg: serves no group without group mode\n");
	cr_expect_str_eq(RUN("group create", "group=g", "pairwise-only!", "gp-enc-alg=A128CTR"), "error usage: gp-enc-alg: serves no group without group mode\n");
	cr_expect_str_eq(RUN("group create", "group=g", "pairwise-only!", "alg=A128GCM", "ecdh-curve=P-256", "hkdf=sha512"), "end\n");
	cr_expect_str_eq(RUN("group create", "group=g2", "ecdh-curve=X25519", "sign-alg=EdDSA"), "end\n");
}

Test(table, says_of_a_change_what_it_says_of_a_new_group)
{
	static const char *const wrong[] = {"hkdf=x", "gp-enc-alg=x", "alg=ES256", "max-stale-sets:0", "max-stale-sets:65"};
	char first[1024];

	RUN("group create", "group=g1", "max-members:1000");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(first, sizeof(first), "%s", RUN("group create", "group=g2", wrong[i]));
		cr_expect_str_eq(RUN("group set", "group=g1", wrong[i]), first);
		SAYS("has to be ");
	}
	cr_expect_str_eq(RUN("group set", "group=g1", "expires:5"), "error range: expires: not in the future\n");
	cr_expect_str_eq(RUN("group set", "group=g1", "as-uri=coap://x"), "error range: as-uri: not trusted\n");
	cr_expect_str_eq(RUN("group create", "group=g2", "rekey-every:3"), "error usage: rekey-every: 0, or at least 10 seconds\n");
	cr_expect_str_eq(RUN("group create", "group=g2", "pairwise-too!", "ecdh-curve=P-256"),
	                 "error usage: ecdh-curve: a key for sign_alg does not serve on this curve\n");
	cr_expect_str_eq(RUN("group set", "group=g1", "hkdf=sha512", "max-stale-sets:3"), "end\n");
	RUN("group list", "settings!");
	SAYS(" max_stale_sets=3 ");
	SAYS(" hkdf=sha512 ");
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

/* ---- templates */

static struct gm_config with_templates;

static void have_templates(void)
{
	static const char text[] = "audience: a\ntemplates:\n- {name: floor, max_members: 90, backward: window, rekey_every: 86400}\n"
				   "- {name: doors, modes: group}\n";
	char why[GM_CONFIG_WHY];

	cr_assert_eq(gm_config_parse(&with_templates, "t", text, strlen(text), why), GM_E_OK, "%s", why);
	env.config = &with_templates;
}

Test(table, makes_a_group_of_a_template_but_for_what_the_command_says)
{
	have_templates();
	cr_expect_str_eq(RUN("group create", "group=f1", "template=floor", "backward=each"), "end\n");
	RUN("group show", "group=f1");
	SAYS(" max_members=90 ");
	SAYS(" rekey_every_s=86400 backward=each ");
	cr_expect_str_eq(RUN("group create", "group=d1", "template=doors", "pairwise-too!"), "end\n");
	RUN("group show", "group=d1");
	SAYS(" group_mode=yes pairwise_mode=yes ");
	cr_expect_str_eq(RUN("group create", "group=f2", "template=flor"),
	                 "error unknown: no template 'flor': gmctl template list names those that there are\n");
}

Test(table, shows_templates_and_what_groups_were_made_with_in_the_same_words)
{
	have_templates();
	RUN("template list");
	SAYS("row template=floor settings=max_members=90 backward=window rekey_every=86400\nrow template=doors settings=modes=group\n");
	RUN("template show", "template=floor");
	SAYS("row template=floor max_members=90 max_stale_sets=16 backward=window rekey_every=86400 key_lifetime=604800 modes=both "
	     "sign_alg=EdDSA hkdf=sha256 alg=AES-CCM-16-64-128 gp_enc_alg=AES-CCM-16-64-128 ecdh_curve= cred_fmt=kccs active=yes\n");
	RUN("group create", "group=f1", "template=floor");
	RUN("group list", "settings!");
	SAYS("row group=f1 max_members=90 max_stale_sets=16 backward=window rekey_every=86400 key_lifetime=604800 modes=both "
	     "sign_alg=EdDSA hkdf=sha256 alg=AES-CCM-16-64-128 gp_enc_alg=AES-CCM-16-64-128 ecdh_curve= cred_fmt=kccs active=yes\n");
	cr_expect_str_eq(RUN("template show", "template=x"), "error unknown: no template 'x'\n");
}

/* ---- import: rows as gmctl sends them */

static struct {
	uint8_t bytes[GM_CTL_BODY_MAX];
	struct gm_out o;
	uint64_t number, before;
} file;

static void file_begin(const char *kind, bool whole)
{
	file.o = gm_out(file.bytes, sizeof(file.bytes));
	gm_cbor_put_array(&file.o, 4);
	gm_cbor_put_text(&file.o, kind);
	gm_cbor_put_uint(&file.o, file.number);
	gm_cbor_put_uint(&file.o, file.before);
	gm_cbor_put_bool(&file.o, whole);
}

static void file_row(unsigned line, unsigned columns, const char *const *cells)
{
	gm_cbor_put_array(&file.o, 1 + columns);
	gm_cbor_put_uint(&file.o, line);
	for (unsigned i = 0; i < columns; i++)
		gm_cbor_put_text(&file.o, *cells ? *cells++ : "");
	file.before++;
}
#define DEVICE(line, ...) file_row(line, 3, (const char *const[]){__VA_ARGS__, NULL})
#define ROLE(line, ...) file_row(line, 4, (const char *const[]){__VA_ARGS__, NULL})
#define GROUP(line, ...) file_row(line, 15, (const char *const[]){__VA_ARGS__, NULL})

static uint64_t conn;

/* A turn with it. false: there is no answer yet. */
static bool file_turn(bool preview, bool again)
{
	request = (struct gm_ctl_request){.id = 5, .level = level, .conn = conn, .again = again, .verb = "import", .body = gm_out_result(&file.o)};
	add("file=f.csv");
	if (preview)
		add("preview!");
	gm_ctl_reply_init(&reply, &buf, request.id);
	gm_ctl_run(&env, &request, &reply);
	cr_expect_neq(reply.done, reply.later);
	if (reply.done)
		write_answers();
	return reply.done;
}

static const char *file_send(bool preview)
{
	for (bool again = false; !file_turn(preview, again); again = true)
		;
	return said;
}

static void file_new(const char *kind)
{
	file.number++;
	file.before = 0;
	file_begin(kind, true);
}

Test(table, imports_devices_and_a_second_time_changes_nothing)
{
	for (unsigned times = 0; times < 2; times++) {
		file_new("devices");
		DEVICE(2, "as:1:aa", "Lamp 1", "f1/requester+responder f2");
		DEVICE(3, "as:1:bb", "Lamp 2");
		cr_expect_str_eq(file_send(false), times ? "row what=devices made=0 changed=0 left_alone=2\nend\n"
		                                         : "row what=devices made=2 changed=0 left_alone=0\nend\n");
	}
	cr_expect_str_eq(RUN("device list"), "row device=as:1:aa name=Lamp 1 groups=f1/requester+responder f2\n"
	                                     "row device=as:1:bb name=Lamp 2 groups=\nend\n");
	file_new("devices");
	DEVICE(2, "as:1:aa", "", "f1");
	cr_expect_str_eq(file_send(true), "row says=devices: 0 made, 1 changed, 0 left alone asks=yes made=0 changed=1 left_alone=0\nend\n");
	cr_expect_str_eq(RUN("device show", "device=lamp-1"),
	                 "row device=as:1:aa name=Lamp 1 groups=f1/requester+responder f2 registered=yes known=no memberships=0 member_of=\nend\n",
	                 "a look changes nothing");
	unsigned before = changes.count;
	file_send(true);
	cr_expect_eq(changes.count, before);
}

Test(table, imports_all_of_a_file_or_nothing_and_says_in_which_line_it_is_wrong)
{
	static const struct {
		const char *device, *name, *groups, *why;
	} rows[] = {
		{"as:1:zz", "b", "", "device: has to be as:ID:HEX (number of the authorization server, identifier of the OSCORE material) or cred:HEX (SHA-256 of "
		                     "the credential), not 'as:1:zz'"},
		{"as:1:aa", "b", "", "the device stands in line 2 already"},
		{"as:1:bb", "LAMP-1", "", "the name stands in line 2 already"},
		{"as:1:bb", "a/b", "", "name: a name has no quotes and no slashes, not 'a/b'"},
		{"as:1:bb", "b", "f1/lamp", "groups: roles are requester, responder, monitor and verifier, with + between, or any; not 'lamp'"},
		{"as:1:bb", "there", "", "name: another device has the name 'there' already"},
	};
	char expected[512];

	cr_expect_str_eq(RUN("device set", "device=as:1:99", "name=there"), "end\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned before = changes.count;
		file_new("devices");
		DEVICE(2, "as:1:aa", "Lamp 1");
		DEVICE(7, rows[i].device, rows[i].name, rows[i].groups);
		snprintf(expected, sizeof(expected), "error usage: f.csv:7: %s\n", rows[i].why);
		cr_expect_str_eq(file_send(false), expected);
		cr_expect_eq(changes.count, before, "nothing is stored");
		cr_expect_str_eq(RUN("device list"), "row device=as:1:99 name=there groups=\nend\n");
	}
}

static void file_of_groups(unsigned n)
{
	char name[16];

	file_new("groups");
	for (unsigned i = 1; i <= n; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		GROUP(i + 1, name);
	}
}

Test(table, makes_the_keys_of_many_groups_over_several_turns_and_the_groups_in_one)
{
	unsigned turns = 1;

	gm_changes_reset(&changes);
	gm_effects_reset(&effects);
	file_of_groups(200);
	for (bool again = false; !file_turn(false, again); again = true, turns++) {
		cr_expect_eq(changes.count, 0, "nothing is stored");
		cr_expect_eq(effects.to[0].n, 0, "and nobody is told");
		if (turns == 2)
			cr_expect_str_eq(RUN("group create", "group=f7"), "end\n", "others go on");
		if (turns == 2)
			gm_changes_reset(&changes);
		if (turns == 2)
			gm_effects_reset(&effects);
	}
	cr_expect_str_eq(said, "row what=groups made=199 changed=0 left_alone=1\nend\n", "%s", said);
	cr_expect_eq(turns, 4);
	cr_expect_geq(changes.count, 199);
	RUN("group show", "group=f200");
	SAYS("row group=f200 state=idle ");
}

Test(table, forgets_a_file_of_groups_whose_sender_goes_while_keys_are_made)
{
	file_of_groups(200);
	cr_expect_not(file_turn(false, false));
	gm_ctl_gone(&env, conn);
	cr_expect(file_turn(false, true));
	SAYS("error busy: ");
	file_of_groups(3);
	cr_expect_str_eq(file_send(false), "row what=groups made=3 changed=0 left_alone=0\nend\n");
	cr_expect_str_eq(RUN("group show", "group=f4"), "error unknown: no group 'f4'\n");
}

/* Where the allocator's memory is at all: under a sanitizer it is elsewhere. */
static bool heap_holds(const uint8_t *secret, size_t n)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long from = 0, to = 0;
	char line[512];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "[heap]") && sscanf(line, "%lx-%lx", &from, &to) == 2)
			found |= memmem((const void *)from, to - from, secret, n) != NULL;
	if (f)
		fclose(f);
	return found;
}

static struct gm_txn first_txn;

static void same_txn(void *arg, struct gm_txn *t)
{
	(void)arg;
	*t = first_txn;
}

Test(table, keeps_seeds_that_wait_for_their_groups_out_of_memory_that_a_dump_shows)
{
	struct gm_pages_stats before = gm_pages_stats(), after;
	uint8_t seed[32];

	txn(NULL, &first_txn);
	struct gm_txn t = first_txn;
	gm_dice(&t, seed, sizeof(seed));
	env.txn = same_txn;
	file_of_groups(100);
	cr_expect_not(file_turn(false, false));
	cr_expect_not(heap_holds(seed, sizeof(seed)));
	after = gm_pages_stats();
	cr_expect_geq(after.locked + after.unlocked, before.locked + before.unlocked + 20000 * sizeof(seed));
	env.txn = txn;
	cr_expect(file_turn(false, true));
	cr_expect_str_eq(said, "row what=groups made=100 changed=0 left_alone=0\nend\n", "%s", said);
}

Test(table, groups_of_a_file_have_each_keys_of_its_own_that_fit)
{
	file_new("groups");
	GROUP(2, "f1");
	GROUP(3, "f2", "", "", "", "", "", "", "", "ES256");
	GROUP(4, "f3");
	cr_expect_str_eq(file_send(false), "row what=groups made=3 changed=0 left_alone=0\nend\n", "%s", said);
}

Test(table, imports_groups_of_templates_and_compares_those_that_are_there)
{
	have_templates();
	file_new("groups");
	GROUP(2, "f1", "floor");
	GROUP(3, "f2", "floor", "64");
	cr_expect_str_eq(file_send(false), "row what=groups made=2 changed=0 left_alone=0\nend\n");
	RUN("group show", "group=f2");
	SAYS(" max_members=64 ");
	SAYS(" backward=window ");
	file_new("groups");
	GROUP(2, "f2", "", "64");
	GROUP(3, "f3", "doors");
	cr_expect_str_eq(file_send(true), "row says=groups: 1 made, 0 changed, 1 left alone asks=yes made=1 changed=0 left_alone=1\nend\n");
	file_new("groups");
	GROUP(2, "f4", "doors");
	GROUP(3, "f2", "", "65");
	cr_expect_str_eq(file_send(false), "error usage: f.csv:3: max_members: the group f2 is there and has '64', not '65': gmctl group set changes what can be "
	                                   "changed\n");
	file_new("groups");
	GROUP(2, "f4", "dors");
	cr_expect_str_eq(file_send(false), "error usage: f.csv:2: template: no template 'dors' in the configuration\n");
	file_new("groups");
	GROUP(2, "f4");
	GROUP(3, "f5", "", "70000");
	cr_expect_str_eq(file_send(false), "error usage: f.csv:3: max_members: has to be 1 to 65536, not '70000'\n");
	file_new("groups");
	GROUP(2, "f4");
	GROUP(3, "f4");
	cr_expect_str_eq(file_send(false), "error usage: f.csv:3: the group stands in line 2 already\n");
	cr_expect_str_eq(RUN("group show", "group=f4"), "error unknown: no group 'f4'\n");
}

Test(table, imports_no_setting_that_serves_nothing)
{
	file_new("groups");
	GROUP(2, "f1", "", "", "", "", "", "", "pairwise", "ES256");
	cr_expect_str_eq(file_send(false), "error usage: f.csv:2: sign_alg: serves no group without group mode\n");
}

Test(table, imports_roles_in_any_order_beside_those_there_were)
{
	RUN("device set", "device=as:1:aa", "name=Lamp 1", "groups=f1/monitor f9");
	RUN("device set", "device=as:1:bb", "name=Lamp 2");
	file_new("roles");
	ROLE(2, "as:1:aa", "", "f1", "requester");
	ROLE(3, "", "lamp-2", "f1", "any");
	ROLE(4, "", "LAMP 1", "f2", "responder,requester");
	cr_expect_str_eq(file_send(false), "row what=roles made=0 changed=2 left_alone=0\nend\n");
	cr_expect_str_eq(RUN("device list"), "row device=as:1:aa name=Lamp 1 groups=f1/requester f9 f2/requester+responder\n"
	                                     "row device=as:1:bb name=Lamp 2 groups=f1\nend\n");
	file_new("roles");
	ROLE(2, "as:1:cc", "", "f1", "any");
	cr_expect_str_eq(file_send(false), "error usage: f.csv:2: device: no device 'as:1:cc' in the register: import the devices first\n");
	file_new("roles");
	for (unsigned i = 0; i <= GM_DEVICE_GROUPS_MAX; i++) {
		char group[8];
		snprintf(group, sizeof(group), "h%u", i);
		ROLE(2 + i, "as:1:bb", "", group);
	}
	cr_expect_str_eq(file_send(false), "error usage: f.csv:17: group: a device is expected in at most 16 groups\n");
}

Test(table, imports_a_file_that_comes_in_pieces_and_no_other_meanwhile)
{
	file.number++;
	file.before = 0;
	file_begin("devices", false);
	DEVICE(2, "as:1:aa", "Lamp 1");
	cr_expect_str_eq(file_send(true), "end\n");
	file.number++;
	uint64_t was = file.before;
	file.before = 0;
	file_begin("devices", true);
	DEVICE(2, "as:1:bb", "Lamp 2");
	cr_expect_str_eq(file_send(false), "error busy: another file is being imported: try again in a moment\n");
	file.number--;
	file.before = was;
	file_begin("devices", true);
	DEVICE(3, "as:1:cc", "Lamp 3");
	cr_expect_str_eq(file_send(false), "row what=devices made=2 changed=0 left_alone=0\nend\n");
	file_begin("devices", true);
	DEVICE(9, "as:1:dd", "Lamp 4");
	cr_expect_str_eq(file_send(false), "error busy: import: rows before these are missing; nothing was done: try again\n");
	file.o = gm_out(file.bytes, sizeof(file.bytes));
	gm_cbor_put_text(&file.o, "no rows");
	cr_expect_str_eq(file_send(false), "error usage: import: rows of a file are needed\n");
}

static const char *device_send(uint64_t over, enum gm_ctl_level as, bool whole)
{
	conn = over;
	level = as;
	file.number = over + 1;
	file.before = 0;
	file_begin("devices", whole);
	DEVICE(2, "as:1:aa", "Lamp 1");
	return file_send(!whole);
}

#define IS_BUSY "error busy: another file is being imported: try again in a moment\n"

Test(table, imports_for_who_may_more_while_one_who_may_less_has_begun)
{
	cr_expect_str_eq(device_send(1, GM_CTL_OPERATOR, false), "end\n");
	cr_expect_str_eq(device_send(2, GM_CTL_OPERATOR, true), IS_BUSY, "of the same level");
	cr_expect_str_eq(device_send(3, GM_CTL_ADMIN, false), "end\n");
	cr_expect_str_eq(device_send(1, GM_CTL_OPERATOR, true), IS_BUSY, "now it is the other one that waits");
	cr_expect_str_eq(device_send(3, GM_CTL_ADMIN, true), "row what=devices made=1 changed=0 left_alone=0\nend\n");
}

Test(table, forgets_a_file_half_come_with_its_connection)
{
	cr_expect_str_eq(device_send(1, GM_CTL_OPERATOR, false), "end\n");
	gm_ctl_gone(&env, 2);
	cr_expect_str_eq(device_send(3, GM_CTL_OPERATOR, true), IS_BUSY, "another connection has gone");
	gm_ctl_gone(&env, 1);
	cr_expect_str_eq(device_send(3, GM_CTL_OPERATOR, true), "row what=devices made=1 changed=0 left_alone=0\nend\n");
}

Test(table, sets_schedules_as_people_write_them)
{
	cr_expect_str_eq(RUN("schedule set", "schedule=night", "groups=f* g1", "at=22:30", "days=sat-mon,wed", "window=1h30m", "pace:100", "pause-late=0.5%"),
	                 "row result=made schedule=night state=waiting groups=f* g1 local_time=22:30 days=mon,wed,sat,sun window=1h30m pace=100 pause_late=0.5% "
	                 "next_at=1800138600\nend\n");
	cr_expect_str_eq(RUN("schedule set", "schedule=nihgt", "days=daily"), "error usage: there is no schedule 'nihgt' yet: a new one needs --groups, '*' for all\n");
	cr_expect_str_eq(RUN("schedule set", "schedule=night"), "error usage: schedule 'night': nothing to change, no option is given\n");
	RUN("schedule list");
	SAYS("row schedule=night state=waiting groups=f* g1 local_time=22:30 days=mon,wed,sat,sun window=1h30m pace=100 pause_late=0.5% next_at=");
	RUN("schedule set", "schedule=night", "days=daily", "pause-late=never");
	SAYS("row result=changed schedule=night state=waiting groups=f* g1 local_time=22:30 days=daily ");
	RUN("schedule show", "schedule=night");
	SAYS(" local_time=22:30 days=daily window=1h30m pace=100 pause_late=never ");
	SAYS(" paused=0 left=");
	SAYS(" passed_over=0 on_their_way=0 ");
	cr_expect_str_eq(RUN("schedule set", "schedule=night", "at=24:00"), "error usage: at: has to be a time of day as 02:00, not '24:00'\n");
	cr_expect_str_eq(RUN("schedule set", "schedule=night", "days=mon,noday"), "error usage: days: has to be daily, or days as mon,thu or mon-fri, not 'mon,noday'\n");
	cr_expect_str_eq(RUN("schedule set", "schedule=night", "window=25h"), "error usage: window: has to be 1m to 24h, as 2h, 90m or 1h30m, not '25h'\n");
	cr_expect_str_eq(RUN("schedule set", "schedule=night", "pause-late=101%"),
	                 "error usage: pause-late: has to be 0 to 100 %, as 2% or 0.5%, or never, not '101%'\n");
	cr_expect_str_eq(RUN("schedule pause", "schedule=night"), "end\n");
	cr_expect_str_eq(RUN("schedule run-now", "schedule=night"), "error conflict: schedule 'night' is paused: resume it first\n");
	cr_expect_str_eq(RUN("schedule resume", "schedule=night"), "end\n");
	cr_expect_str_eq(RUN("schedule run-now", "schedule=night"), "end\n");
	cr_expect_str_eq(RUN("schedule run-now", "schedule=night"), "error busy: schedule 'night': a window is open already\n");
	cr_expect_str_eq(RUN("schedule remove", "schedule=night"), "end\n");
	cr_expect_str_eq(RUN("schedule show", "schedule=night"), "error unknown: no schedule 'night'\n");
}

Test(table, watches_what_is_asked_for_now_and_not_what_somebody_asked_for_before)
{
	request = (struct gm_ctl_request){.id = 5, .level = GM_CTL_VIEWER, .verb = "watch"};
	add("group=g1");
	add("no-members!");
	gm_ctl_reply_init(&reply, &buf, 5);
	gm_ctl_run(&env, &request, &reply);
	cr_expect(reply.watches && reply.no_members);
	cr_expect_str_eq(reply.group, "g1");
	request.args_n = 0;
	gm_ctl_reply_init(&reply, &buf, 5);
	gm_ctl_run(&env, &request, &reply);
	cr_expect(reply.watches && !reply.no_members);
	cr_expect_str_eq(reply.group, "");
}

/* ---- metrics */

Test(table, has_metrics_of_each_group_and_of_what_is_counted)
{
	RUN("group create", "group=g1");
	level = GM_CTL_VIEWER;
	RUN("metrics");
	SAYS("row metric=gmd_groups value=1\n");
	SAYS("row metric=gmd_groups_max value=400\n");
	SAYS("row metric=gmd_joins_total result=refused value=0\n");
	SAYS("row metric=gmd_group_members group=g1 value=0\n");
	SAYS("row metric=gmd_group_state group=g1 state=idle value=1\n");
	SAYS("row metric=gmd_groups_not_shown value=0\n");
	SAYS("row metric=gmd_commit_seconds sum=0 buckets=\n");
	SAYS("row metric=gmd_draining value=0\n");
	SAYS("row metric=gmd_audit_kept_entries value=0\n");
	SAYS_NOT("gmd_schedule_state");
	SAYS("\nend\n");
}

Test(table, has_metrics_of_schedules_and_of_a_drain)
{
	RUN("schedule set", "schedule=night", "groups=*");
	RUN("schedule pause", "schedule=night");
	RUN("drain");
	level = GM_CTL_VIEWER;
	RUN("metrics");
	SAYS("row metric=gmd_schedule_state schedule=night state=paused value=1\n");
	SAYS("row metric=gmd_schedule_opened_timestamp_seconds schedule=night value=0\n");
	SAYS("row metric=gmd_draining value=1\n");
	level = GM_CTL_ADMIN;
	RUN("undrain");
	RUN("schedule resume", "schedule=night");
	RUN("metrics");
	SAYS("state=waiting value=1\n");
	SAYS("row metric=gmd_schedule_next_timestamp_seconds schedule=night value=18000"); /* microseconds since 1970 */
	SAYS("row metric=gmd_draining value=0\n");
}

Test(table, shows_metrics_of_256_groups_and_first_of_those_that_are_rekeyed)
{
	char name[32];

	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "group=g%03u", i);
		cr_assert_str_eq(RUN("group create", name), "end\n");
	}
	RUN("metrics");
	SAYS("row metric=gmd_groups_not_shown value=44\n");
	SAYS("metric=gmd_group_version group=g255 ");
	SAYS_NOT("group=g256 ");
}

Test(table, lists_the_late_members_of_a_group_alone)
{
	RUN("group create", "group=g1");
	cr_expect_str_eq(RUN("member list", "group=g1", "late!"), "end\n");
	cr_expect_str_eq(RUN("member list", "group=g2", "late!"), "error unknown: no group 'g2'\n");
}

/* Of the group's view as the workers get it, and of an authorization server's key. */
static bool holds(const uint8_t *p, size_t n, const uint8_t *secret, size_t secret_n)
{
	return n && memmem(p, n, secret, secret_n);
}

static const struct gm_group_view *view_made(void)
{
	const struct gm_eff_group *e = effect_made(GM_EFF_GROUP);

	return e ? &e->view : NULL;
}

Test(table, tells_a_viewer_no_secret_whatever_it_asks)
{
	static const uint8_t key[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	static struct gm_group_view view;
	unsigned asked = 0;

	have_templates();
	RUN("group create", "group=g1");
	RUN("as add", "name=as1", KEY32, "alg=HMAC256", LINK_OF(ADDR, "00", "0a"), "introspect=");
	cr_assert_not_null(view_made());
	view = *view_made();
	cr_assert(view.ms_n >= 16 && holds(effects.to[0].bytes, effects.to[0].n, key, sizeof(key)));
	for (unsigned i = 0; i < gm_ctl_verbs_n; i++) {
		const struct gm_ctl_verb *verb = &gm_ctl_verbs[i];
		bool config = strncmp(verb->name, "config", 6) == 0 || strcmp(verb->name, "pace") == 0 || strcmp(verb->name, "status") == 0 || strcmp(verb->name, "health") == 0;
		if (verb->local || verb->level != GM_CTL_VIEWER || config) /* those need a whole daemon; of keys there is a file's name */
			continue;
		request = (struct gm_ctl_request){.id = 5, .level = GM_CTL_VIEWER};
		snprintf(request.verb, sizeof(request.verb), "%s", verb->name);
		if (strncmp(verb->args, "GROUP", 5) == 0)
			add("group=g1");
		if (strstr(verb->args, "NODE"))
			add("node=n1");
		if (strncmp(verb->args, "NAME", 4) == 0)
			add("name=as1");
		gm_ctl_reply_init(&reply, &buf, 5);
		gm_ctl_run(&env, &request, &reply);
		asked++;
		cr_expect_not(holds(buf.bytes, buf.n, view.ms, view.ms_n), "%s", verb->name);
		cr_expect_not(holds(buf.bytes, buf.n, view.kdc_seed, sizeof(view.kdc_seed)), "%s", verb->name);
		cr_expect_not(holds(buf.bytes, buf.n, key, sizeof(key)), "%s", verb->name);
		cr_expect_not(view.salt_n && holds(buf.bytes, buf.n, view.salt, view.salt_n), "%s", verb->name);
		gm_ctl_buf_free(&buf);
	}
	cr_expect_geq(asked, 9);
}
