/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "gm/pages.h"

/* clang-format off */
#define CORE_MEMORY(X) X(tokens) X(clients) X(members) X(texts) X(maps) X(timers) X(places) X(groups)
#define WORKER_MEMORY(X) X(contexts) X(members) X(texts) X(messages) X(timers) X(groups) X(rings)
/* clang-format on */

/* /proc/self/status: "RssAnon:     1234 kB" */
static uint64_t resident(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

static void put_resident(struct gm_ctl_call *call)
{
	char text[4096];
	FILE *f = fopen("/proc/self/status", "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	struct gm_core_status s;

	if (f)
		fclose(f);
	text[n] = '\0';
	gm_core_status(call->env->core, &s);
	uint64_t ours = resident(text, "RssAnon:") + resident(text, "RssShmem:");
	gm_ctl_put_uint(call->reply, "rss", resident(text, "VmRSS:"));
	gm_ctl_put_uint(call->reply, "anonymous_and_shared", ours);
	gm_ctl_put_uint(call->reply, "program_and_store", resident(text, "RssFile:"));
	gm_ctl_put_uint(call->reply, "bytes_per_member", s.members ? ours / s.members : 0);
}

static void put_secrets(struct gm_ctl_call *call)
{
	struct gm_pages_stats pages = gm_pages_stats();

	gm_ctl_put_uint(call->reply, "locked", pages.locked);
	gm_ctl_put_uint(call->reply, "not_locked", pages.unlocked);
	gm_ctl_put_text(call->reply, "secrets", pages.unlocked ? "beyond the limit of locked memory, kept out of dumps"
	                                                       : "in locked memory, kept out of dumps");
}

void gm_call_memory(struct gm_ctl_call *call)
{
	struct gm_ctl_reply *r = call->reply;
	struct gm_core_memory core;

	gm_ctl_put_text(r, "what", "memory");
	put_resident(call);
	put_secrets(call);
	gm_core_memory(call->env->core, &core);
#define X(name) gm_ctl_put_uint(r, "core_" #name, core.name);
	CORE_MEMORY(X)
#undef X
#define X(name)                                                                                                        \
	{                                                                                                              \
		uint64_t sum = 0;                                                                                      \
		for (unsigned w = 0; w < call->env->workers; w++)                                                      \
			sum += gm_call_look(&gm_dp_stats(call->env->dp, w)->mem_##name);                                       \
		gm_ctl_put_uint(r, "worker_" #name, sum);                                                              \
	}
	WORKER_MEMORY(X)
#undef X
	uint64_t rings = 0;
	for (unsigned w = 0; w < call->env->workers; w++)
		rings += gm_dp_touched(call->env->dp, w);
	gm_ctl_put_uint(r, "core_rings", rings);
	gm_ctl_put_uint(r, "worker_roster", call->env->dp ? gm_dp_roster_bytes(call->env->dp) : 0);
	gm_ctl_row(r);
}
