/* SPDX-License-Identifier: Apache-2.0 */
/* C509 certificates: those of the draft, and chains made in Python. */
#include <criterion/criterion.h>

#include "vectors.h"
#include "wire/c509.h"
#include "wire/cbor.h"
#include "wire/proof.h"

#define NOW 1790000000 /* 2026 */
#define CERT_MAX 512u

static json_t *file;
static uint8_t mem[4][CERT_MAX];

static void start(void)
{
	cr_assert(gm_crypto_init());
	file = gm_vectors_load("c509.json");
}

static void stop(void)
{
	json_decref(file);
}

TestSuite(c509, .init = start, .fini = stop);

static struct gm_bytes cert(unsigned slot, const json_t *from, const char *name)
{
	return (struct gm_bytes){mem[slot], gm_vectors_get(mem[slot], CERT_MAX, from, name)};
}

static const json_t *end(size_t i)
{
	return json_array_get(json_object_get(file, "ends"), i);
}

static bool is_pub(const struct gm_cred_pub *pub, const json_t *from, const char *name)
{
	uint8_t want[GM_EC_PUB_MAX];
	size_t n = gm_vectors_get(want, sizeof want, from, name);

	return (pub->kty == GM_KTY_EC2 ? 2u : 1u) * pub->n == n && memcmp(pub->x, want, pub->n) == 0 &&
	       (pub->kty != GM_KTY_EC2 || memcmp(pub->y, want + pub->n, pub->n) == 0);
}

Test(c509, gives_the_key_of_the_drafts_examples)
{
	static const char *const names[] = {"draft_native", "draft_reencoded"};
	struct gm_cred_pub pub;

	for (unsigned i = 0; i < 2; i++) {
		struct gm_bytes c = cert(0, file, names[i]);
		cr_assert(gm_c509_end_key(&c, 1, true, 1700000000, &pub), "%s", names[i]);
		cr_expect(pub.kty == GM_KTY_EC2 && pub.crv == GM_CRV_P256);
		cr_expect(is_pub(&pub, file, "draft_pub"), "%s", names[i]);
		cr_expect_not(gm_c509_end_key(&c, 1, true, NOW, &pub), "it has ended");
		cr_expect_not(gm_c509_end_key(&c, 1, true, 1600000000, &pub), "not yet");
	}
	struct gm_bytes chain[] = {cert(0, file, "draft_native"), cert(1, file, "draft_issuer")};
	cr_expect(gm_c509_end_key(chain, 2, true, 1700000000, &pub), "the draft's signature verifies");
	chain[0] = cert(0, file, "draft_reencoded");
	cr_expect_not(gm_c509_end_key(chain, 2, true, 1700000000, &pub), "its signature is over DER");
}

Test(c509, at_the_head_of_a_chain_gives_its_key_whatever_its_curve)
{
	static const char *const forms[] = {"compressed", "uncompressed"};
	struct gm_cred_pub pub;
	size_t i = 0;

	for (; end(i); i++)
		for (unsigned f = 0; f < 2; f++)
			for (unsigned n = 1; n <= 3; n++) {
				struct gm_bytes chain[] = {cert(0, end(i), forms[f]), cert(1, file, "mid"), cert(2, file, "root")};
				cr_assert(gm_c509_end_key(chain, n, true, NOW, &pub), "%zu, %s, %u", i, forms[f], n);
				cr_expect_eq(pub.kty, json_integer_value(json_object_get(end(i), "kty")));
				cr_expect_eq(pub.crv, json_integer_value(json_object_get(end(i), "crv")));
				cr_expect(is_pub(&pub, end(i), "pub"), "%zu, %s", i, forms[f]);
			}
	cr_expect_eq(i, 5u);
}

Test(c509, chain_is_signed_with_any_of_our_curves)
{
	static const char *const by[] = {"by_p256", "by_p521"};
	struct gm_cred_pub pub;

	for (unsigned i = 0; i < 2; i++) {
		const json_t *o = json_object_get(file, by[i]);
		struct gm_bytes chain[] = {cert(0, o, "cert"), cert(1, o, "issuer")};
		cr_expect(gm_c509_end_key(chain, 2, true, NOW, &pub), "%s", by[i]);
		mem[0][chain[0].n - 1] ^= 1;
		cr_expect_not(gm_c509_end_key(chain, 2, true, NOW, &pub), "%s", by[i]);
	}
}

Test(c509, chain_has_to_be_in_order_and_signed_by_the_one_named)
{
	struct gm_cred_pub pub;
	struct gm_bytes e = cert(0, end(0), "compressed"), m = cert(1, file, "mid"), r = cert(2, file, "root");

	cr_expect_not(gm_c509_end_key((struct gm_bytes[]){e, r, m}, 3, true, NOW, &pub));
	cr_expect_not(gm_c509_end_key((struct gm_bytes[]){m, e}, 2, true, NOW, &pub));
	cr_expect_not(gm_c509_end_key((struct gm_bytes[]){cert(3, file, "forged"), m}, 2, true, NOW, &pub));
	cr_expect_not(gm_c509_end_key((struct gm_bytes[]){cert(3, file, "other_name"), m}, 2, true, NOW, &pub));
	cr_expect(gm_c509_end_key((struct gm_bytes[]){cert(3, file, "short"), m}, 2, true, 1717200000, &pub));
	cr_expect_not(gm_c509_end_key((struct gm_bytes[]){cert(3, file, "short"), m}, 2, true, NOW, &pub));
}

Test(c509, bag_has_one_end_entity_wherever_it_lies)
{
	struct gm_cred_pub pub;
	struct gm_bytes e = cert(0, end(0), "compressed"), m = cert(1, file, "mid"), r = cert(2, file, "root");

	cr_assert(gm_c509_end_key((struct gm_bytes[]){r, e, m}, 3, false, NOW, &pub));
	cr_expect(is_pub(&pub, end(0), "pub"));
	cr_assert(gm_c509_end_key((struct gm_bytes[]){m, r, e}, 3, false, NOW, &pub));
	cr_expect(is_pub(&pub, end(0), "pub"));
	struct gm_bytes other = cert(3, end(1), "compressed");
	cr_expect_not(gm_c509_end_key((struct gm_bytes[]){e, m, other}, 3, false, NOW, &pub), "which of the two?");
}

/* So many, each issued by the next, and all of one name: only signatures tell who issued whom. */
static bool bag_of_one_name(unsigned n)
{
	struct gm_group_params p = gm_group_params_default();
	uint8_t bytes[GM_C509_MAX][CERT_MAX];
	struct gm_key_pair key[GM_C509_MAX];
	struct gm_bytes certs[GM_C509_MAX];
	struct gm_cred_pub pub;

	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(gm_key_pair_make(&key[i], &p, (const uint8_t[32]){(uint8_t)(i + 1)}), GM_E_OK);
	for (unsigned i = 0; i < n; i++) {
		uint8_t whole[CERT_MAX];
		struct gm_out o = gm_out(whole, sizeof whole);
		gm_c509_issue(&o, &key[i].pub, "one", "one", NOW - 1, &key[i + 1 < n ? i + 1 : i]);
		struct gm_in in = gm_in_bytes(gm_out_result(&o));
		struct gm_bytes sequence = gm_cbor_bstr(&in);
		memcpy(bytes[i], sequence.p, sequence.n);
		certs[i] = (struct gm_bytes){bytes[i], sequence.n};
	}
	return gm_c509_end_key(certs, n, false, NOW, &pub) && memcmp(pub.x, key[0].pub.x, pub.n) == 0;
}

Test(c509, bag_whose_names_say_nothing_costs_few_verifications)
{
	cr_expect(bag_of_one_name(4), "some may share a name");
	cr_expect_not(bag_of_one_name(GM_C509_MAX), "which would take 35");
}

Test(c509, is_refused_when_cut_short_or_altered)
{
	struct gm_cred_pub pub;
	struct gm_bytes c = cert(0, end(1), "compressed"), many[GM_C509_MAX + 1];

	for (size_t n = 0; n < c.n; n++)
		cr_expect_not(gm_c509_end_key(&(struct gm_bytes){c.p, n}, 1, true, NOW, &pub), "%zu", n);
	cr_expect_not(gm_c509_end_key(&(struct gm_bytes){c.p, c.n + 1}, 1, true, NOW, &pub), "a byte behind it");
	cr_expect_not(gm_c509_end_key(&c, 0, true, NOW, &pub));
	for (unsigned i = 0; i <= GM_C509_MAX; i++)
		many[i] = c;
	cr_expect_not(gm_c509_end_key(many, GM_C509_MAX + 1, false, NOW, &pub));
	struct gm_bytes off = cert(1, file, "off_curve");
	cr_expect_not(gm_c509_end_key(&off, 1, true, NOW, &pub), "no point has this x");
	mem[0][0] = 4;
	cr_expect_not(gm_c509_end_key(&c, 1, true, NOW, &pub), "a type that is not known");
	mem[0][0] = 3;
	cr_expect(gm_c509_end_key(&c, 1, true, NOW, &pub), "a re-encoded one may be compressed in its DER");
}
