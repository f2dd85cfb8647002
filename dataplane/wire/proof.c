/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/proof.h"

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

static enum gm_err put_cwt(struct gm_out *out, const struct gm_key_pair *own)
{
	struct gm_cose_key key = {.alg = GM_ALG_EDDSA, .key_n = GM_ED25519_SEED};
	uint8_t claims[128];
	struct gm_out o = gm_out(claims, sizeof(claims));

	gm_ccs_encode_pub(&o, NULL, &own->pub);
	memcpy(key.key, own->priv, GM_ED25519_SEED);
	enum gm_err err = gm_cose_protect(out, &key, NULL, gm_out_result(&o));
	gm_wipe(&key, sizeof(key));
	return err;
}

static enum gm_err put_certificate(struct gm_out *out, const struct gm_key_pair *own, int64_t from)
{
	uint8_t der[512];
	size_t n = gm_x509_self_issue(der, sizeof(der), "Group Manager", from, own->priv);

	gm_cbor_put_bstr(out, der, n);
	return n ? out->err : GM_E_RANGE;
}

enum gm_err gm_own_cred_encode(struct gm_out *out, const struct gm_group_params *p, const struct gm_key_pair *own,
                               int64_t from)
{
	if (p->cred_fmt == GM_CRED_FMT_KCCS) {
		gm_ccs_encode_pub(out, NULL, &own->pub);
		return out->err;
	}
	if (!gm_proof_is_ed25519(p))
		return GM_E_RANGE;
	return p->cred_fmt == GM_CRED_FMT_KCWT ? put_cwt(out, own) : put_certificate(out, own, from);
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
