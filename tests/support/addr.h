/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ADDR_H
#define ADDR_H

#include <criterion/criterion.h>

#include "gm/addr.h"

static inline struct gm_addr addr(const char *text)
{
	struct gm_addr a;

	cr_assert(gm_addr_parse(&a, text), "%s", text);
	return a;
}

#endif
