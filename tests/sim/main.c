/* SPDX-License-Identifier: Apache-2.0 */
/* sim: seeds in, one line for each that fails; counts at the end. See README.md. */
#include <getopt.h>
#include <malloc.h>
#include <stdlib.h>

#include "gm/crypto.h"
#include "sim.h"

static const struct {
	const char *name, *what;
} breaks[SIM_BREAK_N] = {
    [SIM_BREAK_LEASE] = {"lease", "sequence numbers start anew after a crash"},
    [SIM_BREAK_EARLY] = {"early", "effects are sent before the commit"},
    [SIM_BREAK_STALE] = {"stale", "Sender IDs that were given up are not stored"},
    [SIM_BREAK_WINDOW] = {"window", "every sequence number is fresh"},
    [SIM_BREAK_SYNC] = {"sync", "a commit in ten is lost though it was said to be durable"},
    [SIM_BREAK_MEMBER] = {"member", "the end of a membership is not stored"},
    [SIM_BREAK_REVOKED] = {"revoked", "revoked tokens and bars are not stored"},
    [SIM_BREAK_ADMIN] = {"admin", "what administrators say about a group is not stored"},
    [SIM_BREAK_KIND] = {"kind", "a start forgets which algorithm a group has for pairwise mode"},
    [SIM_BREAK_UNREAD] = {"unread", "every second token on a list is taken for good"},
    [SIM_BREAK_SCHEDULE] = {"schedule", "schedules are not stored"},
    [SIM_BREAK_DRAIN] = {"drain", "gmd is told to drain and does not"},
};

static const char help[] =
    "usage: sim [--seed N | --seeds A-B] [--steps N] [--members N] [--lmdb] [--break NAME] [--verbose] [--digest]\n"
    "           [--until-failed]\n"
    "\n"
    "  --seed N, --seeds A-B   which runs, 1-20 if not given; the same seed is the same run\n"
    "  --steps N               of faults, before all has to come to rest; 600 if not given\n"
    "  --members N             at most 64; 0: each run has its own number, from 2 to 12\n"
    "  --lmdb                  on the real store, in /dev/shm; every run, else one in fifty\n"
    "  --break NAME            leave something out, to see that it is noticed; --break list\n"
    "  --verbose               the story of each run\n"
    "  --until-failed          no further than the first that fails\n"
    "  --digest                one number for each run: two runs of a seed have the same\n";

static int usage(const char *why)
{
	fprintf(stderr, "sim: %s\n%s", why, help);
	return 2;
}

static bool take_break(const char *name)
{
	for (unsigned i = 1; i < SIM_BREAK_N; i++) {
		if (breaks[i].name && strcmp(name, breaks[i].name) == 0)
			sim_broken = (enum sim_break)i;
		if (breaks[i].name && strcmp(name, "list") == 0)
			printf("%-8s %s\n", breaks[i].name, breaks[i].what);
	}
	return sim_broken != SIM_BREAK_NONE;
}

struct options {
	uint64_t first, last;
	unsigned steps, members;
	bool lmdb, verbose, digest, until_failed;
};

static void reproduce(const struct options *o, uint64_t seed, const struct sim *s)
{
	printf("seed %llu: %s; step %llu; again: sim --seed %llu --steps %u --members %u%s%s%s --verbose\n",
	       (unsigned long long)seed, s->fault, (unsigned long long)s->step_n, (unsigned long long)seed, o->steps, o->members,
	       s->lmdb && seed % 50 ? " --lmdb" : "", sim_broken ? " --break " : "", sim_broken ? breaks[sim_broken].name : "");
	fflush(stdout);
}

static bool one(const struct options *o, uint64_t seed)
{
	struct sim *s = calloc(1, sizeof *s);
	struct sim_dice d = {seed};

	s->seed = seed;
	s->steps = o->steps;
	s->members_n = o->members ? o->members : 2 + sim_below(&d, 11);
	s->verbose = o->verbose;
	s->lmdb = o->lmdb || seed % 50 == 0;
	sim_run(s);
	if (o->digest)
		printf("seed %llu %016llx\n", (unsigned long long)seed, (unsigned long long)s->digest);
	bool good = !s->fault[0];
	if (!good)
		reproduce(o, seed, s);
	free(s);
	return good;
}

static void print_counts(void)
{
#define X(name) printf("  %-20s %llu\n", #name, (unsigned long long)sim_counts.name);
	SIM_COUNTS(X)
#undef X
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"seed", required_argument, NULL, 's'},    {"seeds", required_argument, NULL, 'S'}, {"steps", required_argument, NULL, 't'},
	    {"members", required_argument, NULL, 'm'}, {"lmdb", no_argument, NULL, 'l'},        {"break", required_argument, NULL, 'b'},
	    {"verbose", no_argument, NULL, 'v'},       {"digest", no_argument, NULL, 'd'},      {"help", no_argument, NULL, 'h'},
	    {"until-failed", no_argument, NULL, 'u'},
	    {NULL, 0, NULL, 0},
	};
	struct options o = {.first = 1, .last = 20, .steps = 600};
	unsigned long long a, b;
	unsigned failed = 0;

	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		if (c == 's')
			o.first = o.last = strtoull(optarg, NULL, 0);
		else if (c == 'S' && sscanf(optarg, "%llu-%llu", &a, &b) == 2)
			o.first = a, o.last = b;
		else if (c == 't')
			o.steps = (unsigned)strtoul(optarg, NULL, 0);
		else if (c == 'm')
			o.members = (unsigned)strtoul(optarg, NULL, 0);
		else if (c == 'l')
			o.lmdb = true;
		else if (c == 'v')
			o.verbose = true;
		else if (c == 'u')
			o.until_failed = true;
		else if (c == 'd')
			o.digest = true;
		else if (c == 'b' && !take_break(optarg))
			return strcmp(optarg, "list") == 0 ? 0 : usage("no such break");
		else if (c == 'h')
			return fputs(help, stdout) < 0;
		else if (c != 'b')
			return usage("bad option");
	}
	if (o.members > SIM_MEMBERS || o.last < o.first)
		return usage("at most 64 members; A-B with A below B");
	setenv("TZ", "UTC", 1); /* schedules go by the local clock */
	sim_dice_install();
	if (!gm_crypto_init())
		return 1;
	for (uint64_t seed = o.first; seed <= o.last && !(failed && o.until_failed); seed++)
		failed += !one(&o, seed);
	printf("counts over %llu seeds\n", (unsigned long long)(o.last - o.first + 1)); /* NOLINT(bugprone-misplaced-widening-cast): both have 64 bits */
	print_counts();
	printf("%llu passed, %u failed, 0 skipped\n", (unsigned long long)(o.last - o.first + 1 - failed), failed);
	return failed != 0;
}
