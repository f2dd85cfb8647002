/* SPDX-License-Identifier: Apache-2.0 */
#include "askey.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "gm/crypto.h"
#include "wire/cbor.h"
#include "wire/cwt.h"

static const struct algorithm {
	const char *name;
	int32_t alg;
	uint8_t key_n, pub_n;
} algorithms[] = {
    {"AES-CCM-16-64-128", GM_ALG_CCM_16_64_128, 16, 0},
    {"HMAC256", GM_ALG_HMAC_256, 32, 0},
    {"EdDSA", GM_ALG_EDDSA, 32, 32},
    {"ES256", GM_ALG_ES256, 32, 64},
};

static const struct algorithm *find_algorithm(const char *name)
{
	for (size_t i = 0; name && i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (strcasecmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	return NULL;
}

static const char *algorithm_name(int32_t alg)
{
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (algorithms[i].alg == alg)
			return algorithms[i].name;
	return "";
}

static bool copy_text(char *to, size_t cap, const char *from)
{
	return from && (size_t)snprintf(to, cap, "%s", from) < cap;
}

enum gm_err gm_askey_generate(struct gm_askey *key, const char *alg, const char *iss, const char *aud)
{
	const struct algorithm *a = find_algorithm(alg);
	*key = (struct gm_askey){0};
	if (!a || !copy_text(key->iss, sizeof(key->iss), iss) || !copy_text(key->aud, sizeof(key->aud), aud))
		return GM_E_USAGE;
	key->mint.alg = a->alg;
	key->mint.kid_n = 4;
	gm_random(key->mint.kid, key->mint.kid_n);
	key->mint.key_n = a->key_n;
	key->pub_n = a->pub_n;
	gm_random(key->mint.key, a->key_n);
	if (a->alg == GM_ALG_EDDSA)
		gm_ed25519_public(key->pub, key->mint.key);
	if (a->alg == GM_ALG_ES256 && !gm_es256_keygen(key->pub, key->mint.key))
		return GM_E_IO;
	return GM_E_OK;
}

static void set_hex(json_t *o, const char *name, const uint8_t *p, size_t n)
{
	char text[2 * 64 + 1];
	for (size_t i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", p[i]);
	text[2 * n] = 0;
	json_object_set_new(o, name, json_string(text));
	gm_wipe(text, sizeof(text));
}

enum gm_err gm_askey_save(const struct gm_askey *key, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? GM_E_EXISTS : GM_E_IO;
	json_t *o = json_object();
	set_hex(o, "kid", key->mint.kid, key->mint.kid_n);
	json_object_set_new(o, "alg", json_string(algorithm_name(key->mint.alg)));
	set_hex(o, key->pub_n ? "priv" : "key", key->mint.key, key->mint.key_n);
	if (key->pub_n)
		set_hex(o, "pub", key->pub, key->pub_n);
	json_object_set_new(o, "iss", json_string(key->iss));
	json_object_set_new(o, "aud", json_string(key->aud));
	bool ok = json_dumpfd(o, fd, JSON_INDENT(1)) == 0 && write(fd, "\n", 1) == 1;
	json_decref(o);
	return close(fd) == 0 && ok ? GM_E_OK : GM_E_IO;
}

static size_t get_hex(const json_t *o, const char *name, uint8_t *to, size_t cap)
{
	const char *text = json_string_value(json_object_get(o, name));
	size_t n = text ? strlen(text) / 2 : 0;
	if (!text || strlen(text) % 2 || n > cap)
		return 0;
	for (size_t i = 0; i < n; i++) {
		unsigned v;
		if (sscanf(text + 2 * i, "%2x", &v) != 1)
			return 0;
		to[i] = (uint8_t)v;
	}
	return n;
}

enum gm_err gm_askey_load(struct gm_askey *key, const char *path)
{
	json_error_t why;
	json_t *o = json_load_file(path, 0, &why);
	*key = (struct gm_askey){0};
	if (!o)
		return access(path, R_OK) == 0 ? GM_E_MALFORMED : GM_E_IO;
	const struct algorithm *a = find_algorithm(json_string_value(json_object_get(o, "alg")));
	bool ok = a && copy_text(key->iss, sizeof(key->iss), json_string_value(json_object_get(o, "iss"))) &&
	          copy_text(key->aud, sizeof(key->aud), json_string_value(json_object_get(o, "aud")));
	if (ok) {
		key->mint.alg = a->alg;
		key->mint.kid_n = (uint8_t)get_hex(o, "kid", key->mint.kid, sizeof(key->mint.kid));
		key->mint.key_n = (uint8_t)get_hex(o, a->pub_n ? "priv" : "key", key->mint.key, sizeof(key->mint.key));
		key->pub_n = (uint8_t)get_hex(o, "pub", key->pub, sizeof(key->pub));
		ok = key->mint.key_n == a->key_n && key->pub_n == a->pub_n;
	}
	json_decref(o);
	return ok ? GM_E_OK : GM_E_MALFORMED;
}

static struct gm_bytes text_bytes(const char *s)
{
	return (struct gm_bytes){(const uint8_t *)s, strlen(s)};
}

static struct gm_bytes make_cti(struct gm_out *out, const struct gm_askey *key, const struct gm_mint *what)
{
	uint8_t fresh[8];

	if (what->exi >= 0) {
		gm_out_bytes(out, key->aud, strlen(key->aud));
		gm_out_be(out, what->exi_seq, 8);
	} else {
		gm_random(fresh, sizeof(fresh));
		gm_out_bytes(out, fresh, sizeof(fresh));
	}
	return gm_out_result(out);
}

static struct gm_bytes make_auds(struct gm_out *out, const struct gm_mint *what)
{
	unsigned n = 0;

	while (n < sizeof(what->auds) / sizeof(what->auds[0]) && what->auds[n])
		n++;
	if (!n)
		return (struct gm_bytes){0};
	gm_cbor_put_array(out, n);
	for (unsigned i = 0; i < n; i++)
		gm_cbor_put_text(out, what->auds[i]);
	return gm_out_result(out);
}

#define CWT_TAG 2u /* bytes of tag 61 */
#define REFERENCE 16u

static enum gm_err refer(struct gm_minted *minted, struct gm_out *token, struct gm_bytes claims)
{
	uint8_t random[REFERENCE];

	gm_random(random, sizeof(random));
	random[0] |= 0xe0; /* a simple value of CBOR: what begins like that is no CWT */
	gm_out_bytes(token, random, sizeof(random));
	memcpy(minted->claims, claims.p, claims.n);
	minted->claims_n = claims.n;
	return token->err;
}

enum gm_err gm_askey_mint_as(struct gm_minted *minted, const struct gm_askey *key, const struct gm_mint *what)
{
	uint8_t claims[GM_TOKEN_MAX], cti[sizeof(key->aud) + 8], iv[GM_CCM_NONCE], list[512];
	struct gm_out payload = gm_out(claims, sizeof(claims)), out = gm_out(minted->token, sizeof(minted->token)),
	              id = gm_out(cti, sizeof(cti)), several = gm_out(list, sizeof(list));

	gm_random(minted->osc_id, sizeof(minted->osc_id));
	gm_random(minted->ms, sizeof(minted->ms));
	gm_random(minted->salt, sizeof(minted->salt));
	gm_random(iv, sizeof(iv));
	struct gm_cwt cwt = {
	    .iss = text_bytes(key->iss),
	    .auds = make_auds(&several, what),
	    .cti = make_cti(&id, key, what),
	    .exp = what->exp,
	    .nbf = what->nbf,
	    .iat = -1,
	    .exi = what->exi,
	    .scope = what->scope,
	    .extended_scope = what->extended_scope,
	    .cnonce = what->cnonce,
	    .cnf_kid = what->kid,
	    .has_osc = !what->kid.p,
	    .osc = {.id = {minted->osc_id, sizeof(minted->osc_id)},
	            .ms = {minted->ms, sizeof(minted->ms)},
	            .salt = {minted->salt, sizeof(minted->salt)},
	            .version = 1,
	            .hkdf = what->osc_hkdf ? what->osc_hkdf : 5,
	            .alg = what->osc_alg ? what->osc_alg : 10},
	    .ace_profile = 2,
	};
	if (!cwt.auds.p)
		cwt.aud = text_bytes(key->aud);
	gm_cwt_encode(&payload, &cwt);
	if (payload.err != GM_E_OK)
		return payload.err;
	enum gm_err err = what->reference ? refer(minted, &out, gm_out_result(&payload))
	                                  : gm_cose_protect(&out, &key->mint, iv, gm_out_result(&payload));
	minted->token_n = gm_out_len(&out);
	if (err == GM_E_OK && what->loose && !what->reference) {
		minted->token_n -= CWT_TAG;
		memmove(minted->token, minted->token + CWT_TAG, minted->token_n);
	}
	gm_wipe(claims, sizeof(claims));
	return err;
}

enum gm_err gm_askey_mint(struct gm_minted *minted, const struct gm_askey *key, struct gm_bytes scope, int64_t exp)
{
	return gm_askey_mint_as(minted, key, &(struct gm_mint){.scope = scope, .exp = exp, .nbf = -1, .exi = -1});
}

void gm_scope_put(struct gm_out *out, const char *name, uint32_t roles)
{
	gm_cbor_put_array(out, 2);
	gm_cbor_put_text(out, name);
	gm_cbor_put_uint(out, roles);
}

#define TAG_IREGEXP 21065

void gm_scope_put_admin(struct gm_out *out, const char *pattern, uint32_t permissions)
{
	gm_cbor_put_array(out, 2);
	if (strcmp(pattern, "*") == 0) {
		gm_cbor_put_bool(out, true);
	} else if (strncmp(pattern, "re:", 3) == 0) {
		gm_cbor_put_tag(out, TAG_IREGEXP);
		gm_cbor_put_text(out, pattern + 3);
	} else {
		gm_cbor_put_text(out, pattern);
	}
	gm_cbor_put_uint(out, permissions);
}

struct word {
	const char *name;
	uint32_t bit;
};

/* Words with commas between; 0: not understood */
static uint32_t words_parse(const char *text, const struct word *words, size_t words_n)
{
	uint32_t bits = 0;

	while (*text) {
		size_t n = strcspn(text, ","), i;
		for (i = 0; i < words_n; i++)
			if (strlen(words[i].name) == n && strncmp(words[i].name, text, n) == 0)
				break;
		if (i == words_n)
			return 0;
		bits |= words[i].bit;
		text += n + (text[n] == ',');
	}
	return bits;
}

uint32_t gm_permissions_parse(const char *text)
{
	static const struct word permissions[] = {{"list", 1}, {"create", 2}, {"read", 4}, {"write", 8}, {"delete", 16}};
	uint32_t bits = words_parse(text, permissions, sizeof(permissions) / sizeof(permissions[0]));

	return bits ? bits | 1 : 0;
}

uint32_t gm_askey_roles(const char *text)
{
	static const struct word roles[] = {
	    {"requester", GM_ROLE_REQUESTER},
	    {"responder", GM_ROLE_RESPONDER},
	    {"monitor", GM_ROLE_MONITOR},
	    {"verifier", GM_ROLE_VERIFIER},
	};

	return words_parse(text, roles, sizeof(roles) / sizeof(roles[0]));
}
