/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/watch.h"

#include <stdlib.h>
#include <string.h>

/* The first row that fits counts; with: a field that has to stand in the line. */
/* clang-format off */
static const struct {
	const char *line, *with, *event;
} events[] = {
	{"join.ok",           "again=1",              "rejoined"},
	{"join.ok",           "",                     "joined"},
	{"member.remove",     "reason=leave",         "left"},
	{"member.remove",     "reason=token-expired", "expired"},
	{"member.remove",     "",                     "evicted"},
	{"rekey.start",       "",                     "rekey-started"},
	{"rekey.done",        "late=0",               "rekey-finished"},
	{"rekey.done",        "",                     "rekey-late"},
	{"rekey.paused",      "",                     "rekey-paused"},
	{"rekey.resumed",     "",                     "rekey-resumed"},
	{"group.create",      "",                     "group-created"},
	{"group.configure",   "",                     "group-changed"},
	{"group.delete",      "",                     "group-deleted"},
	{"as.add",            "",                     "as-added"},
	{"as.remove",         "",                     "as-removed"},
	{"introspect.failed", "",                     "as-unreachable"},
	{"trl.failed",        "",                     "as-unreachable"},
	{"token.revoked",     "",                     "token-revoked"},
	{"schedule.open",     "",                     "schedule-opened"},
	{"schedule.done",     "",                     "schedule-done"},
	{"schedule.unfinished", "",                   "schedule-unfinished"},
	{"schedule.stopped",  "",                     "schedule-stopped"},
	{"schedule.paused",   "",                     "schedule-paused"},
	{"schedule.resumed",  "",                     "schedule-resumed"},
	{"config.changed",    "",                     "configuration-changed"},
	{"config.undone",     "",                     "configuration-undone"},
	{"config.went_back",  "",                     "configuration-went-back"},
	{"config.unconfirmed", "",                    "configuration-unconfirmed"},
	{"config.confirmed",  "",                     "configuration-confirmed"},
	{"config.refused",    "",                     "configuration-refused"},
	{"drain.begin",       "",                     "draining"},
	{"drain.end",         "",                     "drain-ended"},
};
/* clang-format on */

static const char *const texts[] = {"group", "node", "reason", "why", "name", "schedule"}; /* also where they look like numbers */

struct field {
	const char *key, *value;
	size_t key_n, value_n;
};

/* The next key=value; a value in quotes goes to the last quote of the line. false: no more. */
static bool next_field(const char **at, struct field *f)
{
	for (;;) {
		*at += strspn(*at, " ");
		f->key = *at;
		f->key_n = strcspn(*at, " =");
		*at += f->key_n;
		if (**at == '=')
			break;
		if (!**at)
			return false;
	}
	f->value = *at + 1;
	f->value_n = strcspn(f->value, " ");
	if (*f->value == '"') {
		const char *quote = strrchr(++f->value, '"');
		f->value_n = quote && quote >= f->value ? (size_t)(quote - f->value) : strlen(f->value);
	}
	*at = f->value + f->value_n + (f->value[f->value_n] == '"');
	return true;
}

static bool is_field(const struct field *f, const char *with)
{
	size_t n = f->key_n + 1 + f->value_n;

	return strlen(with) == n && memcmp(with, f->key, f->key_n) == 0 && with[f->key_n] == '=' &&
	       memcmp(with + f->key_n + 1, f->value, f->value_n) == 0;
}

static bool has(const char *line, const char *with)
{
	struct field f;

	while (next_field(&line, &f))
		if (is_field(&f, with))
			return true;
	return !with[0];
}

const char *gm_watch_event(const char *line)
{
	size_t n = strcspn(line, " ");

	for (unsigned i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (strlen(events[i].line) == n && memcmp(events[i].line, line, n) == 0 && has(line, events[i].with))
			return events[i].event;
	return NULL;
}

bool gm_watch_about(const char *line, const char *group)
{
	struct field f;

	while (group[0] && next_field(&line, &f))
		if (f.key_n == 5 && memcmp(f.key, "group", 5) == 0)
			return strlen(group) == f.value_n && memcmp(group, f.value, f.value_n) == 0;
	return true;
}

bool gm_watch_of_member(const char *event)
{
	static const char *const many[] = {"joined", "rejoined", "left", "expired"};

	for (unsigned i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		if (strcmp(many[i], event) == 0)
			return true;
	return false;
}

static bool is_number(const struct field *f)
{
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strlen(texts[i]) == f->key_n && memcmp(texts[i], f->key, f->key_n) == 0)
			return false;
	return f->value_n && f->value_n < 19 && strspn(f->value, "0123456789") >= f->value_n;
}

void gm_watch_put(struct gm_ctl_reply *reply, int64_t wall_s, const char *event, const char *line)
{
	char key[GM_CTL_KEY_MAX + 1], value[GM_CTL_TEXT_MAX + 1];
	struct field f;

	gm_ctl_put_int(reply, "at", wall_s);
	gm_ctl_put_text(reply, "event", event);
	while (next_field(&line, &f)) {
		size_t key_n = f.key_n < sizeof(key) ? f.key_n : sizeof(key) - 1;
		size_t value_n = f.value_n < sizeof(value) ? f.value_n : sizeof(value) - 1;
		memcpy(key, f.key, key_n);
		memcpy(value, f.value, value_n);
		key[key_n] = value[value_n] = '\0';
		if (is_number(&f))
			gm_ctl_put_uint(reply, key, strtoull(value, NULL, 10));
		else
			gm_ctl_put_text(reply, key, value);
	}
}
