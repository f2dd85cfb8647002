/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/expect.h"

#include <stdio.h>

static const struct {
	uint32_t bit;
	const char *name;
} names[] = {{GM_ROLE_REQUESTER, "requester"},
             {GM_ROLE_RESPONDER, "responder"},
             {GM_ROLE_MONITOR, "monitor"},
             {GM_ROLE_VERIFIER, "verifier"}};
#define NAMES_N (sizeof(names) / sizeof(names[0]))

const char *gm_roles_text(uint32_t roles, char between, char buf[static GM_ROLES_TEXT])
{
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < NAMES_N; i++)
		if (roles & names[i].bit)
			n += (size_t)snprintf(buf + n, GM_ROLES_TEXT - n, "%.*s%s", n > 0, &between, names[i].name);
	return buf;
}

static uint32_t role_named(const char *text, size_t n)
{
	for (unsigned i = 0; i < NAMES_N; i++)
		if (strlen(names[i].name) == n && memcmp(names[i].name, text, n) == 0)
			return names[i].bit;
	return 0;
}

bool gm_roles_parse(const char *text, size_t n, uint32_t *roles, char why[static GM_EXPECT_WHY])
{
	const char *end = text + n;

	*roles = 0;
	if (n == 3 && memcmp(text, "any", 3) == 0)
		return true;
	for (const char *p = text;; p++) {
		size_t len = 0;
		while (p + len < end && p[len] != '+' && p[len] != ',')
			len++;
		uint32_t bit = role_named(p, len);
		if (!bit) {
			snprintf(why, GM_EXPECT_WHY, "roles are requester, responder, monitor and verifier, with + between, or any; not '%.*s'",
			         len > 32 ? 32 : (int)len, p);
			return false;
		}
		*roles |= bit;
		p += len;
		if (p == end)
			return true;
	}
}

const char *gm_expect_text(const struct gm_device_spec *spec, char buf[static GM_EXPECT_TEXT])
{
	char roles[GM_ROLES_TEXT];
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < spec->groups_n; i++)
		n += (size_t)snprintf(buf + n, GM_EXPECT_TEXT - n, "%s%s%s%s", n ? " " : "", spec->groups[i].group,
		                      spec->groups[i].roles ? "/" : "", gm_roles_text(spec->groups[i].roles, '+', roles));
	return buf;
}

bool gm_expect_add(struct gm_device_spec *spec, const char *group, size_t group_n, uint32_t roles, char why[static GM_EXPECT_WHY])
{
	struct gm_device_group *g = spec->groups;
	char name[GM_GROUP_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", (int)(group_n < sizeof(name) ? group_n : sizeof(name) - 1), group);
	if (group_n > GM_GROUP_NAME_MAX || !gm_groups_name_usable(name)) {
		snprintf(why, GM_EXPECT_WHY, GM_GROUP_NAME_RULE ", not '%s%s'", name, group_n > GM_GROUP_NAME_MAX ? "..." : "");
		return false;
	}
	while (g < spec->groups + spec->groups_n && strcmp(g->group, name) != 0)
		g++;
	if (g == spec->groups + GM_DEVICE_GROUPS_MAX) {
		snprintf(why, GM_EXPECT_WHY, "a device is expected in at most %u groups", GM_DEVICE_GROUPS_MAX);
		return false;
	}
	if (g == spec->groups + spec->groups_n)
		memcpy(spec->groups[spec->groups_n++].group, name, sizeof(name));
	g->roles = roles;
	return true;
}

bool gm_expect_parse(const char *text, struct gm_device_spec *spec, char why[static GM_EXPECT_WHY])
{
	spec->groups_n = 0;
	for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
		size_t n = strcspn(text, " "), group_n = strcspn(text, "/ ");
		uint32_t roles = 0;
		if (group_n < n && !gm_roles_parse(text + group_n + 1, n - group_n - 1, &roles, why))
			return false;
		if (!gm_expect_add(spec, text, group_n, roles, why))
			return false;
		text += n;
	}
	return true;
}
