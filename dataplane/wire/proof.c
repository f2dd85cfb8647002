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

static const uint8_t base[GM_X25519_KEY] = {9};

static bool make_ed25519(struct gm_key_pair *k)
{
	gm_ed25519_public(k->pub.x, k->priv);
	return true;
}

static bool make_x25519(struct gm_key_pair *k)
{
	return gm_x25519(k->pub.x, k->priv, base);
}

static bool make_ec(struct gm_key_pair *k)
{
	uint8_t point[GM_EC_PUB_MAX], seed[GM_X25519_KEY];

	memcpy(seed, k->priv, sizeof(seed));
	bool good = gm_ec_from_seed(k->pub.crv, k->priv, seed);
	gm_wipe(seed, sizeof(seed));
	if (!good || !gm_ec_public(k->pub.crv, point, k->priv))
		return false;
	memcpy(k->pub.x, point, k->pub.n);
	memcpy(k->pub.y, point + k->pub.n, k->pub.n);
	return true;
}

/* The two keys as X25519 takes them. */
static bool montgomery_ed25519(uint8_t *priv, uint8_t *pub, const struct gm_key_pair *own, const struct gm_cred_pub *peer)
{
	gm_ed25519_to_x25519_priv(priv, own->priv);
	return gm_ed25519_to_x25519_pub(pub, peer->x);
}

static bool montgomery_x25519(uint8_t *priv, uint8_t *pub, const struct gm_key_pair *own, const struct gm_cred_pub *peer)
{
	memcpy(priv, own->priv, GM_X25519_KEY);
	memcpy(pub, peer->x, GM_X25519_KEY);
	return true;
}

static const struct curve {
	int32_t kty, crv;
	uint8_t n;
	bool (*make)(struct gm_key_pair *k); /* priv holds the seed */
	bool (*montgomery)(uint8_t *priv, uint8_t *pub, const struct gm_key_pair *own, const struct gm_cred_pub *peer);
} curves[] = {
    {GM_KTY_OKP, GM_CRV_ED25519, 32, make_ed25519, montgomery_ed25519},
    {GM_KTY_OKP, GM_CRV_X25519, 32, make_x25519, montgomery_x25519},
    {GM_KTY_EC2, GM_CRV_P256, 32, make_ec, NULL},
    {GM_KTY_EC2, GM_CRV_P384, 48, make_ec, NULL},
    {GM_KTY_EC2, GM_CRV_P521, GM_EC_SIDE_MAX, make_ec, NULL},
};

static const struct curve *curve_of(int32_t kty, int32_t crv)
{
	for (size_t i = 0; i < GM_FIELDS_N(curves); i++)
		if (curves[i].kty == kty && curves[i].crv == crv)
			return &curves[i];
	return NULL;
}

static const struct curve *begin_pair(struct gm_key_pair *pair, const struct gm_group_params *p, const uint8_t *seed)
{
	const struct curve *c =
	    p->group_mode ? curve_of(p->sign_kty, p->sign_crv) : curve_of(p->ecdh_kty, p->ecdh_crv);

	*pair = (struct gm_key_pair){0};
	if (!c)
		return NULL;
	pair->pub = (struct gm_cred_pub){.kty = c->kty, .crv = c->crv, .n = c->n};
	memcpy(pair->priv, seed, GM_X25519_KEY);
	return c;
}

enum gm_err gm_key_pair_make(struct gm_key_pair *pair, const struct gm_group_params *p, const uint8_t seed[static 32])
{
	const struct curve *c = begin_pair(pair, p, seed);

	return c && c->make(pair) ? GM_E_OK : GM_E_RANGE;
}

static uint64_t x25519_all(const struct gm_x25519_job *jobs, unsigned n, const uint8_t *of)
{
	uint64_t made = n ? gm_x25519_many(jobs, n) : 0, good = 0;

	for (unsigned i = 0; i < n; i++)
		good |= (made >> i & 1) << of[i];
	return good;
}

uint64_t gm_key_pairs_make(const struct gm_key_pair_job *jobs, unsigned n)
{
	struct gm_ed25519_public_job ed[GM_BATCH_MAX];
	struct gm_x25519_job x[GM_BATCH_MAX];
	uint8_t x_of[GM_BATCH_MAX];
	unsigned ed_n = 0, x_n = 0;
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		struct gm_key_pair *k = jobs[i].pair;
		const struct curve *c = begin_pair(k, jobs[i].params, jobs[i].seed);
		if (c && c->make == make_ed25519) {
			ed[ed_n++] = (struct gm_ed25519_public_job){k->priv, k->pub.x};
			good |= UINT64_C(1) << i;
		} else if (c && c->make == make_x25519) {
			x_of[x_n] = (uint8_t)i;
			x[x_n++] = (struct gm_x25519_job){k->priv, base, k->pub.x};
		} else if (c && c->make(k)) {
			good |= UINT64_C(1) << i;
		}
	}
	if (ed_n)
		gm_ed25519_public_many(ed, ed_n);
	return good | x25519_all(x, x_n, x_of);
}

static bool agree_ec(uint8_t *secret, const struct gm_key_pair *own, const struct gm_cred_pub *peer)
{
	uint8_t point[GM_EC_PUB_MAX];

	join_point(point, peer);
	return gm_ecdh(own->pub.crv, secret, own->priv, point);
}

struct agreeing { /* secret; by X25519, in one call */
	uint8_t priv[GM_BATCH_MAX][GM_X25519_KEY], pub[GM_BATCH_MAX][GM_X25519_KEY];
	struct gm_x25519_job job[GM_BATCH_MAX];
	uint8_t of[GM_BATCH_MAX];
	unsigned n;
};

uint64_t gm_shared_secrets(const struct gm_secret_job *jobs, unsigned n)
{
	struct agreeing a = {.n = 0};
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct gm_secret_job *j = &jobs[i];
		const struct curve *c = curve_of(j->own->pub.kty, j->own->pub.crv);
		if (!c || j->peer->kty != c->kty || j->peer->crv != c->crv)
			continue;
		if (!c->montgomery) {
			good |= (uint64_t)agree_ec(j->secret, j->own, j->peer) << i;
		} else if (c->montgomery(a.priv[a.n], a.pub[a.n], j->own, j->peer)) {
			a.job[a.n] = (struct gm_x25519_job){a.priv[a.n], a.pub[a.n], j->secret};
			a.of[a.n++] = (uint8_t)i;
		}
	}
	good |= x25519_all(a.job, a.n, a.of);
	gm_wipe(a.priv, (n < GM_BATCH_MAX ? n : GM_BATCH_MAX) * sizeof(a.priv[0])); /* those that did not serve, too */
	return good;
}

enum gm_err gm_shared_secret(uint8_t secret[static GM_EC_SIDE_MAX], const struct gm_key_pair *own,
                             const struct gm_cred_pub *peer)
{
	return gm_shared_secrets(&(struct gm_secret_job){secret, own, peer}, 1) ? GM_E_OK : GM_E_BAD_CRED;
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
	make_ed25519(signer);
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

bool gm_proof_is_ed25519(const struct gm_group_params *p)
{
	return p->group_mode && p->sign_kty == GM_KTY_OKP && p->sign_crv == GM_CRV_ED25519;
}

size_t gm_proof_len(const struct gm_group_params *p)
{
	size_t ecdsa = gm_ecdsa_sig_len(p->sign_alg);

	return !p->group_mode ? GM_POP_MAC : ecdsa ? ecdsa : GM_ED25519_SIG;
}

/* One MAC proves both ways; only the input differs. Those of pairwise mode only: bit i of the answer is set where mac[i]
 * has come out.                                                                                             KG §6.1 */
static uint64_t macs_of(uint8_t (*mac)[GM_POP_MAC], const struct gm_proof_job *jobs, unsigned n)
{
	uint8_t secret[GM_BATCH_MAX][GM_EC_SIDE_MAX], of[GM_BATCH_MAX];
	struct gm_secret_job job[GM_BATCH_MAX];
	unsigned jobs_n = 0;
	uint64_t good = 0;

	for (unsigned i = 0; i < n; i++) {
		if (jobs[i].params->group_mode)
			continue;
		of[jobs_n] = (uint8_t)i;
		job[jobs_n] = (struct gm_secret_job){secret[jobs_n], jobs[i].own, jobs[i].peer};
		jobs_n++;
	}
	uint64_t agreed = jobs_n ? gm_shared_secrets(job, jobs_n) : 0;
	for (unsigned i = 0; i < jobs_n; i++) {
		const struct gm_proof_job *j = &jobs[of[i]];
		if (!(agreed >> i & 1))
			continue;
		gm_pop_mac(mac[of[i]], (struct gm_bytes){secret[i], j->own->pub.n}, j->input);
		good |= UINT64_C(1) << of[i];
	}
	gm_wipe(secret, jobs_n * sizeof(secret[0]));
	return good;
}

static bool sign_one(const struct gm_proof_job *j)
{
	if (!gm_proof_is_ed25519(j->params))
		return gm_ecdsa_sign(j->params->sign_alg, j->made, j->own->priv, j->input.p, j->input.n);
	gm_ed25519_sign(&(struct gm_ed25519_sign_job){j->own->priv, j->own->pub.x, j->input.p, j->input.n, j->made}, 1);
	return true;
}

uint64_t gm_proofs_make(const struct gm_proof_job *jobs, unsigned n)
{
	uint8_t mac[GM_BATCH_MAX][GM_POP_MAC];
	uint64_t good = macs_of(mac, jobs, n);

	for (unsigned i = 0; i < n; i++) {
		if (good >> i & 1)
			memcpy(jobs[i].made, mac[i], GM_POP_MAC);
		else if (jobs[i].params->group_mode)
			good |= (uint64_t)sign_one(&jobs[i]) << i;
	}
	return good;
}

static bool verify_one(const struct gm_proof_job *j)
{
	uint8_t point[GM_EC_PUB_MAX];

	if (gm_proof_is_ed25519(j->params))
		return gm_ed25519_verify(&(struct gm_ed25519_job){j->peer->x, j->proof.p, j->input.p, j->input.n}, 1) == 1;
	join_point(point, j->peer);
	return gm_ecdsa_verify(j->params->sign_alg, point, j->proof.p, j->input.p, j->input.n);
}

uint64_t gm_proofs_verify(const struct gm_proof_job *jobs, unsigned n)
{
	uint8_t mac[GM_BATCH_MAX][GM_POP_MAC];
	uint64_t made = macs_of(mac, jobs, n), good = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct gm_proof_job *j = &jobs[i];
		if (j->proof.n != gm_proof_len(j->params))
			continue;
		if (made >> i & 1)
			good |= (uint64_t)gm_equal(mac[i], j->proof.p, GM_POP_MAC) << i;
		else if (j->params->group_mode)
			good |= (uint64_t)verify_one(j) << i;
	}
	return good;
}

enum gm_err gm_proof_make(const struct gm_group_params *p, const struct gm_key_pair *own,
                          const struct gm_cred_pub *peer, struct gm_bytes input, uint8_t proof[static GM_PROOF_MAX])
{
	return gm_proofs_make(&(struct gm_proof_job){p, own, peer, input, .made = proof}, 1) ? GM_E_OK : GM_E_BAD_CRED;
}

bool gm_proof_verify(const struct gm_group_params *p, const struct gm_key_pair *own, const struct gm_cred_pub *peer,
                     struct gm_bytes input, struct gm_bytes proof)
{
	return gm_proofs_verify(&(struct gm_proof_job){p, own, peer, input, .proof = proof}, 1);
}
