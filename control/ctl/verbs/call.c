/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl/log.h"

#define PAGE 256u /* rows of a listing in one answer */
#define PASSED_MAX 16384u /* and others that were looked at for them: nobody waits for more */

const char *gm_call_text(const struct gm_ctl_call *call, const char *key)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);
	return arg ? arg->text : "";
}

bool gm_call_flag(const struct gm_ctl_call *call, const char *key)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);
	return arg && arg->u;
}

bool gm_call_uint(struct gm_ctl_call *call, const char *key, uint64_t most, uint32_t *to)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);

	if (!arg)
		return true;
	if (arg->u > most) {
		gm_ctl_error(call->reply, GM_E_USAGE, "%s: at most %llu", key, (unsigned long long)most);
		return false;
	}
	*to = (uint32_t)arg->u;
	return true;
}

bool gm_call_copy(struct gm_ctl_call *call, const char *key, char *to, size_t cap)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);

	if (!arg)
		return true;
	if (arg->n >= cap) {
		gm_ctl_error(call->reply, GM_E_USAGE, "%s: longer than %zu bytes", key, cap - 1);
		return false;
	}
	memcpy(to, arg->text, arg->n + 1);
	return true;
}

void gm_call_log(const struct gm_ctl_request *request, const char *what, const char *verb)
{
	gm_log(GM_LOG_INFO, "%s verb=\"%s\" uid=%u level=%s", what, verb, request->uid, gm_ctl_level_text(request->level));
}

void gm_call_refuse(struct gm_ctl_call *call, enum gm_err err, const char *what, const char *name)
{
	if (err == GM_E_UNKNOWN)
		gm_ctl_error(call->reply, err, "no %s '%s'", what, name);
	else if (err == GM_E_EXISTS)
		gm_ctl_error(call->reply, err, "%s '%s' exists already", what, name);
	else
		gm_ctl_error(call->reply, err, "%s '%s': %s", what, name, gm_err_info(err)->text);
}

void gm_call_finish(struct gm_ctl_call *call, enum gm_err err, const char *what, const char *name)
{
	if (err == GM_E_OK)
		gm_ctl_end(call->reply);
	else
		gm_call_refuse(call, err, what, name);
}

static bool finds_group(void *arg, const struct gm_group_info *info)
{
	(void)info;
	*(bool *)arg = true;
	return false;
}

bool gm_call_group_exists(struct gm_ctl_call *call, const char *name)
{
	bool found = false;
	return gm_core_groups(call->env->core, name, finds_group, &found) == GM_E_OK && found;
}

/* ---- listings */

bool gm_call_next_row(struct gm_ctl_call *call, uint32_t number)
{
	call->more = call->rows == PAGE;
	if (call->more)
		return false;
	call->rows++;
	call->last = number;
	return true;
}

bool gm_call_pass_over(struct gm_ctl_call *call, uint32_t number)
{
	call->last = number;
	return gm_call_looked_at(call, 1);
}

bool gm_call_looked_at(struct gm_ctl_call *call, unsigned n)
{
	call->passed += n;
	call->more = call->passed >= PASSED_MAX;
	return !call->more;
}

void gm_call_end_page(struct gm_ctl_call *call)
{
	if (call->more)
		gm_ctl_put_uint(call->reply, "after", call->last);
	gm_ctl_end(call->reply);
}

bool gm_call_skipped(const struct gm_ctl_call *call, uint32_t number)
{
	return call->after != UINT32_MAX && number <= call->after;
}

uint64_t gm_call_look(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

struct gm_core_status gm_call_core(const struct gm_ctl_call *call)
{
	struct gm_core_status s;

	gm_core_status(call->env->core, &s);
	return s;
}

static int by_number(const void *a, const void *b)
{
	const gm_ctx_id *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

bool gm_call_one_of(const gm_ctx_id *ctx, unsigned n, gm_ctx_id id)
{
	return n && bsearch(&id, ctx, n, sizeof(*ctx), by_number) != NULL;
}
