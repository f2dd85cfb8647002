/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __x86_64__
#include "model/emulate.h"

#include <cpuid.h>
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { AESENC = 0xdc, AESENCLAST = 0xdd, MADD_LO = 0xb4, MADD_HI = 0xb5 };
enum { SSE = 1, AVX = 2, ZMM_HIGH = 6, ZMM_16_31 = 7 }; /* parts of the saved state     Intel SDM 1, 13.1 */

union zmm {
	uint8_t byte[64];
	uint64_t word[8];
};

struct instruction {
	uint8_t opcode;
	unsigned to, first; /* registers */
	union zmm second;
	size_t len;
};

static uint8_t *part(uint8_t *state, unsigned which)
{
	unsigned size, at = 160, ecx, edx; /* where XMM0 is */

	if (which != SSE)
		__cpuid_count(13, which, size, at, ecx, edx);
	return state + at;
}

/* A part that the processor held to be zero was not saved. */
static void want_all(uint8_t *state)
{
	static const unsigned parts[] = {SSE, AVX, ZMM_HIGH, ZMM_16_31};
	static const size_t size[] = {256, 256, 512, 1024};
	uint64_t *present = (uint64_t *)(void *)(state + 512);

	for (unsigned i = 0; i < 4; i++) {
		if (!(*present >> parts[i] & 1))
			memset(part(state, parts[i]), 0, size[i]);
		*present |= UINT64_C(1) << parts[i];
	}
}

static void copy_zmm(uint8_t *state, unsigned n, union zmm *z, bool write)
{
	uint8_t *const low = n < 16 ? part(state, SSE) + 16 * n : part(state, ZMM_16_31) + 64 * (n - 16),
	              *const at[3] = {low, n < 16 ? part(state, AVX) + 16 * n : low + 16,
	                              n < 16 ? part(state, ZMM_HIGH) + 32 * n : low + 32};
	static const size_t from[] = {0, 16, 32}, len[] = {16, 16, 32};

	for (unsigned i = 0; i < 3; i++)
		if (write)
			memcpy(at[i], z->byte + from[i], len[i]);
		else
			memcpy(z->byte + from[i], at[i], len[i]);
}

static uint64_t reg(const greg_t *g, unsigned number)
{
	static const uint8_t order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

	return (uint64_t)g[order[number]];
}

/* The operand in memory: *p moves from ModRM behind the displacement, which counts in units. */
static const uint8_t *address(const uint8_t **p, const greg_t *g, unsigned p0, int64_t unit)
{
	const unsigned modrm = *(*p)++, mod = modrm >> 6, rm = modrm & 7, x = ~p0 >> 6 & 1, b = ~p0 >> 5 & 1;
	bool none = mod == 0 && rm == 5, absolute = none; /* none: no base, 4 bytes of displacement */
	uint64_t sum = 0;

	if (rm == 4) {
		const unsigned sib = *(*p)++, index = (sib >> 3 & 7) | x << 3;

		none = mod == 0 && (sib & 7) == 5;
		if (!none)
			sum = reg(g, (sib & 7) | b << 3);
		if (index != 4)
			sum += reg(g, index) << (sib >> 6);
	} else if (!none) {
		sum = reg(g, rm | b << 3);
	}
	if (mod == 1) {
		sum += (uint64_t)((int8_t)*(*p)++ * unit);
	} else if (mod == 2 || none) {
		int32_t far;

		memcpy(&far, *p, 4);
		*p += 4;
		sum += (uint64_t)(int64_t)far;
	}
	return (const uint8_t *)(uintptr_t)(absolute ? sum + (uint64_t)(uintptr_t)*p : sum);
}

/* EVEX.512.66.0F38, no mask                                                       Intel SDM 2, 2.7 */
static bool decode(struct instruction *in, uint8_t *state, const greg_t *g)
{
	const uint8_t *const start = (const uint8_t *)(uintptr_t)g[REG_RIP], *p = start + 5;
	const unsigned p0 = start[1], p1 = start[2], p2 = start[3], opcode = start[4], modrm = start[5];
	const bool spread = p2 & 0x10;

	if (start[0] != 0x62 || (p0 & 7) != 2 || (p1 & 3) != 1 || (p2 & 0x67) != 0x40)
		return false;
	if (opcode != AESENC && opcode != AESENCLAST && opcode != MADD_LO && opcode != MADD_HI)
		return false;
	in->opcode = (uint8_t)opcode;
	in->to = (modrm >> 3 & 7) | (~p0 >> 7 & 1) << 3 | (~p0 >> 4 & 1) << 4;
	in->first = (~p1 >> 3 & 15) | (~p2 >> 3 & 1) << 4;
	if (modrm >> 6 == 3) {
		copy_zmm(state, (modrm & 7) | (~p0 >> 5 & 1) << 3 | (~p0 >> 6 & 1) << 4, &in->second, false);
		p++;
	} else {
		const uint8_t *from = address(&p, g, p0, spread ? 8 : 64);

		for (unsigned i = 0; i < 8; i++)
			memcpy(&in->second.word[i], from + (spread ? 0 : 8 * i), 8);
	}
	in->len = (size_t)(p - start);
	return true;
}

__attribute__((target("aes"))) static void aes(union zmm *to, const union zmm *a, const union zmm *k, bool last)
{
	for (unsigned i = 0; i < 64; i += 16) {
		const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(a->byte + i)),
		              y = _mm_loadu_si128((const __m128i *)(const void *)(k->byte + i));

		_mm_storeu_si128((__m128i *)(void *)(to->byte + i), last ? _mm_aesenclast_si128(x, y) : _mm_aesenc_si128(x, y));
	}
}

static void madd(union zmm *to, const union zmm *a, const union zmm *b, bool high)
{
	const uint64_t mask = (UINT64_C(1) << 52) - 1;

	for (unsigned i = 0; i < 8; i++) {
		const unsigned __int128 product = (unsigned __int128)(a->word[i] & mask) * (b->word[i] & mask);

		to->word[i] += high ? (uint64_t)(product >> 52) : (uint64_t)product & mask;
	}
}

bool emulate(ucontext_t *context)
{
	uint8_t *state = (uint8_t *)context->uc_mcontext.fpregs;
	greg_t *g = context->uc_mcontext.gregs;
	struct instruction in;
	union zmm to, first;

	want_all(state);
	if (!decode(&in, state, g))
		return false;
	copy_zmm(state, in.to, &to, false);
	copy_zmm(state, in.first, &first, false);
	if (in.opcode == AESENC || in.opcode == AESENCLAST)
		aes(&to, &first, &in.second, in.opcode == AESENCLAST);
	else
		madd(&to, &first, &in.second, in.opcode == MADD_HI);
	copy_zmm(state, in.to, &to, true);
	g[REG_RIP] += (greg_t)in.len;
	return true;
}
#else
typedef int nothing_here;
#endif
