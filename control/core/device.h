/* SPDX-License-Identifier: Apache-2.0 */
/* The register of devices: what people call them, and where they are expected. It labels and is compared; who may join
 * is the authorization server's to decide. Core thread. */
#ifndef GM_CORE_DEVICE_H
#define GM_CORE_DEVICE_H

#include "core/core.h"

#define GM_DEVICES_MAX 100000u
#define GM_DEVICE_NAME_MAX 63u
#define GM_DEVICE_GROUPS_MAX 16u
#define GM_DEVICE_KEY_TEXT 80u

struct gm_device_key { /* what stays with a device while its node names come and go */
	uint32_t as_id; /* of who names it so; 0: the id is its credential's SHA-256 */
	uint8_t id_n, id[GM_CRED_HASH]; /* identifier of its OSCORE material */
};
/* "as:ID:HEX" or "cred:HEX"; false: neither */
bool gm_device_key_parse(const char *text, struct gm_device_key *key);
const char *gm_device_key_text(const struct gm_device_key *key, char buf[static GM_DEVICE_KEY_TEXT]);

struct gm_device_spec {
	struct gm_device_key key;
	char name[GM_DEVICE_NAME_MAX + 1]; /* empty: none. No two are alike but for case, and spaces against dashes */
	unsigned groups_n;
	struct gm_device_group { /* expected in; the group need not be there yet */
		char group[GM_GROUP_NAME_MAX + 1];
		uint32_t roles; /* 0: any */
	} groups[GM_DEVICE_GROUPS_MAX];
};
/* UTF-8 without control characters, quotes, slashes; not like a key. NULL: it can; else what is wrong, static text */
const char *gm_device_name_fault(const char *name);
/* Two names that are one. */
bool gm_device_names_same(const char *a, const char *b);

enum gm_device_change { GM_DEVICE_SAME, GM_DEVICE_MADE, GM_DEVICE_CHANGED };
/* What set() would do, without doing it. USAGE: a name or group that cannot be; EXISTS: another device has the name; FULL;
 * DISK_FULL. */
GM_NODISCARD enum gm_err gm_core_device_check(const struct gm_core *core, const struct gm_txn *txn, const struct gm_device_spec *spec,
                                              enum gm_device_change *change);
/* Makes or replaces. */
GM_NODISCARD enum gm_err gm_core_device_set(struct gm_core *core, struct gm_txn *txn, const struct gm_device_spec *spec);
GM_NODISCARD enum gm_err gm_core_device_remove(struct gm_core *core, struct gm_txn *txn, const char *device); /* UNKNOWN */

/* By key or name; false: not in the register. spec NULL: not wanted */
bool gm_core_device_find(const struct gm_core *core, const char *device, struct gm_device_spec *spec);
/* Of a member, inside the callback that was shown it; NULL: it has no name here. Good until the register changes. */
const char *gm_core_member_name(const struct gm_core *core, const struct gm_member_info *info, char buf[static GM_DEVICE_NAME_MAX + 1]);
/* From behind number `after` on, UINT32_MAX: from the first; stops when each() returns false. */
void gm_core_devices(const struct gm_core *core, uint32_t after,
                     bool (*each)(void *arg, uint32_t number, const struct gm_device_spec *spec), void *arg);
unsigned gm_core_devices_n(const struct gm_core *core);

#endif
