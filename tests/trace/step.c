/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/step.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <ucontext.h>

static struct trace now;

static void fold(uint64_t x)
{
	now.hash = (now.hash ^ x) * UINT64_C(0x9e3779b97f4a7c15);
	now.hash ^= now.hash >> 29;
}

/* The ABI's order of registers is not the instructions' */
static uint64_t reg(const greg_t *g, unsigned number)
{
	static const uint8_t order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

	return (uint64_t)g[order[number]];
}

struct decoded {
	const uint8_t *modrm; /* NULL: none */
	unsigned index_high, base_high;
	bool string, gather;
};

/* One-byte opcodes with a ModRM byte, and 0F ones without, a bit each                 Intel SDM 2, appendix A */
static const uint32_t one_byte[8] = {0x0f0f0f0f, 0x0f0f0f0f, 0, 0x00000a08, 0x0000ffff, 0, 0xff0f00c3, 0xc0c00000};
static const uint32_t no_modrm_0f[8] = {0x00004be0, 0x00ff0000, 0, 0x00800000, 0x0000ffff, 0x00000707, 0x0000ff00, 0};

static bool bit_of(const uint32_t *set, unsigned i)
{
	return set[i / 32] >> i % 32 & 1;
}

static struct decoded decode(const uint8_t *p)
{
	struct decoded d = {0};
	unsigned rex = 0, map = 0;

	while (memchr("\x66\x67\xf2\xf3\x2e\x36\x3e\x26\x64\x65\xf0", *p, 11))
		p++;
	if ((*p & 0xf0) == 0x40)
		rex = *p++;
	d.index_high = (rex & 2) << 2;
	d.base_high = (rex & 1) << 3;
	if (*p == 0xc5) { /* VEX of two bytes, of three, EVEX */
		map = 1;
		p += 2;
	} else if (*p == 0xc4 || *p == 0x62) {
		map = p[1] & 7;
		d.index_high = (~p[1] & 0x40u) >> 3;
		d.base_high = (~p[1] & 0x20u) >> 2;
		d.gather = map == 2;
		p += *p == 0xc4 ? 3 : 4;
	} else if (*p == 0x0f) {
		map = p[1] == 0x38 ? 2 : p[1] == 0x3a ? 3 : 1;
		p += map == 1 ? 1 : 2;
		if (map == 1 && (bit_of(no_modrm_0f, *p) || *p == 0x1f)) /* 1F: a NOP of many bytes */
			return d;
	} else if (*p == 0x8d) { /* LEA computes and touches nothing: compilers add and shift with it */
		return d;
	} else if (!bit_of(one_byte, *p)) {
		d.string = (*p >= 0xa4 && *p <= 0xa7) || (*p >= 0xaa && *p <= 0xaf);
		return d;
	}
	d.gather &= (*p & 0xfc) == 0x90 || (*p & 0xfc) == 0xa0 || (*p & 0xfe) == 0xc6;
	if (map == 1 && *p == 0x77)
		return d;
	d.modrm = p + 1;
	return d;
}

/* Base and index of the operand in memory; the displacement is the instruction's. */
static void fold_operand(const struct decoded *d, const greg_t *g)
{
	const unsigned mod = *d->modrm >> 6, rm = *d->modrm & 7, sib = d->modrm[1];

	if (mod == 3 || (mod == 0 && rm == 5))
		return;
	if (rm != 4) {
		fold(reg(g, rm | d->base_high));
		return;
	}
	if (mod != 0 || (sib & 7) != 5)
		fold(reg(g, (sib & 7) | d->base_high));
	if (((sib >> 3 & 7) | d->index_high) != 4)
		fold(reg(g, (sib >> 3 & 7) | d->index_high) << (sib >> 6));
	now.gathers += d->gather;
}

/* Before each instruction */
static void step(int sig, siginfo_t *info, void *context)
{
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	const struct decoded d = decode((const uint8_t *)g[REG_RIP]);

	(void)sig;
	(void)info;
	now.steps++;
	fold((uint64_t)g[REG_RIP]);
	fold((uint64_t)g[REG_RSP]);
	if (d.string) {
		fold((uint64_t)g[REG_RSI]);
		fold((uint64_t)g[REG_RDI]);
	}
	if (d.modrm)
		fold_operand(&d, g);
}

__attribute__((noinline)) struct trace trace_call(void (*call)(void *arg), void *arg)
{
	static uint8_t stack[1 << 16];
	const stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction act = {.sa_sigaction = step, .sa_flags = SA_SIGINFO | SA_ONSTACK}, before;

	sigaltstack(&other, NULL);
	sigaction(SIGTRAP, &act, &before);
	now = (struct trace){0};
	/* the trap flag, past the red zone */
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::: "memory", "cc");
	call(arg);
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::: "memory", "cc");
	sigaction(SIGTRAP, &before, NULL);
	return now;
}
