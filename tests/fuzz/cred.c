/* SPDX-License-Identifier: Apache-2.0 */
/* A credential: the key that was found makes a minimal CCS in which the same key is found. */
#include "insist.h"

#include "gm/crypto.h"
#include "wire/groupcomm.h"

static void check(struct gm_bytes cred, const struct gm_group_params *p)
{
	struct gm_cred_pub pub, again;
	struct gm_group_params ccs = *p;
	uint8_t buf[256];
	struct gm_out o = gm_out(buf, sizeof buf);

	insist(gm_cred_untagged(cred, p->cred_fmt).n <= cred.n);
	if (gm_cred_pub(cred, p, &pub) != GM_E_OK)
		return;
	ccs.cred_fmt = GM_CRED_FMT_KCCS;
	gm_ccs_encode_pub(&o, NULL, &pub);
	insist(o.err == GM_E_OK);
	insist(gm_cred_pub(gm_out_result(&o), &ccs, &again) == GM_E_OK);
	insist(memcmp(&pub, &again, sizeof pub) == 0);
}

static struct gm_group_params with_curve(int32_t kty, int32_t crv)
{
	struct gm_group_params p = gm_group_params_default();
	p.sign_kty = p.ecdh_kty = kty;
	p.sign_crv = p.ecdh_crv = crv;
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_group_params kinds[] = {
	    gm_group_params_default(),           gm_group_params_default(),
	    gm_group_params_default(),           with_curve(GM_KTY_EC2, GM_CRV_P256),
	    with_curve(GM_KTY_EC2, GM_CRV_P384), with_curve(GM_KTY_EC2, GM_CRV_P521),
	};

	kinds[1].pairwise_mode = false;
	kinds[2].group_mode = false;
	insist(gm_crypto_init());
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		check((struct gm_bytes){data, size}, &kinds[i]);
		static const int32_t forms[] = {GM_CRED_FMT_KCWT, GM_CRED_FMT_X5BAG, GM_CRED_FMT_X5CHAIN, GM_CRED_FMT_C5B,
						GM_CRED_FMT_C5C};
		for (size_t k = 0; k < sizeof forms / sizeof forms[0]; k++) {
			kinds[i].cred_fmt = forms[k];
			check((struct gm_bytes){data, size}, &kinds[i]);
		}
	}
	return 0;
}
