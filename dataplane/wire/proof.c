/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/proof.h"

#include "wire/c509.h"
#include "wire/cbor.h"
#include "wire/cose.h"
#include "wire/fields.h"

/* x || y as the crypto door takes it */
static void join_point(uint8_t point[static GM_EC_PUB_MAX], const struct gm_cred_pub *pub)
{
	memcpy(point, pub->x, pub->n);
	memcpy(point + pub->n, pub->y, pub->n);
}

/* ---- curves */

static bool make_ed25519(struct gm_key_pair *k, const uint8_t *seed)
{
	memcpy(k->priv, seed, GM_ED25519_SEED);
	gm_ed25519_public(k->pub.x, k->priv);
	return true;
}

static bool make_x25519(struct gm_key_pair *k, const uint8_t *seed)
{
	static const uint8_t base[GM_X25519_KEY] = {9};

	memcpy(k->priv, seed, GM_X25519_KEY);
	return gm_x25519(k->pub.x, k->priv, base);
}

static bool make_ec(struct gm_key_pair *k, const uint8_t *seed)
{
	uint8_t point[GM_EC_PUB_MAX];

	if (!gm_ec_from_seed(k->pub.crv, k->priv, seed) || !gm_ec_public(k->pub.crv, point, k->priv))
		return false;
	memcpy(k->pub.x, point, k->pub.n);
	memcpy(k->pub.y, point + k->pub.n, k->pub.n);
	return true;
}

static bool agree_ed25519(uint8_t *secret, const struct gm_key_pair *own, const struct gm_cred_pub *peer)
{
	uint8_t priv[GM_X25519_KEY], pub[GM_X25519_KEY];

	gm_ed25519_to_x25519_priv(priv, own->priv);
	bool good = gm_ed25519_to_x25519_pub(pub, peer->x) && gm_x25519(secret, priv, pub);
	gm_wipe(priv, sizeof(priv));
	return good;
}

static bool agree_x25519(uint8_t *secret, const struct gm_key_pair *own, const struct gm_cred_pub *peer)
{
	return gm_x25519(secret, own->priv, peer->x);
}

static bool agree_ec(uint8_t *secret, const struct gm_key_pair *own, const struct gm_cred_pub *peer)
{
	uint8_t point[GM_EC_PUB_MAX];

	join_point(point, peer);
	return gm_ecdh(own->pub.crv, secret, own->priv, point);
}

static const struct curve {
	int32_t kty, crv;
	uint8_t n;
	bool (*make)(struct gm_key_pair *k, const uint8_t *seed);
	bool (*agree)(uint8_t *secret, const struct gm_key_pair *own, const struct gm_cred_pub *peer);
} curves[] = {
    {GM_KTY_OKP, GM_CRV_ED25519, 32, make_ed25519, agree_ed25519},
    {GM_KTY_OKP, GM_CRV_X25519, 32, make_x25519, agree_x25519},
    {GM_KTY_EC2, GM_CRV_P256, 32, make_ec, agree_ec},
    {GM_KTY_EC2, GM_CRV_P384, 48, make_ec, agree_ec},
    {GM_KTY_EC2, GM_CRV_P521, GM_EC_SIDE_MAX, make_ec, agree_ec},
};

static const struct curve *curve_of(int32_t kty, int32_t crv)
{
	for (size_t i = 0; i < GM_FIELDS_N(curves); i++)
		if (curves[i].kty == kty && curves[i].crv == crv)
			return &curves[i];
	return NULL;
}

enum gm_err gm_key_pair_make(struct gm_key_pair *pair, const struct gm_group_params *p, const uint8_t seed[static 32])
{
	const struct curve *c =
	    p->group_mode ? curve_of(p->sign_kty, p->sign_crv) : curve_of(p->ecdh_kty, p->ecdh_crv);

	*pair = (struct gm_key_pair){0};
	if (!c)
		return GM_E_RANGE;
	pair->pub = (struct gm_cred_pub){.kty = c->kty, .crv = c->crv, .n = c->n};
	return c->make(pair, seed) ? GM_E_OK : GM_E_RANGE;
}

enum gm_err gm_shared_secret(uint8_t secret[static GM_EC_SIDE_MAX], const struct gm_key_pair *own,
                             const struct gm_cred_pub *peer)
{
	const struct curve *c = curve_of(own->pub.kty, own->pub.crv);
	bool same = c && peer->kty == c->kty && peer->crv == c->crv;

	return same && c->agree(secret, own, peer) ? GM_E_OK : GM_E_BAD_CRED;
}

/* ---- credentials */

#define SUBJECT "Group Manager"
#define ISSUER "Issuer of Group Managers"

/* Who signs the credential: own, where it is an Ed25519 key. True: it is. */
static bool signer_of(struct gm_key_pair *signer, const struct gm_key_pair *own)
{
	static const uint8_t info[] = "gmd issuer of its own credential";
	bool self = own->pub.kty == GM_KTY_OKP && own->pub.crv == GM_CRV_ED25519;

	*signer = *own;
	if (self)
		return true;
	signer->pub = (struct gm_cred_pub){.kty = GM_KTY_OKP, .crv = GM_CRV_ED25519, .n = GM_ED25519_PUB};
	gm_hkdf_sha256(signer->priv, GM_ED25519_SEED, NULL, 0, own->priv, own->pub.n, info, sizeof(info) - 1);
	make_ed25519(signer, signer->priv);
	return false;
}

static enum gm_err put_ccs(struct gm_out *out, const struct gm_key_pair *own, const struct gm_key_pair *signer,
                           const char *issuer, int64_t from)
{
	(void)signer, (void)issuer, (void)from;
	gm_ccs_encode_pub(out, NULL, &own->pub);
	return out->err;
}

static enum gm_err put_cwt(struct gm_out *out, const struct gm_key_pair *own, const struct gm_key_pair *signer,
                           const char *issuer, int64_t from)
{
	struct gm_cose_key key = {.alg = GM_ALG_EDDSA, .key_n = GM_ED25519_SEED};
	uint8_t claims[256];
	struct gm_out o = gm_out(claims, sizeof(claims));

	(void)issuer, (void)from;
	gm_ccs_encode_pub(&o, NULL, &own->pub);
	memcpy(key.key, signer->priv, GM_ED25519_SEED);
	enum gm_err err = gm_cose_protect(out, &key, NULL, gm_out_result(&o));
	gm_wipe(&key, sizeof(key));
	return err;
}

static enum gm_err put_x509(struct gm_out *out, const struct gm_key_pair *own, const struct gm_key_pair *signer,
                            const char *issuer, int64_t from)
{
	uint8_t der[512];
	struct gm_x509_key key = {.kty = own->pub.kty, .crv = own->pub.crv, .n = own->pub.n};

	join_point(key.pub, &own->pub);
	size_t n = gm_x509_issue(der, sizeof(der), &key, SUBJECT, issuer, from, signer->priv);
	gm_cbor_put_bstr(out, der, n);
	return n ? out->err : GM_E_RANGE;
}

static enum gm_err put_c509(struct gm_out *out, const struct gm_key_pair *own, const struct gm_key_pair *signer,
                            const char *issuer, int64_t from)
{
	gm_c509_issue(out, &own->pub, SUBJECT, issuer, from, signer);
	return out->err;
}

static const struct own_form {
	int32_t cred_fmt;
	enum gm_err (*put)(struct gm_out *out, const struct gm_key_pair *own, const struct gm_key_pair *signer,
	                   const char *issuer, int64_t from);
} own_forms[] = {
    {GM_CRED_FMT_KCCS, put_ccs},     {GM_CRED_FMT_KCWT, put_cwt}, {GM_CRED_FMT_X5CHAIN, put_x509},
    {GM_CRED_FMT_X5BAG, put_x509},   {GM_CRED_FMT_C5C, put_c509}, {GM_CRED_FMT_C5B, put_c509},
};

bool gm_cred_fmt_known(int32_t cred_fmt)
{
	for (size_t i = 0; i < GM_FIELDS_N(own_forms); i++)
		if (own_forms[i].cred_fmt == cred_fmt)
			return true;
	return false;
}

enum gm_err gm_own_cred_encode(struct gm_out *out, const struct gm_group_params *p, const struct gm_key_pair *own,
                               int64_t from)
{
	struct gm_key_pair signer;
	enum gm_err err = GM_E_RANGE;
	bool self = signer_of(&signer, own);

	for (size_t i = 0; i < GM_FIELDS_N(own_forms); i++)
		if (own_forms[i].cred_fmt == p->cred_fmt)
			err = own_forms[i].put(out, own, &signer, self ? NULL : ISSUER, from);
	gm_wipe(&signer, sizeof(signer));
	return err;
}

/* ---- proofs */

/* One MAC proves both ways; only the input differs.                          KG §6.1 */
static bool mac_of(uint8_t mac[static GM_POP_MAC], const struct gm_key_pair *own, const struct gm_cred_pub *peer,
                   struct gm_bytes input)
{
	uint8_t secret[GM_EC_SIDE_MAX];
	bool good = gm_shared_secret(secret, own, peer) == GM_E_OK;

	if (good)
		gm_pop_mac(mac, (struct gm_bytes){secret, own->pub.n}, input);
	gm_wipe(secret, sizeof(secret));
	return good;
}

bool gm_proof_is_ed25519(const struct gm_group_params *p)
{
	return p->group_mode && p->sign_kty == GM_KTY_OKP && p->sign_crv == GM_CRV_ED25519;
}

size_t gm_proof_len(const struct gm_group_params *p)
{
	size_t ecdsa = gm_ecdsa_sig_len(p->sign_alg);

	return !p->group_mode ? GM_POP_MAC : ecdsa ? ecdsa : GM_ED25519_SIG;
}

enum gm_err gm_proof_make(const struct gm_group_params *p, const struct gm_key_pair *own,
                          const struct gm_cred_pub *peer, struct gm_bytes input, uint8_t proof[static GM_PROOF_MAX])
{
	if (!p->group_mode)
		return mac_of(proof, own, peer, input) ? GM_E_OK : GM_E_BAD_CRED;
	if (!gm_proof_is_ed25519(p))
		return gm_ecdsa_sign(p->sign_alg, proof, own->priv, input.p, input.n) ? GM_E_OK : GM_E_BAD_CRED;
	gm_ed25519_sign(&(struct gm_ed25519_sign_job){own->priv, own->pub.x, input.p, input.n, proof}, 1);
	return GM_E_OK;
}

bool gm_proof_verify(const struct gm_group_params *p, const struct gm_key_pair *own, const struct gm_cred_pub *peer,
                     struct gm_bytes input, struct gm_bytes proof)
{
	uint8_t mac[GM_POP_MAC], point[GM_EC_PUB_MAX];

	if (proof.n != gm_proof_len(p))
		return false;
	if (!p->group_mode)
		return mac_of(mac, own, peer, input) && gm_equal(mac, proof.p, sizeof(mac));
	if (gm_proof_is_ed25519(p))
		return gm_ed25519_verify(&(struct gm_ed25519_job){peer->x, proof.p, input.p, input.n}, 1) == 1;
	join_point(point, peer);
	return gm_ecdsa_verify(p->sign_alg, point, proof.p, input.p, input.n);
}
