/* SPDX-License-Identifier: Apache-2.0 */
/* The token revocation list of the development Authorization Server: a file of hashes, and the history of its changes, for
 * full and diff queries with cursors. RFC 9770 §5 to §9. One thread. */
#ifndef GM_GMAS_REVOKED_H
#define GM_GMAS_REVOKED_H

#include <sys/stat.h>

#include "gm/buf.h"

#define GM_REVOKED_HASH 33u
#define GM_REVOKED_MAX_N 64u     /* changes that are kept */
#define GM_REVOKED_MAX_BATCH 8u  /* changes in one answer */

struct gm_hashes { /* sorted */
	size_t n;
	uint8_t (*at)[GM_REVOKED_HASH];
};
struct gm_revoked_list {
	const char *path;
	struct stat seen;
	struct gm_hashes now;
	struct gm_revoked_change {
		struct gm_hashes removed, added;
	} change[GM_REVOKED_MAX_N]; /* change i of all is at i modulo */
	uint64_t changes; /* ever; the index of the latest is one below */
};

/* Reads the file if it is new or has changed; true: the list changed. A file that cannot be read leaves the list as it is and
 * is complained of. */
bool gm_revoked_read(struct gm_revoked_list *list);
void gm_revoked_forget(struct gm_revoked_list *list);
/* One more, as a change of its own, of a list that has no file. */
void gm_revoked_enter(struct gm_revoked_list *list, const uint8_t hash[static GM_REVOKED_HASH]);
bool gm_revoked_has(const struct gm_revoked_list *list, const uint8_t hash[static GM_REVOKED_HASH]);

struct gm_revoked_query { /* of a request; GM_COAP(2, 5) or (4, 0) is its answer's code */
	bool diff, has_cursor;
	uint64_t n, cursor;
};
/* From the query parameters: OK, or RANGE, and out is the body of the error. */
GM_NODISCARD enum gm_err gm_revoked_parse(const struct gm_revoked_list *list, const struct gm_bytes *query, unsigned query_n,
                                          struct gm_revoked_query *q, struct gm_out *out);
/* Bytes that the answer has at most. */
size_t gm_revoked_size(const struct gm_revoked_list *list);
void gm_revoked_answer(const struct gm_revoked_list *list, const struct gm_revoked_query *q, struct gm_out *out);

#endif
