/* SPDX-License-Identifier: Apache-2.0 */
/* One text for many, the end of lanes.h: nothing has to be looked at, sorted or measured first. B_0 is made in a register, AAD
 * comes as the blocks that it is, a block of the text goes into all lanes at once, and the text is encrypted on its way to each
 * message. */

/* What all messages of a call share; steps of the chains, of which the first absorbs a block of AAD. */
struct common {
	_Alignas(16) uint8_t start[16]; /* of B_0: flags, and the length behind the nonce */
	_Alignas(16) uint8_t tail[16];  /* the text's last block, padded, where it is not full */
	const struct gm_ccm_same *m;
	uint32_t aad, full, total; /* the last steps of AAD, of full blocks of text, of all */
};

static void find_common(struct common *c, const struct gm_ccm_same *m)
{
	const size_t len = m->text_len;

	memset(c->start, 0, sizeof(c->start));
	c->start[0] = 64 + GM_CCM_TAG * 4 - 8 + 1;
	c->start[14] = (uint8_t)(len >> 8);
	c->start[15] = (uint8_t)len;
	memset(c->tail, 0, sizeof(c->tail));
	if (len % 16)
		put_block(c->tail, block_part(m->text + len / 16 * 16, len % 16));
	c->m = m;
	c->aad = m->aad_blocks;
	c->full = c->aad + (uint32_t)len / 16;
	c->total = c->full + (len % 16 != 0);
}

INLINE struct schedule begin_keys(struct group *g, const struct common *c, unsigned first, unsigned from)
{
	const vec key = vec_gather(&c->m->key[first + from], 0);
	const vec b0 = vec_xor(vec_up(vec_load(c->m->nonce[first + from])), vec_spread(c->start));

	vec_store(g->key[0][from], key);
	vec_store(g->b0[from], b0);
	return (struct schedule){key, key, vec_xor(b0, key)};
}

/* Two vectors at a time: a key waits for the one before. */
static __attribute__((noinline)) void make_keys(struct group *g, const struct common *c, unsigned first, unsigned v)
{
	for (; v < VECS; v += 2) {
		const unsigned a = v * PER, b = (v + 1) % VECS * PER;
		struct schedule of_a = begin_keys(g, c, first, a), of_b = begin_keys(g, c, first, b);

		EACH (r, 1, ROUNDS + 1) {
			next_key(g, a, &of_a, r);
			next_key(g, b, &of_b, r);
		}
	}
}

/* first: of the messages of next */
INLINE void middle_rounds_and_keys(const struct group *g, vec *y, struct group *next, const struct common *c, unsigned first,
                                   unsigned v)
{
	struct schedule s = begin_keys(next, c, first, v * PER);

	EACH (r, 1, ROUNDS) {
		one_round(g, y, r);
		next_key(next, v * PER, &s, r);
	}
	next_key(next, v * PER, &s, ROUNDS);
}

INLINE void absorb_same(const struct group *g, vec *y, const struct common *c, unsigned first, uint32_t s)
{
	const struct gm_ccm_same *m = c->m;

	if (s <= c->aad) {
		EACH (v, 0, VECS)
			y[v] = absorb(g, v, y[v], vec_of_rows(m->aad[first + v * PER][s - 1], sizeof(m->aad[0])));
		return;
	}
	const vec block = vec_spread(s <= c->full ? m->text + (size_t)(s - c->aad - 1) * 16 : c->tail);

	EACH (v, 0, VECS)
		y[v] = absorb(g, v, y[v], block);
}

/* next: the group to prepare on the way, or NULL */
static void run_same_macs(struct group *g, struct group *next, const struct common *c, unsigned first)
{
	unsigned made = 0;
	vec y[VECS];

	EACH (v, 0, VECS)
		y[v] = vec_load(g->state[v * PER]);
	for (uint32_t s = 1; s <= c->total; s++) {
		absorb_same(g, y, c, first, s);
		if (next && made < VECS)
			middle_rounds_and_keys(g, y, next, c, first + LANES, made++);
		else
			middle_rounds(g, y);
	}
	EACH (v, 0, VECS)
		vec_store(g->mac[v * PER], vec_xor(vec_last(y[v], vec_load(g->last_key[v * PER])), vec_load(g->key[0][v * PER])));
	if (next)
		make_keys(next, c, first + LANES, made);
}

INLINE void crypt_same(const struct group *g, const struct common *c, unsigned first, unsigned used, unsigned vecs)
{
	const struct gm_ccm_same *m = c->m;
	struct stretch t = {NULL, m->text, m->text_len};

	for (unsigned i = 0; i < used; i++) {
		t.to = m->to[first + i];
		const __m128i s0 = crypt_some(g, i, t, 0, vecs);

		if (vecs == VECS && t.len > 16 * (LANES - 1))
			crypt_rest(g, i, t);
		_mm_storel_epi64((__m128i *)(t.to + t.len), _mm_xor_si128(load128(g->mac[i]), s0));
	}
}

static __attribute__((noinline)) void crypt_same_text(const struct group *g, const struct common *c, unsigned first, unsigned used)
{
	switch (vecs_for(1 + c->total - c->aad)) {
	case VECS:
		crypt_same(g, c, first, used, VECS);
		break;
	case VECS / 2:
		crypt_same(g, c, first, used, VECS / 2);
		break;
	default:
		crypt_same(g, c, first, used, VECS / 4);
	}
}

static uint64_t seal_same(struct gm_ccm_same *m, unsigned n)
{
	struct group groups[2];
	struct common c;

	if (n == 0)
		return 0;
	find_common(&c, m);
	for (unsigned i = n; i % LANES != 0; i++)
		m->key[i] = m->key[n - 1];
	make_keys(&groups[0], &c, 0, 0);
	for (unsigned at = 0, k = 0; at < n; at += LANES, k = 1 - k) {
		const unsigned left = n - at;

		run_same_macs(&groups[k], left > LANES ? &groups[1 - k] : NULL, &c, at);
		crypt_same_text(&groups[k], &c, at, left < LANES ? left : LANES);
	}
	wipe_secrets(groups, n > LANES ? 2 : 1);
	return n == GM_BATCH_MAX ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}
