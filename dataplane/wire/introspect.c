/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/introspect.h"

#include "wire/fields.h"

enum { LABEL_ACTIVE = 10, LABEL_TOKEN = 11 };

struct answer {
	struct gm_bytes active;
};

static const struct gm_field fields[] = {
    {LABEL_ACTIVE, GM_FIELD_ITEM, offsetof(struct answer, active)},
};

void gm_introspect_encode(struct gm_out *out, struct gm_bytes token)
{
	gm_cbor_put_map(out, 1);
	gm_pair_bytes(out, LABEL_TOKEN, token);
}

enum gm_err gm_introspect_decode(struct gm_bytes body, bool *active, struct gm_cwt *claims)
{
	struct answer a = {0};

	*active = false;
	*claims = (struct gm_cwt){0};
	GM_TRY(gm_fields_decode(body, fields, GM_FIELDS_N(fields), &a));
	if (!a.active.p)
		return GM_E_MISSING;
	struct gm_in in = gm_in_bytes(a.active);
	bool is = gm_cbor_bool(&in);
	GM_TRY(gm_cbor_end(&in));
	if (is)
		GM_TRY(gm_cwt_decode(body, claims));
	*active = is;
	return GM_E_OK;
}
