/* SPDX-License-Identifier: Apache-2.0 */
/* The doors by which a seed reaches the code under test: libsodium and OpenSSL (whose ECDSA draws) let another source of random
 * bytes be installed, and this program is linked with --wrap=clock_gettime. Neither is in what gmd is made of. */
#define OPENSSL_SUPPRESS_DEPRECATED /* a method of one's own for random bytes is */
#include <openssl/rand.h>
#include <sodium.h>
#include <time.h>

#include "sim.h"

struct sim *sim_now;
struct sim_counts sim_counts;
enum sim_break sim_broken;

uint64_t sim_draw(struct sim_dice *d) /* splitmix64 */
{
	uint64_t z = d->at += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t sim_mix(uint64_t h, uint64_t v)
{
	struct sim_dice d = {h ^ v * 0xff51afd7ed558ccdu};

	return sim_draw(&d);
}

uint32_t sim_below(struct sim_dice *d, uint32_t n)
{
	return n ? (uint32_t)(sim_draw(d) % n) : 0;
}

bool sim_chance(struct sim_dice *d, uint32_t in_ten_thousand)
{
	return sim_draw(d) % 10000 < in_ten_thousand;
}

/* ---- secrets */

static struct sim_dice idle = {1}; /* outside a run */

static void fill(void *const out, const size_t n)
{
	struct sim_dice *d = sim_now ? &sim_now->secrets : &idle;

	for (size_t at = 0; at < n; at += 8) {
		uint64_t v = sim_draw(d);
		memcpy((uint8_t *)out + at, &v, n - at < 8 ? n - at : 8);
	}
}

static uint32_t one(void)
{
	uint32_t v;

	fill(&v, sizeof v);
	return v;
}

static const char *name(void)
{
	return "sim";
}

static int fill_openssl(unsigned char *out, int n)
{
	fill(out, (size_t)n);
	return 1;
}

static int ready(void)
{
	return 1;
}

void sim_dice_install(void)
{
	static struct randombytes_implementation seeded;
	static const RAND_METHOD seeded_too = {.bytes = fill_openssl, .pseudorand = fill_openssl, .status = ready};

	seeded.implementation_name = name;
	seeded.random = one;
	seeded.buf = fill;
	randombytes_set_implementation(&seeded);
	RAND_set_rand_method(&seeded_too);
}

void sim_dice_begin(struct sim *s)
{
	s->dice.at = sim_mix(s->seed, 1);
	s->secrets.at = sim_mix(s->seed, 2);
	sim_now = s;
}

/* ---- clocks */

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	if (!sim_now || !sim_now->net)
		return __real_clock_gettime(id, t);
	uint64_t ns = gm_mem_now(sim_now->net);
	*t = (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
	if (id == CLOCK_REALTIME)
		t->tv_sec = (time_t)sim_wall_s(sim_now);
	return 0;
}
