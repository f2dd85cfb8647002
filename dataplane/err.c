/* SPDX-License-Identifier: Apache-2.0 */
#include "gm/err.h"

static const struct gm_err_info table[GM_ERR_N] = {
#define GM_ERR(name, code, id, text_) [GM_E_##name] = {#name, text_, code, id},
#include "gm/err.def"
#undef GM_ERR
};

const struct gm_err_info *gm_err_info(enum gm_err err)
{
	static const struct gm_err_info none = {"NONE", "unknown error", GM_COAP(5, 0), -1};

	return (unsigned)err < GM_ERR_N ? &table[err] : &none;
}
