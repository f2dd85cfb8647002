/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about groups and memberships that one answer does not show. requirements,
 * */
#include <criterion/criterion.h>

#include <stdio.h>

#include "core_rig.h"
#include "wire/cbor.h"

#define REQ GM_ROLE_REQUESTER
#define GET 1
#define POST 2
#define DELETE 4
#define FETCH 5

static struct core_rig rig;
static struct gm_group_spec spec;

static void start(void)
{
	rig_start(&rig, 2);
	spec = rig_group_spec("g1");
	cr_assert_eq(rig_group(&rig, &spec), GM_E_OK);
}

static void stop(void)
{
	rig_stop(&rig);
}

TestSuite(access, .init = start, .fini = stop);
TestSuite(gids, .init = start, .fini = stop);
TestSuite(infos, .init = start, .fini = stop);
TestSuite(membership, .init = start, .fini = stop);
TestSuite(group, .init = start, .fini = stop);
TestSuite(keys, .init = start, .fini = stop);

static struct rig_answer leave(struct rig_client *c)
{
	char node[17];
	struct rig_request q = {.method = DELETE, .res = GM_RES_NODE, .group = "g1", .node = node};

	snprintf(node, sizeof(node), "%s", rig_mirror_of(&rig, c->ctx, "g1")->node);
	return rig_request(&rig, c, &q);
}

/* ---- Gids and places */

static struct rig_answer ask_name(struct rig_client *c, const uint8_t *gid)
{
	uint8_t body[11] = {0xa1, 0x00, 0x81, 0x47};
	const struct rig_request q = {.method = FETCH, .res = GM_RES_GROUPS, .payload = {body, sizeof(body)}};

	memcpy(body + 4, gid, 7);
	return rig_request(&rig, c, &q);
}

static bool is_named(struct rig_client *c, const uint8_t *gid)
{
	return ask_name(c, gid).payload.n > 1;
}

static void delete(const char *name)
{
	rig_turn(&rig);
	cr_assert_eq(gm_core_group_delete(rig.core, &rig.txn, name), GM_E_OK);
	rig_turn_end(&rig);
}

static uint32_t made(const char *name)
{
	struct gm_group_spec one = rig_group_spec(name);

	cr_assert_eq(rig_group(&rig, &one), GM_E_OK);
	return rig_info(&rig, name).index;
}

Test(gids, are_found_after_rekeys_and_starts_and_not_when_their_group_is_gone)
{
	struct rig_client c = rig_client(1, "g1", REQ);
	uint8_t first[GM_GID_MAX], gid[GM_GID_MAX];

	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	memcpy(first, rig_info(&rig, "g1").gid, sizeof(first));
	cr_expect(is_named(&c, first));
	rig_turn(&rig);
	cr_assert_eq(gm_core_rekey(rig.core, &rig.txn, "g1", false), GM_E_OK);
	rig_turn_end(&rig);
	memcpy(gid, rig_info(&rig, "g1").gid, sizeof(gid));
	cr_expect_neq(memcmp(gid, first, 7), 0);
	cr_expect(is_named(&c, gid));
	cr_expect_not(is_named(&c, first), "it has another now");
	rig_restart(&rig);
	cr_expect(is_named(&c, gid));
	gid[0] ^= 1;
	cr_expect_not(is_named(&c, gid));
	gid[0] ^= 1;
	delete("g1");
	cr_expect_not(is_named(&c, gid), "nobody's");
	made("g1");
	cr_expect_not(is_named(&c, gid), "of the one before");
	cr_expect(is_named(&c, rig_info(&rig, "g1").gid));
}

Test(gids, leave_a_place_that_is_free_again_to_the_next_group)
{
	cr_expect_eq(made("g2"), 1);
	cr_expect_eq(made("g3"), 2);
	delete("g2");
	delete("g1");
	cr_expect_eq(made("g4"), 0, "the first that is free");
	cr_expect_eq(made("g5"), 1);
	cr_expect_eq(made("g6"), 3);
	delete("g5");
	rig_restart(&rig);
	cr_expect_eq(made("g7"), 1, "also after a start");
	cr_expect_eq(made("g8"), 4);
}

/* ---- access */

Test(access, by_an_administrators_token_opens_no_group)
{
	static const struct {
		uint8_t method, res;
	} rows[] = {{GET, GM_RES_GROUP},  {POST, GM_RES_GROUP},   {GET, GM_RES_ACTIVE},       {GET, GM_RES_CREDS},
	            {GET, GM_RES_NUM},    {GET, GM_RES_POLICIES}, {FETCH, GM_RES_STALE_SIDS}, {GET, GM_RES_NODE},
	            {DELETE, GM_RES_NODE}};
	struct rig_client c = rig_client(1, "g1", REQ);

	memcpy(c.scope, "\x81\x82\xf5\x05", 4); /* any group: list, read */
	c.scope_n = 4;
	cr_assert_eq(rig_token(&rig, &c), GM_E_OK);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct rig_request q = {.method = rows[i].method, .res = rows[i].res, .group = "g1", .node = "AAAAAAAA"};
		struct rig_answer a = rig_request(&rig, &c, &q);
		cr_expect_eq(a.code, GM_COAP(4, 3), "row %u: %u.%02u", i, a.code >> 5, a.code & 31);
		cr_expect_eq(a.ace_id, -1);
	}
	uint8_t body[11] = {0xa1, 0x00, 0x81, 0x47};
	memcpy(body + 4, rig.view[0].gid, 7);
	struct rig_request lookup = {.method = FETCH, .res = GM_RES_GROUPS, .payload = {body, sizeof(body)}};
	struct rig_answer a = rig_request(&rig, &c, &lookup);
	cr_expect(a.payload.n == 1 && a.payload.p[0] == 0x40, "nor finds one");
}

/* ---- parameters in the answer to a token */

Test(infos, leave_out_groups_that_have_no_use_for_them)
{
	struct gm_group_spec only_signs = rig_group_spec("s1");
	struct rig_client c = rig_client(1, "s1", REQ);
	struct rig_token t = rig_token_of(&c);

	only_signs.params.pairwise_mode = false;
	cr_assert_eq(rig_group(&rig, &only_signs), GM_E_OK);
	t.sign_info = 45;
	t.ecdh_info = 47;
	const struct gm_eff_token *e = rig_token_post(&rig, &t);
	cr_assert_eq(e->err, GM_E_OK);
	cr_expect_eq(e->infos_n, 1u);
	struct gm_in in = gm_in_bytes(gm_rec_bytes(e, e->infos));
	cr_expect_eq(gm_cbor_uint(&in), 45u, "no ecdh_info where nobody needs one");
}

Test(infos, have_the_credential_for_key_agreement_with_groups_of_pairwise_mode_alone)
{
	struct gm_group_spec pairs = rig_group_spec("p1");
	struct rig_client c = rig_client(1, "p1", REQ);
	struct rig_token t = rig_token_of(&c);
	struct gm_bytes cred;

	pairs.params = (struct gm_group_params){.hkdf = 5, .cred_fmt = 14, .pairwise_mode = true, .alg = 10};
	cr_assert_eq(rig_group(&rig, &pairs), GM_E_OK);
	t.sign_info = 45;
	t.ecdh_info = 47;
	t.kdc_dh_creds = 48;
	const struct gm_eff_token *e = rig_token_post(&rig, &t);
	cr_assert_eq(e->err, GM_E_OK);
	cr_expect_eq(e->infos_n, 2u);
	struct gm_in in = gm_in_bytes(gm_rec_bytes(e, e->infos));
	cr_expect_eq(gm_cbor_uint(&in), 47u, "it has no sign_info");
	gm_cbor_skip(&in);
	cr_expect_eq(gm_cbor_uint(&in), 48u);
	struct gm_bytes creds = gm_cbor_item(&in);
	cr_assert_eq(gm_kdc_dh_creds_find(creds, (struct gm_bytes){(const uint8_t *)"p1", 2}, &cred), GM_E_OK);
	cr_expect(gm_bytes_eq(cred, (struct gm_bytes){rig.view[1].kdc_cred, rig.view[1].kdc_cred_n}));
}

/* ---- memberships */

Test(membership, leaves_nothing_behind)
{
	struct rig_client c = rig_member(&rig, 1, "g1", REQ), other = rig_member(&rig, 2, "g1", REQ);
	struct rig_request observe = {.method = GET, .res = GM_RES_GROUP, .group = "g1", .flags = GM_REQ_OBSERVE};
	char node[17];

	snprintf(node, sizeof(node), "%s", rig_mirror_of(&rig, c.ctx, "g1")->node);
	rig_request(&rig, &c, &observe);
	cr_expect_eq(leave(&c).code, GM_COAP(2, 2));
	struct rig_request get = {.method = GET, .res = GM_RES_NODE, .group = "g1", .node = node};
	cr_expect_eq(rig_request(&rig, &c, &get).ace_id, 0);
	cr_expect_eq(rig_request(&rig, &other, &get).code, GM_COAP(4, 3));
	for (unsigned again = 0; again < 2; again++) {
		unsigned members = 0;
		for (size_t i = 0; i < rig.records; i++) {
			members += rig.record[i].table == GM_TABLE_MEMBER;
			cr_expect_null(memmem(rig.record[i].value, rig.record[i].value_n, "credential-1", 12),
			               "its credential is stored still, in table %d", rig.record[i].table);
		}
		cr_expect_eq(members, 1u);
		rig_restart(&rig);
		cr_expect_null(rig_mirror_of(&rig, c.ctx, "g1"));
	}
}

Test(membership, gives_up_a_sender_id_twice_and_it_is_told_once)
{
	struct rig_client keep = rig_member(&rig, 99, "g1", REQ), c = rig_member(&rig, 1, "g1", REQ);
	struct rig_join again = {.group = "g1", .roles = REQ, .cred = "", .no_verify = true};
	uint8_t held = 0;

	for (unsigned version = 0; version < 2; version++) { /* all 256, but for those in use */
		for (unsigned i = 0; i < 250; i++)
			cr_assert_eq(rig_join(&rig, &c, &again).code, GM_COAP(2, 4));
		rig_turn(&rig);
		cr_assert_eq(gm_core_rekey(rig.core, &rig.txn, "g1", true), GM_E_OK);
		rig_turn_end(&rig);
	}
	cr_assert_eq(rig_info(&rig, "g1").version, 2u);
	struct rig_request q = {.method = FETCH, .res = GM_RES_STALE_SIDS, .group = "g1", .payload = {&held, 1}};
	struct rig_answer a = rig_request(&rig, &keep, &q);
	struct gm_in in = gm_in_bytes(a.payload);
	bool seen[256] = {false};
	uint64_t n = gm_cbor_array(&in);
	cr_expect(n > 250 && n < 256, "%llu of 500", (unsigned long long)n);
	for (uint64_t i = 0; i < n; i++) {
		struct gm_bytes sid = gm_cbor_bstr(&in);
		cr_assert_eq(sid.n, 1u);
		cr_expect_not(seen[sid.p[0]]);
		seen[sid.p[0]] = true;
	}
	cr_expect_eq(gm_cbor_end(&in), GM_E_OK);
}

/* ---- groups */

/* AES-CBC, references to credentials, what does not go together, what is too little. */
static void spoil(struct gm_group_spec *s, unsigned how)
{
	switch (how) {
	case 0: s->params.gp_enc_alg = -65531; break; /* A128CBC */
	case 1: s->params.alg = -65531; break;
	case 2: s->params.cred_fmt = 34; break; /* x5t */
	case 3: s->params.cred_fmt = 22; break; /* c5t */
	case 4: s->params.sign_alg = -16; break; /* SHA-256 */
	case 5: s->params.ecdh_alg = -28; break; /* HKDF-512 beside HKDF SHA-256 */
	case 6: s->params.hkdf = 6; break;
	case 7: s->params.group_mode = s->params.pairwise_mode = false; break;
	case 8: s->max_stale_sets = 1; break;
	case 9: s->key_lifetime_s = 0; break;
	default: break;
	}
}

Test(group, is_not_made_of_what_does_not_fit_together)
{
	for (unsigned how = 0; how < 10; how++) {
		struct gm_group_spec bad = rig_group_spec("bad");
		spoil(&bad, how);
		cr_expect_eq(rig_group(&rig, &bad), GM_E_USAGE, "%u", how);
		cr_expect_null(rig_info(&rig, "bad").name);
	}
	struct gm_group_spec good = rig_group_spec("bad");
	cr_expect_eq(rig_group(&rig, &good), GM_E_OK);
}

/* ---- keys */

Test(keys, of_all_groups_and_versions_have_gids_of_their_own)
{
	static uint8_t gid[12 * 20][GM_GID_MAX];
	unsigned n = 0;

	for (unsigned g = 0; g < 12; g++) {
		struct gm_group_spec more;
		char name[8];
		snprintf(name, sizeof(name), "m%u", g);
		more = rig_group_spec(name);
		cr_assert_eq(rig_group(&rig, &more), GM_E_OK);
		for (unsigned version = 0; version < 20; version++) {
			struct gm_group_info info = rig_info(&rig, name);
			cr_assert_eq(info.version, version);
			memcpy(gid[n], info.gid, info.gid_n);
			for (unsigned i = 0; i < n; i++)
				cr_assert_neq(memcmp(gid[i], gid[n], info.gid_n), 0, "%s version %u", name, version);
			n++;
			rig_turn(&rig);
			cr_assert_eq(gm_core_rekey(rig.core, &rig.txn, name, true), GM_E_OK);
			rig_turn_end(&rig);
		}
	}
}

Test(keys, that_were_replaced_are_stored_no_longer)
{
	uint8_t old[16], new[16];
	unsigned old_n = 0, new_n = 0;

	rig_member(&rig, 1, "g1", REQ);
	memcpy(old, rig.view[0].ms, 16);
	rig_turn(&rig);
	cr_assert_eq(gm_core_rekey(rig.core, &rig.txn, "g1", true), GM_E_OK);
	rig_turn_end(&rig);
	memcpy(new, rig.view[0].ms, 16);
	for (size_t i = 0; i < rig.records; i++) {
		old_n += memmem(rig.record[i].value, rig.record[i].value_n, old, 16) != NULL;
		new_n += memmem(rig.record[i].value, rig.record[i].value_n, new, 16) != NULL;
	}
	cr_expect_eq(old_n, 0u);
	cr_expect_eq(new_n, 1u);
}

static bool has_cred(unsigned group, const struct gm_group_keys *keys)
{
	return rig.view[group].kdc_cred_n == keys->cred_n && memcmp(rig.view[group].kdc_cred, keys->cred, keys->cred_n) == 0;
}

Test(keys, made_ahead_are_those_of_a_group_that_they_fit)
{
	struct gm_group_spec two = rig_group_spec("g2"), three = rig_group_spec("g3");
	struct gm_group_keys keys;

	three.params.pairwise_mode = false;
	rig_turn(&rig);
	cr_assert_eq(gm_core_group_keys(&rig.txn, &two, &keys), GM_E_OK);
	cr_expect_eq(rig.changes.count, 0);
	rig_turn_end(&rig);
	rig_turn(&rig);
	cr_assert_eq(gm_core_group_create_with(rig.core, &rig.txn, &two, &keys), GM_E_OK);
	cr_assert_eq(gm_core_group_create_with(rig.core, &rig.txn, &three, &keys), GM_E_OK);
	rig_turn_end(&rig);
	cr_expect(has_cred(1, &keys));
	cr_expect_not(has_cred(2, &keys), "whom they do not fit has others");
	cr_expect_gt(rig.view[2].kdc_cred_n, 0);
	rig_restart(&rig);
	cr_expect(has_cred(1, &keys));
}

Test(keys, have_the_defaults_of_the_drafts)
{
	struct gm_group_params p = gm_group_spec_default().params;

	cr_expect(p.group_mode && p.pairwise_mode);
	cr_expect_eq(p.hkdf, 5, "HKDF SHA-256");
	cr_expect_eq(p.cred_fmt, 14, "CCS");
	cr_expect_eq(p.gp_enc_alg, 10, "AES-CCM-16-64-128");
	cr_expect_eq(p.alg, 10);
	cr_expect(p.sign_alg == -8 && p.sign_kty == 1 && p.sign_crv == 6, "EdDSA with Ed25519");
	cr_expect(p.ecdh_alg == -27 && p.ecdh_kty == 1 && p.ecdh_crv == 4, "ECDH-SS with HKDF-256, X25519");
	cr_expect_eq(rig.view[0].check_interval, 3600u);
	cr_expect_eq(rig.view[0].expiration_delta, 0u);
}
