/* SPDX-License-Identifier: Apache-2.0 */
/* What this processor can do and the kernel lets us use. */
#ifndef GM_CPU_H
#define GM_CPU_H

#include <stdbool.h>

enum gm_cpu {
	GM_CPU_AES = 1 << 0,    /* AES-NI with AVX */
	GM_CPU_AVX2 = 1 << 1,   /* with BMI1 and BMI2 */
	GM_CPU_AVX512 = 1 << 2, /* F, DQ, BW, VL */
	GM_CPU_IFMA = 1 << 3,   /* AVX-512 IFMA */
	GM_CPU_VAES = 1 << 4,   /* AES rounds on 512 bits */
	GM_CPU_SHA = 1 << 5,    /* SHA-NI */
	GM_CPU_INTEL = 1 << 6,  /* Intel made it: what is faster there may not be elsewhere */
};

/* Everything of want. The environment variable GM_CPU_WITHOUT takes features away, by the names above in lower case,
 * so that every variant can be had where a faster one would be picked: GM_CPU_WITHOUT=vaes,avx512. Read at each call,
 * which is at start alone. */
bool gm_cpu_has(unsigned want);

#endif
