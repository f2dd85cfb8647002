/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said about a configuration without gmd. */
#include "ctl/options.h"
#include "ctl/gmctl/gmctl.h"

#define DEFAULT_CONFIG "/etc/gmd/gmd.conf"

enum exit_code gm_cli_do_config_check(struct session *s, struct line *line)
{
	static struct gm_config config;
	const struct gm_ctl_arg *file = gm_ctl_arg(&line->request, "file");
	char why[GM_CONFIG_WHY] = "";

	if (gm_config_load(&config, file ? file->text : DEFAULT_CONFIG, why) != GM_E_OK)
		gm_cli_die(EXIT_FAILED, "%s", why);
	puts(s->json ? "{\"good\":true}" : "configuration is good");
	return EXIT_DONE;
}

static void print_key(const struct session *s, const struct gm_option *o)
{
	char range[96];

	gm_option_range(o, range);
	const char *first = o->kind == GM_OPTION_WORDS ? o->words[o->least] : o->initial && !o->example ? o->initial : "";
	printf(s->json ? "{\"key\":\"%s\",\"default\":\"%s\",\"range\":\"%s\",\"changes\":\"%s\"}\n" : "%-20s %-24s %-28s %s\n", o->key, first, range,
	       o->live ? "at a reload" : "at a start");
}

enum exit_code gm_cli_do_config_keys(struct session *s, struct line *line)
{
	if (gm_ctl_arg(&line->request, "example"))
		gm_options_example(stdout);
	else if (gm_ctl_arg(&line->request, "manual"))
		gm_options_manual(stdout);
	for (unsigned i = 0; i < gm_options_n && !line->request.args_n; i++)
		if (gm_options[i].key)
			print_key(s, &gm_options[i]);
	return EXIT_DONE;
}
