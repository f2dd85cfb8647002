/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that say nothing themselves, and what they stand for. One thread. */
#ifndef GM_GMAS_OPAQUE_H
#define GM_GMAS_OPAQUE_H

#include <sys/stat.h>

#include "bench/gmas/revoked.h"

struct gm_opaque_token;
struct gm_opaques { /* zero: none */
	const char *path; /* of a file that is read again when it has changed; NULL: none */
	struct stat seen;
	struct gm_opaque_token *at;
	size_t n;
};

/* claims: a CBOR map; exp: when it ends, epoch seconds */
void gm_opaque_add(struct gm_opaques *t, struct gm_bytes token, struct gm_bytes claims, int64_t exp);
/* A line for each: {"token": hex, "claims": hex, "exp": number}, as gmas mint --reference writes it. */
void gm_opaque_read(struct gm_opaques *t);
/* The answer of the introspection endpoint: the claims and active, or only that it is not. RFC 9200 §5.9.2 */
void gm_opaque_answer(const struct gm_opaques *t, struct gm_bytes token, const struct gm_revoked_list *revoked, int64_t now_s,
                      struct gm_out *out);
void gm_opaque_drop(struct gm_opaques *t);

#endif
