/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/gmas/opaque.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/gmas/hex.h"
#include "bench/member/askey.h"
#include "gm/crypto.h"
#include "wire/cbor.h"
#include "wire/cwt.h"

#define LABEL_ACTIVE 10

struct gm_opaque_token { /* secret */
	uint8_t token[64], claims[GM_TOKEN_MAX];
	size_t token_n, claims_n;
	int64_t exp;
};

static struct gm_opaque_token *find(const struct gm_opaques *t, struct gm_bytes token)
{
	for (size_t i = 0; i < t->n; i++)
		if (gm_bytes_eq(token, (struct gm_bytes){t->at[i].token, t->at[i].token_n}))
			return &t->at[i];
	return NULL;
}

void gm_opaque_add(struct gm_opaques *t, struct gm_bytes token, struct gm_bytes claims, int64_t exp)
{
	if (token.n > sizeof(t->at->token) || claims.n > sizeof(t->at->claims) || find(t, token))
		return;
	struct gm_opaque_token *grown = malloc((t->n + 1) * sizeof(*grown));
	if (!grown) {
		fputs("gmas: out of memory\n", stderr);
		exit(1);
	}
	if (t->n)
		memcpy(grown, t->at, t->n * sizeof(*grown)); /* NOLINT(clang-analyzer-unix.Malloc): what was freed is t->at no more */
	struct gm_opaque_token *o = &grown[t->n];
	*o = (struct gm_opaque_token){.token_n = token.n, .claims_n = claims.n, .exp = exp};
	memcpy(o->token, token.p, token.n);
	memcpy(o->claims, claims.p, claims.n);
	size_t n = t->n + 1;
	const char *path = t->path;
	struct stat seen = t->seen;
	gm_opaque_drop(t);
	*t = (struct gm_opaques){.path = path, .seen = seen, .at = grown, .n = n};
}

static bool read_line(struct gm_opaques *t, const char *line)
{
	json_t *o = json_loads(line, 0, NULL);
	const char *token = json_string_value(json_object_get(o, "token")), *claims = json_string_value(json_object_get(o, "claims"));
	uint8_t token_bytes[64], claims_bytes[GM_TOKEN_MAX];
	size_t token_n, claims_n;
	bool ok = token && claims && gm_hex_get(token, strlen(token), token_bytes, sizeof(token_bytes), &token_n) &&
	          gm_hex_get(claims, strlen(claims), claims_bytes, sizeof(claims_bytes), &claims_n) && claims_n;

	if (ok)
		gm_opaque_add(t, (struct gm_bytes){token_bytes, token_n}, (struct gm_bytes){claims_bytes, claims_n},
		              json_integer_value(json_object_get(o, "exp")));
	gm_wipe(claims_bytes, sizeof(claims_bytes));
	json_decref(o);
	return ok;
}

void gm_opaque_read(struct gm_opaques *t)
{
	struct stat st;
	char line[4096];
	unsigned number = 0;

	if (!t->path || stat(t->path, &st) != 0 ||
	    (st.st_mtim.tv_sec == t->seen.st_mtim.tv_sec && st.st_mtim.tv_nsec == t->seen.st_mtim.tv_nsec && st.st_size == t->seen.st_size))
		return;
	t->seen = st;
	FILE *f = fopen(t->path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		number++;
		if (!read_line(t, line))
			fprintf(stderr, "gmas: %s:%u: no token with its claims\n", t->path, number);
	}
	if (f)
		fclose(f);
	else
		perror(t->path);
	gm_wipe(line, sizeof(line));
}

void gm_opaque_answer(const struct gm_opaques *t, struct gm_bytes token, const struct gm_revoked_list *revoked, int64_t now_s,
                      struct gm_out *out)
{
	const struct gm_opaque_token *o = find(t, token);
	uint8_t hash[GM_REVOKED_HASH];

	gm_token_hash(hash, token);
	bool active = o && o->exp > now_s && !gm_revoked_has(revoked, hash);
	struct gm_in in = gm_in_bytes(active ? (struct gm_bytes){o->claims, o->claims_n} : (struct gm_bytes){0});
	uint64_t n = active ? gm_cbor_map(&in) : 0;
	gm_cbor_put_map(out, n + 1);
	gm_cbor_put_uint(out, LABEL_ACTIVE);
	gm_cbor_put_bool(out, active);
	if (active) {
		size_t left = gm_in_left(&in);
		gm_out_bytes(out, gm_in_take(&in, left).p, left);
	}
}

void gm_opaque_drop(struct gm_opaques *t)
{
	if (t->at)
		gm_wipe(t->at, t->n * sizeof(*t->at)); /* NOLINT(clang-analyzer-unix.Malloc): the same */
	free(t->at);
	*t = (struct gm_opaques){0};
}
