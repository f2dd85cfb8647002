/* SPDX-License-Identifier: Apache-2.0 */
/* A group's configuration as administrators and operators see it, and the one way to change it. */
#ifndef GM_CORE_CONFIG_CHANGE_H
#define GM_CORE_CONFIG_CHANGE_H

#include "core/state.h"

struct gm_about { /* of a group: what nothing but administration reads; a group without has nothing of it set */
	uint8_t as_uri_n;
	bool described;
	uint16_t description_n, app_groups_n;
	char as_uri[GM_ADMIN_URI_MAX];
	char description[GM_ADMIN_DESCRIPTION_MAX];
	uint8_t app_groups[GM_ADMIN_APP_GROUPS_MAX]; /* one CBOR array */
};

struct gm_config_room { /* what a representation borrows from, beside the group */
	char joining_uri[256];
};
/* Everything, GA §5.1; good until the group changes. */
void gm_config_read(const struct gm_core *c, const struct gm_group *g, struct gm_config_room *room,
                    struct gm_admin_map *map);
/* What is not in map gets its default, GA §5.2; the modes have to be there or get theirs. exp: as asked or none. */
void gm_config_complete(struct gm_admin_map *map);

struct gm_fault {
	enum gm_err err; /* OK: none; CONFLICT: does not fit together; RANGE: cannot be; BAD_CONFIG: not supported here */
	const char *why; /* static text */
};
/* A whole configuration of g, NULL: of a group to be made */
struct gm_fault gm_config_check(const struct gm_turn *t, const struct gm_group *g, const struct gm_admin_map *map);
struct gm_group_params gm_config_params(const struct gm_admin_map *map);
unsigned gm_config_sid_max(const struct gm_group_params *p); /* longest Sender ID that the nonces have room for */

struct gm_config_names { /* room for application groups */
	uint8_t bytes[GM_ADMIN_APP_GROUPS_MAX + 8];
};
/* From what was asked to a whole configuration that passed gm_config_check(): one that is trusted as authorization server,
 * each application group once, which then borrow from names. g NULL: of a group to be made */
struct gm_fault gm_config_settle(const struct gm_turn *t, const struct gm_group *g, const struct gm_admin_map *asked,
                                 struct gm_admin_map *map, struct gm_config_names *names);
/* Change what is asked for and leave the rest; nothing changes where there is a fault. GA §6.7 */
struct gm_fault gm_config_patch(struct gm_turn *t, struct gm_group *g, const struct gm_admin_map *asked);

/* Make it so, in the store and at the workers; what members have to learn goes on its way. map passed the check. */
void gm_config_apply(struct gm_turn *t, struct gm_group *g, const struct gm_admin_map *map);
/* URI of the authorization server that stands in for one not named; empty: none is known. */
struct gm_bytes gm_config_as_uri(const struct gm_core *c);
bool gm_config_as_trusted(const struct gm_core *c, struct gm_bytes uri);

#endif
