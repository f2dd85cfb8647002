/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a group when it is made, as text: options of group create, keys of a template, columns of a file. Any
 * thread. */
#ifndef GM_CTL_SETTINGS_H
#define GM_CTL_SETTINGS_H

#include "core/core.h"

#define GM_SETTINGS(X)                                                                                                 \
	X(max_members) X(max_stale_sets) X(backward) X(rekey_every) X(key_lifetime) X(modes) X(sign_alg) X(hkdf) X(alg) \
	X(gp_enc_alg) X(ecdh_curve) X(cred_fmt) X(active)
enum gm_setting {
#define X(key) GM_SETTING_##key,
	GM_SETTINGS(X)
#undef X
	GM_SETTINGS_N
};
extern const char *const gm_setting_keys[GM_SETTINGS_N]; /* options of gmctl have dashes where these have underscores */

#define GM_SETTING_MAX 31u /* bytes of a value */
#define GM_SETTING_WHY 352u

/* A spec that settings are put into: the defaults, with what follows from others left open. */
struct gm_group_spec gm_settings_begin(void);
/* false: the value cannot be; why says what would be right, beginning behind the key. */
bool gm_setting_put(struct gm_group_spec *spec, enum gm_setting setting, const char *value, char why[static GM_SETTING_WHY]);
/* Once all are put: what follows from the others is filled in, and all have to go together. false: why begins with the key. */
bool gm_settings_done(struct gm_group_spec *spec, char why[static GM_SETTING_WHY]);
/* Once all are put: false where the group's modes leave no use for this one; why begins behind the key. */
bool gm_setting_serves(const struct gm_group_spec *spec, enum gm_setting setting, char why[static GM_SETTING_WHY]);
/* The contrary, of a whole spec: what put() takes, empty where the group has no use for it. Returns buf. */
const char *gm_setting_text(const struct gm_group_spec *spec, enum gm_setting setting, char buf[static GM_SETTING_MAX + 1]);
struct gm_group_spec gm_settings_of(const struct gm_group_info *info); /* without its name */
/* Of a number under the key that group show has: "EdDSA", "P-256", "kccs"; "-" for 0, which is none; NULL: the key has none, or the number. */
const char *gm_param_name(const char *key, int64_t v);
int gm_setting_named(const char *key); /* with dashes or underscores; -1: none */

#define GM_TEMPLATES_MAX 64u
#define GM_TEMPLATE_NAME_MAX 31u
struct gm_template { /* settings under a name; empty: not said */
	char name[GM_TEMPLATE_NAME_MAX + 1];
	char set[GM_SETTINGS_N][GM_SETTING_MAX + 1];
};
/* false: why names the setting. */
bool gm_template_put(const struct gm_template *template, struct gm_group_spec *spec, char why[static GM_SETTING_WHY]);

#endif
