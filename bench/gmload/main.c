/* SPDX-License-Identifier: Apache-2.0 */
/* gmload: members by the ten thousand against one Group Manager. Commands come as arguments or, line by line, on
 * standard input; each is answered with one JSON object on standard output. Tables and complaints go to stderr. */
#include "load.h"

#include <getopt.h>
#include <stdlib.h>

#define EXIT_USAGE 2

/* ---- commands */

static const struct command {
	const char *name, *arguments, *what;
	bool (*run)(struct load *, const struct words *, json_t *);
} commands[] = {
    {"join",
     "N [--groups A,B] [--roles mix|ROLE,ROLE] [--post PERCENT] [--creds K] [--exp S] [--ask token|join|mix]\n"
     "        [--osc mix|ALG[:HKDF]] [--rate R] [--verify now|later]",
     "N new members post tokens and join groups of any kind; --ask: where they learn of it; --osc: what they use with\n"
     "        the Group Manager; --rate: R a second, else a window at a time; --verify: the Group Manager's signatures",
     load_cmd_join},
    {"verify", "", "verify the signatures that were put off", load_cmd_verify},
    {"rekey", "GROUP --socket PATH [--timeout S] [--events FILE] [--joins N --group G --rate R]",
     "have gmd rekey GROUP, and wait until all its members here have the new keys; others join another group meanwhile",
     load_cmd_rekey},
    {"storm", "[GROUP] [--how join|echo] [--events FILE] [--joins N --group G --rate R]",
     "all members post their tokens and join at once, or read the keys; others join another group meanwhile",
     load_cmd_storm},
    {"overload", "GROUP [--seconds S] [--rate R] [--reads R] [--obedient N --group G]",
     "for S seconds members join anew, a window at a time, or R of them begin a second and do not wait when they are\n"
     "        refused; others read; N new ones obey Max-Age",
     load_cmd_overload},
    {"recover", "GROUP [--seconds S] [--slow MS]", "after that: how long till the last of a few who join anew was refused or slow; waits for those who obey",
     load_cmd_recover},
    {"bare-answer", "BYTES COUNT [--timeout S]", "answer COUNT datagrams of any sender with BYTES each: no protocol; a line before says that it is ready",
     load_cmd_bare_answer},
    {"bare-ask", "BYTES COUNT [--server IP:PORT] [--open N]", "send COUNT datagrams of BYTES, N open at a time: no protocol",
     load_cmd_bare_ask},
    {"await-rekey", "GROUP VERSION [--timeout S]", "wait until all its members have VERSION or newer", load_cmd_await_rekey},
    {"poll", "[GROUP] [--who late|all]", "members GET the group's keys", load_cmd_poll},
    {"get", "K [GROUP]", "K members GET nodes/N", load_cmd_get},
    {"fetch", "K [GROUP]", "K members FETCH the credential of one other", load_cmd_fetch},
    {"kdc", "K [GROUP]", "K members GET the Group Manager's credential and its proof", load_cmd_kdc},
    {"renew", "K [GROUP]", "K members get new Sender IDs, or a rekey that is due", load_cmd_renew},
    {"recred", "K [GROUP]", "K members replace their credentials, others fetch them", load_cmd_recred},
    {"update", "K [GROUP] [--exp S]", "K members update their rights with a new token", load_cmd_update},
    {"leave", "K [GROUP]", "K members leave", load_cmd_leave},
    {"rejoin", "K [GROUP]", "K members join again", load_cmd_rejoin},
    {"return", "K [GROUP]", "K members that left join again", load_cmd_return},
    {"evicted-check", "NODE [--timeout S]", "NODE is out: told, blind and refused", load_cmd_evicted_check},
    {"move", "K [GROUP]", "K members go on from another address (IPv4)", load_cmd_move},
    {"resources", "[K] [--group G] [--others yes]",
     "K members a group (all of them) and a verifier ask for every resource; each answer is compared with what the\n"
     "        fleet knows; --others: the groups have members elsewhere, too",
     load_cmd_resources},
    {"traffic", "[GROUP] [--sample K]", "K pairs a group talk in both modes; old keys fail", load_cmd_traffic},
    {"learn", "GROUP [--sample K]", "K members ask for the credentials of the others", load_cmd_learn},
    {"ping", "GROUP IP:PORT SID group|pairwise [--from NODE] [--payload TEXT]", "ask a member elsewhere", load_cmd_ping},
    {"churn", "SECONDS [--window N] [--rate R]", "random joins, re-joins, leaves and reads, R a second, else a window at a time; the server may stop and start",
     load_cmd_churn},
    {"nodes", "[GROUP]", "list the members", load_cmd_nodes},
    {"dump-keys", "FILE", "append every OSCORE context ever made", load_cmd_dump_keys},
    {"status", "", "counters", load_cmd_status},
    {"loss", "PERCENT [--seed N]", "from now on drop so many datagrams, each way; which ones follows from N", load_cmd_loss},
    {"sleep", "SECONDS", "answer rekeying messages meanwhile", load_cmd_sleep},
    {"quit", "", "end", load_cmd_quit},
};
#define COMMANDS_N (sizeof(commands) / sizeof(commands[0]))

bool load_carry_out(struct load *l, char *line)
{
	struct words c = {0};
	char *save = NULL;
	for (char *w = strtok_r(line, " \t\r\n", &save); w && c.n < LOAD_WORDS_MAX; w = strtok_r(NULL, " \t\r\n", &save))
		c.w[c.n++] = w;
	if (c.n == 0 || c.w[0][0] == '#')
		return true;
	json_t *result = json_object();
	unsigned failed = l->fleet.checks_failed;
	bool ok = false;
	size_t i;
	json_object_set_new(result, "command", json_string(c.w[0]));
	for (i = 0; i < COMMANDS_N && strcmp(commands[i].name, c.w[0]) != 0; i++)
		;
	if (i == COMMANDS_N)
		load_complain(result, "no such command");
	else
		ok = commands[i].run(l, &c, result);
	ok = ok && l->fleet.checks_failed == failed;
	json_object_set_new(result, "ok", json_boolean(ok));
	load_put_int(result, "checks_failed", l->fleet.checks_failed - failed);
	json_dumpf(result, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
	putchar('\n');
	fflush(stdout);
	json_decref(result);
	return ok;
}

static void print_usage(FILE *to)
{
	fputs("usage: gmload [options] ['COMMAND ...' ...]\n\n"
	      "Simulates members of a Group Manager, each with its own keys, OSCORE context and address (127.1.x.y for "
	      "a\n"
	      "server on IPv4 loopback, else one port each, at most 1000). Commands are arguments or lines of standard "
	      "input;\n"
	      "each is answered with a line of JSON. Checks what it receives: a failed check makes the exit code 1.\n\n"
	      "  -s, --server ADDR:PORT   127.0.0.1:5683\n"
	      "  -a, --as FILE            key of the authorization server, made by `gmas keygen`\n"
	      "      --port PORT          of the members, 40000; the next free one where it is taken\n"
	      "      --max N              room for so many members, 65536\n"
	      "  -w, --window N           exchanges at a time, 512\n"
	      "      --tries N            repeats of what was refused with 5.03 or not answered, 3\n"
	      "      --keys FILE          append each OSCORE context as it is made (secret)\n"
	      "      --acks FILE          append how each join and leave ended, and each version\n"
	      "      --from IP            address of the members, for a server elsewhere: IPv4 A.B.x.y, IPv6 whole\n"
	      "      --io NAME            uring, sockets, or dpdk: and the arguments of its EAL, in one piece; IPv4\n\ncommands:\n",
	      to);
	for (size_t i = 0; i < COMMANDS_N; i++)
		fprintf(to, "  %s %s\n        %s\n", commands[i].name, commands[i].arguments, commands[i].what);
}

struct settings {
	const char *server, *as, *keys, *acks, *io, *from;
	long port, max, window, tries;
};

static const struct setting { /* an option with a value */
	struct option option;
	bool number;
	size_t at;
} table[] = {
    {{"server", required_argument, NULL, 's'}, false, offsetof(struct settings, server)},
    {{"as", required_argument, NULL, 'a'}, false, offsetof(struct settings, as)},
    {{"port", required_argument, NULL, 'p'}, true, offsetof(struct settings, port)},
    {{"max", required_argument, NULL, 'm'}, true, offsetof(struct settings, max)},
    {{"window", required_argument, NULL, 'w'}, true, offsetof(struct settings, window)},
    {{"tries", required_argument, NULL, 't'}, true, offsetof(struct settings, tries)},
    {{"keys", required_argument, NULL, 'k'}, false, offsetof(struct settings, keys)},
    {{"acks", required_argument, NULL, 'c'}, false, offsetof(struct settings, acks)},
    {{"io", required_argument, NULL, 'i'}, false, offsetof(struct settings, io)},
    {{"from", required_argument, NULL, 'f'}, false, offsetof(struct settings, from)},
};
#define SETTINGS_N (sizeof(table) / sizeof(table[0]))

static bool set(struct settings *s, int letter, char *value)
{
	for (size_t i = 0; i < SETTINGS_N; i++) {
		void *to = (char *)s + table[i].at;
		if (table[i].option.val != letter)
			continue;
		if (table[i].number)
			*(long *)to = atol(value);
		else
			*(const char **)to = value;
		return true;
	}
	return false;
}

static bool read_options(struct settings *s, int argc, char **argv)
{
	struct option longs[SETTINGS_N + 3] = {{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'v'}};
	for (size_t i = 0; i < SETTINGS_N; i++)
		longs[2 + i] = table[i].option;
	for (int c; (c = getopt_long(argc, argv, "s:a:w:h", longs, NULL)) != -1;) {
		if (c == 'h') {
			print_usage(stdout);
			exit(0);
		}
		if (c == 'v') {
			puts("gmload " GM_VERSION);
			exit(0);
		}
		if (!set(s, c, optarg))
			return false;
	}
	return s->port > 0 && s->port < 65536 && s->max > 0 && s->max <= (long)GM_FLEET_MAX && s->window > 0 &&
	       s->tries >= 0 && s->tries < 256;
}

static FILE *open_log(const char *path)
{
	FILE *file = path ? fopen(path, "a") : NULL;
	if (path && !file) {
		perror(path);
		exit(1);
	}
	return file;
}

int main(int argc, char **argv)
{
	struct settings s = {
	    .server = "127.0.0.1:5683", .io = "uring", .port = 40000, .max = 65536, .window = 512, .tries = 3};
	static struct load l;
	struct gm_addr server, from;
	bool ok = true;

	if (!read_options(&s, argc, argv) || !gm_addr_parse(&server, s.server) ||
	    (s.from && !gm_addr_parse(&from, s.from))) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (!gm_crypto_init()) {
		fputs("gmload: the crypto libraries do not start\n", stderr);
		return 1;
	}
	if (server.port == 0)
		server.port = 5683;
	enum gm_err err = s.as ? gm_askey_load(&l.as, s.as) : GM_E_OK;
	if (err != GM_E_OK) {
		fprintf(stderr, "gmload: %s: %s\n", s.as, gm_err_info(err)->text);
		return 1;
	}
	err = s.from ? gm_fleet_open_from(&l.fleet, &server, &from, (uint16_t)s.port, (uint32_t)s.max, s.io)
	             : gm_fleet_open(&l.fleet, &server, (uint16_t)s.port, (uint32_t)s.max, s.io);
	if (err != GM_E_OK)
		return 1;
	l.fleet.keys = open_log(s.keys);
	l.fleet.acks = open_log(s.acks);
	gm_ping_listen(&l.fleet);
	l.window = (unsigned)s.window;
	l.tries = (unsigned)s.tries;
	gm_random(&l.dice, sizeof(l.dice));
	for (int i = optind; i < argc && !l.quit; i++)
		ok = load_carry_out(&l, argv[i]) && ok;
	if (optind == argc)
		ok = load_interactive(&l);
	ok = ok && l.fleet.checks_failed == 0;
	gm_fleet_close(&l.fleet);
	gm_wipe(&l.as, sizeof(l.as));
	return ok ? 0 : 1;
}
