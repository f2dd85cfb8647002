/* SPDX-License-Identifier: Apache-2.0 */
/* A part of oscore_many.c: POSTs by processors with SSSE3. Sender ID and Partial IV lie in one register, from which a shuffle makes
 * each part of a message that has bytes of them. What such a part looks like depends on their two lengths alone. */
#ifdef __x86_64__
#include <immintrin.h>

#define SHUFFLES __attribute__((target("ssse3")))

/* One part is the register shuffled, and the bytes that are the same in all messages of these lengths. */
struct shape {
	uint8_t option[16], option_rest[16]; /* with its header, and the marker behind it */
	uint8_t aad[16], aad_rest[16];       /* second block */
	uint8_t nonce[16];
	uint8_t aad_first[16];
	uint8_t head_n, unused[31]; /* of the option and the marker; 128 bytes in all */
};

/* In the register: 0 the ID's length, 1 the ID, 11 the Partial IV, to the right; k and p are the two lengths, j the byte. */
#define NONE 0x80
#define ID(i) (1 + (i))
#define PIV(p, i) (16 - (p) + (i))
#define OPTION(k, p, j) ((j) < 2 ? NONE : (j) < 2 + (p) ? PIV(p, (j) - 2) : (j) < 2 + (p) + (k) ? ID((j) - 2 - (p)) : NONE)
#define OPTION_REST(k, p, j) \
	((j) == 0 ? GM_OPT_OSCORE << 4 | (1 + (p) + (k)) : (j) == 1 ? HAS_KID | (p) : (j) == 2 + (p) + (k) ? MARKER : 0)
#define AAD(k, p, j) \
	((j) < 3 ? NONE : (j) < 3 + (k) ? ID((j) - 3) : (j) == 3 + (k) ? NONE : (j) < 4 + (k) + (p) ? PIV(p, (j) - 4 - (k)) : NONE)
#define AAD_REST(k, p, j) \
	((j) == 0 ? 0x81 : (j) == 1 ? ALG_CCM_16_64_128 : (j) == 2 ? BSTR | (k) : (j) == 3 + (k) ? BSTR | (p) : (j) == 4 + (k) + (p) ? BSTR : 0)
#define NONCE(k, p, j) ((j) == 0 ? 0 : (j) < 8 - (k) ? NONE : (j) < 8 ? ID((j) - 8 + (k)) : (j) < 13 ? PIV(5, (j) - 8) : NONE)
#define BYTE(f, k, p, j) (uint8_t)(f(k, p, j))
#define FOUR(f, k, p, j) BYTE(f, k, p, j), BYTE(f, k, p, (j) + 1), BYTE(f, k, p, (j) + 2), BYTE(f, k, p, (j) + 3)
#define BYTES(f, k, p) {FOUR(f, k, p, 0), FOUR(f, k, p, 4), FOUR(f, k, p, 8), FOUR(f, k, p, 12)}
#define SHAPE(k, p) \
	[p] = {BYTES(OPTION, k, p), BYTES(OPTION_REST, k, p), BYTES(AAD, k, p), BYTES(AAD_REST, k, p), BYTES(NONCE, k, p), \
	       AAD_START((k) + (p)), 3 + (k) + (p), {0}}
#define SHAPES(k) {SHAPE(k, 1), SHAPE(k, 2), SHAPE(k, 3), SHAPE(k, 4), SHAPE(k, 5)}

static const _Alignas(64) struct shape shapes[GM_OSCORE_ID_MAX + 1][8] = {
    SHAPES(0), SHAPES(1), SHAPES(2), SHAPES(3), SHAPES(4), SHAPES(5), SHAPES(6), SHAPES(7),
};

INLINE SHUFFLES __m128i shuffled(__m128i x, const uint8_t *how)
{
	return _mm_shuffle_epi8(x, *(const __m128i *)(const void *)how);
}

INLINE SHUFFLES void put_shuffled(uint8_t *to, __m128i x, const uint8_t *how, const uint8_t *rest)
{
	_mm_storeu_si128((__m128i *)(void *)to, _mm_or_si128(shuffled(x, how), *(const __m128i *)(const void *)rest));
}

/* As frame_post(), where is_short(). */
static inline SHUFFLES uint8_t *frame_shuffled_post(const struct gm_oscore_post *post, uint8_t *nonce, uint8_t *aad)
{
	const struct gm_oscore_keys *keys = post->keys;
	uint8_t *to = put_head(post, GM_COAP_POST);
	const uint64_t kid = id_word(&keys->sid), seq = post->seq;
	const unsigned p = 7 ^ ((unsigned)__builtin_clzll(seq << 8 | 0x100) >> 3);
	const struct shape *s = &shapes[(uint8_t)kid][p];
	const __m128i x = _mm_set_epi64x((long long)__builtin_bswap64(seq), (long long)kid);
	const __m128i iv = _mm_loadu_si128((const __m128i *)(const void *)((const uint8_t *)keys + offsetof(struct gm_oscore_keys, common_iv)));
	const __m128i of_nonce = _mm_set_epi64x(0xffffffffff, -1); /* behind the IV comes something else */

	_Static_assert(offsetof(struct gm_oscore_keys, common_iv) + 16 <= sizeof(*keys), "which is theirs, too");

	put_shuffled(to, x, s->option, s->option_rest);
	put_block(aad, s->aad_first);
	put_shuffled(aad + 16, x, s->aad, s->aad_rest);
	_mm_store_si128((__m128i *)(void *)nonce, _mm_and_si128(_mm_xor_si128(shuffled(x, s->nonce), iv), of_nonce));
	return to + s->head_n;
}
#endif
