/* SPDX-License-Identifier: Apache-2.0 */
/* Group OSCORE of the simulated members against vectors, and against frames recorded between aiocoap and Californium.
 */
#include <criterion/criterion.h>

#include "bench/member/group_oscore.h"
#include "vectors.h"

struct end { /* an endpoint with its bytes */
	uint8_t sid[7], cred[128], seed[32];
	size_t cred_n;
	struct gm_cred_pub pub;
	struct gm_key_pair key;
	struct gm_group_endpoint e;
};

struct setting {
	struct gm_group_oscore ctx;
	uint8_t gm_cred[128];
};

static void check_hex(const json_t *o, const char *name, const void *got, size_t n)
{
	uint8_t want[512];
	size_t want_n = gm_vectors_get(want, sizeof(want), o, name);
	cr_assert(want_n == n && memcmp(want, got, n) == 0, "%s differs", name);
}

static void set_up(struct setting *s, const struct gm_group_params *p, const json_t *o, const char *ms,
                   const char *salt, const char *gid, const json_t *gm, const char *cred)
{
	uint8_t a[32], b[32], g[8];
	size_t a_n = gm_vectors_get(a, sizeof(a), o, ms), b_n = gm_vectors_get(b, sizeof(b), o, salt);
	size_t g_n = gm_vectors_get(g, sizeof(g), o, gid),
	       cred_n = gm_vectors_get(s->gm_cred, sizeof(s->gm_cred), gm, cred);
	cr_assert(gm_crypto_init());
	cr_assert_eq(gm_group_oscore_init(&s->ctx, p, (struct gm_bytes){a, a_n}, (struct gm_bytes){b, b_n},
	                                  (struct gm_bytes){g, g_n}, (struct gm_bytes){s->gm_cred, cred_n}),
	             GM_E_OK);
}

static void set_end(struct end *e, const json_t *o, const char *sid, const char *cred, const char *seed,
                    const struct gm_group_params *p)
{
	e->e = (struct gm_group_endpoint){.pub = &e->pub, .key = &e->key};
	e->e.sid.n = (uint8_t)gm_hex(e->e.sid.b, sizeof(e->e.sid.b), sid);
	e->cred_n = gm_vectors_get(e->cred, sizeof(e->cred), o, cred);
	e->e.cred = (struct gm_bytes){e->cred, e->cred_n};
	cr_assert_eq(gm_vectors_get(e->seed, sizeof(e->seed), o, seed), 32);
	cr_assert_eq(gm_cred_pub(e->e.cred, p, &e->pub), GM_E_OK);
	cr_assert_eq(gm_key_pair_make(&e->key, p, e->seed), GM_E_OK);
}

struct scene {
	json_t *file;
	struct gm_group_params params;
	struct setting s;
	struct end a, b;
};

static void open_scene(struct scene *s)
{
	s->file = gm_vectors_load("group-oscore.json");
	s->params = gm_group_params_default();
	const json_t *in = json_object_get(s->file, "inputs"), *a = json_object_get(in, "A"),
	             *b = json_object_get(in, "B");
	set_up(&s->s, &s->params, in, "master_secret", "master_salt", "gid", json_object_get(in, "GM"), "cred_ccs");
	set_end(&s->a, a, json_string_value(json_object_get(a, "sid")), "cred_ccs", "seed", &s->params);
	set_end(&s->b, b, json_string_value(json_object_get(b, "sid")), "cred_ccs", "seed", &s->params);
}

Test(group_oscore, derives_the_keys_of_the_vectors)
{
	static struct scene s;
	uint8_t key[32];
	open_scene(&s);
	const json_t *d = json_object_get(s.file, "derived");
	check_hex(d, "common_iv", s.s.ctx.common_iv, 13);
	check_hex(d, "signature_encryption_key", s.s.ctx.signature_encryption_key, 16);
	gm_group_sender_key(key, &s.s.ctx, &s.a.e.sid);
	check_hex(d, "sender_key_A", key, 16);
	gm_group_sender_key(key, &s.s.ctx, &s.b.e.sid);
	check_hex(d, "sender_key_B", key, 16);
	json_decref(s.file);
}

Test(group_oscore, both_ends_derive_the_same_pairwise_keys)
{
	static struct scene s;
	uint8_t key[32], other[32];
	open_scene(&s);
	const json_t *d = json_object_get(s.file, "derived");
	cr_assert_eq(gm_group_pairwise_key(key, &s.s.ctx, &s.a.e, &s.b.e), GM_E_OK);
	check_hex(d, "pairwise_A_to_B", key, 16);
	s.a.e.key = NULL; /* as B computes it */
	cr_assert_eq(gm_group_pairwise_key(other, &s.s.ctx, &s.a.e, &s.b.e), GM_E_OK);
	cr_assert_arr_eq(key, other, 16);
	cr_assert_eq(gm_group_pairwise_key(key, &s.s.ctx, &s.b.e, &s.a.e), GM_E_OK);
	check_hex(d, "pairwise_B_to_A", key, 16);
	json_decref(s.file);
}

static struct gm_coap wrap_request(struct scene *s, const struct gm_group_endpoint *peer, uint8_t *bytes, size_t cap)
{
	static const uint8_t piv[] = {5}, plain[] = {0x01, 0xb1, 0x61};
	struct gm_oscore_outer outer = {.type = GM_COAP_NON, .code = GM_COAP_POST, .mid = 1};
	struct gm_out pkt = gm_out(bytes, cap);
	struct gm_coap msg;
	cr_assert_eq(gm_group_wrap(&s->s.ctx, &s->a.e, peer, &outer, NULL, piv, 1, (struct gm_bytes){plain, 3}, &pkt),
	             GM_E_OK);
	cr_assert_eq(gm_coap_decode(gm_out_result(&pkt), &msg), GM_E_OK);
	return msg;
}

Test(group_oscore, protects_a_group_request_as_the_vectors_say)
{
	static struct scene s;
	uint8_t bytes[256], external[256];
	open_scene(&s);
	const json_t *v = json_object_get(s.file, "group_mode_request");
	struct gm_coap msg = wrap_request(&s, NULL, bytes, sizeof(bytes));
	check_hex(v, "oscore_option", msg.oscore.p, msg.oscore.n);
	check_hex(v, "ciphertext", msg.payload.p, msg.payload.n - 64);
	check_hex(v, "enc_signature_5el", msg.payload.p + msg.payload.n - 64, 64);
	struct gm_oscore_option option;
	struct gm_out out = gm_out(external, sizeof(external));
	cr_assert_eq(gm_oscore_option_decode(msg.oscore, &option), GM_E_OK);
	struct gm_group_request r = gm_group_request_of(&option);
	gm_group_external_aad(&out, &s.s.ctx, &r, msg.oscore, s.a.e.cred);
	check_hex(v, "external_aad_bstr", external, gm_out_len(&out));
	json_decref(s.file);
}

Test(group_oscore, protects_a_pairwise_request_as_the_vectors_say)
{
	static struct scene s;
	uint8_t bytes[256];
	open_scene(&s);
	const json_t *v = json_object_get(s.file, "pairwise_mode_request");
	struct gm_coap msg = wrap_request(&s, &s.b.e, bytes, sizeof(bytes));
	check_hex(v, "oscore_option", msg.oscore.p, msg.oscore.n);
	check_hex(v, "ciphertext", msg.payload.p, msg.payload.n);
	json_decref(s.file);
}

Test(group_oscore, refuses_a_message_with_one_flipped_bit)
{
	static struct scene s;
	uint8_t bytes[256], changed[256], text[256];
	size_t n;
	open_scene(&s);
	for (int pairwise = 0; pairwise < 2; pairwise++) {
		struct gm_coap msg = wrap_request(&s, pairwise ? &s.b.e : NULL, bytes, sizeof(bytes));
		struct gm_oscore_option option;
		cr_assert_eq(gm_oscore_option_decode(msg.oscore, &option), GM_E_OK);
		for (size_t i = 0; i <= msg.payload.n; i++) {
			memcpy(changed, msg.payload.p, msg.payload.n);
			if (i < msg.payload.n)
				changed[i] ^= 1;
			enum gm_err err =
			    gm_group_unwrap(&s.s.ctx, &s.b.e, &s.a.e, &option, msg.oscore, NULL,
			                    (struct gm_bytes){changed, msg.payload.n}, text, sizeof(text), &n);
			cr_assert_eq(err, i < msg.payload.n ? GM_E_DECRYPT : GM_E_OK, "byte %zu", i);
		}
	}
	json_decref(s.file);
}

/* ---- recorded frames */

struct foreign {
	struct setting s;
	struct end ends[2];
	struct gm_group_request request; /* the latest; answers follow it */
	uint8_t requester;
};

static void set_foreign(struct foreign *f, const json_t *o, const struct gm_group_params *p)
{
	const json_t *members = json_object_get(o, "members");
	set_up(&f->s, p, o, "ms", "salt", "gid", o, "gm_cred");
	set_end(&f->ends[0], json_object_get(members, "0a"), "0a", "ccs", "ed25519_private", p);
	set_end(&f->ends[1], json_object_get(members, "0b"), "0b", "ccs", "ed25519_private", p);
}

static void open_frame(struct foreign *f, const json_t *frame, bool is_request)
{
	uint8_t bytes[1500], text[1500];
	size_t n = gm_vectors_get(bytes, sizeof(bytes), frame, "hex"), text_n;
	struct gm_coap msg, inner;
	struct gm_oscore_option option;
	cr_assert_eq(gm_coap_decode((struct gm_bytes){bytes, n}, &msg), GM_E_OK);
	cr_assert(msg.has_oscore);
	cr_assert_eq(gm_oscore_option_decode(msg.oscore, &option), GM_E_OK);
	if (is_request)
		f->requester = option.kid.p[0] == 0x0b;
	unsigned from = is_request ? f->requester : !f->requester;
	enum gm_err err = gm_group_unwrap(&f->s.ctx, &f->ends[!from].e, &f->ends[from].e, &option, msg.oscore,
	                                  is_request ? NULL : &f->request, msg.payload, text, sizeof(text), &text_n);
	cr_assert_eq(err, GM_E_OK, "frame %lld: %s", json_integer_value(json_object_get(frame, "n")),
	             gm_err_info(err)->text);
	cr_assert_eq(gm_coap_decode_inner((struct gm_bytes){text, text_n}, &inner), GM_E_OK);
	if (is_request)
		f->request = gm_group_request_of(&option);
}

Test(group_oscore, opens_every_frame_that_aiocoap_and_californium_exchanged)
{
	static struct foreign f[3];
	json_t *keys = gm_vectors_load("peers/group-oscore-cross.json"), *frame;
	FILE *wire = gm_vectors_open("peers/group-oscore-cross.wire.jsonl");
	struct gm_group_params p = gm_group_params_default();
	long long ports[3];
	unsigned frames = 0;
	for (size_t i = 0; i < 3; i++) {
		set_foreign(&f[i], json_array_get(keys, i), &p);
		ports[i] = json_integer_value(json_object_get(json_array_get(keys, i), "port"));
	}
	while ((frame = gm_vectors_next(wire)) != NULL) {
		long long src = json_integer_value(json_object_get(frame, "src")),
		          dst = json_integer_value(json_object_get(frame, "dst"));
		for (size_t i = 0; i < 3; i++)
			if (src == ports[i] || dst == ports[i]) {
				open_frame(&f[i], frame, dst == ports[i]);
				frames++;
			}
		json_decref(frame);
	}
	cr_assert_eq(frames, 24);
	json_decref(keys);
	fclose(wire);
}
