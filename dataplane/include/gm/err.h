/* SPDX-License-Identifier: Apache-2.0 */
/* The one list of errors; err.def has the rows. */
#ifndef GM_ERR_H
#define GM_ERR_H

#include <stdint.h>

#define GM_COAP(class, detail) ((uint8_t)((class) << 5 | (detail)))
#define GM_NODISCARD __attribute__((warn_unused_result))

enum gm_err {
#define GM_ERR(name, code, id, text) GM_E_##name,
#include "gm/err.def"
#undef GM_ERR
	GM_ERR_N
};

struct gm_err_info {
	const char *name; /* as in err.def; logs print it in lower case */
	const char *text;
	uint8_t coap;  /* code of the CoAP response */
	int8_t ace_id; /* ACE Groupcomm error id, -1: none       RFC 9594 §9 */
};

/* Row of err; any value is safe. Static storage, any thread. */
const struct gm_err_info *gm_err_info(enum gm_err err);

#define GM_WHY 256u /* bytes of a sentence that says why, for the operator; the zero byte among them */

/* Pass a failure up. */
#define GM_TRY(call)                                                                                                   \
	do {                                                                                                           \
		enum gm_err gm_try_ = (call);                                                                          \
		if (gm_try_ != GM_E_OK)                                                                                \
			return gm_try_;                                                                                \
	} while (0)

#endif
