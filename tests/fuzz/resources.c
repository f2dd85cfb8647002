/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of a group's resources. The first byte chooses the format; what was decoded, written again, decodes to the
 * same. */
#include "insist.h"

#include "wire/resources.h"

static bool rewrite_names(struct gm_bytes input, struct gm_out *out)
{
	struct gm_group_names n;
	struct gm_group_name groups[16];
	size_t i = 0;

	if (gm_group_names_decode(input, &n) != GM_E_OK || n.gids.n > 16)
		return false;
	while (gm_list_bstr(&n.gids, &groups[i].gid) && gm_list_tstr(&n.names, &groups[i].name))
		if (groups[i++].name.n > GM_GROUP_NAME_MAX)
			return false;
	gm_group_names_encode(out, groups, (unsigned)i);
	return true;
}

/* A list of byte strings, as the encoders of lists take it */
static unsigned gather(struct gm_list list, struct gm_bytes *to, unsigned max)
{
	unsigned n = 0;
	while (n < max && gm_list_bstr(&list, &to[n]))
		n++;
	insist(list.in.err == GM_E_OK);
	return n;
}

static bool rewrite_gids(struct gm_bytes input, struct gm_out *out)
{
	struct gm_bytes gids[64];
	struct gm_list list;

	if (gm_gids_decode(input, &list) != GM_E_OK)
		return false;
	insist(list.n > 0);
	gm_gids_encode(out, gids, gather(list, gids, 64));
	return true;
}

static bool rewrite_stale(struct gm_bytes input, struct gm_out *out)
{
	struct gm_bytes sids[64];
	struct gm_list list;

	if (gm_stale_decode(input, &list) != GM_E_OK)
		return false;
	gm_stale_encode(out, sids, gather(list, sids, 64));
	return true;
}

static bool rewrite_creds(struct gm_bytes input, struct gm_out *out)
{
	struct gm_creds creds;
	int64_t num;

	if (gm_creds_answer_decode(input, &num, &creds) != GM_E_OK || num < 0)
		return false;
	insist(creds.creds.n == creds.roles.n && creds.creds.n == creds.sids.n);
	gm_creds_answer_encode(out, (uint64_t)num, &creds);
	return true;
}

static bool rewrite_cnonce(struct gm_bytes input, struct gm_out *out)
{
	struct gm_bytes cnonce;
	if (gm_cnonce_decode(input, &cnonce) != GM_E_OK)
		return false;
	insist(cnonce.n > 0 && cnonce.n <= GM_NONCE_MAX);
	gm_cnonce_encode(out, cnonce);
	return true;
}

static bool rewrite_kdc_cred(struct gm_bytes input, struct gm_out *out)
{
	struct gm_kdc_cred kdc;
	if (gm_kdc_cred_decode(input, &kdc) != GM_E_OK)
		return false;
	gm_kdc_cred_encode(out, &kdc);
	return true;
}

static bool rewrite_policies(struct gm_bytes input, struct gm_out *out)
{
	struct gm_policies policies;
	if (gm_policies_decode(input, &policies) != GM_E_OK)
		return false;
	gm_policies_encode(out, &policies);
	return true;
}

static bool rewrite_num(struct gm_bytes input, struct gm_out *out)
{
	uint64_t num;
	if (gm_num_decode(input, &num) != GM_E_OK)
		return false;
	gm_num_encode(out, num);
	return true;
}

static bool rewrite_active(struct gm_bytes input, struct gm_out *out)
{
	bool active;
	if (gm_active_decode(input, &active) != GM_E_OK)
		return false;
	gm_active_encode(out, active);
	return true;
}

static bool rewrite_upload(struct gm_bytes input, struct gm_out *out)
{
	struct gm_cred_upload upload;
	if (gm_cred_upload_decode(input, &upload) != GM_E_OK)
		return false;
	insist(upload.cred.n <= GM_CRED_MAX && upload.cnonce.n > 0 && upload.cnonce.n <= GM_NONCE_MAX);
	gm_cred_upload_encode(out, &upload);
	return true;
}

/* A joiner's view of the 4.00 to its Join: read only, where it asks for a name that is in it or not. */
static bool read_info(struct gm_bytes input, struct gm_out *out)
{
	struct gm_join_info info;
	struct gm_bytes cred;

	(void)out;
	if (gm_join_info_decode(input, &info) != GM_E_OK || !info.kdc_dh_creds.p)
		return false;
	bool found =
	    gm_kdc_dh_creds_find(info.kdc_dh_creds, (struct gm_bytes){(const uint8_t *)"g1", 2}, &cred) == GM_E_OK;
	insist(found == (cred.p != NULL));
	return false;
}

static gm_fuzz_rewrite *const formats[] = {
    rewrite_gids, rewrite_names,  rewrite_creds, rewrite_cnonce, rewrite_kdc_cred, rewrite_policies,
    rewrite_num,  rewrite_active, rewrite_stale, rewrite_upload, read_info,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size)
		insist_stable(formats[data[0] % (sizeof formats / sizeof formats[0])], data + 1, size - 1);
	return 0;
}
