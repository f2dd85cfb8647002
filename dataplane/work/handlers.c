/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as they are counted and timed: per resource and method, in counters that this worker alone writes. The clock is read
 * once for each box that has answers in it. */
#include "work/worker.h"

static const uint8_t handlers[GM_RES_N][8] = {
#define GM_HANDLER(name, res, method, resource, word) [GM_RES_##res][method] = GM_HANDLER_##name,
#include "gm/handlers.def"
};

static const uint8_t codes[256] = {
#define GM_CODE(class, detail, text) [GM_COAP(class, detail)] = GM_CODE_##class##_##detail,
#include "gm/handlers.def"
};

uint8_t gm_handler_of(enum gm_res res, uint8_t method)
{
	return method < 8 ? handlers[res][method] : GM_HANDLER_OTHER;
}

void gm_handler_answered(struct worker *w, const struct xch *x, uint8_t code)
{
	struct box *b = &w->box;
	unsigned last = b->n - 1;

	COUNT(w, answers[x->handler][codes[code]]);
	b->of[last].timed = b->timed = true;
	b->of[last].handler = x->handler;
	b->of[last].came_us = x->came_us;
}

void gm_handler_sent(struct worker *w, unsigned n)
{
	struct box *b = &w->box;
	uint32_t now_us = (uint32_t)(w->ops->now_ns(w->port) / 1000);

	for (unsigned i = 0; i < n; i++) {
		if (!b->of[i].timed)
			continue;
		uint32_t us = now_us - b->of[i].came_us;
		gm_work_hist(w->stats.hist_answer_us[b->of[i].handler], us);
		ADD(w, answer_us[b->of[i].handler], us);
	}
	b->timed = n < b->n;
}
