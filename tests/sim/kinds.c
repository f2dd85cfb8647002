/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of several kinds: what they may be made of, each of it in some group of some run. */
#include "sim.h"
#include "wire/params.h"

static const struct kind {
	struct gm_group_params params;
	bool short_sids;
} kinds[] = {
	{{.hkdf = 5, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 10, .sign_alg = GM_ALG_ES256, .alg = 10}, false},
	{{.hkdf = 7, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 3, .sign_alg = GM_ALG_ES256, .alg = 31}, false},
	{{.hkdf = 5, .group_mode = true, .gp_enc_alg = 10, .sign_alg = GM_ALG_EDDSA}, false},
	{{.hkdf = 5, .group_mode = true, .gp_enc_alg = GM_ALG_A128CTR, .sign_alg = GM_ALG_ES256}, false},
	{{.hkdf = 5, .pairwise_mode = true, .alg = 10}, false},
	{{.hkdf = 5, .pairwise_mode = true, .alg = 1, .ecdh_crv = 1}, false},
	{{.hkdf = 7, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 24, .sign_alg = GM_ALG_EDDSA, .alg = 1}, false},
	{{.hkdf = 5, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = GM_ALG_A256CTR, .sign_alg = GM_ALG_EDDSA, .alg = 24}, false},
	{{.hkdf = 5, .group_mode = true, .pairwise_mode = true, .gp_enc_alg = 12, .sign_alg = GM_ALG_EDDSA, .alg = 33}, true},
};
#define KINDS (sizeof kinds / sizeof *kinds)

struct gm_group_params sim_kind(struct sim *s, bool *short_sids)
{
	*short_sids = false;
	if (sim_chance(&s->dice, 6500))
		return gm_group_params_default();
	const struct kind *k = &kinds[sim_below(&s->dice, KINDS)];
	struct gm_group_params p = k->params;
	p.cred_fmt = gm_group_params_default().cred_fmt;
	gm_params_complete(&p);
	*short_sids = k->short_sids;
	sim_counts.kind_groups++;
	return p;
}
