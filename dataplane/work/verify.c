/* SPDX-License-Identifier: Apache-2.0 */
/* The signatures that a turn has brought, of Joins, credentials and tokens: verified together, at its end.
 *
 * Together means as one equation, as far as that pays: those of signers who are known for good ones, those of newcomers, and
 * those of tokens apart, so that who can make bad ones of one kind makes that kind dear and no other. Whoever has just sent a
 * bad one fails alone, in the lanes. A newcomer's key is whatever it likes, and a token says who issued it, not who has sent it:
 * of these the share of bad ones is what counts. All who join anew after a loss of power are newcomers. */
#include "gm/crypto.h"
#include "work/worker.h"

bool gm_verify_waits(const struct worker *w)
{
	return w->joins_n || w->tokens_n;
}

/* ---- what is known of a signer, by its key. Keys that share a place share what is known: no more than a price. */

static uint8_t *standing_of(struct worker *w, const uint8_t *pub)
{
	return &w->standing[gm_worker_hash(w, pub, GM_ED25519_PUB) % STANDINGS];
}

/* ---- jobs, in order of what they are verified with, and whose each of them is */

static void add(struct sigs *s, struct gm_ed25519_job job, const struct gm_ed25519_point *point, bool *good)
{
	s->job[s->n] = job;
	s->point[s->n] = point;
	s->good[s->n++] = good;
}

static void add_tokens(struct worker *w)
{
	for (unsigned i = 0; i < w->tokens_n; i++) {
		struct posted_token *t = &w->token[i];
		const struct as *as = &w->as[t->as];
		add(&w->sigs, (struct gm_ed25519_job){as->key.key, t->sig.p, t->signed_.p, t->signed_.n},
		    as->has_point ? &as->point : NULL, &t->good);
	}
}

static bool is_ed25519(const struct checked *k)
{
	return k->proof && gm_proof_is_ed25519(&k->proof->params);
}

enum signer { KNOWN, NEWCOMER, PENITENT };

static enum signer signer_of(struct worker *w, const struct checked *k)
{
	const uint8_t standing = *standing_of(w, k->pub.x);

	return gm_ed25519_standing_batches(standing) ? KNOWN : standing ? PENITENT : NEWCOMER;
}

static void add_joins(struct worker *w, enum signer of)
{
	for (unsigned i = 0; i < w->joins_n; i++) {
		struct checked *k = &w->join[i];
		if (is_ed25519(k) && signer_of(w, k) == of)
			add(&w->sigs, (struct gm_ed25519_job){k->pub.x, k->join.verify.p, k->pop_input, k->pop_n}, NULL, &k->good);
	}
}

/* ---- verdicts */

/* n of them from at on; 0: as many as one call of the lanes takes. Returns how many it did. */
static unsigned verify(struct worker *w, unsigned at, unsigned n, unsigned end, unsigned *bad)
{
	struct sigs *s = &w->sigs;
	uint64_t good[GM_ED25519_BATCH_WORDS(TURN_MAX)];
	uint8_t seed[GM_ED25519_SEED];

	if (n) {
		gm_random(seed, sizeof seed);
		gm_ed25519_verify_batch(good, &(struct gm_ed25519_batch){s->job + at, s->point + at, n, seed, w->sig_room});
		ADD(w, sigs_batched, n);
	} else {
		n = end - at < GM_BATCH_MAX ? end - at : GM_BATCH_MAX;
		good[0] = gm_ed25519_verify(s->job + at, n);
	}
	*bad = 0;
	for (unsigned i = 0; i < n; i++) {
		*s->good[at + i] = good[i / 64] >> i % 64 & 1;
		*bad += !*s->good[at + i];
	}
	return n;
}

/* All from at on. policy NULL: in the lanes. */
static void verify_all(struct worker *w, unsigned at, struct gm_ed25519_policy *policy)
{
	for (unsigned n, bad; at < w->sigs.n; at += n) {
		n = verify(w, at, policy ? gm_ed25519_policy_size(policy, w->sigs.n - at) : 0, w->sigs.n, &bad);
		if (policy)
			gm_ed25519_policy_learn(policy, n, bad);
	}
}

static void learn(struct worker *w)
{
	for (unsigned i = 0; i < w->joins_n; i++) {
		struct checked *k = &w->join[i];
		if (!is_ed25519(k))
			continue;
		uint8_t *standing = standing_of(w, k->pub.x);
		*standing = gm_ed25519_standing_after(*standing, k->good);
	}
}

static void verify_joins(struct worker *w, enum signer of, struct gm_ed25519_policy *policy)
{
	const unsigned at = w->sigs.n;

	add_joins(w, of);
	verify_all(w, at, policy);
}

static void verify_signatures(struct worker *w)
{
	w->sigs.n = 0;
	add_tokens(w);
	verify_all(w, 0, &w->token_policy);
	verify_joins(w, KNOWN, &w->join_policy);
	verify_joins(w, NEWCOMER, &w->newcomer_policy);
	verify_joins(w, PENITENT, NULL);
	learn(w);
	if (w->sigs.n)
		gm_work_hist(w->stats.hist_verify, w->sigs.n);
}

static unsigned verify_some(const struct gm_proof_job *job, struct checked *const *of, unsigned n)
{
	uint64_t good = gm_proofs_verify(job, n);

	for (unsigned i = 0; i < n; i++)
		of[i]->good = good >> i & 1;
	return 0;
}

/* MACs from shared secrets, and ECDSA. */
static void verify_others(struct worker *w)
{
	struct gm_proof_job job[GM_BATCH_MAX];
	struct checked *of[GM_BATCH_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i <= w->joins_n; i++) {
		struct checked *k = &w->join[i];
		if (n == GM_BATCH_MAX || i == w->joins_n)
			n = verify_some(job, of, n);
		if (i == w->joins_n || !k->proof || is_ed25519(k))
			continue;
		of[n] = k;
		job[n++] = (struct gm_proof_job){&k->proof->params, &k->proof->kdc, &k->pub, {k->pop_input, k->pop_n}, k->join.verify, NULL};
	}
}

void gm_verify(struct worker *w)
{
	verify_signatures(w);
	verify_others(w);
	for (unsigned i = 0; i < w->tokens_n; i++)
		gm_token_verified(w, &w->token[i], w->token[i].good);
	for (unsigned i = 0; i < w->joins_n; i++)
		gm_check_verified(w, &w->join[i]);
	ADD(w, joins, w->joins_n);
	w->joins_n = w->tokens_n = 0;
}
