/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verbs/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "gm/crypto.h"
#include "wire/oscore.h"
#include "wire/params.h"

static const struct {
	const char *name;
	int32_t alg;
	size_t key_n;
} algs[] = {
	{"AES-CCM-16-64-128", GM_ALG_CCM_16_64_128, GM_CCM_KEY},
	{"HMAC256", GM_ALG_HMAC_256, 32},
	{"HMAC256/64", GM_ALG_HMAC_256_64, 32},
	{"EdDSA", GM_ALG_EDDSA, GM_ED25519_PUB},
	{"ES256", GM_ALG_ES256, GM_ES256_PUB},
};
#define ALGS_N (sizeof(algs) / sizeof(algs[0]))

const char *gm_call_alg_name(int32_t alg, char buf[static 16])
{
	for (unsigned i = 0; i < ALGS_N; i++)
		if (algs[i].alg == alg)
			return algs[i].name;
	snprintf(buf, 16, "%d", alg);
	return buf;
}

/* Also takes a COSE number, for the AEADs that have no row. */
static bool alg_of(struct gm_ctl_call *call, struct gm_cose_key *key)
{
	const char *text = gm_call_text(call, "alg");
	char *end;
	size_t want = 0;
	long number = strtol(text, &end, 10);
	const struct gm_aead_info *aead =
		text[0] && !*end && number > 0 && number < 100 ? gm_aead_info((int)number) : NULL;

	for (unsigned i = 0; i < ALGS_N && !want; i++) {
		if (strcmp(text, algs[i].name) == 0 || (text[0] && !*end && number == algs[i].alg)) {
			key->alg = algs[i].alg;
			want = algs[i].key_n;
		}
	}
	if (!want && aead) {
		key->alg = (int32_t)number;
		want = aead->key_len;
	}
	if (!want) {
		gm_ctl_error(call->reply, GM_E_USAGE,
			     "alg: AES-CCM-16-64-128, HMAC256, HMAC256/64, EdDSA, ES256 or a COSE number, not '%s'",
			     text);
		return false;
	}
	if (key->key_n != want)
		gm_ctl_error(call->reply, GM_E_USAGE, "key: %zu bytes for %s, not %u", want, text, key->key_n);
	return key->key_n == want;
}

static bool key_of(struct gm_ctl_call *call, struct gm_cose_key *key)
{
	const struct gm_ctl_arg *kid = gm_ctl_arg(call->request, "kid"), *bytes = gm_ctl_arg(call->request, "key");

	if (!bytes || !bytes->n || bytes->n > sizeof(key->key)) {
		gm_ctl_error(call->reply, GM_E_USAGE, "key: %s", bytes ? "1 to 64 bytes" : "is missing");
		return false;
	}
	if (kid && kid->n > sizeof(key->kid)) {
		gm_ctl_error(call->reply, GM_E_USAGE, "kid: longer than %zu bytes", sizeof(key->kid));
		return false;
	}
	key->key_n = (uint8_t)bytes->n;
	memcpy(key->key, bytes->text, bytes->n);
	key->kid_n = kid ? (uint8_t)kid->n : 0;
	if (kid)
		memcpy(key->kid, kid->text, kid->n);
	return alg_of(call, key);
}

static uint8_t take_bytes(struct gm_in *in, uint8_t *to, size_t cap)
{
	struct gm_bytes b = gm_cbor_bstr(in);

	if (b.n > cap)
		gm_in_fail(in, GM_E_RANGE);
	else if (b.n)
		memcpy(to, b.p, b.n);
	return b.n > cap ? 0 : (uint8_t)b.n;
}

/* [addr, ms, salt, sid, rid, alg] */
static const char *link_fault(struct gm_bytes from, struct gm_link *to)
{
	struct gm_in in = gm_in_bytes(from);
	char addr[64] = "";

	if (gm_cbor_array(&in) != 6)
		return "an array of six is needed";
	struct gm_bytes text = gm_cbor_tstr(&in);
	to->ms_n = take_bytes(&in, to->ms, sizeof(to->ms));
	to->salt_n = take_bytes(&in, to->salt, sizeof(to->salt));
	to->sid_n = take_bytes(&in, to->sid, sizeof(to->sid));
	to->rid_n = take_bytes(&in, to->rid, sizeof(to->rid));
	int64_t alg = gm_cbor_int(&in);
	if (gm_cbor_end(&in) != GM_E_OK)
		return "a part of it is missing, or too long";
	if (text.n < sizeof(addr))
		snprintf(addr, sizeof(addr), "%.*s", (int)text.n, (const char *)text.p);
	if (!gm_addr_parse(&to->peer, addr) || !to->peer.port)
		return "addr: an address and a port are needed, as 127.0.0.1:5690 or [::1]:5690";
	if (to->ms_n < 16)
		return "ms: at least 16 bytes are needed";
	if (to->sid_n == to->rid_n && memcmp(to->sid, to->rid, to->sid_n) == 0)
		return "sid and rid must differ";
	if (alg < 1 || alg > INT8_MAX || !gm_oscore_id_max((int)alg))
		return "alg: the COSE number of an AEAD that is known here is needed";
	if (to->sid_n > gm_oscore_id_max((int)alg) || to->rid_n > gm_oscore_id_max((int)alg))
		return "sid and rid are too long for alg";
	to->alg = (int8_t)alg;
	return NULL;
}

static bool link_of(struct gm_ctl_call *call, struct gm_link *to)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, "link");
	const char *fault = arg ? link_fault((struct gm_bytes){(const uint8_t *)arg->text, arg->n}, to) : NULL;

	if (fault)
		gm_ctl_error(call->reply, GM_E_USAGE, "link: %s", fault);
	return !fault;
}

/* A path on the server: given without text it is the usual one. false: said why. */
static bool path_of(struct gm_ctl_call *call, const char *key, const char *usual, char *to)
{
	const struct gm_ctl_arg *arg = gm_ctl_arg(call->request, key);
	const char *text = arg && arg->n ? arg->text + (arg->text[0] == '/') : usual;

	if (!arg)
		return true;
	if (!gm_ctl_arg(call->request, "link"))
		gm_ctl_error(call->reply, GM_E_USAGE, "%s: only over a link: --link=FILE is missing", key);
	else if (!text[0] || strlen(text) >= GM_AS_PATH || strstr(text, "//") || strpbrk(text, "?#"))
		gm_ctl_error(call->reply, GM_E_USAGE, "%s: a path of at most %u bytes is needed, not '%s'", key, GM_AS_PATH - 1, text);
	else
		return snprintf(to, GM_AS_PATH, "%s", text) > 0;
	return false;
}

static bool over_link(struct gm_ctl_call *call, struct gm_as_spec *spec)
{
	if (!link_of(call, &spec->link) || !path_of(call, "introspect", "introspect", spec->introspect) ||
	    !path_of(call, "trl", "trl", spec->trl) || !gm_call_uint(call, "trl-every", UINT32_MAX, &spec->trl_every_s))
		return false;
	spec->loose = gm_call_flag(call, "loose-tokens");
	if (spec->trl[0] || (!spec->loose && !spec->trl_every_s))
		return true;
	gm_ctl_error(call->reply, GM_E_USAGE, "%s: only with --trl", spec->loose ? "loose-tokens" : "trl-every");
	return false;
}

static bool name_of(struct gm_ctl_call *call, struct gm_as_spec *spec)
{
	const char *name = gm_call_text(call, "name");

	if (gm_as_name_usable(name))
		return gm_call_copy(call, "name", spec->name, sizeof(spec->name));
	gm_ctl_error(call->reply, GM_E_USAGE, "name: " GM_AS_NAME_RULE ", not '%.80s'", name);
	return false;
}

static void add(struct gm_ctl_call *call, const struct gm_as_spec *spec)
{
	const char *of = gm_core_as_of_key(call->env->core, &spec->key);
	enum gm_err err = gm_core_as_add(call->env->core, &call->txn, spec);

	if (err == GM_E_EXISTS && of && strcmp(of, spec->name) != 0)
		gm_ctl_error(call->reply, err, "authorization server '%s': its key is that of '%s'; a key is trusted once", spec->name, of);
	else
		gm_call_finish(call, err, "authorization server", spec->name);
}

void gm_verb_as_add(struct gm_ctl_call *call)
{
	struct gm_as_spec spec = {.empty_salt_item = gm_call_flag(call, "empty-salt-item"),
	                          .cnonce = gm_call_flag(call, "cnonce")};

	if (name_of(call, &spec) && gm_call_copy(call, "issuer", spec.issuer, sizeof(spec.issuer)) &&
	    gm_call_copy(call, "uri", spec.uri, sizeof(spec.uri)) && key_of(call, &spec.key) && over_link(call, &spec))
		add(call, &spec);
	gm_wipe(&spec, sizeof(spec));
}
