/* SPDX-License-Identifier: Apache-2.0 */
/* Whether time tells of a secret: calls with one fixed secret and with random ones, in random order, and Welch's t of the
 * two samples, after the slowest tenth is cut off (Reparaz, Balasch, Verbauwhede, "Dude, is my code constant time?").
 * |t| above 10 means that it does; beside it the t of two samples of one and the same secret, which is noise.
 *
 *	timing [MEASUREMENTS [VARIANT]]
 */
#include "bench/order.h"
#include "emulated.h"
#include "ed25519/ed25519.h"
#include "x25519/x25519.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

enum { N = 8, TEXT = 100 };

static struct {
	uint8_t secret[N][32], pub[N][32], out[N][64], nonce[N][13], text[N][TEXT + 16];
} at;

static void sign(const void *v)
{
	struct gm_ed25519_sign_job jobs[N];

	for (unsigned i = 0; i < N; i++)
		jobs[i] = (struct gm_ed25519_sign_job){at.secret[i], at.pub[i], at.nonce[i], 13, at.out[i]};
	((const struct gm_ed25519_variant *)v)->sign(jobs, N);
}

static void keygen(const void *v)
{
	struct gm_ed25519_public_job jobs[N];

	for (unsigned i = 0; i < N; i++)
		jobs[i] = (struct gm_ed25519_public_job){at.secret[i], at.out[i]};
	((const struct gm_ed25519_variant *)v)->public(jobs, N);
}

static void agree(const void *v)
{
	struct gm_x25519_job jobs[N];

	for (unsigned i = 0; i < N; i++)
		jobs[i] = (struct gm_x25519_job){at.secret[i], at.pub[i], at.out[i]};
	((const struct gm_x25519_variant *)v)->agree(jobs, N);
}

/* of tags that are all bad */
static void open_bad(const void *v)
{
	struct gm_ccm_job jobs[N];

	for (unsigned i = 0; i < N; i++)
		jobs[i] = (struct gm_ccm_job){at.secret[i], at.nonce[i], NULL, 0, at.text[i], TEXT, 16};
	((const struct gm_ccm_variant *)v)->open(jobs, N);
}

static void derive(const void *v)
{
	struct gm_hkdf_job jobs[N];

	for (unsigned i = 0; i < N; i++)
		jobs[i] = (struct gm_hkdf_job){at.nonce[i], at.secret[i], 8, 32, {{at.out[i], at.nonce[i], 16, 13}, {NULL, NULL, 0, 0}, {NULL, NULL, 0, 0}}};
	((const struct gm_hkdf_variant *)v)->contexts(jobs, N);
}

struct sample {
	double *cycles;
	unsigned n;
	double mean, var;
};

static void cut(struct sample *s, double above)
{
	double sum = 0, squares = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++)
		if (s->cycles[i] <= above) {
			sum += s->cycles[i];
			squares += s->cycles[i] * s->cycles[i];
			n++;
		}
	s->n = n;
	s->mean = sum / n;
	s->var = (squares - sum * sum / n) / (n - 1);
}

static double welch(struct sample *s, unsigned n)
{
	double *all = malloc(2 * n * sizeof(*all)), above;

	memcpy(all, s[0].cycles, s[0].n * sizeof(*all));
	memcpy(all + s[0].n, s[1].cycles, s[1].n * sizeof(*all));
	qsort(all, s[0].n + s[1].n, sizeof(*all), by_double);
	above = all[(s[0].n + s[1].n) * 9 / 10];
	free(all);
	cut(&s[0], above);
	cut(&s[1], above);
	return (s[0].mean - s[1].mean) / sqrt(s[0].var / s[0].n + s[1].var / s[1].n);
}

/* Of both classes: the same instructions at the same addresses, as much as of the call. What a class does before is measured,
 * too, so the secret is the only thing that tells them apart, and it is chosen without a branch. */
static void prepare(const typeof(at) *fixed, const typeof(at) *next, uint8_t take_next)
{
	static typeof(at) source;
	uint8_t *to = (uint8_t *)source.secret;
	const uint8_t *from = (const uint8_t *)next->secret;
	uint8_t mask = (uint8_t)-take_next;

	__asm__ volatile("" : "+r"(mask));
	memcpy(&source, fixed, sizeof(source));
	for (size_t k = 0; k < sizeof(source.secret); k++)
		to[k] ^= (uint8_t)((to[k] ^ from[k]) & mask);
	memcpy(&at, &source, sizeof(at));
}

/* n calls. same: both classes have the fixed secret */
static double measure(void (*call)(const void *), const void *v, unsigned n, bool same)
{
	static const uint8_t fixed_seed[32] = {5};
	struct sample s[2] = {{.cycles = malloc(n * sizeof(double))}, {.cycles = malloc(n * sizeof(double))}};
	static typeof(at) fixed, next;
	double t;

	gm_random_from(&fixed, sizeof(fixed), fixed_seed);
	for (unsigned i = 0; i < N; i++)
		fixed.pub[i][31] &= 0x7f;
	for (unsigned i = 0; i < n; i++) {
		uint8_t random;
		unsigned aux;
		uint64_t begun;

		gm_random(&random, 1);
		random &= 1;
		gm_random(&next, sizeof(next));
		prepare(&fixed, &next, (uint8_t)(random & !same));
		_mm_mfence();
		_mm_lfence();
		begun = __rdtsc();
		call(v);
		s[random].cycles[s[random].n++] = (double)(__rdtscp(&aux) - begun);
	}
	t = welch(s, n);
	free(s[0].cycles);
	free(s[1].cycles);
	return t;
}

static unsigned leaks;
static const char *only; /* this variant, if any */

static void check(const char *what, const char *name, void (*call)(const void *), const void *v, unsigned n)
{
	if (only && strcmp(name, only) != 0)
		return;
	const double t = measure(call, v, n, false), noise = measure(call, v, n, true);

	printf("%-16s %-14s %9u calls  t = %6.2f, of one secret %6.2f%s\n", what, name, n, t, noise,
	       fabs(t) > 10 ? "  LEAKS" : "");
	fflush(stdout);
	leaks += fabs(t) > 10;
}

static volatile unsigned sink;

/* What has to be seen */
static void leaky(const void *v)
{
	(void)v;
	for (unsigned k = 0; k < at.secret[0][0]; k++)
		sink += k;
}

int main(int argc, char **argv)
{
	const unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 20000;
	static const struct gm_ed25519_variant *const ed25519[] = {&gm_ed25519_sodium, &gm_ed25519_avx512, &gm_ed25519_emulated, &gm_ed25519_ifma};
	static const struct gm_x25519_variant *const x25519[] = {&gm_x25519_sodium, &gm_x25519_avx512, &gm_x25519_emulated, &gm_x25519_ifma};
	double seen;

	only = argc > 2 ? argv[2] : NULL;
	if (!gm_crypto_init())
		return 2;
	seen = measure(leaky, NULL, n, false);
	printf("a loop as long as a secret byte: t = %.0f\n", seen);
	for (unsigned i = 0; i < 4; i++)
		if (ed25519[i]->usable()) {
			check("ed25519 sign", ed25519[i]->name, sign, ed25519[i], n);
			check("ed25519 keygen", ed25519[i]->name, keygen, ed25519[i], n);
		}
	for (unsigned i = 0; i < 4; i++)
		if (x25519[i]->usable())
			check("x25519", x25519[i]->name, agree, x25519[i], n);
	for (unsigned i = 0; gm_ccm_variants[i]; i++)
		if (gm_ccm_variants[i]->usable())
			check("ccm open, bad", gm_ccm_variants[i]->name, open_bad, gm_ccm_variants[i], n * 10);
	for (unsigned i = 0; gm_hkdf_variants[i]; i++)
		if (gm_hkdf_variants[i]->usable())
			check("hkdf", gm_hkdf_variants[i]->name, derive, gm_hkdf_variants[i], n);
	return leaks != 0 || fabs(seen) < 10;
}
