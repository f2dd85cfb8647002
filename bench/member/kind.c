/* SPDX-License-Identifier: Apache-2.0 */
/* Of what kind a group is, as joiners are told, and a key of that kind. */
#include "inside.h"

#include "wire/cbor.h"
#include "wire/fields.h"

/* ---- sign_info, ecdh_info: [id, alg, [kty], [kty, crv], cred_fmt]                  RFC 9594 §3.3.1, KG §5.3 */

struct info_entry {
	int32_t alg, kty, crv, cred_fmt;
};

static bool read_entry(struct gm_in *in, struct gm_bytes *id, struct info_entry *e)
{
	bool good = gm_cbor_array(in) == 5;
	*id = gm_cbor_item(in);
	e->alg = (int32_t)gm_cbor_int(in);
	good = good && gm_cbor_array(in) == 1;
	e->kty = (int32_t)gm_cbor_int(in);
	good = good && gm_cbor_array(in) == 2 && gm_cbor_int(in) == e->kty;
	e->crv = (int32_t)gm_cbor_int(in);
	e->cred_fmt = (int32_t)gm_cbor_int(in);
	return good && in->err == GM_E_OK;
}

/* The entry of this group; false: there is none, or the array cannot be read. */
static bool find_entry(struct gm_bytes infos, struct gm_bytes name, struct info_entry *found)
{
	struct gm_in in = gm_in_bytes(infos);
	struct gm_bytes id;
	for (uint64_t n = infos.p ? gm_cbor_array(&in) : 0; n; n--) {
		if (!read_entry(&in, &id, found))
			return false;
		if (gm_info_names(id, name))
			return true;
	}
	return false;
}

static bool read_told(const struct gm_join_info *info, struct gm_bytes name, struct gm_group_params *p)
{
	struct info_entry sign = {0}, ecdh = {0};
	p->group_mode = find_entry(info->sign_info, name, &sign);
	p->pairwise_mode = find_entry(info->ecdh_info, name, &ecdh);
	if (p->group_mode) {
		p->sign_alg = sign.alg;
		p->sign_kty = sign.kty;
		p->sign_crv = sign.crv;
	}
	if (p->pairwise_mode) {
		p->ecdh_alg = ecdh.alg;
		p->ecdh_kty = ecdh.kty;
		p->ecdh_crv = ecdh.crv;
	}
	p->cred_fmt = p->group_mode ? sign.cred_fmt : ecdh.cred_fmt;
	return p->group_mode || p->pairwise_mode;
}

bool gm_told_the_same(const struct gm_group_params *a, const struct gm_group_params *b)
{
	return a->group_mode == b->group_mode && a->pairwise_mode == b->pairwise_mode && a->sign_alg == b->sign_alg &&
	       a->sign_kty == b->sign_kty && a->sign_crv == b->sign_crv && a->ecdh_alg == b->ecdh_alg &&
	       a->ecdh_kty == b->ecdh_kty && a->ecdh_crv == b->ecdh_crv && a->cred_fmt == b->cred_fmt;
}

/* Groups of pairwise mode alone: no proof without the Group Manager's credential.           KG §6.1 */
static bool read_kdc(struct gm_member_group *g, const struct gm_group_params *p, struct gm_bytes dh_creds,
                     struct gm_bytes name)
{
	struct gm_bytes cred;
	if (p->group_mode)
		return true;
	if (gm_kdc_dh_creds_find(dh_creds, name, &cred) != GM_E_OK || cred.n > sizeof(g->kdc_cred) ||
	    gm_cred_pub(cred, p, &g->kdc_pub) != GM_E_OK)
		return false;
	g->kdc_cred_n = (uint16_t)cred.n;
	memcpy(g->kdc_cred, cred.p, cred.n);
	return true;
}

/* ---- keys */

bool gm_identity_make(struct gm_identity *id, const struct gm_group_params *p)
{
	uint8_t seed[32];
	struct gm_out out = gm_out(id->cred, sizeof(id->cred));
	gm_random(seed, sizeof(seed));
	enum gm_err err = gm_key_pair_make(&id->key, p, seed);
	gm_wipe(seed, sizeof(seed));
	if (err == GM_E_OK)
		err = gm_own_cred_encode(&out, p, &id->key, 0);
	id->cred_fmt = p->cred_fmt;
	id->cred_n = (uint16_t)gm_out_len(&out);
	return err == GM_E_OK && out.err == GM_E_OK;
}

void gm_identities_make(struct gm_identity *ids, unsigned n)
{
	struct gm_group_params usual = gm_group_params_default();
	struct gm_ed25519_public_job jobs[GM_BATCH_MAX];
	for (unsigned i = 0; i < n; i++) {
		struct gm_key_pair *key = &ids[i].key;
		*key = (struct gm_key_pair){.pub = {.kty = usual.sign_kty, .crv = usual.sign_crv, .n = GM_ED25519_PUB}};
		gm_random(key->priv, GM_ED25519_SEED);
		jobs[i] = (struct gm_ed25519_public_job){key->priv, key->pub.x};
	}
	gm_ed25519_public_many(jobs, n);
	for (unsigned i = 0; i < n; i++) {
		struct gm_out out = gm_out(ids[i].cred, sizeof(ids[i].cred));
		(void)!gm_own_cred_encode(&out, &usual, &ids[i].key, 0); /* cannot fail: the kind is known */
		ids[i].cred_fmt = usual.cred_fmt;
		ids[i].cred_n = (uint16_t)gm_out_len(&out);
	}
}

bool gm_identity_fits(const struct gm_identity *id, const struct gm_group_params *p)
{
	const struct gm_cred_pub *pub = &id->key.pub;
	return id->cred_fmt == p->cred_fmt && pub->kty == (p->group_mode ? p->sign_kty : p->ecdh_kty) &&
	       pub->crv == (p->group_mode ? p->sign_crv : p->ecdh_crv);
}

bool gm_group_told(struct gm_member_env *env, struct gm_member *m, const struct gm_join_info *info)
{
	struct gm_member_group *g = &env->groups[m->group];
	struct gm_bytes name = {(const uint8_t *)g->name, strlen(g->name)};
	struct gm_group_params told = {0};
	if (!read_told(info, name, &told))
		return false;
	if ((g->informed || g->known) && !gm_told_the_same(&told, &g->params))
		env->failed(env->arg, m, "members are told different algorithms of one group");
	else if (!g->informed && !g->known) {
		g->params = told;
		g->informed = read_kdc(g, &told, info->kdc_dh_creds, name);
	}
	m->informed = g->informed || g->known;
	if (!m->informed || (!gm_identity_fits(&m->own, &told) && !gm_identity_make(&m->own, &told))) {
		env->failed(env->arg, m, "no key can be made from what joiners are told");
		m->informed = false;
	}
	return m->informed;
}
