/* SPDX-License-Identifier: Apache-2.0 */
/* The signatures that a turn has brought, of Joins, credentials and tokens: verified together, at its end. */
#include "gm/crypto.h"
#include "work/worker.h"

bool gm_verify_waits(const struct worker *w)
{
	return w->joins_n || w->tokens_n;
}

static bool is_ed25519(const struct checked *k)
{
	return k->proof && gm_proof_is_ed25519(&k->proof->params);
}

static unsigned put_jobs(const struct worker *w, struct gm_ed25519_job *job)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->tokens_n; i++) {
		const struct posted_token *t = &w->token[i];
		job[n++] = (struct gm_ed25519_job){w->as[t->as].key.key, t->sig.p, t->signed_.p, t->signed_.n};
	}
	for (unsigned i = 0; i < w->joins_n; i++) {
		const struct checked *k = &w->join[i];
		if (is_ed25519(k))
			job[n++] = (struct gm_ed25519_job){k->pub.x, k->join.verify.p, k->pop_input, k->pop_n};
	}
	return n;
}

static void verify_all(const struct gm_ed25519_job *job, unsigned n, uint64_t *good)
{
	for (unsigned i = 0; i < n; i += GM_BATCH_MAX)
		good[i / GM_BATCH_MAX] = gm_ed25519_verify(job + i, n - i < GM_BATCH_MAX ? n - i : GM_BATCH_MAX);
}

static bool bit(const uint64_t *mask, unsigned i)
{
	return mask[i / 64] >> i % 64 & 1;
}

/* MACs from shared secrets, and ECDSA. */
static bool other_proof(const struct checked *k)
{
	const struct group *g = k->proof;

	return g && gm_proof_verify(&g->params, &g->kdc, &k->pub, (struct gm_bytes){k->pop_input, k->pop_n}, k->join.verify);
}

void gm_verify(struct worker *w)
{
	uint64_t good[2 * TURN_MAX / 64];
	unsigned n = put_jobs(w, w->sig_job), at = 0;

	if (n) {
		verify_all(w->sig_job, n, good);
		gm_work_hist(w->stats.hist_verify, n);
	}
	for (unsigned i = 0; i < w->tokens_n; i++)
		gm_token_verified(w, &w->token[i], bit(good, at++));
	for (unsigned i = 0; i < w->joins_n; i++) {
		struct checked *k = &w->join[i];
		gm_check_verified(w, k, is_ed25519(k) ? bit(good, at++) : other_proof(k));
	}
	atomic_fetch_add_explicit(&w->stats.joins, w->joins_n, memory_order_relaxed);
	w->joins_n = w->tokens_n = 0;
}
