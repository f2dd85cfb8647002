/* SPDX-License-Identifier: Apache-2.0 */
/* A small file beside the store that names its last turn: an older copy of the store, put back, is older than it says.
 *
 * It is written behind each commit and synced only at a start, so it costs a write() a turn; a power cut may leave it behind the
 * store, never ahead. It protects against what puts back the store's file alone: whoever puts back the file system as a
 * whole puts it back, too, unless witness_file lies elsewhere.
 */
#ifndef GM_WITNESS_H
#define GM_WITNESS_H

#include "store/seal.h"

struct gm_witness {
	int fd; /* -1: none */
	uint32_t store; /* id of the store's key */
	uint64_t turn;  /* that it says; 0: it was made just now */
	uint32_t recoveries; /* of this store and others in its place: no two may leap to the same versions */
};

/* Opened, or made; its lock is the store's. IO; CORRUPT: it is no such file. */
GM_NODISCARD enum gm_err gm_witness_open(struct gm_witness *w, const char *path, char why[static GM_WHY]);
/* Says turn from now on. false, errno says why: it may be ignored, a witness that is behind refuses nothing. */
bool gm_witness_say(struct gm_witness *w, uint64_t turn);
void gm_witness_close(struct gm_witness *w);

#endif
