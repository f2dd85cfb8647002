/* SPDX-License-Identifier: Apache-2.0 */
/* Roles and where a device is expected, as people write them: "requester+responder", "floor3/requester+responder floor4". Any
 * thread. */
#ifndef GM_CTL_EXPECT_H
#define GM_CTL_EXPECT_H

#include "core/device.h"

#define GM_ROLES_TEXT 48u
#define GM_EXPECT_TEXT (GM_DEVICE_GROUPS_MAX * (GM_GROUP_NAME_MAX + GM_ROLES_TEXT))
#define GM_EXPECT_WHY 192u

/* between: what stands between two of them. Returns buf. */
const char *gm_roles_text(uint32_t roles, char between, char buf[static GM_ROLES_TEXT]);
/* + or , between them; "any": 0. false: why says what they are called */
bool gm_roles_parse(const char *text, size_t n, uint32_t *roles, char why[static GM_EXPECT_WHY]);

/* Returns buf. */
const char *gm_expect_text(const struct gm_device_spec *spec, char buf[static GM_EXPECT_TEXT]);
/* Replaces where spec is expected; spaces between groups. */
bool gm_expect_parse(const char *text, struct gm_device_spec *spec, char why[static GM_EXPECT_WHY]);
/* One more, or with other roles than before. */
bool gm_expect_add(struct gm_device_spec *spec, const char *group, size_t group_n, uint32_t roles, char why[static GM_EXPECT_WHY]);

#endif
