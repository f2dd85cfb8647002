/* SPDX-License-Identifier: Apache-2.0 */
#include "work/wheel.h"

#define LOOK_MS 1000u /* so far ahead */

struct timer {
	uint32_t next, prev; /* prev 0: head of its slot */
	uint64_t due_ms;
	uint32_t ref;
	uint32_t kind;
};

static struct timer *at(const struct gm_wheel *w, uint32_t h)
{
	return gm_slab_at(&w->timers, h);
}

void gm_wheel_init(struct gm_wheel *w, uint32_t max, uint64_t now_ms)
{
	*w = (struct gm_wheel){.now_ms = now_ms};
	gm_slab_init(&w->timers, sizeof(struct timer), max);
}

void gm_wheel_free(struct gm_wheel *w)
{
	gm_slab_free(&w->timers);
}

uint32_t gm_wheel_add(struct gm_wheel *w, uint64_t due_ms, unsigned kind, uint32_t ref)
{
	uint32_t h = gm_slab_get(&w->timers);

	if (!h)
		return 0;
	if (due_ms <= w->now_ms)
		due_ms = w->now_ms + 1;
	uint32_t i = due_ms % GM_WHEEL_SLOTS, *head = &w->slot[i];
	*at(w, h) = (struct timer){.next = *head, .due_ms = due_ms, .ref = ref, .kind = kind};
	if (*head)
		at(w, *head)->prev = h;
	*head = h;
	w->some[i / 64] |= UINT64_C(1) << i % 64;
	return h;
}

static void begin_with(struct gm_wheel *w, uint32_t slot, uint32_t first)
{
	w->slot[slot] = first;
	if (!first)
		w->some[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

void gm_wheel_del(struct gm_wheel *w, uint32_t h)
{
	if (!h)
		return;
	struct timer *t = at(w, h);
	if (t->prev)
		at(w, t->prev)->next = t->next;
	else
		begin_with(w, t->due_ms % GM_WHEEL_SLOTS, t->next);
	if (t->next)
		at(w, t->next)->prev = t->prev;
	gm_slab_put(&w->timers, h);
}

static uint32_t first_due(const struct gm_wheel *w, uint32_t slot)
{
	uint32_t h = w->slot[slot];

	while (h && at(w, h)->due_ms > w->now_ms)
		h = at(w, h)->next;
	return h;
}

void gm_wheel_run(struct gm_wheel *w, uint64_t now_ms, void (*fire)(void *, unsigned, uint32_t), void *arg)
{
	uint64_t from = w->now_ms + 1;

	if (now_ms <= w->now_ms)
		return;
	if (now_ms - w->now_ms > GM_WHEEL_SLOTS)
		from = now_ms - GM_WHEEL_SLOTS + 1; /* one whole turn looks at every slot */
	w->now_ms = now_ms;
	for (uint64_t tick = from; tick <= now_ms; tick++) {
		/* fire() may add and delete: start again from the head after each */
		for (uint32_t h; (h = first_due(w, tick % GM_WHEEL_SLOTS));) {
			struct timer t = *at(w, h);
			gm_wheel_del(w, h);
			fire(arg, t.kind, t.ref);
		}
	}
}

uint64_t gm_wheel_next(const struct gm_wheel *w)
{
	for (uint64_t d = 1; d < LOOK_MS;) {
		uint32_t i = (w->now_ms + d) % GM_WHEEL_SLOTS;
		uint64_t some = w->some[i / 64] >> i % 64;
		if (some) {
			d += (unsigned)__builtin_ctzll(some);
			return d < LOOK_MS ? d : LOOK_MS;
		}
		d += 64 - i % 64;
	}
	return LOOK_MS;
}
