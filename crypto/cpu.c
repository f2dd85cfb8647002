/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu.h"

#include <stdlib.h>
#include <string.h>

struct feature {
	enum gm_cpu bit;
	const char *name;
	unsigned ecx1, ebx7, ecx7; /* all of these bits, of CPUID 1 and 7 */
	unsigned xcr0;             /* and these kinds of registers saved by the kernel */
	unsigned vendor;           /* the last word of the maker's name, where it matters */
};

#define YMM 0x06u
#define ZMM 0xe6u
#define AVX (1u << 27 | 1u << 28)          /* ecx1: OSXSAVE, AVX */
#define AVX2 (1u << 3 | 1u << 5 | 1u << 8) /* ebx7: BMI1, AVX2, BMI2 */
#define AVX512 (AVX2 | 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31)

static const struct feature features[] = {
    {GM_CPU_AES, "aes", .ecx1 = AVX | 1u << 25 | 1u << 9, .xcr0 = YMM},
    {GM_CPU_AVX2, "avx2", .ecx1 = AVX, .ebx7 = AVX2, .xcr0 = YMM},
    {GM_CPU_AVX512, "avx512", .ecx1 = AVX, .ebx7 = AVX512, .xcr0 = ZMM},
    {GM_CPU_IFMA, "ifma", .ecx1 = AVX, .ebx7 = 1u << 21, .xcr0 = ZMM},
    {GM_CPU_VAES, "vaes", .ecx1 = AVX, .ecx7 = 1u << 9, .xcr0 = ZMM},
    {GM_CPU_SHA, "sha", .ecx1 = 1u << 19 | 1u << 9, .ebx7 = 1u << 29},
    {GM_CPU_INTEL, "intel", .vendor = 0x6c65746e /* "ntel" */},
};

/* name is an item of the list, whose items end at a comma or a space */
static bool listed(const char *list, const char *name)
{
	size_t n = strlen(name), len;

	for (; *list; list += len + (list[len] != 0)) {
		len = strcspn(list, ", ");
		if (len == n && memcmp(list, name, n) == 0)
			return true;
	}
	return false;
}

#ifdef __x86_64__
#include <cpuid.h>

static unsigned saved_by_kernel(unsigned ecx1)
{
	unsigned lo = 0, hi;

	if (ecx1 & 1u << 27)
		__asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return lo;
}

static bool present(const struct feature *f)
{
	unsigned eax, ebx, ecx, edx, ecx1 = 0, ebx7 = 0, ecx7 = 0;

	if (f->vendor && !(__get_cpuid(0, &eax, &ebx, &ecx, &edx) && ecx == f->vendor))
		return false;
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
		ecx1 = ecx;
	if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
		ebx7 = ebx;
		ecx7 = ecx;
	}
	return (ecx1 & f->ecx1) == f->ecx1 && (ebx7 & f->ebx7) == f->ebx7 && (ecx7 & f->ecx7) == f->ecx7 &&
	       (saved_by_kernel(ecx1) & f->xcr0) == f->xcr0;
}
#else
static bool present(const struct feature *f)
{
	(void)f;
	return false;
}
#endif

bool gm_cpu_has(unsigned want)
{
	const char *without = secure_getenv("GM_CPU_WITHOUT");

	for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (want & features[i].bit &&
		    (!present(&features[i]) || (without && listed(without, features[i].name))))
			return false;
	return true;
}
