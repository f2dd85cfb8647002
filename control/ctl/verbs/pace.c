/* SPDX-License-Identifier: Apache-2.0 */
#include "core/audit.h"
#include "ctl/config.h"
#include "ctl/verbs/call.h"

#include <stdio.h>

static void pace_row(struct gm_ctl_call *call, const char *network, const char *rate, const struct gm_pace_status *s)
{
	struct gm_ctl_reply *r = call->reply;
	char now[32];

	snprintf(now, sizeof(now), "%.6g", s->rate_now);
	gm_ctl_put_text(r, "network", network);
	gm_ctl_put_text(r, "rate", rate);
	gm_ctl_put_text(r, "rate_now", s->of.burst ? now : rate);
	if (s->of.burst)
		gm_ctl_put_uint(r, "burst", s->of.burst);
	else
		gm_ctl_put_text(r, "burst", NULL);
	gm_ctl_put_uint(r, "waiting", s->waiting);
	gm_ctl_put_uint(r, "sent", s->sent);
	gm_ctl_put_uint(r, "retransmitted", s->retransmitted);
	gm_ctl_put_uint(r, "halved", s->halved);
	gm_ctl_row(r);
}

/* All together: no bursts to speak of, and not slowed down. */
static void pace_of_all(struct gm_ctl_call *call)
{
	struct gm_pace_status all = {0}, s;
	char rate[32];

	for (unsigned w = 0; w < call->env->workers; w++) {
		all.sent += gm_call_look(&gm_dp_stats(call->env->dp, w)->rekey_sent);
		all.retransmitted += gm_call_look(&gm_dp_stats(call->env->dp, w)->rekey_retransmitted);
	}
	for (unsigned i = 0; gm_dp_pace(call->env->dp, i, &s); i++)
		all.waiting += s.waiting;
	unsigned now = gm_dp_pace_for_all(call->env->dp);
	snprintf(rate, sizeof(rate), "%u", now);
	pace_row(call, "all", now ? rate : "unlimited", &all);
}

/* false: said why */
static bool set_pace(struct gm_ctl_call *call)
{
	unsigned was = gm_dp_pace_for_all(call->env->dp);
	uint32_t rate = was;
	struct gm_audit a;

	if (!gm_call_uint(call, "all", GM_PACE_MAX, &rate))
		return false;
	if (gm_ctl_arg(call->request, "all") && call->request->level < GM_CTL_OPERATOR) {
		gm_call_log(call->request, "ctl.refused", "pace --all");
		gm_ctl_error(call->reply, GM_E_DENIED, "pace --all: permission denied: it takes an operator");
		return false;
	}
	if (rate == was)
		return true;
	gm_dp_set_pace_for_all(call->env->dp, rate);
	gm_call_log(call->request, "ctl.change", "pace --all");
	gm_log(GM_LOG_INFO, "pace.set rate=%u was=%u", rate, was);
	gm_audit_begin(&a, &call->txn, "paced");
	gm_audit_uint(&a, "was", was);
	gm_audit_uint(&a, "is", rate);
	gm_audit_end(&a, &call->txn);
	return true;
}

void gm_verb_pace(struct gm_ctl_call *call)
{
	struct gm_pace_status s;
	char text[GM_ADDR_TEXT], rate[32];

	if (!set_pace(call))
		return;
	if (!gm_call_skipped(call, 0) && gm_call_next_row(call, 0))
		pace_of_all(call);
	for (unsigned i = 0; gm_dp_pace(call->env->dp, i, &s); i++) {
		if (gm_call_skipped(call, i + 1))
			continue;
		if (!gm_call_next_row(call, i + 1))
			break;
		snprintf(rate, sizeof(rate), "%.6g", s.of.rate);
		pace_row(call, gm_prefix_text(&s.of.prefix, text), rate, &s);
	}
	gm_call_end_page(call);
}
