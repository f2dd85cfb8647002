/* SPDX-License-Identifier: Apache-2.0 */
/* What a verifier of signatures, who is no member, may read, and what it may not. */
#include "resources.h"

#include "wire/cbor.h"

static const struct gm_bytes nothing;

/* Any member with the newest keys: what a verifier reads is compared with its. */
static const struct gm_member *newest_member(const struct load_scene *s)
{
	uint64_t version = load_newest(s->l, (int)s->group);
	for (size_t i = 0; i < s->sids_n; i++)
		if (s->sids[i]->has_keys && s->sids[i]->keys.version == version)
			return s->sids[i];
	return NULL;
}

/* Algorithms that a verifier has to know; those of key agreement only by name.   KG §9.6 */
static bool shows_algorithms(const struct gm_group_params *got, const struct gm_group_params *p)
{
	return got->hkdf == p->hkdf && got->cred_fmt == p->cred_fmt && got->gp_enc_alg == p->gp_enc_alg &&
	       got->sign_alg == p->sign_alg && got->sign_kty == p->sign_kty && got->sign_crv == p->sign_crv &&
	       got->alg == p->alg && got->ecdh_alg == p->ecdh_alg && !got->ecdh_crv;
}

/* The Signature Encryption Key is the one that members derive. */
static const char *judge_verif_data(const struct load_scene *s, struct gm_bytes body)
{
	const struct gm_member *m = newest_member(s);
	struct gm_keying_map map;
	struct gm_end end;
	if (!m || !gm_end_own(&end, &s->l->fleet, m))
		return "no member to compare with";
	if (gm_keying_decode(body, &map) != GM_E_OK || map.gkty != 1 || map.profile != 1 || map.exi < 0)
		return "cannot be read";
	if (map.ms.p || map.salt.p || map.sid.p)
		return "shows secrets";
	if ((uint64_t)map.num != m->keys.version || !gm_bytes_eq(map.gid, (struct gm_bytes){m->keys.gid, m->keys.gid_n}))
		return "another version or Gid than the members'";
	if (!shows_algorithms(&map.params, &s->g->params))
		return "other algorithms than the group's";
	struct gm_bytes own = {end.ctx.signature_encryption_key, gm_group_enc_info(s->g->params.gp_enc_alg)->key_len};
	return gm_bytes_eq(map.sign_enc_key, own) ? NULL : "another Signature Encryption Key than members derive";
}

static const char *verif_data(struct load_scene *s, struct gm_member *v)
{
	struct gm_member_ask a = {0};
	const char *fault = "not answered as it should be";
	if (!s->g->params.group_mode)
		fault = load_ask(s, v, GM_COAP_GET, "/verif-data", nothing, GM_COAP(4, 0), &a) && load_is_problem(&a, 7)
		            ? NULL
		            : "a group without signatures has data to verify them";
	else if (load_ask(s, v, GM_COAP_GET, "/verif-data", nothing, GM_COAP(2, 5), &a))
		fault = judge_verif_data(s, load_body(&a));
	load_ask_free(&a);
	return fault;
}

static const char *judge_kdc(const struct load_scene *s, struct gm_bytes body, struct gm_bytes cnonce)
{
	uint8_t input[GM_NONCE_MAX + 16];
	struct gm_out o = gm_out(input, sizeof(input));
	struct gm_kdc_cred kdc;
	if (gm_kdc_cred_decode(body, &kdc) != GM_E_OK)
		return "cannot be read";
	gm_pop_input(&o, cnonce, kdc.nonce, nothing);
	if (!gm_bytes_eq(kdc.cred, (struct gm_bytes){s->g->kdc_cred, s->g->kdc_cred_n}))
		return "another credential than members were given";
	bool good = o.err == GM_E_OK &&
	            gm_proof_verify(&s->g->params, NULL, &s->g->kdc_pub, gm_out_result(&o), kdc.verify);
	return good ? NULL : "its proof does not verify";
}

static const char *kdc_cred(struct load_scene *s, struct gm_member *v)
{
	uint8_t cnonce[8], bytes[32];
	struct gm_out o = gm_out(bytes, sizeof(bytes));
	struct gm_member_ask a = {0};
	const char *fault = "not answered as it should be";
	gm_random(cnonce, sizeof(cnonce));
	gm_cnonce_encode(&o, (struct gm_bytes){cnonce, sizeof(cnonce)});
	if (!s->g->params.group_mode)
		fault = load_ask(s, v, GM_COAP_FETCH, "/kdc-cred", gm_out_result(&o), GM_COAP(4, 0), &a) && load_is_problem(&a, 7)
		            ? NULL
		            : "proves to a verifier in a group without signatures";
	else if (load_ask(s, v, GM_COAP_FETCH, "/kdc-cred", gm_out_result(&o), GM_COAP(2, 5), &a))
		fault = judge_kdc(s, load_body(&a), (struct gm_bytes){cnonce, sizeof(cnonce)});
	load_ask_free(&a);
	return fault;
}

static const char *creds(struct load_scene *s, struct gm_member *v)
{
	struct gm_member_ask a = {0};
	const char *fault = "not answered with 2.05";
	if (load_ask(s, v, GM_COAP_GET, "/creds", nothing, GM_COAP(2, 5), &a))
		fault = load_judge_creds(s, &a, NULL, load_newest(s->l, (int)s->group));
	load_ask_free(&a);
	return fault;
}

static const char *refusals(struct load_scene *s, struct gm_member *v)
{
	static const char *const closed[] = {"", "/num", "/policies", "/active"};
	struct gm_member_ask a = {0};
	const char *fault = NULL;
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]) && !fault; i++)
		if (!load_ask(s, v, GM_COAP_GET, closed[i], nothing, GM_COAP(4, 3), &a))
			fault = "a verifier reads what is for members";
	load_ask_free(&a);
	return fault;
}

const struct load_check_row load_verifications[] = {
    {"verif-data", verif_data, false, false},
    {"kdc-cred fetch", kdc_cred, false, false},
    {"creds of verifier", creds, false, false},
    {"refusals to verifier", refusals, false, false},
    {NULL, NULL, false, false},
};
