/* SPDX-License-Identifier: Apache-2.0 */
/* A keying map: what was decoded, written again as the kind of message it is, decodes to the same. */
#include "insist.h"

#include "wire/cbor.h"
#include "wire/groupcomm.h"

/* 13, 14, 15 as one piece, where all are there */
static struct gm_bytes three_pairs(const struct gm_keying_map *m, uint8_t *buf, size_t cap)
{
	struct gm_out o = gm_out(buf, cap);
	if (!m->creds.p || !m->peer_roles.p || !m->peer_ids.p)
		return (struct gm_bytes){0};
	gm_cbor_put_uint(&o, GM_LABEL_CREDS);
	gm_out_bytes(&o, m->creds.p, m->creds.n);
	gm_cbor_put_uint(&o, GM_LABEL_PEER_ROLES);
	gm_out_bytes(&o, m->peer_roles.p, m->peer_roles.n);
	gm_cbor_put_uint(&o, GM_LABEL_PEER_IDENTIFIERS);
	gm_out_bytes(&o, m->peer_ids.p, m->peer_ids.n);
	return o.err == GM_E_OK ? gm_out_result(&o) : (struct gm_bytes){0};
}

static bool rewrite(struct gm_bytes input, struct gm_out *out)
{
	static uint8_t buf[GM_FUZZ_CAP];
	struct gm_keying_map m;

	if (gm_keying_decode(input, &m) != GM_E_OK || !m.ms.p || m.num < 0 || m.exp < 0 || m.exi < 0)
		return false;
	struct gm_bytes creds = three_pairs(&m, buf, sizeof buf);
	struct gm_keying k = {&m.params, m.ms, m.salt, m.gid, m.sid, (uint64_t)m.num, m.exp, (uint64_t)m.exi};
	struct gm_join_response r = {.keying = k,
	                             .kdc_cred = m.kdc_cred,
	                             .kdc_nonce = m.kdc_nonce,
	                             .kdc_verify = m.kdc_verify,
	                             .has_creds = creds.p != NULL,
	                             .creds = creds};
	if (m.kdc_cred.p)
		gm_join_response_encode(out, &r);
	else if (m.has_params)
		gm_keying_encode(out, &k, m.stale, creds);
	else
		gm_rekey_encode(out, &k, m.stale, creds);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	insist_stable(rewrite, data, size);
	return 0;
}
