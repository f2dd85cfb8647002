/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gm/crypto.h"
#include "vectors.h"
#include "wire/cbor.h"
#include "wire/cose.h"

#define CAP 1024u

static void setup(void)
{
	cr_assert(gm_crypto_init());
}

TestSuite(cose, .init = setup);

struct buffer { /* bytes and how many */
	uint8_t b[CAP];
	size_t n;
};

static struct gm_bytes of(const struct buffer *x)
{
	return (struct gm_bytes){x->b, x->n};
}

static struct buffer hex(const char *text)
{
	struct buffer x;
	x.n = gm_hex(x.b, sizeof x.b, text);
	return x;
}

static struct gm_cose_key hex_key(int32_t alg, const char *text)
{
	struct gm_cose_key key = {.alg = alg};
	key.key_n = (uint8_t)gm_hex(key.key, sizeof key.key, text);
	return key;
}

/* One key to protect and one to open, for each algorithm */
struct pair {
	struct gm_cose_key priv, pub;
};

static struct pair make_pair(int32_t alg)
{
	struct pair p = {.priv = {.alg = alg}, .pub = {.alg = alg}};
	const struct gm_aead_info *info = gm_aead_info(alg);

	if (alg == GM_ALG_EDDSA || alg == GM_ALG_ED25519) {
		p.priv.key_n = p.pub.key_n = 32;
		gm_random(p.priv.key, 32);
		gm_ed25519_public(p.pub.key, p.priv.key);
	} else if (alg == GM_ALG_ES256) {
		p.priv.key_n = 32;
		p.pub.key_n = 64;
		cr_assert(gm_es256_keygen(p.pub.key, p.priv.key));
	} else {
		p.priv.key_n = info ? info->key_len : 32;
		gm_random(p.priv.key, p.priv.key_n);
		p.pub = p.priv;
	}
	return p;
}

static const uint8_t iv[13] = "a nonce of 13";
static const struct gm_bytes payload = {(const uint8_t *)"the payload", 11};

static struct buffer protect(const struct gm_cose_key *key)
{
	struct buffer x;
	struct gm_out o = gm_out(x.b, sizeof x.b);
	cr_assert_eq(gm_cose_protect(&o, key, iv, payload), GM_E_OK, "alg %d", key->alg);
	x.n = gm_out_len(&o);
	return x;
}

static enum gm_err decode_and_open(struct gm_bytes token, const struct gm_cose_key *key, struct buffer *out)
{
	struct gm_cose msg;
	GM_TRY(gm_cose_decode(token, &msg));
	return gm_cose_open(&msg, key, out->b, sizeof out->b, &out->n);
}

static const int32_t all[] = {1,
                              2,
                              3,
                              10,
                              11,
                              12,
                              13,
                              24,
                              30,
                              31,
                              32,
                              33,
                              GM_ALG_HMAC_256,
                              GM_ALG_HMAC_256_64,
                              GM_ALG_EDDSA,
                              GM_ALG_ED25519,
                              GM_ALG_ES256};
#define ALL_N (sizeof all / sizeof all[0])

Test(cose, opens_what_it_protects_under_every_algorithm)
{
	for (size_t i = 0; i < ALL_N; i++) {
		struct pair p = make_pair(all[i]);
		struct buffer token = protect(&p.priv), out;
		cr_expect_eq(decode_and_open(of(&token), &p.pub, &out), GM_E_OK, "alg %d", all[i]);
		cr_expect(gm_bytes_eq(of(&out), payload), "alg %d", all[i]);
	}
}

Test(cose, opens_an_empty_payload)
{
	for (size_t i = 0; i < ALL_N; i++) {
		struct pair p = make_pair(all[i]);
		struct buffer out, x;
		struct gm_out o = gm_out(x.b, sizeof x.b);
		cr_assert_eq(gm_cose_protect(&o, &p.priv, iv, (struct gm_bytes){0}), GM_E_OK);
		cr_expect_eq(decode_and_open(gm_out_result(&o), &p.pub, &out), GM_E_OK, "alg %d", all[i]);
		cr_expect_eq(out.n, 0);
	}
}

Test(cose, does_not_open_under_another_key_of_the_same_algorithm)
{
	for (size_t i = 0; i < ALL_N; i++) {
		struct pair mine = make_pair(all[i]), other = make_pair(all[i]);
		struct buffer token = protect(&mine.priv), out;
		cr_expect_eq(decode_and_open(of(&token), &other.pub, &out), GM_E_TOKEN_KEY, "alg %d", all[i]);
	}
}

Test(cose, does_not_open_with_any_bit_changed)
{
	for (size_t i = 0; i < ALL_N; i++) {
		struct pair p = make_pair(all[i]);
		struct buffer token = protect(&p.priv), out;
		for (size_t bit = 0; bit < 8 * token.n; bit++) {
			token.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
			cr_expect_neq(decode_and_open(of(&token), &p.pub, &out), GM_E_OK, "alg %d bit %zu", all[i],
			              bit);
			token.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

Test(cose, does_not_open_when_cut_short)
{
	for (size_t i = 0; i < ALL_N; i++) {
		struct pair p = make_pair(all[i]);
		struct buffer token = protect(&p.priv), out;
		for (size_t n = 0; n < token.n; n++)
			cr_expect_eq(decode_and_open((struct gm_bytes){token.b, n}, &p.pub, &out), GM_E_TOKEN_PARSE);
	}
}

Test(cose, never_opens_under_a_key_of_another_algorithm)
{
	struct pair a = make_pair(GM_ALG_EDDSA);
	struct buffer out;
	struct gm_cose_key hmac = {.alg = GM_ALG_HMAC_256, .key_n = 32};
	memcpy(hmac.key, a.pub.key, 32); /* a MAC under the public key must not pass for a signature */
	struct buffer token = protect(&hmac);
	cr_expect_eq(decode_and_open(of(&token), &a.pub, &out), GM_E_TOKEN_KEY);
}

Test(cose, takes_eddsa_and_ed25519_for_one_algorithm)
{
	struct pair a = make_pair(GM_ALG_EDDSA);
	struct buffer out;
	a.priv.alg = GM_ALG_ED25519;
	struct buffer token = protect(&a.priv);
	cr_expect_eq(decode_and_open(of(&token), &a.pub, &out), GM_E_OK);
}

Test(cose, skips_keys_with_another_kid)
{
	struct pair a = make_pair(10);
	struct gm_cose msg;
	memcpy(a.priv.kid, "as1", 3);
	a.priv.kid_n = 3;
	struct buffer token = protect(&a.priv);
	cr_assert_eq(gm_cose_decode(of(&token), &msg), GM_E_OK);
	cr_expect(gm_cose_key_fits(&msg, &a.priv));
	cr_expect(gm_cose_key_fits(&msg, &a.pub), "a key without kid fits any");
	a.priv.kid[0] = 'b';
	cr_expect_not(gm_cose_key_fits(&msg, &a.priv));
}

Test(cose, does_not_open_with_a_key_that_has_another_kid)
{
	struct pair a = make_pair(10);
	struct buffer out;
	memcpy(a.priv.kid, "as1", 3);
	a.priv.kid_n = 3;
	struct buffer token = protect(&a.priv);
	a.priv.kid[0] = 'b';
	cr_expect_eq(decode_and_open(of(&token), &a.priv, &out), GM_E_TOKEN_KEY);
}

Test(cose, keys_fit_their_own_algorithm_only)
{
	for (size_t i = 0; i < ALL_N; i++) {
		struct pair p = make_pair(all[i]);
		struct buffer token = protect(&p.priv);
		struct gm_cose msg;
		cr_assert_eq(gm_cose_decode(of(&token), &msg), GM_E_OK);
		for (size_t k = 0; k < ALL_N; k++) {
			bool same =
			    all[i] == all[k] || (all[i] + all[k] == GM_ALG_EDDSA + GM_ALG_ED25519 && all[i] < -7);
			cr_expect_eq(gm_cose_key_fits(&msg, &(struct gm_cose_key){.alg = all[k]}), same, "%d %d",
			             all[i], all[k]);
		}
	}
}

/* COSE_Encrypt0 and COSE_Mac0 without alg, a nonce of iv_n bytes and a tag of tag_n bytes */
static struct buffer build(int tag, size_t iv_n, struct gm_bytes text, size_t tag_n)
{
	static const uint8_t zeros[64];
	struct buffer x;
	struct gm_out o = gm_out(x.b, sizeof x.b);
	gm_cbor_put_tag(&o, (uint64_t)tag);
	gm_cbor_put_array(&o, tag == GM_COSE_ENCRYPT0 ? 3 : 4);
	gm_cbor_put_bstr(&o, "", 0);
	gm_cbor_put_map(&o, 1);
	gm_cbor_put_int(&o, 5);
	gm_cbor_put_bstr(&o, zeros, iv_n);
	gm_cbor_put_bstr(&o, text.p, text.n);
	if (tag != GM_COSE_ENCRYPT0)
		gm_cbor_put_bstr(&o, zeros, tag_n);
	x.n = gm_out_len(&o);
	return x;
}

Test(cose, a_message_without_alg_fits_keys_of_its_kind_only)
{
	static const int kinds[] = {GM_COSE_ENCRYPT0, GM_COSE_MAC0, GM_COSE_SIGN1};
	for (size_t k = 0; k < 3; k++) {
		struct buffer token = build(kinds[k], 13, payload, 8), out;
		struct gm_cose msg;
		cr_assert_eq(gm_cose_decode(of(&token), &msg), GM_E_OK);
		for (size_t i = 0; i < ALL_N; i++) {
			struct pair p = make_pair(all[i]);
			int want = gm_aead_info(all[i]) ? GM_COSE_ENCRYPT0 : all[i] > 0 ? GM_COSE_MAC0 : GM_COSE_SIGN1;
			cr_expect_eq(gm_cose_key_fits(&msg, &p.pub), want == kinds[k], "%d", all[i]);
			cr_expect_eq(decode_and_open(of(&token), &p.pub, &out), GM_E_TOKEN_KEY, "%d", all[i]);
		}
	}
}

Test(cose, does_not_open_a_nonce_of_another_length)
{
	struct gm_cose_key key = {.alg = 10, .key_n = 16};
	struct buffer sealed = {.n = payload.n}, out;
	memcpy(sealed.b, payload.p, payload.n);
	cr_assert(gm_aead_seal(10, key.key, (uint8_t[13]){0},
	                       (const uint8_t *)"\x83\x68"
	                                        "Encrypt0\x40\x40",
	                       12, sealed.b, sealed.n));
	sealed.n += 8;
	for (size_t n = 0; n < 20; n++) {
		struct buffer token = build(GM_COSE_ENCRYPT0, n, of(&sealed), 0);
		cr_expect_eq(decode_and_open(of(&token), &key, &out), n == 13 ? GM_E_OK : GM_E_TOKEN_KEY, "%zu", n);
	}
}

Test(cose, does_not_open_a_ciphertext_shorter_than_its_tag)
{
	struct gm_cose_key key = {.alg = 30, .key_n = 16};
	struct buffer out;
	for (size_t n = 0; n < 16; n++) {
		struct buffer token = build(GM_COSE_ENCRYPT0, 13, (struct gm_bytes){iv, n % 13}, 0);
		cr_expect_eq(decode_and_open(of(&token), &key, &out), GM_E_TOKEN_KEY);
	}
}

Test(cose, does_not_accept_the_first_bytes_of_a_mac)
{
	struct gm_cose_key key = {.alg = GM_ALG_HMAC_256, .key_n = 32};
	struct buffer whole = protect(&key), out;
	struct gm_cose msg;
	cr_assert_eq(gm_cose_decode(of(&whole), &msg), GM_E_OK);
	for (size_t n = 0; n <= 32; n++) {
		msg.tag.n = n;
		cr_expect_eq(gm_cose_open(&msg, &key, out.b, sizeof out.b, &out.n), n == 32 ? GM_E_OK : GM_E_TOKEN_KEY);
	}
}

Test(cose, refuses_to_protect_with_an_unknown_algorithm_or_a_key_of_the_wrong_size)
{
	uint8_t b[CAP];
	struct gm_out o = gm_out(b, sizeof b);
	cr_expect_eq(gm_cose_protect(&o, &(struct gm_cose_key){.alg = 99, .key_n = 16}, iv, payload), GM_E_USAGE);
	for (size_t i = 0; i < ALL_N; i++)
		cr_expect_eq(gm_cose_protect(&o, &(struct gm_cose_key){.alg = all[i], .key_n = 15}, iv, payload),
		             GM_E_USAGE);
}

Test(cose, says_room_when_the_output_is_too_small)
{
	for (size_t i = 0; i < ALL_N; i++) {
		struct pair p = make_pair(all[i]);
		struct buffer token = protect(&p.priv);
		uint8_t b[CAP];
		struct gm_cose msg;
		size_t n;
		for (size_t cap = 0; cap < token.n; cap += 7) {
			struct gm_out o = gm_out(b, cap);
			cr_expect_eq(gm_cose_protect(&o, &p.priv, iv, payload), GM_E_ROOM);
		}
		cr_assert_eq(gm_cose_decode(of(&token), &msg), GM_E_OK);
		cr_expect_eq(gm_cose_open(&msg, &p.pub, b, payload.n - 1, &n), GM_E_ROOM);
	}
}

Test(cose, output_is_tagged_and_has_an_empty_unprotected_header)
{
	struct pair p = make_pair(10);
	struct buffer token = protect(&p.priv);
	struct gm_in in = gm_in_bytes(of(&token));
	cr_expect_eq(gm_cbor_tag(&in), GM_CBOR_TAG_CWT);
	cr_expect_eq(gm_cbor_tag(&in), GM_COSE_ENCRYPT0);
	cr_expect_eq(gm_cbor_array(&in), 3);
	gm_cbor_skip(&in);
	cr_expect_eq(gm_cbor_map(&in), 0);
}

/* ---- RFC 8392 Appendix A: one set of claims, three protections */

#define CLAIMS                                                                                                         \
	"a70175636f61703a2f2f61732e6578616d706c652e636f6d02656572696b77037818636f61703a2f2f6c696768742e6578616d706c"   \
	"652e636f6d041a5612aeb0051a5610d9f0061a5610d9f007420b71"
#define SIGN_KEY                                                                                                       \
	"143329cce7868e416927599cf65a34f3ce2ffda55a7eca69ed8919a394d42f0f60f7f1a780d8a783bfb7a2dd6b2796e8128dbbcef9"   \
	"d3d168db9529971a36e7b9"
#define MAC_KEY "403697de87af64611c1d32a05dab0fe1fcb715a86ab435f1ec99192d79569388"
#define SIGNED_HEAD "8443a10126a104524173796d6d657472696345434453413235365850"
#define SIGNED_TAIL                                                                                                    \
	"58405427c1ff28d23fbad1f29c4c7c6a555e601d6fa29f9179bc3d7438bacaca5acd08c8d4d4f96131680c429a01f85951ecee743a"   \
	"52b9b63632c57209120e1c9e30"
#define MACED "8443a10104a1044c53796d6d65747269633235365850" CLAIMS "48093101ef6d789200"
#define ENCRYPTED                                                                                                      \
	"8343a1010aa2044c53796d6d6574726963313238054d99a0d7846e762c49ffe8a63e0b5858b918a11fd81e438b7f973d9e2e119bcb"   \
	"22424ba0f38a80f27562f400ee1d0d6c0fdb559c02421fd384fc2ebe22d7071378b0ea7428fff157444d45f7e6afcda1aae5f64958"   \
	"30c58627087fc5b4974f319a8707a635dd643b"

static void expect_claims(const char *token_hex, struct gm_cose_key key)
{
	struct buffer token = hex(token_hex), want = hex(CLAIMS), out = {.n = 0};
	cr_expect_eq(decode_and_open(of(&token), &key, &out), GM_E_OK, "%s", token_hex);
	cr_expect(gm_bytes_eq(of(&out), of(&want)), "%s", token_hex);
}

Test(cose, opens_the_examples_of_rfc_8392_appendix_a)
{
	expect_claims("d2" SIGNED_HEAD CLAIMS SIGNED_TAIL, hex_key(GM_ALG_ES256, SIGN_KEY));
	expect_claims("d83dd1" MACED, hex_key(GM_ALG_HMAC_256_64, MAC_KEY));
	expect_claims("d0" ENCRYPTED, hex_key(10, "231f4c4d4d3051fdc2ec0a3851d5b383"));
}

Test(cose, finds_the_kind_of_an_untagged_message)
{
	expect_claims(SIGNED_HEAD CLAIMS SIGNED_TAIL, hex_key(GM_ALG_ES256, SIGN_KEY));
	expect_claims(MACED, hex_key(GM_ALG_HMAC_256_64, MAC_KEY));
	expect_claims(ENCRYPTED, hex_key(10, "231f4c4d4d3051fdc2ec0a3851d5b383"));
}

static enum gm_err decode(const char *text, struct gm_cose *msg)
{
	static struct buffer x;
	x = hex(text);
	return gm_cose_decode(of(&x), msg);
}

Test(cose, takes_an_empty_protected_map_for_an_empty_string)
{
	struct gm_cose msg;
	cr_assert_eq(decode("d08341a0a1010a4100", &msg), GM_E_OK);
	cr_expect_eq(msg.protected_.n, 0);
	cr_expect_eq(msg.alg, 10);
	cr_assert_eq(decode("d08340a1010a4100", &msg), GM_E_OK);
	cr_expect_eq(msg.alg, 10);
}

Test(cose, reads_kid_and_iv_from_either_header)
{
	struct gm_cose msg;
	cr_assert_eq(decode("d08343a1010aa2044101054202034100", &msg), GM_E_OK);
	cr_expect_eq(msg.kid.n, 1);
	cr_expect_eq(msg.iv.n, 2);
	cr_assert_eq(decode("d08349a3010a04410105414fa04100", &msg), GM_E_OK);
	cr_expect_eq(msg.kid.n, 1);
	cr_expect_eq(msg.iv.n, 1);
}

/* Everything that is no COSE message we take                                             RFC 9052 §4, RFC 8392 §7.2 */
static const struct {
	const char *what, *hex;
} refused[] = {
    {"nothing", ""},
    {"a map", "a0"},
    {"a text", "6161"},
    {"two elements", "d08240a0"},
    {"five elements", "85404040a040"},
    {"Encrypt0 of four elements", "d08443a1010aa041004100"},
    {"Sign1 of three elements", "d28343a10127a04100"},
    {"COSE_Encrypt", "d8608443a1010aa0410080"},
    {"COSE_Sign", "d8628443a1010aa0410080"},
    {"an unknown tag", "c18343a1010aa04100"},
    {"the CWT tag twice", "d83dd83dd08343a1010aa04100"},
    {"the CWT tag around an untagged message", "d83d8343a1010aa04100"},
    {"the CWT tag inside", "d0d83d8343a1010aa04100"},
    {"trailing bytes", "d08343a1010aa0410000"},
    {"trailing bytes in the protected header", "d08344a1010a00a04100"},
    {"a protected header that is an array", "d0834181a04100"},
    {"a protected header that is no byte string", "d083a1010aa04100"},
    {"an unprotected header that is an array", "d08343a1010a804100"},
    {"one label twice in one header", "d08345a2010a010aa04100"},
    {"one label in both headers", "d08343a1010aa1010a4100"},
    {"alg as text", "d08344a1016161a04100"},
    {"kid that is no byte string", "d08343a1010aa104014100"},
    {"a detached payload", "d08343a1010aa0f6"},
    {"indefinite length", "d09f43a1010aa04100ff"},
    {"a critical header that is unknown", "d08348a3010a028118631863f5a04100"},
    {"a critical header that is missing", "d08346a2010a028104a04100"},
    {"an empty list of critical headers", "d08345a2010a0280a04100"},
    {"critical headers in the open", "d08343a1010aa10281014100"},
    {"untagged four elements without alg", "8440a041004100"},
    {"untagged four elements with an unknown alg", "8443a10110a041004100"},
};

Test(cose, refuses_what_is_no_single_recipient_message)
{
	struct gm_cose msg;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		cr_expect_eq(decode(refused[i].hex, &msg), GM_E_TOKEN_PARSE, "%s", refused[i].what);
}

Test(cose, accepts_a_critical_header_that_it_understands)
{
	struct gm_cose msg;
	cr_expect_eq(decode("d08346a2010a028101a04100", &msg), GM_E_OK);
}

Test(cose, refuses_a_protected_header_longer_than_256_bytes)
{
	struct buffer x;
	struct gm_out o = gm_out(x.b, sizeof x.b), h;
	uint8_t header[300] = {0};
	struct gm_cose msg;

	h = gm_out(header, sizeof header);
	gm_cbor_put_map(&h, 1);
	gm_cbor_put_int(&h, 4);
	gm_cbor_put_bstr_head(&h, 253);
	gm_cbor_put_array(&o, 3);
	gm_cbor_put_bstr(&o, header, gm_out_len(&h) + 253);
	gm_cbor_put_map(&o, 0);
	gm_cbor_put_bstr(&o, "", 0);
	cr_expect_eq(gm_cose_decode(gm_out_result(&o), &msg), GM_E_TOKEN_PARSE);
}

/* ---- one form only                                                                      RFC 9770 §3 */

static bool strict(struct gm_bytes token, const struct gm_cose_key *key)
{
	struct gm_cose msg;
	return gm_cose_decode(token, &msg) == GM_E_OK && gm_cose_strict(token, &msg, key);
}

/* Replaces n bytes at `at` with those of text. */
static struct buffer varied(const struct buffer *x, size_t at, size_t n, const char *text)
{
	struct buffer y = *x, with = hex(text);
	memmove(y.b + at + with.n, y.b + at + n, y.n - at - n);
	memcpy(y.b + at, with.b, with.n);
	y.n = y.n - n + with.n;
	return y;
}

Test(cose, strict_takes_what_it_protects_under_every_algorithm)
{
	for (size_t i = 0; i < ALL_N; i++)
		for (unsigned n = 0; n < 16; n++) {
			struct pair p = make_pair(all[i]);
			struct buffer token = protect(&p.priv), out;
			cr_expect(strict(of(&token), &p.pub), "alg %d", all[i]);
			cr_expect_eq(decode_and_open(of(&token), &p.pub, &out), GM_E_OK, "alg %d", all[i]);
		}
}

Test(cose, strict_refuses_every_variation_that_still_opens)
{
	for (size_t i = 0; i < ALL_N; i++) {
		struct pair p = make_pair(all[i]);
		struct buffer t = protect(&p.priv), out;
		size_t map = 3u + 1u + 1u + t.b[4] % 0x40; /* d8 3d dX 8N 4N protected a0 */
		if (t.b[4] >= 0x58)
			map = 3u + 1u + 2u + t.b[5];
		cr_assert_eq(t.b[map], 0xa0);
		struct buffer v[] = {
		    varied(&t, 0, 2, ""),                /* without tag 61 */
		    varied(&t, 0, 3, ""),                /* without tags */
		    varied(&t, 0, 2, "d9003d"),          /* longer heads */
		    varied(&t, 2, 1, t.b[2] == 0xd0 ? "d810" : t.b[2] == 0xd1 ? "d811" : "d812"),
		    varied(&t, 3, 1, t.b[3] == 0x83 ? "9803" : "9804"),
		    varied(&t, map, 1, "b800"),
		    varied(&t, map, 1, "a118631863"),    /* something unprotected */
		    varied(&t, map + 1, 1, t.b[map + 1] >= 0x58 ? "5900" : t.b[map + 1] == 0x4b ? "580b" : "5818"),
		    varied(&t, 4, 1, t.b[4] >= 0x58 ? "5900" : "5800"),
		};
		if (t.b[4] < 0x58)
			v[8].b[5] = t.b[4] & 0x3f;
		if (t.b[map + 1] < 0x58)
			v[7].b[map + 2] = t.b[map + 1] & 0x3f;
		for (size_t k = 0; k < sizeof v / sizeof *v; k++) {
			bool opens = decode_and_open(of(&v[k]), &p.pub, &out) == GM_E_OK;
			cr_expect(opens || k == 1, "alg %d, variation %zu: shows nothing", all[i], k);
			cr_expect(!strict(of(&v[k]), &p.pub), "alg %d, variation %zu", all[i], k);
		}
		struct buffer kid = p.pub.kid_n ? t : varied(&t, map, 1, "a1044101");
		cr_expect_eq(decode_and_open(of(&kid), &p.pub, &out), GM_E_OK);
		cr_expect(!strict(of(&kid), &p.pub), "alg %d, a kid unprotected", all[i]);
	}
}

Test(cose, strict_takes_one_of_the_two_es256_signatures)
{
	static const uint8_t order[] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	                                0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
	for (unsigned n = 0; n < 32; n++) {
		struct pair p = make_pair(GM_ALG_ES256);
		struct buffer t = protect(&p.priv), out;
		uint8_t *s = t.b + t.n - 32;
		cr_expect(strict(of(&t), &p.pub));
		for (int i = 31, borrow = 0; i >= 0; i--) {
			int v = order[i] - s[i] - borrow;
			borrow = v < 0;
			s[i] = (uint8_t)v;
		}
		cr_expect_eq(decode_and_open(of(&t), &p.pub, &out), GM_E_OK, "the other one verifies");
		cr_expect(!strict(of(&t), &p.pub));
	}
}

Test(cose, strict_wants_nothing_protected_as_an_empty_string)
{
	/* a MAC of an AS that names no algorithm; what it is over is the same for 40 and 41a0 */
	struct gm_cose_key key = {.alg = GM_ALG_HMAC_256, .key_n = 32};
	uint8_t text[64], mac[32];
	struct gm_out o = gm_out(text, sizeof text);

	gm_cbor_put_array(&o, 4);
	gm_cbor_put_text(&o, "MAC0");
	gm_cbor_put_bstr(&o, "", 0);
	gm_cbor_put_bstr(&o, "", 0);
	gm_cbor_put_bstr(&o, payload.p, payload.n);
	gm_hmac_sha256(mac, key.key, key.key_n, text, gm_out_len(&o));
	for (unsigned form = 0; form < 2; form++) {
		struct buffer x, out;
		struct gm_out t = gm_out(x.b, sizeof x.b);
		gm_out_be(&t, 0xd83dd184, 4);
		gm_cbor_put_bstr(&t, "\xa0", form);
		gm_cbor_put_map(&t, 0);
		gm_cbor_put_bstr(&t, payload.p, payload.n);
		gm_cbor_put_bstr(&t, mac, sizeof mac);
		x.n = gm_out_len(&t);
		cr_expect_eq(decode_and_open(of(&x), &key, &out), GM_E_OK);
		cr_expect_eq(strict(of(&x), &key), form == 0);
	}
}
