/* SPDX-License-Identifier: Apache-2.0 */
/* All secrets of a store that no gmd has open, such as a backup: secrets DIRECTORY KEY_FILE. A line each: whose, what, hex. */
#include <stdio.h>

#include "core/state.h"
#include "gm/crypto.h"

static void say(const char *whose, const char *what, const void *p, size_t n)
{
	if (!n)
		return;
	printf("%s %s ", whose, what);
	for (size_t i = 0; i < n; i++)
		printf("%02x", ((const uint8_t *)p)[i]);
	puts("");
}

static void say_groups(const struct gm_core *c)
{
	char whose[80];

	for (uint32_t i = 0; i < c->groups_n; i++) {
		const struct gm_group *g = c->groups[i];
		if (!g)
			continue;
		snprintf(whose, sizeof(whose), "group:%s", g->spec.name);
		say(whose, "master-secret", g->ms, sizeof(g->ms));
		say(whose, "master-salt", g->salt, sizeof(g->salt));
		say(whose, "private-key", g->kdc_seed, sizeof(g->kdc_seed));
	}
}

static void say_servers(const struct gm_core *c)
{
	char whose[80];

	for (unsigned i = 0; i < c->ases_n; i++) {
		const struct gm_as_spec *s = &c->ases[i].spec;
		snprintf(whose, sizeof(whose), "as:%s", s->name);
		say(whose, "key", s->key.key, s->key.key_n);
		say(whose, "link-secret", s->link.ms, s->link.ms_n);
	}
}

static void say_clients(const struct gm_core *c)
{
	char whose[80];

	for (unsigned shard = 0; shard < GM_SHARDS; shard++)
		for (unsigned slot = 0; slot < c->ctx_cap[shard]; slot++) {
			const struct gm_assoc *a = gm_assoc_in_place(c, GM_CTX_ID(shard, slot, 0));
			struct gm_ctx_save save;
			if (!a)
				continue;
			gm_assoc_ctx(c, a, &save);
			snprintf(whose, sizeof(whose), "client:%08x", (unsigned)save.id);
			say(whose, "sender-key", save.send_key, 16);
			say(whose, "recipient-key", save.recv_key, 16);
		}
}

static enum gm_err load(void *arg, enum gm_table table, struct gm_bytes key, struct gm_bytes value)
{
	return gm_core_load(arg, table, key, value);
}

int main(int argc, char **argv)
{
	const struct gm_core_config config = {.workers = 2, .contexts_max = 4096, .members_max = 4096, .groups_max = 64};
	struct gm_store *store;
	char why[GM_WHY] = "";

	if (argc != 3 || !gm_crypto_init() || gm_store_open(&store, argv[1], argv[2], why) != GM_E_OK) {
		fprintf(stderr, "secrets: %s\n", why);
		return 1;
	}
	struct gm_core *core = gm_core_new(&config);
	for (unsigned table = 0; core && table < GM_TABLE_N; table++)
		if (gm_store_scan(store, (enum gm_table)table, load, core) != GM_E_OK)
			return 1;
	if (!core)
		return 1;
	say_groups(core);
	say_servers(core);
	say_clients(core);
	gm_core_free(core);
	gm_store_close(store);
	return 0;
}
