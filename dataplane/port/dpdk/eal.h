/* SPDX-License-Identifier: Apache-2.0 */
/* The library's own set-up: once in a process. What goes wrong is told in words. */
#ifndef GM_DPDK_EAL_H
#define GM_DPDK_EAL_H

#include <stdbool.h>

/* Starts the EAL with arguments split at spaces. The calling thread becomes its main one, and stays on the CPUs it has
 * unless the arguments place it. A net_af_xdp without a program gets ours. */
bool gm_eal_start(const char *args);

/* Why the last start failed; always returns false. */
__attribute__((format(printf, 1, 2))) bool gm_eal_failed(const char *fmt, ...);
const char *gm_eal_why(void);

#endif
