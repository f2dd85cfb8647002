/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "ctl/frame.h"
#include "wire/cbor.h"

static struct gm_ctl_buf buf;
static struct gm_ctl_request request, back;
static struct gm_ctl_reply reply;

static void stop(void)
{
	gm_ctl_buf_free(&buf);
}

TestSuite(frame, .fini = stop);

static struct gm_bytes only_frame(void)
{
	struct gm_bytes frame = {0};
	enum gm_err err;

	cr_assert(gm_ctl_frame_next(&buf, &frame, &err));
	cr_assert_eq(frame.n + 4, buf.n - buf.at);
	return frame;
}

Test(frame, carries_a_request_there_and_back)
{
	request = (struct gm_ctl_request){.id = 300,
					  .verb = "group create",
					  .args_n = 4,
					  .args = {{.key = "group", .type = GM_CTL_TEXT, .n = 2, .text = "g1"},
						   {.key = "max-members", .type = GM_CTL_UINT, .u = 65536},
						   {.key = "inactive", .type = GM_CTL_BOOL, .u = 1},
						   {.key = "key", .type = GM_CTL_BYTES, .n = 3, .text = "\0\1\2"}}};
	cr_assert_eq(gm_ctl_request_append(&buf, &request), GM_E_OK);
	cr_assert_eq(gm_ctl_request_decode(only_frame(), &back), GM_E_OK);
	cr_expect_arr_eq(&back, &request, sizeof(request));
	cr_expect_eq(gm_ctl_arg(&back, "max-members")->u, 65536);
	cr_expect_null(gm_ctl_arg(&back, "gr"));
}

Test(frame, waits_for_the_rest_of_a_half_frame)
{
	struct gm_bytes frame;
	enum gm_err err;
	const uint8_t bytes[] = {0, 0, 0, 2, 0xa0, 0xa0, 0, 0};

	for (size_t n = 0; n < 6; n++) {
		cr_expect(!gm_ctl_frame_next(&buf, &frame, &err));
		cr_expect_eq(err, GM_E_OK);
		cr_assert(gm_ctl_buf_append(&buf, bytes + n, 1));
	}
	cr_expect(gm_ctl_frame_next(&buf, &frame, &err));
	cr_expect_eq(frame.n, 2);
}

Test(frame, refuses_a_length_beyond_1_mib)
{
	struct gm_bytes frame;
	enum gm_err err;

	cr_assert(gm_ctl_buf_append(&buf, "\x00\x10\x00\x00", 4));
	cr_expect(!gm_ctl_frame_next(&buf, &frame, &err));
	cr_expect_eq(err, GM_E_OK, "1 MiB itself is fine");
	gm_ctl_buf_eat(&buf, 4);
	cr_assert(gm_ctl_buf_append(&buf, "\x00\x10\x00\x01", 4));
	cr_expect(!gm_ctl_frame_next(&buf, &frame, &err));
	cr_expect_eq(err, GM_E_TOO_LARGE);
}

#define BYTES(s) ((struct gm_bytes){.p = (const uint8_t *)(s), .n = sizeof(s) - 1})

Test(frame, refuses_requests_that_are_none)
{
	const struct {
		struct gm_bytes frame;
		enum gm_err err;
	} rows[] = {
		{BYTES(""), GM_E_SHORT},
		{BYTES("\x80"), GM_E_TYPE},
		{BYTES("\xa1\x62id\x01"), GM_E_MISSING},
		{BYTES("\xa1\x64verb\x61x"), GM_E_MISSING},
		{BYTES("\xa2\x62id\x01\x64verb\x61x\x00"), GM_E_TRAILING},
		{BYTES("\xa2\x62id\x01\x64verb\x62x\0"), GM_E_RANGE},
		{BYTES("\xa3\x62id\x01\x62id\x01\x64verb\x61x"), GM_E_DUPLICATE},
		{BYTES("\xa3\x62id\x01\x64verb\x61x\x64"
		       "args\xa1\x61k\x80"),
		 GM_E_TYPE},
		{BYTES("\xa3\x62id\x01\x64verb\x61x\x64"
		       "args\xa2\x61k\x01\x61k\x02"),
		 GM_E_DUPLICATE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(gm_ctl_request_decode(rows[i].frame, &back), rows[i].err, "row %zu", i);
}

Test(frame, refuses_a_text_beyond_255_bytes)
{
	uint8_t frame[300] = "\xa3\x62id\x01\x64verb\x61x\x64"
			     "args\xa1\x61k\x79\x01\x00";

	memset(frame + 23, 'a', 256);
	cr_expect_eq(gm_ctl_request_decode((struct gm_bytes){frame, 23 + 256}, &back), GM_E_RANGE);
	frame[21] = 0;
	frame[22] = 255;
	cr_expect_eq(gm_ctl_request_decode((struct gm_bytes){frame, 23 + 255}, &back), GM_E_OK);
	cr_expect_eq(back.args[0].n, 255);
}

static struct gm_ctl_answer next_answer(void)
{
	struct gm_ctl_answer answer = {0};
	struct gm_bytes frame = {0};
	enum gm_err err;

	cr_assert(gm_ctl_frame_next(&buf, &frame, &err));
	cr_assert_eq(gm_ctl_answer_decode(frame, &answer), GM_E_OK);
	buf.at += 4 + frame.n; /* not eaten: the answer borrows */
	return answer;
}

Test(frame, carries_rows_and_their_end)
{
	gm_ctl_reply_init(&reply, &buf, 7);
	gm_ctl_put_uint(&reply, "n", 1);
	gm_ctl_put_text(&reply, "t", NULL);
	gm_ctl_row(&reply);
	gm_ctl_put_bool(&reply, "b", true);
	gm_ctl_end(&reply);
	cr_expect(reply.done && !reply.no_memory);

	struct gm_ctl_answer row = next_answer(), end = next_answer();
	cr_expect_eq(row.kind, GM_CTL_ROW);
	cr_expect_eq(row.id, 7);
	cr_expect(gm_bytes_eq(row.pairs, BYTES("\xa2\x61n\x01\x61t\xf6")));
	cr_expect_eq(end.kind, GM_CTL_END);
	cr_expect(gm_bytes_eq(end.pairs, BYTES("\xa1\x61"
					       "b\xf5")));
}

static struct gm_bytes text_put(const char *p, size_t n)
{
	gm_ctl_reply_init(&reply, &buf, 7);
	gm_ctl_put_text_of(&reply, "t", (struct gm_bytes){(const uint8_t *)p, n});
	gm_ctl_row(&reply);
	struct gm_in in = gm_in_bytes(next_answer().pairs);
	cr_assert_eq(gm_cbor_map(&in), 1);
	gm_cbor_skip(&in);
	struct gm_bytes text = gm_cbor_tstr(&in);
	cr_expect_eq(in.err, GM_E_OK, "it is UTF-8");
	return text;
}

Test(frame, cuts_text_from_elsewhere_behind_a_whole_character_and_marks_it)
{
	char text[600];

	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	cr_expect_eq(text_put(text, 254).n, 254);
	struct gm_bytes cut = text_put(text, sizeof(text));
	cr_expect_eq(cut.n, 255);
	cr_expect_arr_eq(cut.p, text, 252);
	cr_expect_arr_eq(cut.p + 252, "...", 3);
	memmove(text + 1, text, sizeof(text) - 1);
	text[0] = 'a';
	cut = text_put(text, sizeof(text) - 1);
	cr_expect_eq(cut.n, 254, "the character that does not fit is left out");
	cr_expect_arr_eq(cut.p + 251, "...", 3);
}

Test(frame, hides_no_text_behind_a_nul)
{
	cr_expect(gm_bytes_is(text_put("as\0evil", 7), "as?evil"));
}

Test(frame, drops_the_pairs_before_an_error)
{
	gm_ctl_reply_init(&reply, &buf, 8);
	gm_ctl_put_uint(&reply, "n", 1);
	gm_ctl_error(&reply, GM_E_UNKNOWN, "no group '%s'", "g9");

	struct gm_ctl_answer answer = next_answer();
	cr_expect_eq(answer.kind, GM_CTL_ERROR);
	cr_expect(gm_bytes_is(answer.error, "no group 'g9'"));
	cr_expect(gm_bytes_is(answer.code, "unknown"));
	cr_expect_eq(buf.at, buf.n);
}

Test(frame, keeps_what_is_left_when_the_buffer_grows)
{
	uint8_t big[10000];

	memset(big, 7, sizeof(big));
	cr_assert(gm_ctl_buf_append(&buf, "abcdef", 6));
	gm_ctl_buf_eat(&buf, 4);
	cr_assert(gm_ctl_buf_append(&buf, big, sizeof(big)));
	cr_expect_eq(buf.n - buf.at, 2 + sizeof(big));
	cr_expect_arr_eq(buf.bytes + buf.at, "ef", 2);
	cr_expect_eq(buf.bytes[buf.n - 1], 7);
	gm_ctl_buf_eat(&buf, 2 + sizeof(big));
	cr_expect_eq(buf.n, 0);
}
