/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "vectors.h"
#include "wire/introspect.h"

static enum gm_err decode(const char *text, bool *active, struct gm_cwt *claims)
{
	static uint8_t body[512];

	return gm_introspect_decode((struct gm_bytes){body, gm_hex(body, sizeof body, text)}, active, claims);
}

#define CLAIMS "041a62cb9e24" "08a104a200410102420202" "09428080" /* exp, cnf with osc, scope */

Test(introspect, asks_by_the_token_alone)
{
	uint8_t buf[16], want[16];
	struct gm_out o = gm_out(buf, sizeof buf);

	gm_introspect_encode(&o, (struct gm_bytes){(const uint8_t *)"ref", 3});
	size_t n = gm_hex(want, sizeof want, "a10b43726566");
	cr_expect_eq(gm_out_len(&o), n);
	cr_expect_eq(memcmp(buf, want, n), 0);
}

Test(introspect, reads_the_claims_of_an_active_token)
{
	struct gm_cwt claims;
	bool active;

	cr_expect_eq(decode("a40af5" CLAIMS, &active, &claims), GM_E_OK);
	cr_expect(active && claims.has_osc && claims.osc.id.n == 1 && claims.osc.ms.n == 2 && claims.scope.n == 2);
	cr_expect_eq(claims.exp, 0x62cb9e24);
}

Test(introspect, reads_nothing_of_one_that_is_not_active)
{
	struct gm_cwt claims;
	bool active = true;

	cr_expect_eq(decode("a10af4", &active, &claims), GM_E_OK);
	cr_expect(!active && !claims.has_osc);
	cr_expect_eq(decode("a40af4" CLAIMS, &active, &claims), GM_E_OK);
	cr_expect(!active && !claims.has_osc);
}

Test(introspect, refuses_what_does_not_say_whether_or_lacks_claims)
{
	struct gm_cwt claims;
	bool active = true;

	cr_expect_eq(decode("a3" CLAIMS, &active, &claims), GM_E_MISSING);
	cr_expect_eq(decode("a10af5", &active, &claims), GM_E_TOKEN_CLAIMS);
	cr_expect(!active);
	cr_expect_neq(decode("a10a01", &active, &claims), GM_E_OK);
	cr_expect_neq(decode("a20af50af4", &active, &claims), GM_E_OK);
	cr_expect_neq(decode("", &active, &claims), GM_E_OK);
	cr_expect_neq(decode("a10af400", &active, &claims), GM_E_OK);
}
