/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <gm/crypto.h>
#include "vectors.h"

#define DER_MAX 1024u
#define NOW 1790000000 /* 2026 */

static json_t *file;
static uint8_t mem[4][DER_MAX];

static void start(void)
{
	cr_assert(gm_crypto_init());
	file = gm_vectors_load("x509.json");
}

static void stop(void)
{
	json_decref(file);
}

TestSuite(x509, .init = start, .fini = stop);

static struct gm_x509_cert cert(unsigned slot, const json_t *from, const char *name)
{
	return (struct gm_x509_cert){mem[slot], gm_vectors_get(mem[slot], DER_MAX, from, name)};
}

static const json_t *end(size_t i)
{
	return json_array_get(json_object_get(file, "ends"), i);
}

Test(x509, alone_or_at_the_head_of_a_chain_gives_its_key)
{
	struct gm_x509_key k;
	uint8_t want[GM_EC_PUB_MAX];
	size_t i = 0;

	for (; end(i); i++) {
		struct gm_x509_cert chain[] = {cert(0, end(i), "der"), cert(1, file, "mid"), cert(2, file, "root")};
		for (unsigned n = 1; n <= 3; n++) {
			cr_assert(gm_x509_end_key(chain, n, true, NOW, &k), "%zu, %u", i, n);
			size_t len = gm_vectors_get(want, sizeof(want), end(i), "pub");
			cr_expect_eq(k.kty, json_integer_value(json_object_get(end(i), "kty")));
			cr_expect_eq(k.crv, json_integer_value(json_object_get(end(i), "crv")));
			cr_expect_eq((size_t)k.n * (k.kty == 2 ? 2 : 1), len);
			cr_expect_arr_eq(k.pub, want, len);
		}
	}
	cr_expect_eq(i, 5u);
}

Test(x509, chain_has_to_be_in_order_and_signed)
{
	struct gm_x509_key k;
	struct gm_x509_cert e = cert(0, end(0), "der"), m = cert(1, file, "mid"), r = cert(2, file, "root");

	cr_expect_not(gm_x509_end_key((struct gm_x509_cert[]){e, r, m}, 3, true, NOW, &k));
	cr_expect_not(gm_x509_end_key((struct gm_x509_cert[]){m, e}, 2, true, NOW, &k));
	cr_expect_not(gm_x509_end_key((struct gm_x509_cert[]){e, r}, 2, true, NOW, &k));
	struct gm_x509_cert forged = cert(3, file, "forged");
	cr_expect_not(gm_x509_end_key((struct gm_x509_cert[]){forged, m}, 2, true, NOW, &k));
}

Test(x509, bag_has_one_end_entity_wherever_it_lies)
{
	struct gm_x509_key a, b, k;
	struct gm_x509_cert e = cert(0, end(0), "der"), m = cert(1, file, "mid"), r = cert(2, file, "root");

	cr_assert(gm_x509_end_key(&e, 1, true, NOW, &k));
	cr_assert(gm_x509_end_key((struct gm_x509_cert[]){r, e, m}, 3, false, NOW, &a));
	cr_assert(gm_x509_end_key((struct gm_x509_cert[]){m, r, e}, 3, false, NOW, &b));
	cr_expect(memcmp(&a, &k, sizeof(k)) == 0 && memcmp(&b, &k, sizeof(k)) == 0);
	struct gm_x509_cert other = cert(3, end(2), "der");
	cr_expect_not(gm_x509_end_key((struct gm_x509_cert[]){e, m, other}, 3, false, NOW, &k), "which of the two?");
}

Test(x509, has_to_be_valid_at_the_time_given)
{
	struct gm_x509_key k;
	struct gm_x509_cert c = cert(0, file, "short"); /* the year 2024 */

	cr_expect(gm_x509_end_key(&c, 1, true, 1717200000, &k));
	cr_expect_not(gm_x509_end_key(&c, 1, true, 1703980800, &k), "not yet");
	cr_expect_not(gm_x509_end_key(&c, 1, true, NOW, &k), "no longer");
	cr_expect(gm_x509_end_key(&c, 1, true, -1, &k), "nobody asks");
}

Test(x509, is_refused_when_malformed_or_of_another_key)
{
	struct gm_x509_key k;
	struct gm_x509_cert c = cert(0, end(0), "der"), rsa = cert(1, file, "rsa");
	struct gm_x509_cert many[GM_X509_MAX + 1];

	cr_expect_not(gm_x509_end_key(&rsa, 1, true, NOW, &k));
	cr_expect_not(gm_x509_end_key(&c, 0, true, NOW, &k));
	for (unsigned i = 0; i <= GM_X509_MAX; i++)
		many[i] = c;
	cr_expect_not(gm_x509_end_key(many, GM_X509_MAX + 1, false, NOW, &k));
	for (size_t len = 0; len < c.len; len += 5)
		cr_expect_not(gm_x509_end_key(&(struct gm_x509_cert){c.der, len}, 1, true, NOW, &k));
	c.len++;
	cr_expect_not(gm_x509_end_key(&c, 1, true, NOW, &k), "a byte behind it");
}
