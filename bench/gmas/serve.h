/* SPDX-License-Identifier: Apache-2.0 */
/* gmas serve: POST /token without protection, and over a link, if there is one, POST /introspect and GET /trl. */
#ifndef GM_GMAS_SERVE_H
#define GM_GMAS_SERVE_H

#include "bench/member/askey.h"
#include "gm/addr.h"

struct gm_serve {
	const struct gm_askey *key;
	struct gm_addr listen;
	long exp_s;
	bool reference;          /* tokens say nothing themselves */
	int32_t osc_alg, osc_hkdf;
	const char *link;        /* files; NULL: none */
	const char *revoked, *tokens;
};
/* Until a signal asks to stop; the exit code. */
int gm_serve(const struct gm_serve *what);

#endif
