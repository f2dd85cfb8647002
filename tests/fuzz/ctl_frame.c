/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket's frames, both directions: whatever decodes has to encode to the same again. */
#include <stdlib.h>

#include "ctl/verbs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Their bodies are the same bytes in different places. */
static bool same(const struct gm_ctl_request *a, struct gm_ctl_request *b)
{
	if (!gm_bytes_eq(a->body, b->body))
		return false;
	b->body = a->body;
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void one_frame(struct gm_bytes frame)
{
	static struct gm_ctl_request request, back;
	struct gm_ctl_answer answer;
	struct gm_ctl_buf buf = {0};
	struct gm_bytes again;
	enum gm_err err;
	char why[GM_WHY];

	if (gm_ctl_answer_decode(frame, &answer) == GM_E_OK && answer.kind != GM_CTL_ERROR && !answer.pairs.p)
		abort();
	if (gm_ctl_request_decode(frame, &request) != GM_E_OK)
		return;
	const struct gm_ctl_verb *verb = gm_ctl_verb(request.verb);
	if (verb && gm_ctl_check(verb, &request, why) == GM_E_OK && request.args_n > GM_CTL_SPECS_MAX)
		abort();
	if (gm_ctl_request_append(&buf, &request) != GM_E_OK || !gm_ctl_frame_next(&buf, &again, &err) ||
	    gm_ctl_request_decode(again, &back) != GM_E_OK || !same(&request, &back))
		abort();
	gm_ctl_buf_free(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_ctl_buf buf = {0};
	struct gm_bytes frame;
	enum gm_err err;

	one_frame((struct gm_bytes){.p = data, .n = size});
	if (!gm_ctl_buf_append(&buf, data, size))
		return 0;
	while (gm_ctl_frame_next(&buf, &frame, &err)) {
		one_frame(frame);
		gm_ctl_buf_eat(&buf, 4 + frame.n);
	}
	gm_ctl_buf_free(&buf);
	return 0;
}
