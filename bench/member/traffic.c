/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic.h"

#define TRIES_PER_PAIR 50u

struct end { /* a member as an endpoint of its group */
	struct gm_group_oscore ctx;
	struct gm_group_endpoint e;
	uint8_t cred[64];
};

static bool use_keys(struct end *end, struct gm_fleet *f, const struct gm_member *m, const struct gm_member_keys *k,
                     struct gm_bytes gid)
{
	const struct gm_member_group *g = &f->groups[m->group];
	struct gm_out cred = gm_out(end->cred, sizeof(end->cred));
	gm_member_cred(&cred, m);
	end->e = (struct gm_group_endpoint){
	    .sid = {.n = m->sid_n}, .cred = gm_out_result(&cred), .pub = m->pub, .seed = m->seed};
	memcpy(end->e.sid.b, m->sid, m->sid_n);
	return gm_group_oscore_init(&end->ctx, &g->params, (struct gm_bytes){k->ms, k->ms_n},
	                            (struct gm_bytes){k->salt, k->salt_n}, gid,
	                            (struct gm_bytes){g->kdc_cred, g->kdc_cred_n}) == GM_E_OK;
}

static bool use_current(struct end *end, struct gm_fleet *f, const struct gm_member *m)
{
	return m->has_keys && use_keys(end, f, m, &m->keys, (struct gm_bytes){m->keys.gid, m->keys.gid_n});
}

const struct gm_member_peer *gm_traffic_peer(const struct gm_fleet *f, unsigned group, struct gm_bytes sid)
{
	for (uint32_t i = 0; i < f->members_n; i++) {
		const struct gm_member *m = &f->members[i];
		const struct gm_member_peer *p = m->group == group && m->peers_n ? gm_member_find_peer(m, sid) : NULL;
		if (p)
			return p;
	}
	return NULL;
}

/* Opens msg as reader, whose keys may be old; the code of the inner message, 0: not readable. */
static uint8_t read_message(const struct end *reader, const struct gm_group_endpoint *sender, struct gm_bytes datagram,
                            const struct gm_group_request *request, struct gm_group_request *of)
{
	struct gm_coap msg;
	struct gm_oscore_option option;
	uint8_t text[1024];
	size_t n;
	if (gm_coap_decode(datagram, &msg) != GM_E_OK || gm_oscore_option_decode(msg.oscore, &option) != GM_E_OK)
		return 0;
	if (of)
		*of = gm_group_request_of(&option);
	if (gm_group_unwrap(&reader->ctx, &reader->e, sender, &option, msg.oscore, request, msg.payload, text,
	                    sizeof(text), &n) != GM_E_OK)
		return 0;
	return text[0];
}

static bool write_message(struct gm_member *m, const struct end *own, const struct end *peer,
                          const struct gm_group_request *request, uint8_t code, struct gm_out *pkt)
{
	uint8_t piv[GM_OSCORE_PIV_MAX];
	uint8_t piv_n = request ? 0 : gm_oscore_piv(piv, m->group_seq++);
	struct gm_oscore_outer outer = {
	    .type = GM_COAP_NON, .code = request ? GM_COAP(2, 4) : GM_COAP_POST, .mid = m->next_mid++};
	return gm_group_wrap(&own->ctx, &own->e, peer ? &peer->e : NULL, &outer, request, piv, piv_n,
	                     (struct gm_bytes){&code, 1}, pkt) == GM_E_OK;
}

static bool exchange(struct gm_fleet *f, struct gm_member *a, struct gm_member *b, const struct end *ea,
                     const struct end *eb, bool pairwise)
{
	uint8_t there[512], back[512];
	struct gm_out out = gm_out(there, sizeof(there)), answer = gm_out(back, sizeof(back));
	struct gm_group_request request;
	if (!write_message(a, ea, pairwise ? eb : NULL, NULL, GM_COAP_GET, &out) ||
	    read_message(eb, &ea->e, gm_out_result(&out), NULL, &request) != GM_COAP_GET) {
		gm_fleet_fail(f, b, pairwise ? "cannot read a pairwise request" : "cannot read a group request");
		return false;
	}
	if (!write_message(b, eb, pairwise ? ea : NULL, &request, GM_COAP(2, 5), &answer) ||
	    read_message(ea, &eb->e, gm_out_result(&answer), &request, NULL) != GM_COAP(2, 5)) {
		gm_fleet_fail(f, a, pairwise ? "cannot read a pairwise answer" : "cannot read a group answer");
		return false;
	}
	return true;
}

/* With the keys from before, once as they are and once as if they were of the new Gid. */
static unsigned cannot_read(struct gm_fleet *f, const struct gm_member *m, struct gm_bytes datagram,
                            const struct end *sender)
{
	struct end old;
	struct gm_bytes gids[] = {{m->prev.gid, m->prev.gid_n}, {sender->ctx.gid, sender->ctx.gid_n}};
	unsigned refused = 0;
	for (unsigned i = 0; i < 2; i++) {
		if (use_keys(&old, f, m, &m->prev, gids[i]) &&
		    read_message(&old, &sender->e, datagram, NULL, NULL) == 0)
			refused++;
		else
			gm_fleet_fail(f, m, "old keys open a new message");
	}
	return refused;
}

static void check_old_keys(struct gm_fleet *f, struct gm_traffic *t, struct gm_member *a, const struct end *ea,
                           const struct gm_member *reader)
{
	uint8_t bytes[512];
	struct gm_out out = gm_out(bytes, sizeof(bytes));
	if (!reader->has_prev || reader->prev.version >= a->keys.version)
		return;
	if (write_message(a, ea, NULL, NULL, GM_COAP_GET, &out))
		t->old_keys_refused += cannot_read(f, reader, gm_out_result(&out), ea);
}

/* The peer's key as the Group Manager gave it has to be the peer's. */
static void check_peer_key(struct gm_fleet *f, struct gm_traffic *t, const struct gm_member *m,
                           const struct gm_member *peer)
{
	const struct gm_member_peer *p = gm_member_find_peer(m, (struct gm_bytes){peer->sid, peer->sid_n});
	if (!p)
		t->given++;
	else if (memcmp(p->pub, peer->pub, GM_ED25519_PUB) == 0)
		t->learned++;
	else
		gm_fleet_fail(f, m, "the Group Manager gave another key for a peer");
}

static void monitor_reads(struct gm_fleet *f, struct gm_traffic *t, struct gm_member *a, const struct end *ea,
                          const struct gm_member *monitor)
{
	uint8_t bytes[512];
	struct gm_out out = gm_out(bytes, sizeof(bytes));
	struct end em;
	if (!use_current(&em, f, monitor) || !write_message(a, ea, NULL, NULL, GM_COAP_GET, &out) ||
	    read_message(&em, &ea->e, gm_out_result(&out), NULL, NULL) != GM_COAP_GET)
		gm_fleet_fail(f, monitor, "a monitor cannot read a group request");
	else
		t->monitors++;
}

struct lot {
	struct gm_fleet *f;
	int group;
	uint64_t version;
	uint32_t (*draw)(void *, uint32_t);
	void *arg;
};

static struct gm_member *pick(const struct lot *l, uint8_t role, const struct gm_member *other)
{
	for (unsigned i = 0; i < TRIES_PER_PAIR && l->f->members_n; i++) {
		struct gm_member *m = &l->f->members[l->draw(l->arg, l->f->members_n)];
		bool knows = m->peers_n || i >= TRIES_PER_PAIR / 2; /* rather one that asked for credentials */
		if (m != other && knows && m->group == l->group && m->state == GM_MEMBER_IN && m->roles & role &&
		    m->has_keys && m->keys.version == l->version)
			return m;
	}
	return NULL;
}

static void one_pair(const struct lot *l, struct gm_traffic *t)
{
	const struct gm_group_params *p = &l->f->groups[l->group].params;
	struct gm_member *a = pick(l, GM_ROLE_REQUESTER, NULL), *b = pick(l, GM_ROLE_RESPONDER, a);
	const struct gm_member *monitor = pick(l, GM_ROLE_MONITOR, NULL);
	struct end ea, eb;
	if (!a || !b)
		return;
	t->pairs++;
	if (!use_current(&ea, l->f, a) || !use_current(&eb, l->f, b)) {
		gm_fleet_fail(l->f, a, "no Group OSCORE context from the keys");
		return;
	}
	check_peer_key(l->f, t, a, b);
	check_peer_key(l->f, t, b, a);
	if (p->gp_enc_alg) {
		t->group_mode += exchange(l->f, a, b, &ea, &eb, false);
		check_old_keys(l->f, t, a, &ea, b);
		if (monitor)
			monitor_reads(l->f, t, a, &ea, monitor);
	}
	if (p->alg)
		t->pairwise_mode += exchange(l->f, a, b, &ea, &eb, true);
}

static uint64_t newest(const struct gm_fleet *f, int group)
{
	uint64_t v = 0;
	for (uint32_t i = 0; i < f->members_n; i++) {
		const struct gm_member *m = &f->members[i];
		if (m->group == group && m->state == GM_MEMBER_IN && m->has_keys && m->keys.version > v)
			v = m->keys.version;
	}
	return v;
}

struct gm_traffic gm_traffic_sample(struct gm_fleet *f, int group, unsigned sample, uint32_t (*draw)(void *, uint32_t),
                                    void *arg)
{
	struct gm_traffic t = {0};
	struct lot l = {f, group, newest(f, group), draw, arg};
	for (unsigned i = 0; i < sample; i++)
		one_pair(&l, &t);
	return t;
}

unsigned gm_traffic_evicted(struct gm_fleet *f, const struct gm_member *out)
{
	uint8_t bytes[512];
	struct gm_out pkt = gm_out(bytes, sizeof(bytes));
	struct end sender;
	uint64_t version = newest(f, out->group);
	for (uint32_t i = 0; i < f->members_n; i++) {
		struct gm_member *m = &f->members[i];
		if (m == out || m->group != out->group || m->state != GM_MEMBER_IN || !m->has_keys ||
		    m->roles == GM_ROLE_MONITOR || m->keys.version != version ||
		    (out->has_prev && version <= out->prev.version))
			continue;
		if (!use_current(&sender, f, m) || !write_message(m, &sender, NULL, NULL, GM_COAP_GET, &pkt))
			break;
		return out->has_prev ? cannot_read(f, out, gm_out_result(&pkt), &sender) : 0;
	}
	gm_fleet_fail(f, out, "nobody in its group has newer keys than the evicted member");
	return 0;
}
