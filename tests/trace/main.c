/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction by instruction, every variant does the same at the same addresses whatever the secrets are. Exit 0: no
 * difference, and the two samples that leak were caught.
 *
 *	trace                       few jobs under two secrets, and no X25519: what a few seconds allow
 *	trace SECRETS [VARIANT]     everything under that many */
#include "emulated.h"
#include "ed25519/ed25519.h"
#include "trace/step.h"
#include "x25519/x25519.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* two groups of eight, and for AES-CCM two of sixteen; blocks of which the last is not full */
enum { N = 9, CCM_N = 18, TEXT = 70 };

/* What the calls work on: always at the same place. Filled anew for each, from the secret's number. */
static struct {
	uint8_t secret[CCM_N][64]; /* seeds, keys */
	uint8_t pub[N][32], out[N][64], msg[CCM_N][40], nonce[CCM_N][13], text[CCM_N][TEXT + 16];
} at;

union variant {
	const struct gm_ed25519_variant *ed25519;
	const struct gm_x25519_variant *x25519;
	const struct gm_ccm_variant *ccm;
	const struct gm_hkdf_variant *hkdf;
};

static unsigned jobs_n; /* of a call */
static bool one_shape;  /* of AES-CCM: as many blocks each, as in a rekey: those are neither sorted nor measured */

static void sign(void *arg)
{
	struct gm_ed25519_sign_job jobs[N];

	for (unsigned i = 0; i < jobs_n; i++)
		jobs[i] = (struct gm_ed25519_sign_job){at.secret[i], at.pub[i], at.msg[i], 4 * i, at.out[i]};
	((union variant *)arg)->ed25519->sign(jobs, jobs_n);
}

static void keygen(void *arg)
{
	struct gm_ed25519_public_job jobs[N];

	for (unsigned i = 0; i < jobs_n; i++)
		jobs[i] = (struct gm_ed25519_public_job){at.secret[i], at.pub[i]};
	((union variant *)arg)->ed25519->public(jobs, jobs_n);
}

static void agree(void *arg)
{
	struct gm_x25519_job jobs[N];

	for (unsigned i = 0; i < jobs_n; i++)
		jobs[i] = (struct gm_x25519_job){at.secret[i], at.pub[i], at.out[i]};
	((union variant *)arg)->x25519->agree(jobs, jobs_n);
}

static void ccm_jobs(struct gm_ccm_job *jobs)
{
	for (unsigned i = 0; i < jobs_n; i++)
		jobs[i] = (struct gm_ccm_job){at.secret[i], at.nonce[i], at.msg[i], one_shape ? 20 + i % 8 : 4 * (i % N),
		                              at.text[i],   TEXT - (one_shape ? i % 6 : 7 * (i % N)), i % 2 ? 8 : 16};
}

static void seal(void *arg)
{
	struct gm_ccm_job jobs[CCM_N];

	ccm_jobs(jobs);
	((union variant *)arg)->ccm->seal(jobs, jobs_n);
}

/* The secret text is that of the last, which nobody writes to. */
static void seal_same(void *arg)
{
	struct gm_ccm_same m = {.text = at.text[jobs_n - 1], .text_len = TEXT, .aad_blocks = 2};

	for (unsigned i = 0; i < jobs_n - 1; i++) {
		memcpy(m.nonce[i], at.nonce[i], GM_CCM_NONCE);
		m.aad[i][0][1] = (uint8_t)(15 + i % 16);
		memcpy(m.aad[i][0] + 2, at.msg[i], 15 + i % 16);
		m.key[i] = at.secret[i];
		m.to[i] = at.text[i];
	}
	((union variant *)arg)->ccm->seal_same(&m, jobs_n - 1);
}

/* What to open: texts under right tags but for one byte, another one for each secret. Nobody may see which. */
static void make_bad(unsigned number)
{
	struct gm_ccm_job jobs[CCM_N];

	ccm_jobs(jobs);
	gm_ccm_portable.seal(jobs, jobs_n);
	for (unsigned i = 0; i < jobs_n; i++)
		jobs[i].text[jobs[i].text_len + (5 * number + i) % jobs[i].tag_len] ^= 1;
}

static void open_bad(void *arg)
{
	struct gm_ccm_job jobs[CCM_N];

	ccm_jobs(jobs);
	((union variant *)arg)->ccm->open(jobs, jobs_n);
}

static void derive(void *arg)
{
	struct gm_hkdf_job jobs[N];

	for (unsigned i = 0; i < jobs_n; i++)
		jobs[i] = (struct gm_hkdf_job){at.nonce[i],
		                               at.secret[i],
		                               i,
		                               7 * i,
		                               {{at.out[i], at.msg[i], 16, 4 * i}, {at.out[i] + 16, at.msg[i], 32, 9}, {at.out[i] + 48, at.msg[i], 13, 0}}};
	((union variant *)arg)->hkdf->contexts(jobs, jobs_n);
}

static void same_bytes(void *arg)
{
	(void)arg;
	at.out[0][0] = gm_equal(at.secret[0], at.text[0], 32);
}

/* ---- what has to be caught */

static volatile unsigned sink;

static void branches(void *arg)
{
	(void)arg;
	if (at.secret[0][3] & 1)
		sink++;
}

static void looks_up(void *arg)
{
	static const uint8_t table[256];

	(void)arg;
	sink += *(const volatile uint8_t *)&table[at.secret[0][3]];
}

/* ---- comparing */

/* Number 0: zeros, 1: ones, others random. What is public stays the same, and sizes always do. */
static void draw(unsigned number)
{
	static const uint8_t same[32] = {7};
	uint8_t seed[32] = {9, (uint8_t)number};

	gm_random_from(&at, sizeof(at), same);
	gm_random_from(at.secret, sizeof(at.secret), seed);
	gm_random_from(at.text, sizeof(at.text), seed);
	if (number < 2)
		memset(at.secret, number ? 0xff : 0, sizeof(at.secret));
	for (unsigned i = 0; i < N; i++)
		at.pub[i][31] &= 0x7f;
}

static bool alike(void (*call)(void *), union variant v, unsigned n, unsigned secrets, struct trace *first)
{
	bool same = true;

	jobs_n = n;
	draw(2);
	call(&v); /* what is done once, at first use */
	for (unsigned s = 0; s < secrets; s++) {
		struct trace t;

		draw((s + 2) % secrets);
		if (call == open_bad)
			make_bad(s);
		t = trace_call(call, &v);
		if (s == 0)
			*first = t;
		same &= t.hash == first->hash && t.steps == first->steps;
	}
	return same;
}

static unsigned wrong;
static const char *only; /* this variant, if any */

static bool wanted(const char *name)
{
	return !only || strcmp(name, only) == 0;
}

static void check(const char *what, const char *name, void (*call)(void *), union variant v, unsigned n, unsigned secrets)
{
	struct trace t;
	bool same = alike(call, v, n, secrets, &t);

	printf("%-16s %-14s %2u jobs %9lu instructions, %u secrets: %s%s\n", what, name, n, t.steps, secrets,
	       same ? "alike" : "DIFFERENT", t.gathers ? ", GATHERS" : "");
	fflush(stdout);
	wrong += !same || t.gathers;
}

static void has_to_differ(const char *what, void (*call)(void *), unsigned secrets)
{
	struct trace t;
	bool same = alike(call, (union variant){0}, 1, secrets, &t);

	printf("%-16s %s\n", what, same ? "NOT SEEN" : "seen");
	wrong += same;
}

static void check_ed25519(const struct gm_ed25519_variant *v, unsigned n, unsigned secrets)
{
	if (!wanted(v->name) || !v->usable())
		return;
	check("ed25519 sign", v->name, sign, (union variant){.ed25519 = v}, n, secrets);
	if (n == N) /* what signing does first */
		check("ed25519 keygen", v->name, keygen, (union variant){.ed25519 = v}, n, secrets);
}

static void check_x25519(const struct gm_x25519_variant *v, unsigned n, unsigned secrets)
{
	if (wanted(v->name) && v->usable())
		check("x25519", v->name, agree, (union variant){.x25519 = v}, n, secrets);
}

static void check_ccm(const struct gm_ccm_variant *v, unsigned secrets)
{
	if (!wanted(v->name) || !v->usable())
		return;
	for (unsigned shapes = 0; shapes < 2; shapes++) {
		one_shape = shapes == 1;
		check(one_shape ? "ccm seal, even" : "ccm seal", v->name, seal, (union variant){.ccm = v}, CCM_N, secrets);
		check(one_shape ? "ccm bad, even" : "ccm open, bad", v->name, open_bad, (union variant){.ccm = v}, CCM_N, secrets);
	}
	check("ccm seal, same", v->name, seal_same, (union variant){.ccm = v}, CCM_N, secrets);
}

static void check_hkdf(const struct gm_hkdf_variant *v, unsigned secrets)
{
	if (wanted(v->name) && v->usable())
		check("hkdf", v->name, derive, (union variant){.hkdf = v}, N, secrets);
}

int main(int argc, char **argv)
{
	const bool all = argc > 1;
	const unsigned secrets = all ? (unsigned)strtoul(argv[1], NULL, 10) : 2, jobs = all ? N : 1;

	only = argc > 2 ? argv[2] : NULL;
	if (!gm_crypto_init())
		return 2;
	has_to_differ("a branch", branches, 4);
	has_to_differ("an index", looks_up, 4);
	check("comparing", "", same_bytes, (union variant){0}, 1, 6);
	check_ccm(&gm_ccm_aesni, secrets);
	check_ccm(&gm_ccm_aesni_few, secrets);
	check_ccm(&gm_ccm_vaes_emulated, secrets);
	check_ccm(&gm_ccm_vaes, secrets);
	check_hkdf(&gm_hkdf_avx2, secrets);
	check_hkdf(&gm_hkdf_avx512, secrets);
	check_hkdf(&gm_hkdf_shani, secrets);
	check_ed25519(&gm_ed25519_ifma, jobs, secrets);
	if (all || !gm_ed25519_ifma.usable())
		check_ed25519(&gm_ed25519_avx512, jobs, secrets);
	if (!all)
		return wrong != 0;
	check_ed25519(&gm_ed25519_sodium, jobs, secrets);
	check_x25519(&gm_x25519_sodium, jobs, secrets);
	check_ed25519(&gm_ed25519_emulated, jobs, secrets);
	check_x25519(&gm_x25519_ifma, jobs, secrets);
	check_x25519(&gm_x25519_avx512, jobs, secrets);
	check_x25519(&gm_x25519_emulated, jobs, secrets);
	check_hkdf(&gm_hkdf_portable, secrets);
	check_hkdf(&gm_hkdf_shani_emulated, secrets);
	return wrong != 0;
}
