/* SPDX-License-Identifier: Apache-2.0 */
/* 4 messages at once with AES-NI: a round waits for the one before as long as four take to begin, so in lanes that are
 * empty nothing is lost, and less has to be laid out. */
#ifdef __x86_64__
#define VECS 4u
#include "ccm/aesni_layer.h"

const struct gm_ccm_variant gm_ccm_aesni_few = {"aesni-few", usable, seal, open, seal_same};
#endif
