/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/links.h"

#include "wire/uri.h"

struct link {
	struct gm_bytes href;
	const char *rt, *if_; /* NULL: absent */
	bool osc;             /* open to OSCORE only                                  RFC 8613 §9 */
};

#define HREF_MAX 1024u

/* What there is beside the groups                                                        KG §4, GA §2, RFC 9200 §5.10.1
 */
static const struct link fixed_links[] = {
    {{(const uint8_t *)GM_GROUPS_PATH, sizeof(GM_GROUPS_PATH) - 1}, NULL, "ace.groups", true},
    {{(const uint8_t *)"/authz-info", 11}, "ace.ai", NULL, false},
    {{(const uint8_t *)"/manage", 7}, "core.osc.gcoll", NULL, true},
};
static const struct link group_link = {{NULL, 0}, "core.osc.gm", "ace.group", true};

static void put_text(struct gm_out *out, const char *s)
{
	gm_out_bytes(out, s, strlen(s));
}

/* ---- filters */

/* Attributes that can be asked for; false where the link has none of this name. */
static bool href_of(const struct link *link, struct gm_bytes *value)
{
	*value = link->href;
	return true;
}

static bool text_of(const char *s, struct gm_bytes *value)
{
	*value = (struct gm_bytes){(const uint8_t *)s, s ? strlen(s) : 0};
	return s != NULL;
}

static bool rt_of(const struct link *link, struct gm_bytes *value)
{
	return text_of(link->rt, value);
}

static bool if_of(const struct link *link, struct gm_bytes *value)
{
	return text_of(link->if_, value);
}

static bool osc_of(const struct link *link, struct gm_bytes *value)
{
	return text_of(link->osc ? "" : NULL, value);
}

static const struct attribute {
	const char *name;
	bool (*get)(const struct link *link, struct gm_bytes *value);
} attributes[] = {
    {"href", href_of},
    {"rt", rt_of},
    {"if", if_of},
    {"osc", osc_of},
};
#define ATTRIBUTES_N (sizeof(attributes) / sizeof(attributes[0]))

static bool matches(struct gm_bytes pattern, struct gm_bytes value)
{
	if (!pattern.n || pattern.p[pattern.n - 1] != '*')
		return gm_bytes_eq(pattern, value);
	pattern.n--;
	return value.n >= pattern.n && (pattern.n == 0 || memcmp(value.p, pattern.p, pattern.n) == 0);
}

static bool passes_one(const struct link *link, struct gm_bytes filter)
{
	const uint8_t *eq = filter.n ? memchr(filter.p, '=', filter.n) : NULL;
	if (!eq)
		return true;
	struct gm_bytes name = {filter.p, (size_t)(eq - filter.p)}, value;
	struct gm_bytes pattern = {eq + 1, filter.n - name.n - 1};

	for (size_t i = 0; i < ATTRIBUTES_N; i++)
		if (gm_bytes_is(name, attributes[i].name))
			return attributes[i].get(link, &value) && matches(pattern, value);
	return false;
}

static bool passes(const struct link *link, const struct gm_bytes *query, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!passes_one(link, query[i]))
			return false;
	return true;
}

/* ---- links */

static void put_attribute(struct gm_out *out, const char *name, const char *value)
{
	if (!value)
		return;
	put_text(out, name);
	put_text(out, value);
	put_text(out, "\"");
}

static void put_link(struct gm_out *out, const struct link *link, size_t from)
{
	if (gm_out_len(out) > from)
		gm_out_u8(out, ',');
	gm_out_u8(out, '<');
	gm_out_bytes(out, link->href.p, link->href.n);
	gm_out_u8(out, '>');
	put_attribute(out, ";rt=\"", link->rt);
	put_attribute(out, ";if=\"", link->if_);
	if (link->osc)
		put_text(out, ";osc");
}

void gm_links_encode(struct gm_out *out, const struct gm_bytes *names, size_t names_n, const struct gm_bytes *query,
                     size_t query_n)
{
	uint8_t href[HREF_MAX];
	size_t from = gm_out_len(out);

	for (size_t i = 0; i < sizeof(fixed_links) / sizeof(fixed_links[0]); i++)
		if (passes(&fixed_links[i], query, query_n))
			put_link(out, &fixed_links[i], from);
	for (size_t i = 0; i < names_n && out->err == GM_E_OK; i++) {
		struct gm_out path = gm_out(href, sizeof(href));
		struct link link = group_link;
		gm_group_path_encode(&path, names[i]);
		link.href = gm_out_result(&path);
		if (path.err == GM_E_OK && passes(&link, query, query_n))
			put_link(out, &link, from);
	}
}
