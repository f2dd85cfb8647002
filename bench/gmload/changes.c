/* SPDX-License-Identifier: Apache-2.0 */
/* What a member may change, and how the others see it. */
#include "resources.h"

static const struct gm_bytes nothing;

static bool does(struct load_scene *s, struct gm_member *m, unsigned plan)
{
	return gm_fleet_run(&s->l->fleet, &m->index, 1, plan, 1, s->l->tries) == 1;
}

/* Somebody else reads the member's credential, as it is now, under its Sender ID. */
static const char *seen_by_another(struct load_scene *s, const struct gm_member *m)
{
	const struct gm_member *other = load_somebody_else(s->l, m);
	struct gm_member *reader = other ? &s->l->fleet.members[other->index] : NULL;
	if (!reader)
		return NULL;
	reader->fetch_sid_n = m->sid_n;
	memcpy(reader->fetch_sid, m->sid, m->sid_n);
	if (!does(s, reader, GM_PLAN(GM_OP_FETCH)))
		return "another member cannot fetch its credential";
	const struct gm_member_peer *p = gm_member_find_peer(reader, (struct gm_bytes){m->sid, m->sid_n});
	bool same = p && p->roles == m->roles && p->cred_n == m->own.cred_n && memcmp(p->cred, m->own.cred, p->cred_n) == 0;
	return same ? NULL : "another member gets another credential, or other roles";
}

static const char *renew(struct load_scene *s, struct gm_member *m)
{
	uint8_t old[GM_SID_MAX], old_n = m->sid_n;
	uint64_t version = m->keys.version;
	memcpy(old, m->sid, old_n);
	if (!does(s, m, GM_PLAN(GM_OP_RENEW)))
		return "not answered with 2.04";
	if (!load_know_sids(s))
		return "no memory";
	if (m->keys.version == version && m->sid_n == old_n && memcmp(m->sid, old, old_n) == 0)
		return "neither a new Sender ID nor new keys";
	return seen_by_another(s, m);
}

static const char *recred(struct load_scene *s, struct gm_member *m)
{
	if (!does(s, m, GM_PLAN(GM_OP_RECRED)))
		return "not answered with 2.04";
	return seen_by_another(s, m);
}

static const char *renew_of_monitor(struct load_scene *s, struct gm_member *m)
{
	struct gm_member_ask a = {0};
	char path[64];
	const char *fault = NULL;
	if (m->sid_n)
		return NULL;
	snprintf(path, sizeof(path), "/nodes/%s", m->node);
	if (!load_ask(s, m, GM_COAP_POST, path, nothing, GM_COAP(4, 0), &a) || !load_is_problem(&a, 1))
		fault = "a monitor gets a Sender ID";
	load_ask_free(&a);
	return fault;
}

/* From another address; who observes has to register again.                     RFC 8613 §8, RFC 7641 §4.5 */
static const char *move(struct load_scene *s, struct gm_member *m)
{
	if (!s->l->fleet.v4)
		return NULL; /* members share an address there */
	gm_fleet_move(m);
	if (!does(s, m, GM_PLAN(GM_OP_NODE)))
		return "is not answered at its new address";
	return !m->observing || does(s, m, GM_PLAN(GM_OP_OBSERVE)) ? NULL : "cannot observe from its new address";
}

/* Out, and in again: a new node, which nobody else has. */
static const char *leave_and_return(struct load_scene *s, struct gm_member *m)
{
	struct gm_member_ask a = {0};
	char node[GM_NODE_NAME_MAX + 1];
	const char *fault = NULL;
	memcpy(node, m->node, sizeof(node));
	if (!does(s, m, GM_PLAN(GM_OP_LEAVE)))
		return "leaving is not answered with 2.02";
	m->node_n = 1; /* so that it may ask at all */
	if (!load_ask(s, m, GM_COAP_GET, "/num", nothing, GM_COAP(4, 3), &a) || !load_is_problem(&a, 0))
		fault = "one who left is answered";
	m->node_n = 0;
	load_ask_free(&a);
	if (!does(s, m, GM_PLAN(GM_OP_JOIN) | (m->post ? 0 : GM_PLAN(GM_OP_OBSERVE))))
		return "cannot join again";
	if (!fault && strcmp(node, m->node) == 0)
		fault = "came back under its old node name";
	return !load_know_sids(s) ? "no memory" : fault ? fault : m->sid_n ? seen_by_another(s, m) : NULL;
}

const struct load_check_row load_changes[] = {
    {"renew", renew, true, true},
    {"renew of monitor", renew_of_monitor, false, false},
    {"recred", recred, true, true},
    {"move", move, false, true},
    {"leave and return", leave_and_return, false, true},
    {NULL, NULL, false, false},
};
