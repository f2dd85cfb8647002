/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's client, inside. One process runs one command: what cannot go on ends it. One thread. */
#ifndef GM_GMCTL_H
#define GM_GMCTL_H

#include <jansson.h>
#include <stdio.h>

#include "ctl/verbs.h"

enum exit_code { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_RUNNING, EXIT_DENIED, EXIT_DEGRADED };

__attribute__((format(printf, 2, 3), noreturn)) void gm_cli_die(enum exit_code code, const char *fmt, ...);
void *gm_cli_need(void *p); /* or dies */
FILE *gm_cli_new_file(const char *path); /* that was not there, for its owner alone; or dies */

/* ---- the command line */
struct line { /* understood */
	const struct gm_ctl_verb *verb;
	struct gm_ctl_request request;
	char repeats_key[GM_CTL_KEY_MAX + 1]; /* positional that may repeat: asked once for each */
	char **repeats;
	int repeats_n;
	const char *key_file, *link_file, *token_file;
	char **argv; /* behind the command */
	int argc;
};
struct session {
	const char *path; /* of the socket */
	int fd;           /* -1: not connected yet */
	bool json, yes, wait;
	struct gm_ctl_buf in;
	char state[16]; /* that the last answer's end had */
	void (*refused)(const char *why); /* what becomes of a command that is refused, but for want of a level; NULL: it ends us */
};
int gm_cli_verb(struct line *line, int argc, char **argv); /* words that name it; dies */
void gm_cli_arguments(struct line *line, int argc, char **argv);
/* --json, --yes and --wait wherever they stand behind the command are taken out; how many arguments are left. */
int gm_cli_common(struct session *s, const struct gm_ctl_verb *verb, int argc, char **argv);
bool gm_cli_helped(int argc, char **argv); /* --help or -h stands behind words that name a command or a family of them; dies */
/* Of the command of this name, in full, and of those that begin with it; "": of all. false: there is none. */
bool gm_cli_help(FILE *to, const char *words);
const char *gm_cli_value_of(const struct gm_ctl_verb *verb, const char *key); /* as help has it: "off|window|each" are those there are */
struct gm_ctl_arg *gm_cli_add(struct gm_ctl_request *request, const char *key, enum gm_ctl_type type);
void gm_cli_set_text(struct gm_ctl_arg *arg, const char *text);
void gm_cli_set_hex(struct gm_ctl_arg *arg, const char *text); /* of the command line: dies */
bool gm_cli_put_hex(struct gm_ctl_arg *arg, const char *text);   /* false: these are no bytes in hexadecimal digits */
void gm_cli_key_file(struct gm_ctl_request *request, const char *path);
void gm_cli_token_file(struct gm_ctl_request *request, const char *path);
void gm_cli_link_file(struct gm_ctl_request *request, const char *path);

/* ---- asking gmd */
void gm_cli_connect(struct session *s); /* or dies; does nothing where it is connected */
typedef void (*gm_cli_row)(void *arg, struct gm_bytes pairs);
/* All rows of the answer, page by page. Dies where gmd refuses, unless the session knows better. */
void gm_cli_ask(struct session *s, struct gm_ctl_request *request, gm_cli_row row, void *arg);
/* Without arguments, or with one text. */
void gm_cli_simple(struct session *s, const char *verb, const char *key, const char *text, gm_cli_row row, void *arg);
void gm_cli_receive(struct session *s, struct gm_bytes *frame); /* then eat 4 + frame->n bytes of s->in */

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
void gm_cli_keep(void *arg, struct gm_bytes pairs); /* a gm_cli_row; arg is a struct rows */
void gm_cli_free(struct rows *rows);
struct pair { /* of a row that is gmctl's own */
	const char *key, *text; /* text NULL: number is it */
	int64_t number;
	bool none;
};
void gm_cli_row_of(const struct pair *pairs, size_t n, gm_cli_row row, void *arg); /* dies where they find no room */
const char *gm_cli_cell(const struct row *row, const char *key); /* "": none */
unsigned long long gm_cli_number(const struct row *row, const char *key);
const struct row *gm_cli_find(const struct rows *rows, const char *key, const char *text); /* NULL: none */
char *gm_cli_text(struct gm_bytes b); /* with ? for each character that a terminal would obey, and for what is no UTF-8 */
char *gm_cli_hex(struct gm_bytes b);

/* ---- showing */
bool gm_cli_is_time(const char *key);
int gm_cli_width(void); /* of the terminal; 0: standard output is none */
int gm_cli_width_of(const char *s); /* in characters, UTF-8 */
void gm_cli_cut(const char *text, int width, FILE *to); /* with an ellipsis where it is longer; width 0: whole */
void gm_cli_table(const struct rows *rows);
void gm_cli_sheets(const struct rows *rows);
json_t *gm_cli_object(struct gm_bytes pairs); /* dies where they are none */
char *gm_cli_dumped(const json_t *object); /* JSON, with \u009b for each character that a terminal would obey */
void gm_cli_json(void *arg, struct gm_bytes pairs); /* a gm_cli_row: one object, one line */

/* ---- around a command */
bool gm_cli_says_yes(const char *what, const char *says); /* dies where nobody can be asked */
bool gm_cli_agreed(struct session *s, struct line *line); /* after a look at what would become of it */
struct waiting;
struct waiting *gm_cli_wait_begin(struct session *s, const struct line *line); /* before the command */
enum exit_code gm_cli_wait_end(struct session *s, struct waiting *w);

/* ---- the audit log: audit.c reads it, audit_verify.c and audit_members.c use what it reads */
#define GM_CLI_HASH 32u
struct audit_entry {
	uint64_t seq;
	const char *text; /* JSON, with a zero byte behind it */
	size_t n;
	uint8_t hash[GM_CLI_HASH];
};
struct audit_ends { /* the latest entry, and the latest that is no longer kept; 0: none */
	uint64_t seq, before_seq;
	uint8_t hash[GM_CLI_HASH], before_hash[GM_CLI_HASH];
};
struct audit_ends gm_cli_audit_ends(struct session *s);
typedef void (*gm_cli_entry)(void *arg, const struct audit_entry *e);
/* group and node NULL: of any. Dies at the first whose record does not open. */
void gm_cli_audit_read(struct session *s, uint64_t from, const char *group, const char *node, gm_cli_entry each, void *arg);

/* ---- commands of their own */
enum exit_code gm_cli_run(struct session *s, int argc, char **argv); /* any command */
void gm_cli_backup(struct session *s, struct line *line);
enum exit_code gm_cli_import(struct session *s, struct line *line);
void gm_cli_metrics(struct session *s, struct line *line);
enum exit_code gm_cli_verify(struct session *s, struct line *line);
enum exit_code gm_cli_watch(struct session *s, struct line *line);
enum exit_code gm_cli_shell(struct session *s);
/* What the last of the words could become, one a line. */
enum exit_code gm_cli_complete(struct session *s, int argc, char **argv);
#define GM_VERB(words, arguments, who, what, view, function, text)
#define GM_LOCAL(words, arguments, function, text) enum exit_code gm_cli_do_##function(struct session *s, struct line *line);
#include "ctl/verbs.def"
#undef GM_VERB
#undef GM_LOCAL

/* ---- the whole terminal */
bool gm_cli_screen_begin(void); /* false: standard input or output is none */
void gm_cli_screen_end(void);
bool gm_cli_screen_again(void); /* it came back, or has another size, since the last call */

#endif
