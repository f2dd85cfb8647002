/* SPDX-License-Identifier: Apache-2.0 */
/* Group configurations, filters and the patterns of administrators' scopes. */
#include "insist.h"

#include "wire/admin.h"

static bool rewrite_map(struct gm_bytes input, struct gm_out *out)
{
	struct gm_admin_map map;
	enum gm_admin_param at;

	if (gm_admin_decode(input, &map, &at) != GM_E_OK || map.sign_params.kty == 0 || map.ecdh_params.kty == 0)
		return false;
	if (map.hkdf == GM_ADMIN_ALG_TEXT || map.gp_enc_alg == GM_ADMIN_ALG_TEXT || map.sign_alg == GM_ADMIN_ALG_TEXT ||
	    map.alg == GM_ADMIN_ALG_TEXT || map.ecdh_alg == GM_ADMIN_ALG_TEXT || map.det_hash_alg == GM_ADMIN_ALG_TEXT)
		return false;
	gm_admin_encode(out, &map, UINT32_MAX);
	return true;
}

static bool rewrite_filter(struct gm_bytes input, struct gm_out *out)
{
	uint32_t mask;

	if (gm_admin_filter_decode(input, &mask) != GM_E_OK)
		return false;
	gm_admin_filter_encode(out, mask);
	return true;
}

static void look(struct gm_bytes input)
{
	struct gm_admin_map map;
	enum gm_admin_param at;
	uint8_t body[1024];
	struct gm_out out = gm_out(body, sizeof body);

	if (gm_admin_decode(input, &map, &at) == GM_E_OK) {
		gm_admin_names_encode(&out, map.app_groups, map.del, map.add);
		gm_admin_names_meet(map.del, map.add);
		insist(gm_admin_name(at) != NULL);
	}
	if (gm_scope_check(input) == GM_E_OK)
		insist(gm_admin_perms(input, (struct gm_bytes){(const uint8_t *)"gp1", 3}) == 0 || gm_admin_scope(input));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	look((struct gm_bytes){data, size});
	insist_stable(rewrite_map, data, size);
	insist_stable(rewrite_filter, data, size);
	return 0;
}
