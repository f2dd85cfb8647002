/* SPDX-License-Identifier: Apache-2.0 */
/* The instructions of one call of a batch, in the order in which they run, also of a variant that this processor lacks:
 * bench/model/model.py hands them to a simulator of those that have it.
 *
 *	bench_model BENCH VARIANT N SIZE
 *
 * Out: "object NUMBER PATH" for each file that code is in, then "NUMBER ADDRESS", as the file counts, per instruction. */
#ifdef __x86_64__
#include "bench/crypto/rows.h"
#include "model/emulate.h"

#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX (UINT64_C(1) << 25)
#define OBJECTS_MAX 16u

static struct object {
	uintptr_t base, from, to; /* what is added to the file's addresses; where it is */
} objects[OBJECTS_MAX];
static unsigned objects_n;

static uintptr_t *steps;
static size_t steps_n;

_Noreturn void bench_wrong(const char *what)
{
	fprintf(stderr, "bench_model: %s\n", what);
	exit(1);
}

static void note(uintptr_t at)
{
	if (steps_n < STEPS_MAX)
		steps[steps_n++] = at;
}

/* Before each instruction but the one behind an emulated one */
static void step(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	note((uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP]);
}

static void missing(int sig, siginfo_t *info, void *context)
{
	greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)info;
	if (!emulate(context)) {
		signal(sig, SIG_DFL);
		return;
	}
	if (g[REG_EFL] & 0x100)
		note((uintptr_t)g[REG_RIP]);
}

static void handle(int sig, void (*by)(int, siginfo_t *, void *))
{
	struct sigaction act = {.sa_sigaction = by, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigaction(sig, &act, NULL);
}

static int list(struct dl_phdr_info *info, size_t size, void *arg)
{
	static char self[4096];

	(void)size, (void)arg;
	if (objects_n == OBJECTS_MAX)
		return 1;
	struct object *o = &objects[objects_n];

	*o = (struct object){.base = info->dlpi_addr, .from = UINTPTR_MAX};
	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
			o->from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
			o->to = o->from + info->dlpi_phdr[i].p_memsz;
		}
	if (objects_n == 0 && !realpath("/proc/self/exe", self))
		bench_wrong("no /proc");
	printf("object %u %s\n", objects_n, objects_n == 0 ? self : info->dlpi_name);
	objects_n++;
	return 0;
}

static void print_steps(void)
{
	for (size_t i = 0; i < steps_n; i++)
		for (unsigned o = 0; o < objects_n; o++)
			if (steps[i] >= objects[o].from && steps[i] < objects[o].to)
				printf("%u %jx\n", o, (uintmax_t)(steps[i] - objects[o].base));
}

static __attribute__((noinline)) void trace(const struct way *way, void *work)
{
	/* the trap flag, past the red zone */
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::: "memory", "cc");
	way->run(work, way->arg);
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::: "memory", "cc");
}

static const struct row *find_row(const char *bench)
{
	static const struct row *const tables[] = {bench_ccm_rows, bench_oscore_rows, bench_hkdf_rows, bench_curve25519_rows,
	                                           bench_ed25519_batch_rows};

	for (unsigned t = 0; t < BENCH_COUNT(tables); t++)
		for (const struct row *row = tables[t]; row->bench; row++)
			if (strcmp(row->bench, bench) == 0)
				return row;
	bench_wrong("no such bench");
}

int main(int argc, char **argv)
{
	static uint8_t stack[1 << 16];
	const stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};

	if (argc != 5)
		bench_wrong("BENCH VARIANT N SIZE");
	struct row row = *find_row(argv[1]);
	const struct way *way = row.ways;

	while (way->name && strcmp(way->name, argv[2]) != 0)
		way++;
	if (!way->name)
		bench_wrong("no such variant");
	row.n = (unsigned)strtoul(argv[3], NULL, 10);
	row.size = strtoul(argv[4], NULL, 10);
	steps = malloc(STEPS_MAX * sizeof(*steps));
	if (!gm_crypto_init() || !steps)
		bench_wrong("cannot start");
	sigaltstack(&other, NULL);
	handle(SIGTRAP, step);
	handle(SIGILL, missing);
	void *work = row.make(&row);

	way->run(work, way->arg); /* what is done once, at first use */
	trace(way, work);
	dl_iterate_phdr(list, NULL);
	print_steps();
	return 0;
}
#else
#include <stdio.h>

int main(void)
{
	fputs("bench_model: for x86-64\n", stderr);
	return 2;
}
#endif
