/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a link between gmd and gmas: where gmas answers, and the secret that both share. One thread. */
#ifndef GM_GMAS_LINKFILE_H
#define GM_GMAS_LINKFILE_H

#include "gm/dp.h"

/* Writes a fresh one, 0600, as gmctl reads it; an existing file is not replaced. IO, EXISTS */
GM_NODISCARD enum gm_err gm_linkfile_make(const char *path, const char *addr);
/* sid is gmd's, rid ours. IO: cannot be read; MALFORMED: not such a file */
GM_NODISCARD enum gm_err gm_linkfile_load(struct gm_link *link, const char *path);

#endif
