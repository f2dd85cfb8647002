/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "bench/member/inside.h"
#include "bench/member/traffic.h"
#include "wire/params.h"

#define GROUP "g1"

static uint32_t dice(void *arg, uint32_t below)
{
	uint32_t *state = arg;
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % below;
}

static void give_keys(struct gm_fleet *f, uint64_t version, uint32_t but)
{
	struct gm_member_keys k = {.version = version, .gid_n = 6, .ms_n = 16, .salt_n = 8};
	gm_random(k.gid, k.gid_n);
	gm_random(k.ms, k.ms_n);
	gm_random(k.salt, k.salt_n);
	for (uint32_t i = 0; i < f->members_n; i++) {
		struct gm_member *m = &f->members[i];
		m->prev = m->keys;
		m->has_prev = m->has_keys;
		if (i != but)
			m->keys = k;
		m->has_keys = i != but;
	}
}

/* Members 0 requester, 1 and 2 both, 3 responder, 4 monitor; they know each other. */
static void fill_kind(struct gm_fleet *f, uint16_t port, const struct gm_group_params *params)
{
	static const uint8_t roles[] = {2, 6, 6, 4, 8};
	struct gm_addr server;
	struct gm_askey as;
	struct gm_identity kdc;
	cr_assert(gm_crypto_init() && gm_addr_parse(&server, "127.0.0.1:9"));
	cr_assert_eq(gm_askey_generate(&as, "HMAC256", "as", "gm"), GM_E_OK);
	cr_assert_eq(gm_fleet_open(f, &server, port, 8, "sockets"), GM_E_OK);
	int group = gm_fleet_group(f, GROUP);
	struct gm_member_group *g = &f->groups[group];
	g->params = *params;
	cr_assert(gm_identity_make(&kdc, params));
	memcpy(g->kdc_cred, kdc.cred, kdc.cred_n);
	g->kdc_cred_n = kdc.cred_n;
	for (unsigned i = 0; i < sizeof(roles); i++) {
		struct gm_member *m = gm_fleet_add(f, &as, group, roles[i], true, 1);
		cr_assert(m && gm_identity_make(&m->own, params));
		m->state = GM_MEMBER_IN;
		m->sid_n = roles[i] != GM_ROLE_MONITOR;
		m->sid[0] = (uint8_t)(0x20 + i);
	}
	struct gm_member *knows = &f->members[0];
	knows->peers = calloc(4, sizeof(*knows->peers));
	for (uint32_t i = 0; i < 4; i++) {
		struct gm_member_peer *p = &knows->peers[knows->peers_n++];
		p->cred_n = f->members[i].own.cred_n;
		p->cred = malloc(p->cred_n);
		cr_assert(p->cred);
		memcpy(p->cred, f->members[i].own.cred, p->cred_n);
		p->roles = f->members[i].roles;
		p->sid_n = 1;
		p->sid[0] = f->members[i].sid[0];
	}
}

static void fill(struct gm_fleet *f, uint16_t port)
{
	struct gm_group_params usual = gm_group_params_default();
	fill_kind(f, port, &usual);
}

Test(traffic, members_talk_in_both_modes_and_old_keys_fail)
{
	static struct gm_fleet f;
	uint32_t state = 1;
	fill(&f, 40101);
	give_keys(&f, 1, UINT32_MAX);
	give_keys(&f, 2, UINT32_MAX);
	struct gm_traffic t = gm_traffic_sample(&f, 0, 10, dice, &state);
	cr_assert(t.pairs == 10 && t.group_mode == 10 && t.pairwise_mode == 10 && t.monitors > 0);
	cr_assert_eq(t.old_keys_refused, 20);
	cr_assert(t.learned > 0);
	cr_assert_eq(f.checks_failed, 0);
	gm_fleet_close(&f);
}

Test(traffic, notices_a_member_with_other_keys)
{
	static struct gm_fleet f;
	uint32_t state = 1;
	fill(&f, 40102);
	give_keys(&f, 1, UINT32_MAX);
	f.members[3].keys.ms[0] ^= 1;
	f.members[1].roles = f.members[2].roles = GM_ROLE_REQUESTER; /* 3 is the only responder */
	gm_traffic_sample(&f, 0, 1, dice, &state);
	cr_assert_gt(f.checks_failed, 0);
	gm_fleet_close(&f);
}

Test(traffic, an_evicted_member_reads_nothing_and_it_is_noticed_if_it_does)
{
	static struct gm_fleet f;
	fill(&f, 40103);
	give_keys(&f, 1, UINT32_MAX);
	give_keys(&f, 2, 1);
	f.members[1].state = GM_MEMBER_EVICTED;
	cr_assert_eq(gm_traffic_evicted(&f, &f.members[1]), 2);
	cr_assert_eq(f.checks_failed, 0);
	uint64_t version = f.members[1].prev.version;
	f.members[1].prev = f.members[0].keys; /* as if the rekey had changed nothing but the number */
	f.members[1].prev.version = version;
	cr_assert_eq(gm_traffic_evicted(&f, &f.members[1]), 0);
	cr_assert_gt(f.checks_failed, 0);
	gm_fleet_close(&f);
}

Test(ping, crosses_the_network_in_both_modes)
{
	static struct gm_fleet f;
	fill(&f, 40104);
	give_keys(&f, 1, UINT32_MAX);
	gm_ping_listen(&f);
	for (int pairwise = 0; pairwise < 2; pairwise++) {
		struct gm_ping p = {
		    .from = &f.members[0], .to = f.members[3].addr, .sid_n = 1, .sid = {0x23}, .pairwise = pairwise};
		cr_assert(gm_ping(&f, &p, 3000), "%s", p.fault);
		p.payload = "hello";
		cr_assert(gm_ping(&f, &p, 3000), "%s", p.fault);
	}
	gm_fleet_close(&f);
}

Test(ping, needs_a_peer_with_the_same_keys)
{
	static struct gm_fleet f;
	fill(&f, 40105);
	give_keys(&f, 1, UINT32_MAX);
	gm_ping_listen(&f);
	f.members[3].keys.ms[0] ^= 1;
	struct gm_ping p = {.from = &f.members[0], .to = f.members[3].addr, .sid_n = 1, .sid = {0x23}};
	cr_assert_not(gm_ping(&f, &p, 300));
	cr_assert_str_eq(p.fault, "no answer");
	gm_fleet_close(&f);
}

Test(ping, does_not_take_the_answer_of_somebody_else)
{
	static struct gm_fleet f;
	fill(&f, 40106);
	give_keys(&f, 1, UINT32_MAX);
	gm_ping_listen(&f);
	struct gm_ping p = {.from = &f.members[0], .to = f.members[2].addr, .sid_n = 1, .sid = {0x23}};
	cr_assert_not(gm_ping(&f, &p, 3000));
	cr_assert_str_eq(p.fault, "answer does not open");
	gm_fleet_close(&f);
}

/* ---- groups of every kind */

static const struct {
	const char *what;
	struct gm_group_params params;
} kinds[] = {
    {"ES256, AES in counter mode", {.hkdf = 5, .cred_fmt = 14, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = -65534, .sign_alg = -7, .alg = 10}},
    {"ES384, SHA-512", {.hkdf = 7, .cred_fmt = 14, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 3, .sign_alg = -35, .alg = 31}},
    {"ES512, nonces of 7 and 12 bytes", {.hkdf = 5, .cred_fmt = 14, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 12, .sign_alg = -36, .alg = 24}},
    {"signatures only", {.hkdf = 5, .cred_fmt = 14, .group_mode = true, .gp_enc_alg = -65532, .sign_alg = -8}},
    {"X25519 only", {.hkdf = 5, .cred_fmt = 14, .pairwise_mode = true, .alg = 10}},
    {"P-384 only", {.hkdf = 7, .cred_fmt = 14, .pairwise_mode = true, .alg = 1, .ecdh_crv = GM_CRV_P384}},
    {"P-521 in a certificate", {.hkdf = 5, .cred_fmt = 33, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 10, .sign_alg = -36, .alg = 10}},
    {"P-256 in C509", {.hkdf = 5, .cred_fmt = 25, .pairwise_mode = true, .alg = 10, .ecdh_crv = GM_CRV_P256}},
    {"CWT", {.hkdf = 5, .cred_fmt = 13, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 10, .sign_alg = -8, .alg = 10}},
    {"certificates", {.hkdf = 5, .cred_fmt = 33, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 10, .sign_alg = -8, .alg = 10}},
};

Test(traffic, members_talk_with_the_algorithms_of_their_group_and_old_keys_fail)
{
	static struct gm_fleet f;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct gm_group_params p = kinds[i].params;
		uint32_t state = 1;
		gm_params_complete(&p);
		cr_assert_null(gm_params_check(&p, 1), "%s", kinds[i].what);
		fill_kind(&f, (uint16_t)(40110 + i), &p);
		give_keys(&f, 1, UINT32_MAX);
		give_keys(&f, 2, UINT32_MAX);
		struct gm_traffic t = gm_traffic_sample(&f, 0, 10, dice, &state);
		cr_expect_eq(f.checks_failed, 0, "%s", kinds[i].what);
		cr_expect(t.pairs == 10 && t.group_mode == 10u * p.group_mode && t.pairwise_mode == 10u * p.pairwise_mode,
		          "%s", kinds[i].what);
		cr_expect_eq(t.old_keys_refused, 20, "%s", kinds[i].what);
		gm_fleet_close(&f);
	}
}

Test(ping, crosses_the_network_with_the_algorithms_of_the_group)
{
	static struct gm_fleet f;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct gm_group_params p = kinds[i].params;
		gm_params_complete(&p);
		fill_kind(&f, (uint16_t)(40130 + i), &p);
		give_keys(&f, 1, UINT32_MAX);
		gm_ping_listen(&f);
		for (int pairwise = !p.group_mode; pairwise <= p.pairwise_mode; pairwise++) {
			struct gm_ping ping = {
			    .from = &f.members[0], .to = f.members[3].addr, .sid_n = 1, .sid = {0x23}, .pairwise = pairwise};
			cr_expect(gm_ping(&f, &ping, 3000), "%s: %s", kinds[i].what, ping.fault);
		}
		gm_fleet_close(&f);
	}
}
