/* SPDX-License-Identifier: Apache-2.0 */
/* Command after command: with history and completion at a terminal, line by line without one. Each runs in a process of its own,
 * so that whatever ends a command ends nothing else. */
#include "ctl/gmctl/gmctl.h"

#include <errno.h>
#include <histedit.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HISTORY_N 1000
#define FOUND_MAX 65536u

static struct session *shell_session; /* libedit hands completion nothing of ours */

/* ---- one command */

static enum exit_code in_child(struct session *s, int argc, char **argv)
{
	int status;

	fflush(stdout);
	fflush(stderr);
	pid_t pid = fork();
	if (pid < 0)
		gm_cli_die(EXIT_FAILED, "fork: %s", strerror(errno));
	if (pid == 0) {
		signal(SIGINT, SIG_DFL);
		exit((int)gm_cli_run(s, argc, argv));
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		fputc('\n', stderr);
	return WIFEXITED(status) ? (enum exit_code)WEXITSTATUS(status) : EXIT_FAILED;
}

/* # begins a remark, at the start and behind a space; not within quotes, or behind a backslash. */
static size_t before_remark(const char *text)
{
	char quote = '\0';
	size_t i = 0;

	for (; text[i] && (quote || text[i] != '#' || (i && !strchr(" \t", text[i - 1]))); i++) {
		if (text[i] == '\\' && quote != '\'' && text[i + 1])
			i++;
		else if (quote ? text[i] == quote : text[i] == '\'' || text[i] == '"')
			quote = quote ? '\0' : text[i];
	}
	return i;
}

/* false: the operator leaves. */
static bool run_line(struct session *s, Tokenizer *words, char *text, enum exit_code *code)
{
	const char **argv;
	int argc;

	text[before_remark(text)] = '\0';
	tok_reset(words);
	if (tok_str(words, text, &argc, &argv) != 0) {
		fputs("gmctl: a quote is not closed\n", stderr);
		*code = EXIT_USAGE;
		return true;
	}
	if (!argc)
		return true;
	if (strcmp(argv[0], "quit") == 0 || strcmp(argv[0], "exit") == 0)
		return false;
	*code = in_child(s, argc, (char **)(uintptr_t)argv);
	return true;
}

/* ---- completion */

/* Runs it where it can die; what it offers comes through a pipe, one a line. */
static size_t ask_child(int argc, char **argv, char *found, size_t cap)
{
	size_t n = 0;
	int ends[2];

	if (pipe(ends) < 0)
		return 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		dup2(ends[1], STDOUT_FILENO);
		close(STDERR_FILENO);
		exit((int)gm_cli_complete(shell_session, argc, argv));
	}
	close(ends[1]);
	for (ssize_t k; pid > 0 && n + 1 < cap && ((k = read(ends[0], found + n, cap - 1 - n)) > 0 || (k < 0 && errno == EINTR));)
		n += k > 0 ? (size_t)k : 0;
	close(ends[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	while (n && found[n - 1] != '\n') /* more than fits: whole lines of it */
		n--;
	found[n] = '\0';
	return n;
}

/* Of lines: how many, and in *common how many bytes all begin with. */
static unsigned count(const char *found, size_t *common)
{
	unsigned n = 0;

	*common = strcspn(found, "\n");
	for (const char *p = found; *p; p += strcspn(p, "\n") + 1, n++) {
		size_t same = 0;
		while (same < *common && p[same] == found[same])
			same++;
		*common = same;
	}
	return n;
}

static void show(char *found)
{
	int width = gm_cli_width(), at = 0, cell = 0;
	char *rest = found;

	for (const char *p = found; *p; p += strcspn(p, "\n") + 1)
		cell = (int)strcspn(p, "\n") > cell ? (int)strcspn(p, "\n") : cell;
	putchar('\n');
	for (const char *word; (word = strtok_r(rest, "\n", &rest)); at += cell + 2) {
		if (at && at + cell > width) {
			putchar('\n');
			at = 0;
		}
		printf("%-*s  ", cell, word);
	}
	putchar('\n');
	fflush(stdout);
}

static unsigned char complete(EditLine *el, int key)
{
	static char found[FOUND_MAX];
	const LineInfo *line = el_line(el);
	char text[1024], *argv[64], *rest = text;
	int argc = 0;
	size_t n = (size_t)(line->cursor - line->buffer), common;

	(void)key;
	if (n >= sizeof(text))
		return CC_ERROR;
	memcpy(text, line->buffer, n);
	text[n] = '\0';
	bool fresh = n == 0 || text[n - 1] == ' ';
	for (char *word; argc < 62 && (word = strtok_r(rest, " ", &rest));)
		argv[argc++] = word;
	if (fresh)
		argv[argc++] = text + n;
	size_t have = strlen(argv[argc - 1]); /* NOLINT(clang-analyzer-core.CallAndMessage): libedit takes no NUL, so there is a word */
	if (!ask_child(argc, argv, found, sizeof(found)))
		return CC_ERROR;
	unsigned many = count(found, &common);
	char insert[512];
	snprintf(insert, sizeof(insert), "%.*s%s", common > have ? (int)(common - have) : 0, found + have,
	         many == 1 && found[common - 1] != '/' ? " " : "");
	if (insert[0])
		return el_insertstr(el, insert) == 0 ? CC_REFRESH : CC_ERROR;
	show(found);
	return CC_REDISPLAY;
}

/* ---- at a terminal */

static char *prompt(EditLine *el)
{
	static char text[] = "gmctl> ";

	(void)el;
	return text;
}

static void interrupted(int signal_number)
{
	(void)signal_number; /* ends a command, or the line that is being written; not us */
}

static const char *history_file(void)
{
	static char path[4096];
	const char *home = getenv("HOME");

	if (!home || !home[0])
		return NULL;
	snprintf(path, sizeof(path), "%s/.gmctl_history", home);
	return path;
}

static void edit(struct session *s, EditLine *el, History *lines, Tokenizer *words)
{
	enum exit_code code = EXIT_DONE;
	HistEvent event;
	int n;

	for (;;) {
		errno = 0;
		const char *text = el_gets(el, &n);
		if (!text && n < 0 && errno == EINTR) {
			putchar('\n');
			el_reset(el);
			continue;
		}
		if (!text)
			break;
		if (text[strspn(text, " \t\n")])
			history(lines, &event, H_ENTER, text);
		char *copy = gm_cli_need(strdup(text));
		bool stays = run_line(s, words, copy, &code);
		free(copy);
		if (!stays)
			return;
	}
	putchar('\n');
}

static enum exit_code at_terminal(struct session *s)
{
	const struct sigaction ignore = {.sa_handler = interrupted};
	EditLine *el = el_init("gmctl", stdin, stdout, stderr);
	History *lines = history_init();
	Tokenizer *words = tok_init(NULL);
	const char *file = history_file();
	HistEvent event;

	if (!el || !lines || !words)
		gm_cli_die(EXIT_FAILED, "out of memory");
	shell_session = s;
	sigaction(SIGINT, &ignore, NULL);
	el_set(el, EL_PROMPT, prompt);
	el_set(el, EL_EDITOR, "emacs");
	el_set(el, EL_HIST, history, lines);
	el_set(el, EL_ADDFN, "gm-complete", "what the word could become", complete);
	el_set(el, EL_BIND, "^I", "gm-complete", NULL);
	history(lines, &event, H_SETSIZE, HISTORY_N);
	history(lines, &event, H_SETUNIQUE, 1);
	if (file)
		history(lines, &event, H_LOAD, file);
	edit(s, el, lines, words);
	mode_t mask = umask(077);
	if (file)
		history(lines, &event, H_SAVE, file);
	umask(mask);
	tok_end(words);
	history_end(lines);
	el_end(el);
	return EXIT_DONE;
}

/* ---- without one: the first command that fails ends it */

static enum exit_code line_by_line(struct session *s)
{
	Tokenizer *words = gm_cli_need(tok_init(NULL));
	enum exit_code code = EXIT_DONE;
	char *text = NULL;
	size_t cap = 0;
	unsigned number = 0;

	setvbuf(stdin, NULL, _IONBF, 0); /* a child that ends gives back what is read ahead, at an offset that is ours, too */
	while (code == EXIT_DONE && getline(&text, &cap, stdin) > 0) {
		number++;
		if (!run_line(s, words, text, &code))
			break;
		if (code != EXIT_DONE)
			fprintf(stderr, "gmctl: line %u failed, the rest is not done\n", number);
	}
	free(text);
	tok_end(words);
	return code;
}

enum exit_code gm_cli_shell(struct session *s)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? at_terminal(s) : line_by_line(s);
}
