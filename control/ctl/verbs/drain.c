/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

static void set(struct gm_ctl_call *call, bool on)
{
	gm_core_drain(call->env->core, on);
	gm_ctl_put_text(call->reply, "newcomers", on ? "refused" : "let in");
	gm_ctl_row(call->reply);
	gm_ctl_end(call->reply);
}

void gm_verb_drain(struct gm_ctl_call *call)
{
	set(call, true);
}

void gm_verb_undrain(struct gm_ctl_call *call)
{
	set(call, false);
}
