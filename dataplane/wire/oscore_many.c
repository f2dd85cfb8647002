/* SPDX-License-Identifier: Apache-2.0 */
/* The framing is a few words per member: each part is stored as a whole word, and what follows is written over what was
 * too much. Lengths vary from member to member, so a loop over bytes would be a wrong guess each. */
#include "wire/oscore_many.h"

#define ALG_CCM_16_64_128 10
#define BSTR 0x40u
#define HAS_KID 0x08u /* flag byte of the option                                  RFC 8613 §6.1 */
#define MARKER 0xffu
#define PLAIN_MAX 65535u
#define AAD_SHORT 11u /* bytes of kid and Partial IV with which the AAD takes two blocks, and the option's length no byte of its own */

#define INLINE static inline __attribute__((always_inline)) /* a call costs as much as what is called */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are put together as they lie in memory");

/* As they lie in memory: the ID's length, the ID, anything; the Partial IV, BSTR, zeros. */
struct parts {
	uint64_t kid, piv;
	unsigned kid_n, piv_n;
};

/* What messages of other texts are sealed from: those of the first one's are in struct gm_ccm_same. */
struct others {
	struct gm_ccm_job job[GM_BATCH_MAX];
	_Alignas(16) uint8_t nonce[GM_BATCH_MAX][16], aad[GM_BATCH_MAX][GM_CCM_AAD_BLOCKS][16];
	unsigned n;
};

/* Anywhere: what memcpy() would do, were its bounds not checked in each of them as an array of known size. */
typedef uint64_t __attribute__((may_alias, aligned(1))) word64;
typedef uint32_t __attribute__((may_alias, aligned(1))) word32;
typedef uint64_t __attribute__((may_alias, vector_size(16))) block;

INLINE uint64_t load64(const void *p)
{
	return *(const word64 *)p;
}

INLINE void store64(uint8_t *to, uint64_t v)
{
	*(word64 *)to = v;
}

INLINE void put_block(uint8_t *to, const uint8_t *from)
{
	*(block *)(void *)to = *(const block *)(const void *)from;
}

INLINE uint64_t id_word(const struct gm_oscore_id *id)
{
	_Static_assert(sizeof(*id) == 8 && offsetof(struct gm_oscore_id, b) == 1, "one word");
	return load64(id);
}

/* Of the message itself. */
INLINE struct parts parts_of(const struct gm_oscore_post *post)
{
	const uint64_t kid = id_word(&post->keys->sid), piv = post->seq << 8 | BSTR;
	const unsigned zeros = (unsigned)__builtin_clzll(piv | 0x100) & 56; /* bits of whole bytes ahead of the first that goes out */

	return (struct parts){kid, __builtin_bswap64(piv) >> zeros, (uint8_t)kid, 7 ^ zeros / 8};
}

/* Of the request that a notification answers. */
INLINE struct parts request_of(const struct gm_oscore_post *post)
{
	const unsigned n = post->obs_piv_n;
	const uint64_t piv = *(const word32 *)post->obs_piv | (uint64_t)post->obs_piv[4] << 32;

	return (struct parts){
	    .kid = id_word(&post->keys->rid),
	    .kid_n = post->keys->rid.n,
	    .piv = piv << (64 - 8 * n) >> (64 - 8 * n) | (uint64_t)BSTR << 8 * n,
	    .piv_n = n,
	};
}

/* size of ID_PIV, ID_PIV to the right of 7 bytes, Partial IV to the right of 5; XOR the Common IV.  RFC 8613 §5.2 */
INLINE void put_nonce(uint8_t *to, const struct gm_oscore_post *post, const struct parts *p)
{
	const uint8_t *iv = post->keys->common_iv;
	const uint64_t id = p->kid - p->kid_n; /* without the length; what is behind it leaves the word */

	store64(to, (id << (56 ^ 8 * p->kid_n) | p->kid_n) ^ load64(iv));
	store64(to + 8, (__builtin_bswap64(post->seq) ^ load64(iv + 5)) >> 24);
}

/* First block of the AAD, of which kid and Partial IV have n bytes */
#define AAD_START(n) {0, 19 + (n), 0x83, 0x68, 'E', 'n', 'c', 'r', 'y', 'p', 't', '0', BSTR, BSTR | (7 + (n)), 0x85, 0x01}

/* Two bytes of length, ["Encrypt0", h'', bstr([1, [10], kid, piv, h''])], zeros to the end of the block.
 *                                                                                         RFC 8613 §5.4, RFC 3610 §2.2 */
INLINE void put_aad(uint8_t *to, const struct parts *p)
{
	static const _Alignas(16) uint8_t first[][16] = {
	    AAD_START(0), AAD_START(1), AAD_START(2), AAD_START(3), AAD_START(4),  AAD_START(5),  AAD_START(6),
	    AAD_START(7), AAD_START(8), AAD_START(9), AAD_START(10), AAD_START(11), AAD_START(12),
	};
	static const _Alignas(16) uint8_t second[16] = {0x81, ALG_CCM_16_64_128};
	const unsigned n = p->kid_n + p->piv_n;

	put_block(to, first[n]);
	put_block(to + 16, second);
	store64(to + 18, p->kid | BSTR);
	to += 19 + p->kid_n;
	to[0] = (uint8_t)(BSTR | p->piv_n);
	store64(to + 1, p->piv);
}

/* Returns where the options go. */
INLINE uint8_t *put_head(const struct gm_oscore_post *post, uint8_t code)
{
	uint8_t *to = post->pkt;
	const unsigned token_len = post->token_len;
	const uint64_t token = load64(post->token);

	*(word32 *)to = (0x40 | GM_COAP_CON << 4 | (uint32_t)code << 8 | (uint32_t)__builtin_bswap16(post->mid) << 16) + token_len;
	store64(to + 4, token);
	return to + 4 + token_len;
}

/* Flags, Partial IV, kid, marker; returns where the text goes.                     RFC 7252 §3, RFC 8613 §6.1 */
INLINE uint8_t *put_post(const struct gm_oscore_post *post, const struct parts *p)
{
	const unsigned value_n = 1 + p->piv_n + p->kid_n, start_n = value_n < 13 ? 1 : 2; /* 13 takes a byte more, of 0 */
	uint8_t *to = put_head(post, GM_COAP_POST);

	to[0] = (uint8_t)(GM_OPT_OSCORE << 4 | value_n);
	to[1] = 0;
	to += start_n;
	to[0] = (uint8_t)(HAS_KID | p->piv_n);
	store64(to + 1, p->piv);
	store64(to + 1 + p->piv_n, p->kid >> 8);
	to[value_n] = MARKER;
	return to + value_n + 1;
}

/* Observe, which rises with the sequence number; flags and Partial IV; marker.     RFC 7641 §4.4, RFC 8613 §4.1.3.5 */
INLINE uint8_t *put_notification(const struct gm_oscore_post *post, const struct parts *p)
{
	const uint32_t observe = (uint32_t)post->seq & 0xffffff;
	const unsigned observe_n = observe ? (39 - (unsigned)__builtin_clz(observe)) / 8 : 0;
	uint8_t *to = put_head(post, GM_COAP(2, 5));

	to[0] = (uint8_t)(GM_OPT_OBSERVE << 4 | observe_n);
	store64(to + 1, __builtin_bswap64(observe) >> (64 - 8 * observe_n) % 64);
	to += 1 + observe_n;
	to[0] = (uint8_t)((GM_OPT_OSCORE - GM_OPT_OBSERVE) << 4 | (1 + p->piv_n));
	to[1] = (uint8_t)p->piv_n;
	store64(to + 2, p->piv);
	to[2 + p->piv_n] = MARKER;
	return to + 3 + p->piv_n;
}

/* Whether it can be made, but for its text and the room for that */
INLINE bool fits(const struct gm_oscore_post *post)
{
	const struct gm_oscore_keys *keys = post->keys;

	_Static_assert((GM_OSCORE_ID_MAX & (GM_OSCORE_ID_MAX + 1)) == 0, "so that two lengths are one");
	return keys->alg == ALG_CCM_16_64_128 && (keys->sid.n | keys->rid.n) <= GM_OSCORE_ID_MAX && post->seq <= GM_OSCORE_SEQ_MAX &&
	       post->token_len <= GM_COAP_TOKEN_MAX && post->obs_piv_n <= GM_OSCORE_PIV_MAX;
}

/* All but the text; returns where that goes. */
typedef uint8_t *frame(const struct gm_oscore_post *post, uint8_t *nonce, uint8_t *aad);

static uint8_t *frame_post(const struct gm_oscore_post *post, uint8_t *nonce, uint8_t *aad)
{
	const struct parts p = parts_of(post);

	put_aad(aad, &p);
	put_nonce(nonce, post, &p);
	return put_post(post, &p);
}

static uint8_t *frame_notification(const struct gm_oscore_post *post, uint8_t *nonce, uint8_t *aad)
{
	const struct parts p = parts_of(post), request = request_of(post);

	put_aad(aad, &request);
	put_nonce(nonce, post, &p);
	return put_notification(post, &p);
}

#include "wire/oscore_shuffle.h"

/* Of the AAD, without the two bytes of length */
static unsigned aad_len(const struct gm_oscore_post *post)
{
	const struct parts p = post->obs_piv_n ? request_of(post) : parts_of(post);

	return 19 + p.kid_n + p.piv_n;
}

/* Whether kid and Partial IV have no more than AAD_SHORT */
INLINE bool is_short(const struct gm_oscore_post *post)
{
	const struct gm_oscore_keys *keys = post->keys;

	if (post->obs_piv_n)
		return keys->rid.n + post->obs_piv_n <= AAD_SHORT;
	return keys->sid.n < GM_OSCORE_ID_MAX || post->seq >> 32 == 0;
}

/* false: it cannot be made */
static __attribute__((noinline)) bool add_other(struct others *o, struct gm_oscore_post *post)
{
	const unsigned at = o->n;
	const struct gm_bytes plain = post->plain;

	if (!fits(post) || plain.n > PLAIN_MAX || post->cap < GM_OSCORE_POST_ROOM(plain.n))
		return false;
	uint8_t *text = (post->obs_piv_n ? frame_notification : frame_post)(post, o->nonce[at], o->aad[at][0]);

	post->len = (size_t)(text - post->pkt) + plain.n + GM_CCM_TAG;
	if (plain.n)
		memcpy(text, plain.p, plain.n);
	o->job[at] = (struct gm_ccm_job){.key = post->keys->send_key,
	                                 .nonce = o->nonce[at],
	                                 .aad = o->aad[at][0] + 2,
	                                 .aad_len = aad_len(post),
	                                 .text = text,
	                                 .text_len = plain.n,
	                                 .tag_len = GM_CCM_TAG};
	o->n++;
	return true;
}

static uint64_t bits(unsigned n)
{
	return n == GM_BATCH_MAX ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* Frames what has the first one's text, returns how many that are. by: for POSTs; rest: bits of those with another text, with a
 * long AAD, or no good */
INLINE unsigned frame_alike(struct gm_ccm_same *same, struct gm_oscore_post *posts, unsigned n, uint64_t *rest, frame *by)
{
	const struct gm_bytes plain = posts[0].plain;
	const size_t room = plain.n <= PLAIN_MAX ? GM_OSCORE_POST_ROOM(plain.n) : SIZE_MAX;
	unsigned at = 0;

	for (unsigned i = 0; i < n; i++) {
		struct gm_oscore_post *post = &posts[i];
		uint8_t *nonce = same->nonce[at], *aad = same->aad[at][0];

		if (post->plain.p != plain.p || post->plain.n != plain.n || post->cap < room || !fits(post) || !is_short(post)) {
			*rest |= UINT64_C(1) << i;
			continue;
		}
		uint8_t *text = post->obs_piv_n ? frame_notification(post, nonce, aad) : by(post, nonce, aad);
		post->len = (size_t)(text - post->pkt) + plain.n + GM_CCM_TAG;
		same->to[at] = text;
		same->key[at++] = post->keys->send_key;
	}
	same->text = plain.p;
	same->text_len = plain.n;
	same->aad_blocks = 2;
	return at;
}

/* flatten: nothing is called for each message */
static __attribute__((flatten)) unsigned frame_by_words(struct gm_ccm_same *same, struct gm_oscore_post *posts, unsigned n,
                                                        uint64_t *rest)
{
	return frame_alike(same, posts, n, rest, frame_post);
}

#ifdef __x86_64__
static __attribute__((flatten)) SHUFFLES unsigned frame_by_shuffles(struct gm_ccm_same *same, struct gm_oscore_post *posts,
                                                                    unsigned n, uint64_t *rest)
{
	return frame_alike(same, posts, n, rest, frame_shuffled_post);
}
#endif

static unsigned frame_by_best(struct gm_ccm_same *same, struct gm_oscore_post *posts, unsigned n, uint64_t *rest)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("ssse3"))
		return frame_by_shuffles(same, posts, n, rest);
#endif
	return frame_by_words(same, posts, n, rest);
}

uint64_t gm_oscore_post_many(struct gm_oscore_post *posts, unsigned n)
{
	struct gm_ccm_same same;
	struct others others;
	uint64_t made = bits(n), rest = 0;

	if (n == 0)
		return 0;
	const unsigned same_n = frame_by_best(&same, posts, n, &rest);

	for (others.n = 0; rest; rest &= rest - 1)
		if (!add_other(&others, &posts[__builtin_ctzll(rest)]))
			made &= ~(rest & -rest);
	/* Sizes are good: only the portable variant can fail, without memory, and then nothing may leave. */
	if (same_n && gm_ccm_seal_same(&same, same_n) != bits(same_n))
		return 0;
	return others.n && gm_ccm_seal(others.job, others.n) != bits(others.n) ? 0 : made;
}
