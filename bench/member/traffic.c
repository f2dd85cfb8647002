/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic.h"

#define TRIES_FOR_PEERS 25u

bool gm_end_with(struct gm_end *end, const struct gm_fleet *f, const struct gm_member *m, const struct gm_member_keys *k,
                 struct gm_bytes gid)
{
	const struct gm_member_group *g = &f->groups[m->group];
	end->e = (struct gm_group_endpoint){.sid = {.n = m->sid_n},
	                                    .cred = {m->own.cred, m->own.cred_n},
	                                    .pub = &m->own.key.pub,
	                                    .key = &m->own.key};
	memcpy(end->e.sid.b, m->sid, m->sid_n);
	return gm_group_oscore_init(&end->ctx, &g->params, (struct gm_bytes){k->ms, k->ms_n},
	                            (struct gm_bytes){k->salt, k->salt_n}, gid,
	                            (struct gm_bytes){g->kdc_cred, g->kdc_cred_n}) == GM_E_OK;
}

bool gm_end_own(struct gm_end *end, const struct gm_fleet *f, const struct gm_member *m)
{
	return m->has_keys && gm_end_with(end, f, m, &m->keys, (struct gm_bytes){m->keys.gid, m->keys.gid_n});
}

bool gm_end_peer(struct gm_end *end, const struct gm_fleet *f, unsigned group, struct gm_bytes sid)
{
	const struct gm_member_peer *p = gm_traffic_peer(f, group, sid);
	if (!p || gm_cred_pub((struct gm_bytes){p->cred, p->cred_n}, &f->groups[group].params, &end->pub) != GM_E_OK)
		return false;
	end->e = (struct gm_group_endpoint){.sid = {.n = p->sid_n}, .cred = {p->cred, p->cred_n}, .pub = &end->pub};
	memcpy(end->e.sid.b, p->sid, p->sid_n);
	return true;
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
static uint8_t read_message(const struct gm_end *reader, const struct gm_group_endpoint *sender, struct gm_bytes datagram,
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

static bool write_message(struct gm_member *m, const struct gm_end *own, const struct gm_end *peer,
                          const struct gm_group_request *request, uint8_t code, struct gm_out *pkt)
{
	uint8_t piv[GM_OSCORE_PIV_MAX];
	uint8_t piv_n = request ? 0 : gm_oscore_piv(piv, m->group_seq++);
	struct gm_oscore_outer outer = {
	    .type = GM_COAP_NON, .code = request ? GM_COAP(2, 4) : GM_COAP_POST, .mid = m->next_mid++};
	return gm_group_wrap(&own->ctx, &own->e, peer ? &peer->e : NULL, &outer, request, piv, piv_n,
	                     (struct gm_bytes){&code, 1}, pkt) == GM_E_OK;
}

static bool exchange(struct gm_fleet *f, struct gm_member *a, struct gm_member *b, const struct gm_end *ea,
                     const struct gm_end *eb, bool pairwise)
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
                            const struct gm_end *sender)
{
	struct gm_end old;
	struct gm_bytes gids[] = {{m->prev.gid, m->prev.gid_n}, {sender->ctx.gid, sender->ctx.gid_n}};
	unsigned refused = 0;
	for (unsigned i = 0; i < 2; i++) {
		if (gm_end_with(&old, f, m, &m->prev, gids[i]) &&
		    read_message(&old, &sender->e, datagram, NULL, NULL) == 0)
			refused++;
		else
			gm_fleet_fail(f, m, "old keys open a new message");
	}
	return refused;
}

/* In group mode, or where there is none in pairwise mode toward the reader. */
static void check_old_keys(struct gm_fleet *f, struct gm_traffic *t, struct gm_member *a, const struct gm_end *ea,
                           const struct gm_member *reader, const struct gm_end *er)
{
	uint8_t bytes[512];
	struct gm_out out = gm_out(bytes, sizeof(bytes));
	bool group_mode = f->groups[a->group].params.group_mode;
	if (!reader->has_prev || reader->prev.version >= a->keys.version)
		return;
	if (write_message(a, ea, group_mode ? NULL : er, NULL, GM_COAP_GET, &out))
		t->old_keys_refused += cannot_read(f, reader, gm_out_result(&out), ea);
}

/* The peer's key as the Group Manager gave it has to be the peer's. */
static void check_peer_key(struct gm_fleet *f, struct gm_traffic *t, const struct gm_member *m,
                           const struct gm_member *peer)
{
	const struct gm_member_peer *p = gm_member_find_peer(m, (struct gm_bytes){peer->sid, peer->sid_n});
	if (!p)
		t->given++;
	else if (p->cred_n == peer->own.cred_n && memcmp(p->cred, peer->own.cred, p->cred_n) == 0)
		t->learned++;
	else
		gm_fleet_fail(f, m, "the Group Manager gave another key for a peer");
}

static void monitor_reads(struct gm_fleet *f, struct gm_traffic *t, struct gm_member *a, const struct gm_end *ea,
                          const struct gm_member *monitor)
{
	uint8_t bytes[512];
	struct gm_out out = gm_out(bytes, sizeof(bytes));
	struct gm_end em;
	if (!gm_end_own(&em, f, monitor) || !write_message(a, ea, NULL, NULL, GM_COAP_GET, &out) ||
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

static bool fits(const struct lot *l, const struct gm_member *m, uint8_t role)
{
	return m->group == l->group && m->state == GM_MEMBER_IN && m->roles & role && m->has_keys && m->keys.version == l->version;
}

/* Rather one that asked for credentials, but the group may be a few of many members. NULL: there is none. */
static struct gm_member *pick(const struct lot *l, uint8_t role, const struct gm_member *other)
{
	uint32_t n = l->f->members_n, from = n ? l->draw(l->arg, n) : 0;

	for (unsigned i = 0; i < TRIES_FOR_PEERS && n; i++) {
		struct gm_member *m = &l->f->members[l->draw(l->arg, n)];
		if (m != other && m->peers_n && fits(l, m, role))
			return m;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct gm_member *m = &l->f->members[(from + i) % n];
		if (m != other && fits(l, m, role))
			return m;
	}
	return NULL;
}

static void one_pair(const struct lot *l, struct gm_traffic *t)
{
	const struct gm_group_params *p = &l->f->groups[l->group].params;
	struct gm_member *a = pick(l, GM_ROLE_REQUESTER, NULL), *b = pick(l, GM_ROLE_RESPONDER, a);
	const struct gm_member *monitor = pick(l, GM_ROLE_MONITOR, NULL);
	struct gm_end ea, eb;
	if (!a || !b)
		return;
	t->pairs++;
	if (!gm_end_own(&ea, l->f, a) || !gm_end_own(&eb, l->f, b)) {
		gm_fleet_fail(l->f, a, "no Group OSCORE context from the keys");
		return;
	}
	check_peer_key(l->f, t, a, b);
	check_peer_key(l->f, t, b, a);
	check_old_keys(l->f, t, a, &ea, b, &eb);
	if (p->gp_enc_alg) {
		t->group_mode += exchange(l->f, a, b, &ea, &eb, false);
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
	struct gm_end sender, reader = {0};
	uint64_t version = newest(f, out->group);
	bool group_mode = f->groups[out->group].params.group_mode;
	for (uint32_t i = 0; i < f->members_n; i++) {
		struct gm_member *m = &f->members[i];
		if (m == out || m->group != out->group || m->state != GM_MEMBER_IN || !m->has_keys ||
		    m->roles == GM_ROLE_MONITOR || m->keys.version != version ||
		    (out->has_prev && version <= out->prev.version))
			continue;
		(void)gm_end_with(&reader, f, out, &m->keys, (struct gm_bytes){m->keys.gid, m->keys.gid_n});
		if (!gm_end_own(&sender, f, m) ||
		    !write_message(m, &sender, group_mode ? NULL : &reader, NULL, GM_COAP_GET, &pkt))
			break;
		return out->has_prev ? cannot_read(f, out, gm_out_result(&pkt), &sender) : 0;
	}
	gm_fleet_fail(f, out, "nobody in its group has newer keys than the evicted member");
	return 0;
}
