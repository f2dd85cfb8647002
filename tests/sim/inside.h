/* SPDX-License-Identifier: Apache-2.0 */
/* What of core's state has no door and is looked at nevertheless. Apart from the rest: core and bench both have a struct gm_member. */
#ifndef SIM_INSIDE_H
#define SIM_INSIDE_H

#include "core/core.h"

/* Of a group that is there; at most cap - 1 bytes, and a zero byte. */
void sim_inside_description(const struct gm_core *core, const char *group, char *text, size_t cap);
/* Is this token known as revoked, by the authorization server or the operator? */
bool sim_inside_revoked(const struct gm_core *core, uint32_t as_id, const uint8_t *hash);
void sim_inside_forget_kinds(struct gm_core *core); /* broken on purpose */

#endif
