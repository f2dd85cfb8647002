/* SPDX-License-Identifier: Apache-2.0 */
/* The framing is a few words per member: each part is stored as a whole word, and what follows is written over what was
 * too much. Lengths vary from member to member, so a loop over bytes would be a wrong guess each. */
#include "wire/oscore_many.h"

#define ALG_CCM_16_64_128 10
#define BSTR 0x40u
#define HAS_KID 0x08u /* flag byte of the option                                  RFC 8613 §6.1 */
#define MARKER 0xffu
#define PLAIN_MAX 65535u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are put together as they lie in memory");

/* An ID and a Partial IV as words: byte i of what goes out is bits 8 i and up, behind the first kid_n, piv_n is anything. */
struct parts {
	uint64_t kid, piv;
	unsigned kid_n, piv_n;
};

struct scratch { /* what the jobs point into */
	uint8_t nonce[GM_BATCH_MAX][16], aad[GM_BATCH_MAX][48];
};

static uint64_t load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void store64(uint8_t *to, uint64_t v)
{
	memcpy(to, &v, sizeof(v));
}

static uint64_t id_word(const struct gm_oscore_id *id)
{
	_Static_assert(sizeof(*id) == 8 && offsetof(struct gm_oscore_id, b) == 1, "one word");
	return load64(id) >> 8;
}

/* Of the message itself. */
static struct parts parts_of(const struct gm_oscore_post *post)
{
	struct parts p = {.kid = id_word(&post->keys->sid), .kid_n = post->keys->sid.n};

	p.piv_n = (71 - (unsigned)__builtin_clzll(post->seq | 1)) / 8; /* at least one byte */
	p.piv = __builtin_bswap64(post->seq << (64 - 8 * p.piv_n));
	return p;
}

/* Of the request that it answers. */
static struct parts request_of(const struct gm_oscore_post *post)
{
	struct parts p = {.kid = id_word(&post->keys->rid), .kid_n = post->keys->rid.n, .piv_n = post->obs_piv_n};

	memcpy(&p.piv, post->obs_piv, sizeof(post->obs_piv));
	return p;
}

/* size of ID_PIV, ID_PIV to the right of 7 bytes, Partial IV to the right of 5; XOR the Common IV.  RFC 8613 §5.2 */
static void put_nonce(uint8_t *to, const struct gm_oscore_post *post, const struct parts *p)
{
	const uint8_t *iv = post->keys->common_iv;
	const uint64_t first = p->kid_n | p->kid << 1 << (63 - 8 * p->kid_n),
	               second = __builtin_bswap64(post->seq) >> 24;
	const uint64_t words[2] = {first ^ load64(iv), second ^ load64(iv + 5) >> 24};

	memcpy(to, words, sizeof(words));
}

static uint8_t *put_bstr(uint8_t *to, uint64_t word, unsigned n)
{
	*to = (uint8_t)(BSTR | n);
	store64(to + 1, word);
	return to + 1 + n;
}

/* ["Encrypt0", h'', bstr([1, [10], kid, piv, h''])]                                       RFC 8613 §5.4 */
static size_t put_aad(uint8_t *to, const struct parts *p)
{
	static const uint8_t start[16] = {0x83, 0x68, 'E',  'n',  'c',  'r',  'y',  'p',
	                                  't',  '0',  BSTR, BSTR, 0x85, 0x01, 0x81, ALG_CCM_16_64_128};
	const unsigned external_n = 7 + p->kid_n + p->piv_n;

	memcpy(to, start, sizeof(start));
	to[11] = (uint8_t)(BSTR | external_n);
	*put_bstr(put_bstr(to + sizeof(start), p->kid, p->kid_n), p->piv, p->piv_n) = BSTR;
	return 12 + external_n;
}

/* Returns where the options go. */
static uint8_t *put_head(const struct gm_oscore_post *post, uint8_t code)
{
	const uint32_t head = 0x40 | GM_COAP_CON << 4 | post->token_len | (uint32_t)code << 8 |
	                      (uint32_t)__builtin_bswap16(post->mid) << 16;

	memcpy(post->pkt, &head, sizeof(head));
	memcpy(post->pkt + 4, post->token, sizeof(post->token));
	return post->pkt + 4 + post->token_len;
}

/* Flags, Partial IV, kid, marker; returns where the text goes.                     RFC 7252 §3, RFC 8613 §6.1 */
static uint8_t *put_post(const struct gm_oscore_post *post, const struct parts *p)
{
	const unsigned value_n = 1 + p->piv_n + p->kid_n, start_n = value_n < 13 ? 1 : 2; /* 13 takes a byte more, of 0 */
	uint8_t *to = put_head(post, GM_COAP_POST);

	to[0] = (uint8_t)(GM_OPT_OSCORE << 4 | value_n);
	to[1] = 0;
	to += start_n;
	to[0] = (uint8_t)(HAS_KID | p->piv_n);
	store64(to + 1, p->piv);
	store64(to + 1 + p->piv_n, p->kid);
	to[value_n] = MARKER;
	return to + value_n + 1;
}

/* Observe, which rises with the sequence number; flags and Partial IV; marker.     RFC 7641 §4.4, RFC 8613 §4.1.3.5 */
static uint8_t *put_notification(const struct gm_oscore_post *post, const struct parts *p)
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

static bool fits(const struct gm_oscore_post *post)
{
	return post->keys->alg == ALG_CCM_16_64_128 && post->keys->sid.n <= GM_OSCORE_ID_MAX &&
	       post->keys->rid.n <= GM_OSCORE_ID_MAX && post->seq <= GM_OSCORE_SEQ_MAX &&
	       post->token_len <= GM_COAP_TOKEN_MAX && post->obs_piv_n <= GM_OSCORE_PIV_MAX &&
	       post->plain.n <= PLAIN_MAX && post->cap >= GM_OSCORE_POST_ROOM(post->plain.n);
}

static void lay_out(struct gm_ccm_job *job, struct gm_oscore_post *post, uint8_t *nonce, uint8_t *aad)
{
	const struct parts p = parts_of(post), request = post->obs_piv_n ? request_of(post) : p;
	uint8_t *text = post->obs_piv_n ? put_notification(post, &p) : put_post(post, &p);
	const size_t n = post->plain.n;

	if (n)
		memcpy(text, post->plain.p, n);
	put_nonce(nonce, post, &p);
	*job = (struct gm_ccm_job){post->keys->send_key, nonce, aad, put_aad(aad, &request), text, n, GM_CCM_TAG};
	post->len = (size_t)(text - post->pkt) + n + GM_CCM_TAG;
}

uint64_t gm_oscore_post_many(struct gm_oscore_post *posts, unsigned n)
{
	struct gm_ccm_job jobs[GM_BATCH_MAX];
	struct scratch s;
	uint64_t made = 0;
	unsigned jobs_n = 0;

	for (unsigned i = 0; i < n; i++)
		if (fits(&posts[i])) {
			lay_out(&jobs[jobs_n], &posts[i], s.nonce[jobs_n], s.aad[jobs_n]);
			jobs_n++;
			made |= UINT64_C(1) << i;
		}
	/* Sizes are good: only the portable variant can fail, without memory, and then nothing may leave. */
	uint64_t all = jobs_n == GM_BATCH_MAX ? UINT64_MAX : (UINT64_C(1) << jobs_n) - 1;
	return jobs_n > 0 && gm_ccm_seal(jobs, jobs_n) == all ? made : 0;
}
