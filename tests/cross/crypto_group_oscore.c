/* SPDX-License-Identifier: Apache-2.0 */
/* The door of crypto/ against keys, messages and proofs of possession computed in Python. */
#include <criterion/criterion.h>
#include <string.h>
#include <gm/crypto.h>
#include "vectors.h"

static json_t *file;

static void start(void)
{
	cr_assert(gm_crypto_init());
	file = gm_vectors_load("group-oscore.json");
}

static void stop(void)
{
	json_decref(file);
}

TestSuite(group_oscore, .init = start, .fini = stop);

struct bytes {
	uint8_t at[512];
	size_t len;
};

static struct bytes hex(const char *text)
{
	struct bytes b;

	b.len = gm_hex(b.at, sizeof(b.at), text);
	return b;
}

/* file[part][name]; part may have one dot in it */
static struct bytes get(const char *part, const char *name)
{
	json_t *object = file;
	char path[64], *rest = path;
	struct bytes b;

	strcpy(path, part);
	while (rest)
		object = json_object_get(object, strsep(&rest, "."));
	b.len = gm_vectors_get(b.at, sizeof(b.at), object, name);
	return b;
}

static struct bytes join(const struct bytes *parts, unsigned n)
{
	struct bytes b = {.len = 0};

	for (unsigned i = 0; i < n; i++) {
		cr_assert_leq(b.len + parts[i].len, sizeof(b.at));
		memcpy(b.at + b.len, parts[i].at, parts[i].len);
		b.len += parts[i].len;
	}
	return b;
}

static void derives(struct bytes salt, struct bytes ikm, struct bytes info, struct bytes expected)
{
	uint8_t out[64];

	gm_hkdf_sha256(out, expected.len, salt.at, salt.len, ikm.at, ikm.len, info.at, info.len);
	cr_expect_arr_eq(out, expected.at, expected.len);
}

/* info: [id, id_context, alg, type, L]                                       RFC 8613 §3.2.1 */
#define INFO_KEY_A "85410a42dd110a634b657910"
#define INFO_KEY_B "85415142dd110a634b657910"
#define INFO_IV "854042dd110a6249560d"

Test(group_oscore, derives_the_keys_of_the_group_from_its_secret)
{
	struct bytes secret = get("inputs", "master_secret"), salt = get("inputs", "master_salt");

	derives(salt, secret, hex(INFO_KEY_A), get("derived", "sender_key_A"));
	derives(salt, secret, hex(INFO_KEY_B), get("derived", "sender_key_B"));
	derives(salt, secret, hex(INFO_IV), get("derived", "common_iv"));
	derives(salt, secret, get("derived", "SEKey_info"), get("derived", "signature_encryption_key"));
}

Test(group_oscore, derives_the_keystream_over_a_countersignature)
{
	derives(get("group_mode_request", "piv"), get("derived", "signature_encryption_key"),
	        get("group_mode_request", "keystream_info"), get("group_mode_request", "keystream"));
}

static void shares_secret(const char *mine, const char *theirs)
{
	uint8_t priv[GM_X25519_KEY], pub[GM_X25519_KEY], shared[GM_X25519_KEY];

	gm_ed25519_to_x25519_priv(priv, get(mine, "seed").at);
	cr_assert(gm_ed25519_to_x25519_pub(pub, get(theirs, "pub").at));
	cr_assert(gm_x25519(shared, priv, pub));
	cr_expect_arr_eq(shared, get("derived", "shared_secret_AB").at, sizeof(shared));
}

Test(group_oscore, agrees_on_one_secret_from_both_sides_through_ed25519_keys)
{
	shares_secret("inputs.A", "inputs.B");
	shares_secret("inputs.B", "inputs.A");
}

Test(group_oscore, derives_the_pairwise_keys_of_both_directions)
{
	struct bytes a = get("inputs.A", "cred_ccs"), b = get("inputs.B", "cred_ccs");
	struct bytes shared = get("derived", "shared_secret_AB");

	derives(get("derived", "sender_key_A"), join((struct bytes[]){a, b, shared}, 3), hex(INFO_KEY_A),
	        get("derived", "pairwise_A_to_B"));
	derives(get("derived", "sender_key_B"), join((struct bytes[]){b, a, shared}, 3), hex(INFO_KEY_B),
	        get("derived", "pairwise_B_to_A"));
}

/* The AAD is ["Encrypt0", h'', external_aad].                                RFC 8613 §5.4 */
static void seals(struct bytes key, const char *part)
{
	struct bytes text = get("group_mode_request", "plaintext"), nonce = get("group_mode_request", "nonce");
	struct bytes external = get(part, "external_aad_bstr"), sealed = get(part, "ciphertext");
	struct bytes head = hex("8368456e6372797074304058");
	head.at[head.len++] = (uint8_t)external.len;

	struct bytes aad = join((struct bytes[]){head, external}, 2);
	const struct gm_ccm_job job = {key.at, nonce.at, aad.at, aad.len, text.at, text.len, GM_CCM_TAG};

	cr_assert_eq(gm_ccm_seal(&job, 1), 1);
	cr_expect_arr_eq(text.at, sealed.at, sealed.len, "%s", part);
	cr_assert_eq(gm_ccm_open(&job, 1), 1);
	cr_expect_arr_eq(text.at, get("group_mode_request", "plaintext").at, text.len, "%s", part);
}

Test(group_oscore, seals_a_request_in_group_mode_and_in_pairwise_mode)
{
	seals(get("derived", "sender_key_A"), "group_mode_request");
	seals(get("derived", "pairwise_A_to_B"), "pairwise_mode_request");
}

static void signs(const char *who, struct bytes msg, struct bytes expected)
{
	uint8_t pub[GM_ED25519_PUB], sig[GM_ED25519_SIG];
	struct bytes seed = get(who, "seed");

	gm_ed25519_public(pub, seed.at);
	cr_expect_arr_eq(pub, get(who, "pub").at, sizeof(pub));

	const struct gm_ed25519_sign_job job = {seed.at, pub, msg.at, msg.len, sig};
	gm_ed25519_sign(&job, 1);
	cr_expect_arr_eq(sig, expected.at, sizeof(sig));

	const struct gm_ed25519_job check = {pub, expected.at, msg.at, msg.len};
	cr_expect_eq(gm_ed25519_verify(&check, 1), 1);
}

Test(group_oscore, signs_a_request_and_both_proofs_of_possession)
{
	signs("inputs.A", get("group_mode_request", "to_be_signed_5el"), get("group_mode_request", "signature_5el"));
	signs("inputs.A", get("pop", "client_pop_input"), get("pop", "client_cred_verify_ed25519(A)"));
	signs("inputs.GM", get("pop", "kdc_pop_input"), get("pop", "kdc_cred_verify_ed25519(GM)"));
}

Test(group_oscore, proves_possession_by_mac_in_a_pairwise_only_group)
{
	const uint8_t base[GM_X25519_KEY] = {9};
	struct bytes alice = get("pop_pairwise_only", "client_x25519_priv(RFC7748 6.1 Alice)");
	struct bytes bob = get("pop_pairwise_only", "gm_x25519_priv(Bob)"), none = {.len = 0};
	struct bytes ikm = {.len = GM_X25519_KEY};
	uint8_t pub[GM_X25519_KEY];

	cr_assert(gm_x25519(pub, bob.at, base));
	cr_assert(gm_x25519(ikm.at, alice.at, pub));
	cr_expect_arr_eq(ikm.at, get("pop_pairwise_only", "IKM").at, ikm.len);
	derives(none, ikm, get("pop", "client_pop_input"), get("pop_pairwise_only", "client_cred_verify_mac8"));
	derives(none, ikm, get("pop", "kdc_pop_input"), get("pop_pairwise_only", "kdc_cred_verify_mac8"));
}
