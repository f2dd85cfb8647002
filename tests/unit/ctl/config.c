/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "ctl/options.h"

static struct gm_config config;
static char why[GM_CONFIG_WHY];

static enum gm_err parse(const char *text)
{
	return gm_config_parse(&config, "t.conf", text, strlen(text), why);
}

Test(config, needs_nothing_but_an_audience)
{
	cr_assert_eq(parse("audience: coap://gm\n"), GM_E_OK, "%s", why);
	cr_expect_str_eq(config.audience, "coap://gm");
	cr_expect_str_eq(config.state_dir, "/var/lib/gmd");
	cr_expect_str_eq(config.control_socket, "/run/gmd/gmd.sock");
	cr_expect_str_eq(config.control_group, "");
	cr_expect_eq(config.listen_n, 1);
	cr_expect_eq(config.listen[0].port, 5683);
	cr_expect(config.workers >= 1 && config.workers <= GM_WORKERS_MAX);
	cr_expect_eq(config.pace, 20000);
	cr_expect_eq(config.ack_timeout_ms, 2000);
	cr_expect_eq(config.retransmit_max, 4);
	cr_expect_eq(config.log_level, GM_LOG_INFO);
	cr_expect_eq(config.port, GM_CONFIG_PORT_AUTO);
	cr_expect(!config.test_no_lease);
}

Test(config, takes_every_key)
{
	cr_assert_eq(
		parse("audience: a\nstate_dir: s\nkey_file: k\ncontrol_socket: c\ncontrol_group: adm\n"
		      "listen: ['[::1]:1', '127.0.0.1:2']\nworkers: 3\ncontexts_max: 4\nmembers_max: 5\ngroups_max: 6\n"
		      "pace: 7\nrekey_window_ms: 8\nrekey_deadline_ms: 9\nack_timeout_ms: 100\nretransmit_max: 0\n"
		      "log_level: debug\nport: mmsg\nrekey_at_start: true\nconfine: false\n"),
		GM_E_OK, "%s", why);
	cr_expect_str_eq(config.state_dir, "s");
	cr_expect_str_eq(config.key_file, "k");
	cr_expect_str_eq(config.control_socket, "c");
	cr_expect_str_eq(config.control_group, "adm");
	cr_expect_eq(config.listen_n, 2);
	cr_expect_eq(config.listen[1].port, 2);
	cr_expect_eq(config.workers, 3);
	cr_expect_eq(config.contexts_max, 4);
	cr_expect_eq(config.members_max, 5);
	cr_expect_eq(config.groups_max, 6);
	cr_expect_eq(config.pace, 7);
	cr_expect_eq(config.rekey_window_ms, 8);
	cr_expect_eq(config.rekey_deadline_ms, 9);
	cr_expect_eq(config.ack_timeout_ms, 100);
	cr_expect_eq(config.retransmit_max, 0);
	cr_expect_eq(config.log_level, GM_LOG_DEBUG);
	cr_expect_eq(config.port, GM_CONFIG_PORT_MMSG);
	cr_expect(config.rekey_at_start);
	cr_expect(!config.confine);
}

Test(config, gives_dpdk_its_arguments_and_one_worker_unless_told)
{
	cr_assert_eq(parse("audience: a\nport: dpdk\ndpdk_args: --no-huge -m 64\ndpdk_interface: eth0\n"), GM_E_OK, "%s", why);
	cr_expect_eq(config.port, GM_CONFIG_PORT_DPDK);
	cr_expect_str_eq(config.dpdk_args, "--no-huge -m 64");
	cr_expect_str_eq(config.dpdk_interface, "eth0");
	cr_expect_eq(config.workers, 1);
}

Test(config, takes_networks_with_a_pace_of_their_own)
{
	cr_assert_eq(parse("audience: a\npace_prefixes:\n- {prefix: '2001:db8:15::/64', rate: 1.5, burst: 2}\n"
	                   "- prefix: 10.1.0.0/16\n  rate: 40\n"),
	             GM_E_OK, "%s", why);
	cr_assert_eq(config.prefixes_n, 2);
	cr_expect_eq(config.prefixes[0].prefix.bits, 64);
	cr_expect_eq(config.prefixes[0].prefix.ip[0], 0x20);
	cr_expect_eq(config.prefixes[0].rate, 1.5);
	cr_expect_eq(config.prefixes[0].burst, 2);
	cr_expect(gm_prefix_is_v4(&config.prefixes[1].prefix));
	cr_expect_eq(config.prefixes[1].rate, 40);
	cr_expect_eq(config.prefixes[1].burst, 1, "unless it is said");
	cr_assert_eq(parse("audience: a\npace_prefixes: []\n"), GM_E_OK, "%s", why);
	cr_expect_eq(config.prefixes_n, 0);
}

Test(config, takes_as_many_networks_as_its_bound_says_and_no_more)
{
	static char text[64u << 10];

	for (unsigned n = GM_PREFIXES_MAX; n <= GM_PREFIXES_MAX + 1; n++) {
		int at = snprintf(text, sizeof(text), "audience: a\npace_prefixes:\n");
		for (unsigned i = 0; i < n; i++)
			at += snprintf(text + at, sizeof(text) - (size_t)at, "- {prefix: 10.%u.%u.0/24, rate: 5}\n", i / 256, i % 256);
		cr_expect_eq(parse(text), n == GM_PREFIXES_MAX ? GM_E_OK : GM_E_USAGE);
	}
	cr_expect(strstr(why, "pace_prefixes: has too many entries"), "%s", why);
}

Test(config, takes_templates_for_groups)
{
	cr_assert_eq(parse("audience: a\ntemplates:\n- {name: floor, max_members: 4096, backward: window}\n"
	                   "- {name: doors, modes: group, sign_alg: ES256, active: no}\n"),
	             GM_E_OK, "%s", why);
	cr_assert_eq(config.templates_n, 2);
	cr_expect_str_eq(config.templates[0].name, "floor");
	cr_expect_str_eq(config.templates[0].set[GM_SETTING_max_members], "4096");
	cr_expect_str_eq(config.templates[1].set[GM_SETTING_active], "no");
	cr_expect_str_eq(config.templates[1].set[GM_SETTING_hkdf], "", "what is not said");
	struct gm_group_spec spec = gm_settings_begin();
	char text[GM_SETTING_MAX + 1], fault[GM_SETTING_WHY];
	cr_expect(gm_template_put(&config.templates[1], &spec, fault) && gm_settings_done(&spec, fault));
	cr_expect_str_eq(gm_setting_text(&spec, GM_SETTING_modes, text), "group");
	cr_expect_str_eq(gm_setting_text(&spec, GM_SETTING_sign_alg, text), "ES256");
	cr_expect_str_eq(gm_setting_text(&spec, GM_SETTING_alg, text), "", "the group has no use for it");
	cr_expect_not(spec.active);
}

/* clang-format off */
static const struct {
	const char *text, *message;
} broken[] = {
	{"", "t.conf: audience: is missing"},
	{"audience: a\nwokers: 3\n", "t.conf:2:1: wokers: no such key; is workers meant?"},
	{"audience: a\nworkers: lots\n", "t.conf:2:10: workers: has to be a whole number from 1 to 16, not 'lots'"},
	{"audience: a\npace: -1\n", "t.conf:2:7: pace: has to be a whole number from 0 to 100000000, not '-1'"},
	{"audience: a\n\nworkers: 99\n", "t.conf:3:1: workers: has to be 1 to 16, not 99"},
	{"audience: a\npace: 1\npace: 2\n", "t.conf:3:1: pace: named twice"},
	{"audience: a\nlisten: 5\n", "t.conf:2:9: listen: has to be a list"},
	{"audience: a\nlisten: []\n", "t.conf:2:9: listen: is empty"},
	{"audience: a\nlisten: [here]\n",
         "t.conf:2:10: listen: 'here' is not an address like [::1]:5683 or 127.0.0.1:5683"},
	{"audience: a\nlisten: ['[::1]:5', '[::1]:5']\n", "t.conf:2:22: listen: '[::1]:5' is named twice"},
	{"audience: a\nport: dpdk\n", "t.conf: dpdk_args: is missing: port: dpdk needs it"},
	{"audience: a\ndpdk_args: x\n", "t.conf:2:1: dpdk_args: needs port: dpdk"},
	{"audience: a\nport: mmsg\ndpdk_interface: x\n", "t.conf:3:1: dpdk_interface: needs port: dpdk"},
	{"audience: a\nport: raw\n", "t.conf:2:7: port: has to be auto, uring, mmsg or dpdk, not raw"},
	{"audience: a\nconfine: perhaps\n", "t.conf:2:10: confine: has to be true or false, not perhaps"},
	{"audience: a\nrekey_widnow_ms: 5\n", "t.conf:2:1: rekey_widnow_ms: no such key; is rekey_window_ms meant?"},
	{"audience: a\ncolour: red\n", "t.conf:2:1: colour: no such key"},
	{"audience: a\npace_prefixes:\n- prefix: 10.1.0.0/16\n  rates: 1\n", "t.conf:4:3: rates: no such key; is rate meant?"},
	{"audience: a\nlog_level: loud\n", "t.conf:2:12: log_level: has to be error, warn, info or debug, not loud"},
	{"audience: a\npace_prefixes:\n- prefix: 10.1/16\n  rate: 1\n",
	 "t.conf:3:11: pace_prefixes: '10.1/16' is not a prefix like 2001:db8:15::/64 or 10.1.0.0/16"},
	{"audience: a\npace_prefixes:\n- prefix: 10.1.0.1/16\n  rate: 1\n",
	 "t.conf:3:11: pace_prefixes: '10.1.0.1/16' has bits set behind its length"},
	{"audience: a\npace_prefixes:\n- prefix: 10.1.0.0/16\n  rate: 0\n",
	 "t.conf:3:11: pace_prefixes: '10.1.0.0/16': rate has to be 0.01 to 1000000, not 0"},
	{"audience: a\npace_prefixes:\n- prefix: 10.1.0.0/16\n  rate: nan\n",
	 "t.conf:3:11: pace_prefixes: '10.1.0.0/16': rate has to be 0.01 to 1000000, not nan"},
	{"audience: a\npace_prefixes:\n- prefix: 10.1.0.0/16\n  rate: 5\n  burst: 0\n",
	 "t.conf:3:11: pace_prefixes: '10.1.0.0/16': burst has to be 1 to 1000, not 0"},
	{"audience: a\npace_prefixes:\n- {prefix: 10.1.0.0/16, rate: 5}\n- {prefix: 10.1.0.0/16, rate: 6}\n",
	 "t.conf:4:12: pace_prefixes: '10.1.0.0/16' is named twice"},
	{"audience: a\npace_prefixes:\n- prefix: 10.1.0.0/16\n  rate: fast\n", "t.conf:4:9: rate: has to be a number, not fast"},
	{"audience: a\npace_prefixes:\n- prefix: 10.1.0.0/16\n", 
	 "t.conf:3:11: prefix: is incomplete: an entry has no rate"},
	{"audience: a\npace_prefixes:\n- prefix: 10.1.0.0/16\n  rate: 1\n  size: 3\n", "t.conf:5:3: size: no such key"},
	{"audience: a\npace_prefixes: 7\n", "t.conf:2:16: pace_prefixes: has to be a list"},
	{"audience: a\ntemplates:\n- name: floor\n  backward: often\n",
	 "t.conf:3:9: templates: 'floor': backward has to be off, window or each, not 'often'"},
	{"audience: a\ntemplates:\n- name: floor\n  alg: A128CTR\n",
	 "t.conf:3:9: templates: 'floor': alg has to be A128GCM, A192GCM, A256GCM, AES-CCM-16-64-128, AES-CCM-16-64-256, AES-CCM-64-64-128, "
	 "AES-CCM-64-64-256, ChaCha20/Poly1305, AES-CCM-16-128-128, AES-CCM-16-128-256, AES-CCM-64-128-128 or AES-CCM-64-128-256, not 'A128CTR'"},
	{"audience: a\ntemplates:\n- name: floor\n  alg: AES-CCM-64-64-128\n",
	 "t.conf:3:9: templates: 'floor': alg: the nonces of alg and gp_enc_alg have no room for the Sender IDs of so many members"},
	{"audience: a\ntemplates:\n- name: floor\n  maximum: 3\n", "t.conf:4:3: maximum: no such key; is max_stale_sets meant?"},
	{"audience: a\ntemplates:\n- max_members: 3\n", "t.conf:3:16: max_members: is incomplete: an entry has no name"},
	{"audience: a\ntemplates:\n- {name: a}\n- {name: a}\n", "t.conf:4:10: templates: 'a' is named twice"},
	{"audience:\n", "t.conf:1:10: audience: is empty"},
	{"audience: [a]\n", "t.conf:1:11: audience: has to be a text"},
	{"- a\n", "t.conf: has to be a mapping of keys to values"},
	{"audience: a\n- b\n", "t.conf:1:11: not YAML: did not find expected key"},
	{"audience: &x a\nkey_file: *x\n", "t.conf:2:1: key_file: YAML alias unsupported"},
	{"audience: a\nrekey_deadline_ms: 10\n", "t.conf:2:1: rekey_deadline_ms: has to be at least rekey_window_ms"},
#ifndef GM_FAULTS
	{"audience: a\ntest_no_lease: true\n", "t.conf:2:1: test_no_lease: no such key"},
#endif
};
/* clang-format on */

Test(config, says_where_and_what_is_wrong)
{
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		cr_expect_eq(parse(broken[i].text), GM_E_USAGE, "%s", broken[i].text);
		cr_expect_str_eq(why, broken[i].message);
	}
}

Test(config, says_how_long_a_text_may_be)
{
	char text[400] = "audience: a\nkey_file: ";

	memset(text + strlen(text), 'x', 200);
	cr_expect_eq(parse(text), GM_E_USAGE);
	cr_expect_eq(strncmp(why, "t.conf:2:11: key_file: is too long: at most 107", 47), 0, "%s", why);
}

Test(config, says_why_a_file_cannot_be_read)
{
	cr_expect_eq(gm_config_load(&config, "no/such.conf", why), GM_E_MISSING);
	cr_expect_str_eq(why, "no/such.conf: No such file or directory");
}

/* ---- options.def and what is made of it */

static char *file_text(const char *name)
{
	static char text[64u << 10];
	char path[512];

	snprintf(path, sizeof(path), "%s/../../deploy/%s", GM_VECTORS, name);
	FILE *f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static char *written_by(void (*write)(FILE *to))
{
	static char text[64u << 10];
	FILE *f = fmemopen(text, sizeof(text), "w");

	write(f);
	fclose(f);
	return text;
}

Test(config, has_an_example_made_of_its_options)
{
	cr_expect_str_eq(file_text("example.conf"), written_by(gm_options_example), "gmctl config keys --example >deploy/example.conf");
}

Test(config, has_an_example_that_says_the_defaults)
{
	static struct gm_config defaults;
	static char values[2][GM_OPTION_VALUE];

	cr_assert_eq(parse(file_text("example.conf")), GM_E_OK, "%s", why);
	cr_assert_eq(gm_config_parse(&defaults, "d", "audience: coap://gm.example.org", 31, why), GM_E_OK, "%s", why);
	for (unsigned i = 0; i < gm_options_n; i++)
		if (gm_options[i].key)
			cr_expect(gm_option_same(&gm_options[i], &config, &defaults), "%s: %s in the example, %s by default", gm_options[i].key,
			          gm_option_value(&gm_options[i], &config, values[0], GM_OPTION_VALUE),
			          gm_option_value(&gm_options[i], &defaults, values[1], GM_OPTION_VALUE));
}

Test(config, has_a_manual_made_of_its_options)
{
	char *page = strstr(file_text("man/gmd.conf.5"), ".SH KEYS\n"), *end = page ? strstr(page, ".SH SEE ALSO") : NULL;

	cr_assert_not_null(end);
	*end = '\0';
	cr_expect_str_eq(page + strlen(".SH KEYS\n"), written_by(gm_options_manual), "gmctl config keys --manual");
}

Test(config, says_what_is_wrong_in_one_line_whatever_the_value_holds)
{
	cr_assert_eq(parse("audience: a\npace_prefixes:\n  - {prefix: 23\nyace\n\npace, rate: 15, burst: 2}\n"), GM_E_USAGE);
	cr_expect_not(strchr(why, '\n'), "%s", why);
	cr_expect(strstr(why, "pace_prefixes: '23 yace?pace'"), "%s", why);
	cr_assert_eq(parse("audience: a\nlisten: [\"1\\e[2J\\u202e\"]\n"), GM_E_USAGE);
	cr_expect(strstr(why, "listen: '1?[2J?'"), "%s", why);
}

Test(config, finds_the_key_that_a_typo_meant_and_none_where_none_is_near)
{
	cr_expect_str_eq(gm_option_nearest("wokers"), "workers");
	cr_expect_str_eq(gm_option_nearest("pcae"), "pace");
	cr_expect_str_eq(gm_option_nearest("member_max"), "members_max");
	cr_expect_str_eq(gm_option_nearest("retransmit-max"), "retransmit_max");
	cr_expect_null(gm_option_nearest("colour"));
	cr_expect_null(gm_option_nearest("a-key-that-is-longer-than-any-that-there-could-be"));
}

static void add_networks(char *text, size_t cap, const char *last)
{
	size_t n = (size_t)snprintf(text, cap, "audience: x\npace_prefixes: [");

	for (unsigned i = 0; i + 1 < GM_PREFIXES_MAX; i++)
		n += (size_t)snprintf(text + n, cap - n, "{prefix: \"2001:db8:1111:2222:3333:4444:5555:%x/128\",rate: 1},", 0x1000 + i);
	snprintf(text + n, cap - n, "{prefix: \"%s\",rate: 1}]\n", last);
}

Test(config, sees_a_change_at_the_end_of_a_list_however_long_it_is)
{
	static char text[128u << 10];
	static struct gm_config other;
	const struct gm_option *o = gm_option("pace_prefixes");

	add_networks(text, sizeof(text), "2001:db8::/64");
	cr_assert_eq(parse(text), GM_E_OK, "%s", why);
	cr_assert_eq(config.prefixes_n, GM_PREFIXES_MAX);
	other = config;
	cr_expect(gm_option_same(o, &other, &config));
	add_networks(text, sizeof(text), "2001:db9::/64");
	cr_assert_eq(parse(text), GM_E_OK, "%s", why);
	cr_expect_not(gm_option_same(o, &other, &config));
	other = config;
	other.prefixes[GM_PREFIXES_MAX - 1].rate = 1.0000001;
	cr_expect_not(gm_option_same(o, &other, &config));
	other = config;
	other.listen[0].port++;
	cr_expect_not(gm_option_same(gm_option("listen"), &other, &config));
}
