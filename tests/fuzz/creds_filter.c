/* SPDX-License-Identifier: Apache-2.0 */
/* A filter of creds: bounded, stable when written again, and with the complement that its flag promises. */
#include "insist.h"

#include "wire/resources.h"

static void check_complement(const struct gm_creds_filter *f)
{
	struct gm_creds_filter other = *f;
	struct gm_list ids = f->ids;
	struct gm_bytes id;

	other.include = !f->include;
	while (gm_list_bstr(&ids, &id)) {
		insist(gm_creds_filter_takes(f->include ? f : &other, 0, id));
		insist(!gm_creds_filter_takes(f->include ? &other : f, GM_ROLES_ALL, id));
	}
	insist(ids.in.err == GM_E_OK);
}

static bool rewrite(struct gm_bytes input, struct gm_out *out)
{
	struct gm_creds_filter f;

	if (gm_creds_filter_decode(input, &f) != GM_E_OK)
		return false;
	insist(f.roles_n <= GM_ROLE_FILTER_MAX && f.ids.n <= GM_ID_FILTER_MAX && f.roles_n + f.ids.n > 0);
	if (f.ids.n <= 16)
		check_complement(&f);
	gm_creds_filter_encode(out, &f);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	insist_stable(rewrite, data, size);
	return 0;
}
