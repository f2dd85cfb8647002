/* SPDX-License-Identifier: Apache-2.0 */
/* A call, one instruction at a time: where each one is, and the registers that make the address of its operand in memory,
 * in one hash. Two calls of the same code on the same buffers that differ in a secret alone have the same hash where no
 * branch and no address depends on it. Sees what valgrind of Debian 12 cannot run: AVX-512. */
#ifndef GM_TRACE_STEP_H
#define GM_TRACE_STEP_H

#include <stdint.h>

struct trace {
	uint64_t hash;
	unsigned long steps, gathers; /* gathers: addresses in vectors, which the hash does not hold */
};

struct trace trace_call(void (*call)(void *arg), void *arg);

#endif
