/* SPDX-License-Identifier: Apache-2.0 */
/* What gmd may still ask of the kernel once it serves. */
#ifndef GM_CONFINE_H
#define GM_CONFINE_H

#include <stdbool.h>

#include "gm/err.h"

/* From now on, for all threads and for good: no new privileges, and a system call that serving does not need ends the
 * process at once. dpdk: the port asks for more. false, errno says why: nothing changed but no_new_privs. It
 * takes no memory. Once, by the main thread, after everything is open. Builds with sanitizers, whose own calls are others,
 * are not confined. */
GM_NODISCARD bool gm_confine(bool dpdk);

#endif
