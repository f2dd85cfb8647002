/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/params.h"

const char *const gm_setting_keys[GM_SETTINGS_N] = {
#define X(key) #key,
	GM_SETTINGS(X)
#undef X
};

struct word {
	const char *text;
	int32_t value;
};
static const struct word backwards[] = {{"off", GM_BACKWARD_OFF}, {"window", GM_BACKWARD_WINDOW}, {"each", GM_BACKWARD_EACH}, {NULL, 0}};
static const struct word hkdfs[] = {{"sha256", GM_HKDF_SHA_256}, {"sha512", GM_HKDF_SHA_512}, {NULL, 0}};
static const struct word formats[] = {{"kccs", GM_CRED_FMT_KCCS}, {"kcwt", GM_CRED_FMT_KCWT}, {"x5chain", GM_CRED_FMT_X5CHAIN},
                                      {"x5bag", GM_CRED_FMT_X5BAG}, {"c5c", GM_CRED_FMT_C5C}, {"c5b", GM_CRED_FMT_C5B}, {NULL, 0}};
enum { BOTH, GROUP, PAIRWISE };
static const struct word modes[] = {{"both", BOTH}, {"group", GROUP}, {"pairwise", PAIRWISE}, {NULL, 0}};
static const struct word yesno[] = {{"yes", 1}, {"no", 0}, {NULL, 0}};

/* By COSE's names or numbers. */
static const int32_t sign_algs[] = {GM_ALG_EDDSA, GM_ALG_ES256, GM_ALG_ES384, GM_ALG_ES512, 0};
#define AEADS 1, 2, 3, GM_ALG_CCM_16_64_128, 11, 12, 13, 24, 30, 31, 32, 33
static const int32_t aeads[] = {AEADS, 0}, encryptions[] = {AEADS, GM_ALG_A128CTR, GM_ALG_A192CTR, GM_ALG_A256CTR, 0};
static const int32_t curves[] = {GM_CRV_X25519, GM_CRV_P256, GM_CRV_P384, GM_CRV_P521, 0};

/* ---- kinds of values: put() leaves the number that is meant, text() writes it */

enum kind { NUMBER, WORD, ALG, CURVE };
#define RIGHT_MAX 288u /* bytes of what would be right */
static const struct row {
	enum kind kind;
	const struct word *words;    /* of WORD */
	bool numbers;                /* of WORD: they may stand for the words */
	const int32_t *codes;        /* of ALG, CURVE */
	uint32_t least, most;     /* of NUMBER */
	size_t at;                /* in struct gm_group_spec; MODES and ACTIVE are put by hand */
} rows[GM_SETTINGS_N] = {
#define AT(field) .at = offsetof(struct gm_group_spec, field)
	[GM_SETTING_max_members] = {NUMBER, .least = 1, .most = 65536, AT(max_members)},
	[GM_SETTING_max_stale_sets] = {NUMBER, .least = 2, .most = 64, AT(max_stale_sets)},
	[GM_SETTING_backward] = {WORD, .words = backwards, AT(backward)},
	[GM_SETTING_rekey_every] = {NUMBER, .least = 0, .most = UINT32_MAX, AT(rekey_every_s)},
	[GM_SETTING_key_lifetime] = {NUMBER, .least = 60, .most = UINT32_MAX, AT(key_lifetime_s)},
	[GM_SETTING_modes] = {WORD, .words = modes},
	[GM_SETTING_sign_alg] = {ALG, .codes = sign_algs, AT(params.sign_alg)},
	[GM_SETTING_hkdf] = {WORD, .words = hkdfs, .numbers = true, AT(params.hkdf)},
	[GM_SETTING_alg] = {ALG, .codes = aeads, AT(params.alg)},
	[GM_SETTING_gp_enc_alg] = {ALG, .codes = encryptions, AT(params.gp_enc_alg)},
	[GM_SETTING_ecdh_curve] = {CURVE, .codes = curves, AT(params.ecdh_crv)},
	[GM_SETTING_cred_fmt] = {WORD, .words = formats, AT(params.cred_fmt)},
	[GM_SETTING_active] = {WORD, .words = yesno},
};
_Static_assert(sizeof(enum gm_backward) == sizeof(int32_t) && sizeof(unsigned) == sizeof(int32_t), "all of them have one size");

static const char *code_name(const struct row *row, int32_t code)
{
	return row->kind == CURVE ? gm_crv_name(code) : gm_alg_name(code);
}

/* "a, b or c": what stands at i of the row's words or codes; NULL: none. */
static const char *nth(const struct row *row, unsigned i)
{
	if (row->words)
		return row->words[i].text;
	return row->codes[i] ? code_name(row, row->codes[i]) : NULL;
}

static bool refuse_word(const struct row *row, const char *value, char why[static GM_SETTING_WHY])
{
	char right[RIGHT_MAX] = "";
	const char *text;
	size_t n = 0;

	for (unsigned i = 0; (text = nth(row, i)) && n < sizeof(right); i++)
		n += (size_t)snprintf(right + n, sizeof(right) - n, "%s%s", i == 0 ? "" : nth(row, i + 1) ? ", " : " or ", text);
	snprintf(why, GM_SETTING_WHY, "has to be %s, not '%.*s'", right, (int)GM_SETTING_MAX, value);
	return false;
}

static bool put_word(const struct row *row, const char *value, int32_t *to, char why[static GM_SETTING_WHY])
{
	for (const struct word *w = row->words; w->text; w++) {
		if (strcmp(w->text, value) == 0 || (row->numbers && gm_alg_of_name(value) == w->value)) {
			*to = w->value;
			return true;
		}
	}
	return refuse_word(row, value, why);
}

static bool put_number(const struct row *row, const char *value, int32_t *to, char why[static GM_SETTING_WHY])
{
	char *end = NULL;

	errno = 0;
	unsigned long long v = isdigit((unsigned char)value[0]) ? strtoull(value, &end, 10) : 0;
	if (!end || *end || errno || v < row->least || v > row->most) {
		snprintf(why, GM_SETTING_WHY, "has to be %u to %u, not '%.*s'", row->least, row->most, (int)GM_SETTING_MAX, value);
		return false;
	}
	uint32_t number = (uint32_t)v;
	memcpy(to, &number, sizeof(number));
	return true;
}

static bool put_alg(const struct row *row, const char *value, int32_t *to, char why[static GM_SETTING_WHY])
{
	*to = row->kind == CURVE ? gm_crv_of_name(value) : gm_alg_of_name(value);
	for (const int32_t *code = row->codes; *code; code++)
		if (*code == *to)
			return true;
	return refuse_word(row, value, why);
}

bool gm_setting_put(struct gm_group_spec *spec, enum gm_setting setting, const char *value, char why[static GM_SETTING_WHY])
{
	static bool (*const puts[])(const struct row *, const char *, int32_t *, char[static GM_SETTING_WHY]) = {
		[NUMBER] = put_number, [WORD] = put_word, [ALG] = put_alg, [CURVE] = put_alg};
	const struct row *row = &rows[setting];
	int32_t v = 0;

	if (!puts[row->kind](row, value, &v, why))
		return false;
	if (setting == GM_SETTING_modes) {
		spec->params.group_mode = v != PAIRWISE;
		spec->params.pairwise_mode = v != GROUP;
	} else if (setting == GM_SETTING_active) {
		spec->active = v != 0;
	} else {
		memcpy((char *)spec + row->at, &v, sizeof(v));
	}
	return true;
}

struct gm_group_spec gm_settings_begin(void)
{
	struct gm_group_spec spec = gm_group_spec_default();

	spec.params.ecdh_alg = spec.params.ecdh_crv = 0; /* follow from the others */
	return spec;
}

bool gm_settings_done(struct gm_group_spec *spec, char why[static GM_SETTING_WHY])
{
	gm_params_complete(&spec->params);
	const char *fault = gm_params_check(&spec->params, gm_core_sid_len(spec->max_members));

	if (!fault && spec->rekey_every_s && spec->rekey_every_s < 10)
		fault = "rekey_every: 0, or at least 10 seconds";
	if (fault)
		snprintf(why, GM_SETTING_WHY, "%s", fault);
	return !fault;
}

bool gm_setting_serves(const struct gm_group_spec *spec, enum gm_setting setting, char why[static GM_SETTING_WHY])
{
	const bool of_group = setting == GM_SETTING_sign_alg || setting == GM_SETTING_gp_enc_alg;
	const bool of_pairs = setting == GM_SETTING_alg || setting == GM_SETTING_ecdh_curve;

	if ((!of_group || spec->params.group_mode) && (!of_pairs || spec->params.pairwise_mode))
		return true;
	snprintf(why, GM_SETTING_WHY, "serves no group without %s mode", of_group ? "group" : "pairwise");
	return false;
}

/* ---- and back */

struct gm_group_spec gm_settings_of(const struct gm_group_info *info)
{
	return (struct gm_group_spec){.params = *info->params,
	                              .max_members = info->max_members,
	                              .max_stale_sets = info->max_stale_sets,
	                              .backward = info->backward,
	                              .rekey_every_s = info->rekey_every_s,
	                              .key_lifetime_s = info->key_lifetime_s,
	                              .active = info->active};
}

/* What the group's modes leave out, and what can only follow from the rest. */
static bool has_use(const struct gm_group_params *p, enum gm_setting setting)
{
	switch (setting) {
	case GM_SETTING_sign_alg:
	case GM_SETTING_gp_enc_alg:
		return p->group_mode;
	case GM_SETTING_alg:
		return p->pairwise_mode;
	case GM_SETTING_ecdh_curve:
		return !p->group_mode;
	default:
		return true;
	}
}

static const char *name_of(const struct row *row, int32_t v)
{
	for (const struct word *w = row->words; w && w->text; w++)
		if (w->value == v)
			return w->text;
	return row->codes ? code_name(row, v) : NULL;
}

const char *gm_setting_text(const struct gm_group_spec *spec, enum gm_setting setting, char buf[static GM_SETTING_MAX + 1])
{
	const struct gm_group_params *p = &spec->params;
	const struct row *row = &rows[setting];
	int32_t v;

	if (setting == GM_SETTING_modes)
		v = !p->pairwise_mode ? GROUP : p->group_mode ? BOTH : PAIRWISE;
	else if (setting == GM_SETTING_active)
		v = spec->active;
	else
		memcpy(&v, (const char *)spec + row->at, sizeof(v));
	const char *name = row->kind == NUMBER ? NULL : name_of(row, v);
	if (!has_use(p, setting))
		buf[0] = '\0';
	else if (row->kind == NUMBER)
		snprintf(buf, GM_SETTING_MAX + 1, "%u", (unsigned)v);
	else if (name)
		snprintf(buf, GM_SETTING_MAX + 1, "%s", name);
	else
		snprintf(buf, GM_SETTING_MAX + 1, "%d", (int)v);
	return buf;
}

const char *gm_param_name(const char *key, int64_t v)
{
	static const char *const curve_keys[] = {"ecdh_crv", "sign_crv"};
	static const enum gm_setting of[] = {GM_SETTING_sign_alg, GM_SETTING_hkdf, GM_SETTING_alg, GM_SETTING_gp_enc_alg, GM_SETTING_cred_fmt};

	if (v < INT32_MIN || v > INT32_MAX)
		return NULL;
	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++)
		if (strcmp(gm_setting_keys[of[i]], key) == 0)
			return v ? name_of(&rows[of[i]], (int32_t)v) : "-";
	for (size_t i = 0; i < sizeof(curve_keys) / sizeof(curve_keys[0]); i++)
		if (strcmp(curve_keys[i], key) == 0)
			return v ? gm_crv_name((int32_t)v) : "-";
	return strcmp(key, "ecdh_alg") != 0 ? NULL : v ? gm_alg_name((int32_t)v) : "-";
}

int gm_setting_named(const char *key)
{
	for (int i = 0; i < (int)GM_SETTINGS_N; i++) {
		const char *a = gm_setting_keys[i], *b = key;
		while (*a && (*a == *b || (*a == '_' && *b == '-')))
			a++, b++;
		if (!*a && !*b)
			return i;
	}
	return -1;
}

bool gm_template_put(const struct gm_template *template, struct gm_group_spec *spec, char why[static GM_SETTING_WHY])
{
	char text[GM_SETTING_WHY];

	for (enum gm_setting i = 0; i < GM_SETTINGS_N; i++) {
		if (!template->set[i][0] || gm_setting_put(spec, i, template->set[i], text))
			continue;
		snprintf(why, GM_SETTING_WHY, "%s %.*s", gm_setting_keys[i], (int)(GM_SETTING_WHY - 24), text);
		return false;
	}
	return true;
}
