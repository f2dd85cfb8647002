/* SPDX-License-Identifier: Apache-2.0 */
/* 8 messages at once with AES-NI: as many as hide the latency of a round where two begin in a cycle. */
#ifdef __x86_64__
#define VECS 8u
#include "ccm/aesni_layer.h"

const struct gm_ccm_variant gm_ccm_aesni = {"aesni", usable, seal, open, seal_same};
#endif
