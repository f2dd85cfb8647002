/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/params.h"

#include "gm/crypto.h"
#include "wire/cose.h"
#include "wire/fields.h"
#include "wire/proof.h"

#include <stdlib.h>

#define PIV_LEN 5u /* a nonce holds the length of the Sender ID, the Sender ID, the Partial IV   RFC 8613 §5.2 */

/* ---- names: IANA COSE Algorithms and Elliptic Curves */

struct name {
	const char *text;
	int32_t value;
};

static const struct name alg_names[] = {
    {"EdDSA", GM_ALG_EDDSA},
    {"ES256", GM_ALG_ES256},
    {"ES384", GM_ALG_ES384},
    {"ES512", GM_ALG_ES512},
    {"A128GCM", 1},
    {"A192GCM", 2},
    {"A256GCM", 3},
    {"AES-CCM-16-64-128", GM_ALG_CCM_16_64_128},
    {"AES-CCM-16-64-256", 11},
    {"AES-CCM-64-64-128", 12},
    {"AES-CCM-64-64-256", 13},
    {"ChaCha20/Poly1305", 24},
    {"AES-CCM-16-128-128", 30},
    {"AES-CCM-16-128-256", 31},
    {"AES-CCM-64-128-128", 32},
    {"AES-CCM-64-128-256", 33},
    {"A128CTR", GM_ALG_A128CTR},
    {"A192CTR", GM_ALG_A192CTR},
    {"A256CTR", GM_ALG_A256CTR},
    {"ECDH-SS+HKDF-256", GM_ALG_ECDH_SS_HKDF_256},
    {"ECDH-SS+HKDF-512", GM_ALG_ECDH_SS_HKDF_512},
};

static const struct name crv_names[] = {
    {"P-256", GM_CRV_P256},     {"P-384", GM_CRV_P384},     {"P-521", GM_CRV_P521},
    {"X25519", GM_CRV_X25519}, {"Ed25519", GM_CRV_ED25519},
};

static int32_t value_of(const struct name *names, size_t n, const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*text && !*end && value >= INT32_MIN && value <= INT32_MAX)
		return (int32_t)value;
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i].text, text) == 0)
			return names[i].value;
	return 0;
}

static const char *text_of(const struct name *names, size_t n, int32_t value)
{
	for (size_t i = 0; i < n; i++)
		if (names[i].value == value)
			return names[i].text;
	return NULL;
}

int32_t gm_alg_of_name(const char *name)
{
	return value_of(alg_names, GM_FIELDS_N(alg_names), name);
}

int32_t gm_crv_of_name(const char *name)
{
	return value_of(crv_names, GM_FIELDS_N(crv_names), name);
}

const char *gm_alg_name(int32_t alg)
{
	return text_of(alg_names, GM_FIELDS_N(alg_names), alg);
}

const char *gm_crv_name(int32_t crv)
{
	return text_of(crv_names, GM_FIELDS_N(crv_names), crv);
}

/* ---- what goes with what */

/* A signature algorithm, the keys it takes, and the keys that the same members agree on. RSA has no row: it cannot be
 * combined with pairwise mode, and nothing here verifies it. */
static const struct signing {
	int32_t alg, kty, crv, ecdh_crv;
} signings[] = {
    {GM_ALG_EDDSA, GM_KTY_OKP, GM_CRV_ED25519, GM_CRV_X25519},
    {GM_ALG_ES256, GM_KTY_EC2, GM_CRV_P256, GM_CRV_P256},
    {GM_ALG_ES384, GM_KTY_EC2, GM_CRV_P384, GM_CRV_P384},
    {GM_ALG_ES512, GM_KTY_EC2, GM_CRV_P521, GM_CRV_P521},
};

/* The hash of key agreement is that of the group. */
static const struct hashing {
	int32_t hkdf, ecdh_alg;
} hashings[] = {
    {GM_HKDF_SHA_256, GM_ALG_ECDH_SS_HKDF_256},
    {GM_HKDF_SHA_512, GM_ALG_ECDH_SS_HKDF_512},
};

static const struct agreeing {
	int32_t crv, kty;
} agreeings[] = {
    {GM_CRV_X25519, GM_KTY_OKP},
    {GM_CRV_P256, GM_KTY_EC2},
    {GM_CRV_P384, GM_KTY_EC2},
    {GM_CRV_P521, GM_KTY_EC2},
};

static const struct signing *signing_of(int32_t alg)
{
	for (size_t i = 0; i < GM_FIELDS_N(signings); i++)
		if (signings[i].alg == alg)
			return &signings[i];
	return NULL;
}

static const struct hashing *hashing_of(int32_t hkdf)
{
	for (size_t i = 0; i < GM_FIELDS_N(hashings); i++)
		if (hashings[i].hkdf == hkdf)
			return &hashings[i];
	return NULL;
}

static int32_t kty_of_agreeing(int32_t crv)
{
	for (size_t i = 0; i < GM_FIELDS_N(agreeings); i++)
		if (agreeings[i].crv == crv)
			return agreeings[i].kty;
	return 0;
}

static void complete_signing(struct gm_group_params *p)
{
	const struct signing *s = signing_of(p->sign_alg);

	p->sign_kty = s ? s->kty : 0;
	p->sign_crv = s ? s->crv : 0;
}

static void complete_agreeing(struct gm_group_params *p)
{
	const struct signing *s = p->group_mode ? signing_of(p->sign_alg) : NULL;
	const struct hashing *h = hashing_of(p->hkdf);

	if (!p->ecdh_alg)
		p->ecdh_alg = h ? h->ecdh_alg : 0;
	if (!p->ecdh_crv)
		p->ecdh_crv = s ? s->ecdh_crv : GM_CRV_X25519;
	p->ecdh_kty = kty_of_agreeing(p->ecdh_crv);
}

void gm_params_complete(struct gm_group_params *p)
{
	if (p->group_mode)
		complete_signing(p);
	else
		p->gp_enc_alg = p->sign_alg = p->sign_kty = p->sign_crv = 0;
	if (p->pairwise_mode)
		complete_agreeing(p);
	else
		p->alg = p->ecdh_alg = p->ecdh_kty = p->ecdh_crv = 0;
}

/* ---- the checks, in the order in which they build on each other */

static bool has_mode(const struct gm_group_params *p, unsigned sid_len)
{
	(void)sid_len;
	return p->group_mode || p->pairwise_mode;
}

static bool hkdf_good(const struct gm_group_params *p, unsigned sid_len)
{
	(void)sid_len;
	return hashing_of(p->hkdf) != NULL;
}

static bool cred_fmt_good(const struct gm_group_params *p, unsigned sid_len)
{
	(void)sid_len;
	return gm_cred_fmt_known(p->cred_fmt);
}

static bool gp_enc_alg_good(const struct gm_group_params *p, unsigned sid_len)
{
	(void)sid_len;
	return p->group_mode ? gm_group_enc_info(p->gp_enc_alg) != NULL : p->gp_enc_alg == 0;
}

static bool sign_alg_good(const struct gm_group_params *p, unsigned sid_len)
{
	(void)sid_len;
	return p->group_mode ? signing_of(p->sign_alg) != NULL : p->sign_alg == 0;
}

static bool sign_params_good(const struct gm_group_params *p, unsigned sid_len)
{
	const struct signing *s = signing_of(p->sign_alg);

	(void)sid_len;
	return s ? p->sign_kty == s->kty && p->sign_crv == s->crv : !p->sign_kty && !p->sign_crv;
}

static bool alg_good(const struct gm_group_params *p, unsigned sid_len)
{
	(void)sid_len;
	return p->pairwise_mode ? gm_aead_info(p->alg) != NULL : p->alg == 0;
}

static bool ecdh_alg_good(const struct gm_group_params *p, unsigned sid_len)
{
	(void)sid_len;
	return p->ecdh_alg == (p->pairwise_mode ? hashing_of(p->hkdf)->ecdh_alg : 0);
}

static bool ecdh_params_good(const struct gm_group_params *p, unsigned sid_len)
{
	(void)sid_len;
	if (!p->pairwise_mode)
		return !p->ecdh_kty && !p->ecdh_crv;
	return p->ecdh_kty && kty_of_agreeing(p->ecdh_crv) == p->ecdh_kty;
}

static bool one_key_serves(const struct gm_group_params *p, unsigned sid_len)
{
	(void)sid_len;
	return !p->group_mode || !p->pairwise_mode || signing_of(p->sign_alg)->ecdh_crv == p->ecdh_crv;
}

static bool fits_nonce(int32_t alg, unsigned sid_len)
{
	const struct gm_aead_info *info = gm_group_enc_info(alg);
	return !info || info->nonce_len >= 1 + sid_len + PIV_LEN;
}

static bool sids_fit(const struct gm_group_params *p, unsigned sid_len)
{
	return fits_nonce(p->gp_enc_alg, sid_len) && fits_nonce(p->alg, sid_len);
}

static const struct check {
	bool (*good)(const struct gm_group_params *p, unsigned sid_len);
	const char *fault;
} checks[] = {
    {has_mode, "group_mode: and pairwise_mode cannot both be off"},
    {hkdf_good, "hkdf: 5 (SHA-256) or 7 (SHA-512)"},
    {cred_fmt_good, "cred_fmt: 14 (CCS), with EdDSA also 13 (CWT), 32 or 33 (X.509), or the Group Manager has no credential"},
    {gp_enc_alg_good, "gp_enc_alg: an AEAD or AES-CTR where there is group mode, none elsewhere"},
    {sign_alg_good, "sign_alg: EdDSA, ES256, ES384 or ES512 where there is group mode, none elsewhere"},
    {sign_params_good, "sign_params: not the key type and curve that belong to sign_alg"},
    {alg_good, "alg: an AEAD where there is pairwise mode, none elsewhere"},
    {ecdh_alg_good, "ecdh_alg: where there is pairwise mode -27 with hkdf 5 or -28 with hkdf 7, none elsewhere"},
    {ecdh_params_good, "ecdh_params: X25519, P-256, P-384 or P-521 where there is pairwise mode, none elsewhere"},
    {one_key_serves, "ecdh_params: a key for sign_alg does not serve on this curve"},
    {sids_fit, "alg: the nonces of alg and gp_enc_alg have no room for the Sender IDs of so many members"},
};

const char *gm_params_check(const struct gm_group_params *params, unsigned sid_len)
{
	for (size_t i = 0; i < GM_FIELDS_N(checks); i++)
		if (!checks[i].good(params, sid_len))
			return checks[i].fault;
	return NULL;
}
