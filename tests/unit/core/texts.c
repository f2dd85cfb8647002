/* SPDX-License-Identifier: Apache-2.0 */
/* What records of core keep aside because it has no fixed length. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "core/state.h"
#include "gm/crypto.h"
#include "wire/cred.h"

#include <stdlib.h>

static struct gm_core *new_core(void)
{
	const struct gm_core_config config = {.workers = 1, .contexts_max = 100, .members_max = 100, .groups_max = 4};

	cr_assert(gm_crypto_init());
	return gm_core_new(&config);
}

static uint32_t texts_used(const struct gm_core *c)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < GM_POOL_CLASSES; i++)
		n += c->texts.of[i].used;
	return n;
}

Test(texts, identities_have_osc_ids_of_up_to_32_bytes)
{
	struct gm_core *c = new_core();
	uint8_t id[GM_OSC_ID_MAX];
	struct gm_ident *made[GM_OSC_ID_MAX + 1];

	memset(id, 7, sizeof(id));
	for (size_t n = 0; n <= sizeof(id); n++)
		made[n] = gm_ident_need(c, 1, (struct gm_bytes){id, n});
	for (size_t n = 0; n <= sizeof(id); n++) {
		cr_expect(gm_ident_find(c, 1, (struct gm_bytes){id, n}) == made[n]);
		cr_expect(gm_bytes_eq(gm_ident_osc_id(c, made[n]), (struct gm_bytes){id, n}));
		cr_expect(zero(ptr, gm_ident_find(c, 2, (struct gm_bytes){id, n})));
	}
	id[31] = 8;
	cr_expect(zero(ptr, gm_ident_find(c, 1, (struct gm_bytes){id, 32})));
	for (size_t n = 0; n <= sizeof(id); n++)
		gm_ident_tidy(c, made[n]);
	cr_expect(eq(u32, c->idents.used, 0));
	cr_expect(eq(u32, texts_used(c), 0));
	gm_core_free(c);
}

Test(texts, a_context_is_put_together_again_as_it_was)
{
	static const uint8_t algs[] = {10, 11, 12, 13, 30, 31, 32, 33, 1, 2, 3, 24};
	struct gm_core *c = new_core();
	unsigned known = 0;

	for (size_t i = 0; i < sizeof(algs); i++) {
		const struct gm_aead_info *aead = gm_aead_info(algs[i]);
		struct gm_ctx_save in = {.id = GM_CTX_ID(3, (unsigned)i, 1), .alg = algs[i], .sid_n = 2, .sid = {1, 2}}, out;
		if (!aead)
			continue;
		known++;
		memset(in.send_key, 0xa1, aead->key_len);
		memset(in.recv_key, 0xb2, aead->key_len);
		memset(in.common_iv, 0xc3, aead->nonce_len);
		memset(in.challenge, 0xd4, sizeof(in.challenge));
		gm_addr_parse(&in.peer, "[2001:db8::1]:1");
		gm_addr_parse(&in.local, "[fe80::2]:5683");
		in.local.scope = 9;
		struct gm_assoc *a = gm_assoc_new(c, &in, (struct gm_bytes){(const uint8_t *)"scope", 5}, (struct gm_bytes){0});
		a->ident = gm_ident_need(c, 1, (struct gm_bytes){&algs[i], 1})->self;
		for (unsigned again = 0; again < 2; again++) {
			gm_assoc_ctx(c, a, &out);
			cr_expect(eq(int, memcmp(&in, &out, sizeof(in)), 0), "algorithm %u", algs[i]);
			cr_expect(gm_bytes_is(gm_assoc_scope(c, a), again ? "wider scope" : "scope"));
			cr_expect(gm_bytes_is(gm_assoc_cti(c, a), again ? "cti" : ""));
			gm_assoc_set_token(c, a, (struct gm_bytes){(const uint8_t *)"wider scope", 11},
			                   (struct gm_bytes){(const uint8_t *)"cti", 3});
		}
		gm_assoc_forget(c, a);
		cr_expect(eq(u32, texts_used(c), 0));
	}
	cr_expect(known >= 8);
	gm_core_free(c);
}

static struct gm_member *new_member(struct gm_core *c)
{
	struct gm_group *g = gm_groups_link(c, 0, "g");

	g->spec.max_stale_sets = 2;
	g->stale = calloc(2, sizeof(*g->stale));
	return gm_groups_member_new(c, g, 0);
}

Test(texts, parts_of_a_member_stand_apart_whichever_are_empty)
{
	struct gm_core *c = new_core();
	struct gm_member *m = new_member(c);
	static const char *const texts[] = {"credential", "nonce", "/path", "scope"};

	for (unsigned has = 0; has < 16; has++) {
		struct gm_bytes b[4];
		for (unsigned i = 0; i < 4; i++)
			b[i] = (struct gm_bytes){(const uint8_t *)texts[i], has >> i & 1 ? strlen(texts[i]) : 0};
		gm_members_set_parts(c, m, &(struct gm_member_parts){b[0], b[1], b[2], b[3]});
		struct gm_member_parts p = gm_members_parts(c, m);
		cr_expect(gm_bytes_eq(p.cred, b[0]) && gm_bytes_eq(p.cnonce, b[1]) && gm_bytes_eq(p.path, b[2]) &&
		          gm_bytes_eq(p.scope, b[3]), "parts %x", has);
		cr_expect(gm_bytes_eq(gm_members_cred(c, m), b[0]));
		gm_members_set_parts(c, m, &p); /* of itself */
		p = gm_members_parts(c, m);
		cr_expect(gm_bytes_eq(p.cnonce, b[1]) && gm_bytes_eq(p.scope, b[3]), "parts %x again", has);
		cr_expect(eq(u32, texts_used(c), has > 1 ? 1 : 0), "a credential lies with words");
	}
	gm_groups_member_free(c, m);
	cr_expect(eq(u32, texts_used(c), 0));
	gm_core_free(c);
}

Test(texts, a_credential_lies_with_words_or_where_it_is_too_long_with_the_other_parts)
{
	struct gm_core *c = new_core();
	struct gm_member *m = new_member(c);
	static uint8_t bytes[GM_CRED_MAX];
	static const uint16_t lengths[] = {40, GM_WORDS_STRING_MAX, GM_WORDS_STRING_MAX + 1, GM_CRED_MAX, 50, 0, 2000, 50};
	struct gm_member_parts parts = {.cnonce = {(const uint8_t *)"nonce", 5}, .scope = {(const uint8_t *)"scope", 5}};

	for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		memset(bytes, (int)i + 1, sizeof(bytes));
		parts.cred = (struct gm_bytes){bytes, lengths[i]};
		gm_members_set_parts(c, m, &parts);
		uint32_t cred = m->cred;
		cr_expect(eq(int, cred != 0, lengths[i] && lengths[i] <= GM_WORDS_STRING_MAX), "%u bytes", lengths[i]);
		struct gm_member_parts same = gm_members_parts(c, m);
		gm_members_set_parts(c, m, &same);
		cr_expect(eq(u32, m->cred, cred), "the same credential stays where it is");
		cr_expect(gm_bytes_eq(gm_members_cred(c, m), parts.cred), "%u bytes", lengths[i]);
		struct gm_member_parts p = gm_members_parts(c, m);
		cr_expect(gm_bytes_eq(p.cred, parts.cred) && gm_bytes_eq(p.cnonce, parts.cnonce) && gm_bytes_eq(p.scope, parts.scope));
	}
	gm_groups_member_free(c, m);
	cr_expect(eq(u32, texts_used(c), 0));
	gm_core_free(c);
}

Test(texts, observations_come_and_go_in_any_order)
{
	struct gm_core *c = new_core();
	struct gm_member *m = new_member(c);
	bool on[GM_OBS_N] = {false};

	for (unsigned step = 0; step < 200; step++) {
		unsigned of = step * 7 % 11 % GM_OBS_N;
		struct gm_observation to = {.on = step % 3 != 0, .token_n = 1, .token = {(uint8_t)of}, .piv_n = 1};
		gm_members_set_obs(c, m, of, &to);
		on[of] = to.on;
		for (unsigned i = 0; i < GM_OBS_N; i++) {
			struct gm_observation got = gm_members_obs(c, m, i);
			cr_expect(got.on == on[i] && got.token_n == on[i] && (!on[i] || got.token[0] == i), "step %u", step);
		}
		cr_expect(eq(u32, texts_used(c), m->obs_on != 0));
	}
	gm_groups_member_free(c, m);
	gm_core_free(c);
}
