/* SPDX-License-Identifier: Apache-2.0 */
/* Rekeys that must reach everyone. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "flow_rig.h"

#define JOIN (GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_JOIN))

/* One member that joins again and again fills the stale set; the others need the next keys all the same. */
Test(rekey, with_many_stale_sender_ids_still_reaches_the_members)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *churn, *m;

	m = flow_member(r, GM_ROLE_RESPONDER, true);
	cr_assert(flow_do(r, m, JOIN));
	churn = flow_member(r, GM_ROLE_RESPONDER, true);
	cr_assert(flow_do(r, churn, JOIN));
	for (unsigned i = 0; i < 500; i++)
		cr_assert(flow_do(r, churn, GM_PLAN(GM_OP_JOIN)));
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 10000);
	cr_expect(eq(u64, m->keys.version, 1), "late=%llu", (unsigned long long)flow_status(r).late);
	flow_free(r);
}

/* The new context's mirror comes after the walk has been by. */
Test(rekey, follows_a_member_to_its_new_context)
{
	struct flow *r = flow_new(1, NULL);
	struct gm_member *m = flow_member(r, GM_ROLE_RESPONDER, true);

	for (unsigned i = 0; i < 3; i++)
		cr_assert(flow_do(r, flow_member(r, GM_ROLE_RESPONDER, true), JOIN));
	cr_assert(flow_do(r, m, JOIN));
	r->mute = true;
	cr_assert(flow_rekey(r, false) == GM_E_OK);
	flow_run(r, 500);
	r->mute = false;
	cr_assert(flow_do(r, m, GM_PLAN(GM_OP_TOKEN) | GM_PLAN(GM_OP_STALE) * 0 | GM_PLAN(GM_OP_CREDS)));
	flow_run(r, 100000);
	struct gm_core_status s = flow_status(r);
	cr_expect(eq(u64, s.confirmed + s.late, 4), "neither told nor late: confirmed=%llu late=%llu",
	          (unsigned long long)s.confirmed, (unsigned long long)s.late);
	flow_free(r);
}
