/* SPDX-License-Identifier: Apache-2.0 */
/* A credential: the key that was found makes a minimal credential in which the same key is found. */
#include "insist.h"

#include "gm/crypto.h"
#include "wire/groupcomm.h"

static void check(struct gm_bytes cred, const struct gm_group_params *p)
{
	uint8_t key[32], again[32], buf[64];
	struct gm_out o = gm_out(buf, sizeof buf);

	if (gm_cred_key(cred, p, key) != GM_E_OK)
		return;
	gm_ccs_encode(&o, NULL, p->group_mode ? p->sign_crv : p->ecdh_crv, key);
	insist(o.err == GM_E_OK);
	insist(gm_cred_key(gm_out_result(&o), p, again) == GM_E_OK);
	insist(memcmp(key, again, sizeof key) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gm_group_params both = gm_group_params_default(), sign = both, pairwise = both;

	sign.pairwise_mode = false;
	pairwise.group_mode = false;
	insist(gm_crypto_init());
	check((struct gm_bytes){data, size}, &both);
	check((struct gm_bytes){data, size}, &sign);
	check((struct gm_bytes){data, size}, &pairwise);
	return 0;
}
