/* SPDX-License-Identifier: Apache-2.0 */
/* One command, or many from a shell of its own: the answer as a table or as JSON, an exit code. */
#include "ctl/gmctl/gmctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "gm/crypto.h"

#define DEFAULT_SOCKET "/run/gmd/gmd.sock"

static const char help[] =
	"usage: gmctl [-s SOCKET] [--json] [--yes] [--wait] [COMMAND ...]\n"
	"\n"
	"  -s, --socket SOCKET  control socket of gmd; else $GMD_SOCKET, else\n"
	"                       " DEFAULT_SOCKET "\n"
	"  --json               one JSON object a line instead of tables\n"
	"  --yes                go ahead without asking; needed by commands that ask\n"
	"                       if there is no terminal\n"
	"  --wait               wait until the rekeys that the command starts have ended;\n"
	"                       exit status 0: all members confirmed, 5: some did not\n"
	"  -h, --help           this text; after a command: the command's help\n"
	"  --version\n"
	"\n"
	"--json, --yes and --wait may also follow the command. Without COMMAND gmctl\n"
	"reads commands one after the other: at a terminal with history and completion,\n"
	"otherwise line by line.\n"
	"\n"
	"commands:\n";
static const char help_tail[] =
	"\n"
	"Exit: 0 done, 1 refused or failed, 2 the command line is wrong, 3 gmd is not\n"
	"running, 4 permission denied, 5 done, but not all is well.\n"
	"See gmctl(1).\n";

void gm_cli_die(enum exit_code code, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	gm_cli_screen_end();
	fputs("gmctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit((int)code);
}

void *gm_cli_need(void *p)
{
	if (!p)
		gm_cli_die(EXIT_FAILED, "out of memory");
	return p;
}

FILE *gm_cli_new_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		gm_cli_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	return gm_cli_need(fdopen(fd, "w"));
}

/* ---- one command */

static const struct {
	const char *name;
	enum exit_code (*run)(struct session *s, struct line *line);
} locals[] = {
#define GM_VERB(words, arguments, who, what, view, function, text)
#define GM_LOCAL(words, arguments, function, text) {words, gm_cli_do_##function},
#include "ctl/verbs.def"
#undef GM_VERB
#undef GM_LOCAL
};

/* What is done to a store while no gmd runs on it is gmd's: it alone holds keys. */
enum exit_code gm_cli_do_offline(struct session *s, struct line *line)
{
	char program[4096], *slash;
	char **args = gm_cli_need(calloc((size_t)line->argc + 3, sizeof(char *)));
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 8);

	(void)s;
	program[n > 0 ? n : 0] = '\0';
	slash = strrchr(program, '/');
	memcpy(slash ? slash + 1 : program, "gmd", sizeof("gmd"));
	args[0] = program;
	args[1] = line->request.verb;
	memcpy(args + 2, line->argv, (size_t)line->argc * sizeof(char *));
	execv(program, args);
	execvp("gmd", args);
	gm_cli_die(EXIT_FAILED, "gmd: %s", strerror(errno));
}

static void count_and_print(void *arg, struct gm_bytes pairs)
{
	++*(unsigned *)arg;
	gm_cli_json(NULL, pairs);
}

static void ask_and_print(struct session *s, struct line *line)
{
	struct rows rows = {0};
	unsigned printed = 0;

	if (s->json) {
		gm_cli_ask(s, &line->request, count_and_print, &printed);
		if (!printed && line->verb->change)
			puts("{\"done\":true}");
		return;
	}
	gm_cli_ask(s, &line->request, gm_cli_keep, &rows);
	if (line->verb->show == GM_CTL_TABLE)
		gm_cli_table(&rows);
	else
		gm_cli_sheets(&rows);
	gm_cli_free(&rows);
}

static void ask_for_each(struct session *s, struct line *line)
{
	struct gm_ctl_request *request = &line->request;
	const unsigned args_n = request->args_n;

	if (!line->repeats_n)
		ask_and_print(s, line);
	for (int i = 0; i < line->repeats_n; i++) {
		gm_cli_set_text(gm_cli_add(request, line->repeats_key, GM_CTL_TEXT), line->repeats[i]);
		ask_and_print(s, line);
		request->args_n = args_n;
		request->args[args_n] = (struct gm_ctl_arg){0};
	}
}

static enum exit_code remote(struct session *s, struct line *line)
{
	if (strcmp(line->verb->name, "backup") == 0) {
		gm_cli_backup(s, line);
		return EXIT_DONE;
	}
	if (strcmp(line->verb->name, "import") == 0)
		return gm_cli_import(s, line);
	if (strcmp(line->verb->name, "metrics") == 0 && !s->json) {
		gm_cli_metrics(s, line);
		return EXIT_DONE;
	}
	if (strcmp(line->verb->name, "store verify") == 0)
		return gm_cli_verify(s, line);
	if (line->verb->show == GM_CTL_STREAM)
		return gm_cli_watch(s, line);
	if (!gm_cli_agreed(s, line)) {
		fputs("gmctl: nothing was done\n", stderr);
		return EXIT_FAILED;
	}
	struct waiting *waiting = s->wait && line->verb->rekeys ? gm_cli_wait_begin(s, line) : NULL;
	ask_for_each(s, line);
	if (waiting)
		return gm_cli_wait_end(s, waiting);
	return strcmp(s->state, "degraded") == 0 ? EXIT_DEGRADED : EXIT_DONE;
}

static enum exit_code local(struct session *s, struct line *line)
{
	for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++)
		if (strcmp(locals[i].name, line->verb->name) == 0)
			return locals[i].run(s, line);
	return EXIT_USAGE;
}

static bool goes_to_gmd_whole(const struct gm_ctl_verb *verb)
{
	for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++)
		if (strcmp(locals[i].name, verb->name) == 0)
			return locals[i].run == gm_cli_do_offline;
	return false;
}

enum exit_code gm_cli_run(struct session *s, int argc, char **argv)
{
	static struct line line;

	if (gm_cli_helped(argc, argv))
		return EXIT_DONE;
	int words = gm_cli_verb(&line, argc, argv);

	line.argv = argv + words;
	line.argc = argc - words;
	line.request.fd = -1;
	if (goes_to_gmd_whole(line.verb))
		return local(s, &line);
	line.argc = gm_cli_common(s, line.verb, line.argc, line.argv);
	gm_cli_arguments(&line, line.argc, line.argv);
	enum exit_code code = line.verb->local ? local(s, &line) : remote(s, &line);
	gm_wipe(&line.request, sizeof(line.request));
	free(line.repeats);
	gm_ctl_buf_free(&s->in);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	if (fflush(stdout) != 0)
		gm_cli_die(EXIT_FAILED, "writing: %s", strerror(errno));
	return code;
}

static int print_help(void)
{
	fputs(help, stdout);
	(void)gm_cli_help(stdout, "");
	fputs(help_tail, stdout);
	return EXIT_DONE;
}

/* What stands in front of a command that does not take it is refused as behind it. */
static enum exit_code run_one(struct session *s, int argc, char **argv)
{
	static char yes[] = "--yes", wait[] = "--wait";
	char **all = gm_cli_need(calloc((size_t)argc + 3, sizeof(char *)));

	memcpy(all, argv, (size_t)argc * sizeof(char *));
	if (s->yes)
		all[argc++] = yes;
	if (s->wait)
		all[argc++] = wait;
	s->yes = s->wait = false;
	enum exit_code code = gm_cli_run(s, argc, all);
	free(all);
	return code;
}

int main(int argc, char **argv)
{
	const char *path = getenv("GMD_SOCKET");
	struct session s = {.path = path && path[0] ? path : DEFAULT_SOCKET, .fd = -1};
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			s.json = true;
		} else if (strcmp(argv[i], "--yes") == 0) {
			s.yes = true;
		} else if (strcmp(argv[i], "--wait") == 0) {
			s.wait = true;
		} else if (strcmp(argv[i], "-s") == 0 || strcmp(argv[i], "--socket") == 0) {
			if (i + 1 == argc)
				gm_cli_die(EXIT_USAGE, "%s needs a value", argv[i]);
			s.path = argv[++i];
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			return print_help();
		} else if (strcmp(argv[i], "--complete") == 0) {
			return (int)gm_cli_complete(&s, argc - i - 1, argv + i + 1);
		} else if (strcmp(argv[i], "--version") == 0) {
			printf("gmctl %s\n", GM_VERSION);
			return EXIT_DONE;
		} else {
			gm_cli_die(EXIT_USAGE, "no such option '%s'; try gmctl --help", argv[i]);
		}
	}
	return (int)(i == argc ? gm_cli_shell(&s) : run_one(&s, argc - i, argv + i));
}
