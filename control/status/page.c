/* SPDX-License-Identifier: Apache-2.0 */
/* The page, as it stands in page.html, and a policy that names what it holds by hash: nothing else is run or loaded. */
#include <stdio.h>
#include <stdlib.h>

#include "gm/crypto.h"
#include "status/status.h"

__asm__(".pushsection .rodata\n"
        ".globl status_page\n"
        "status_page: .incbin \"" GM_STATUS_PAGE "\"\n"
        "status_page_end: .byte 0\n"
        ".popsection\n");
extern const char status_page_end[];

size_t status_page_n(void)
{
	return (size_t)(status_page_end - status_page);
}

static void base64(const uint8_t *p, size_t n, char *to)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		const uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
		*to++ = digits[v >> 18];
		*to++ = digits[v >> 12 & 63];
		*to++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*to++ = i + 2 < n ? digits[v & 63] : '=';
	}
	*to = '\0';
}

static void hash_of(const char *begin, const char *end, char text[static 64])
{
	const char *from = strstr(status_page, begin), *to = from ? strstr(from, end) : NULL;
	uint8_t hash[GM_SHA256];

	if (!to)
		abort(); /* it is ours */
	from += strlen(begin);
	gm_sha256(hash, (const uint8_t *)from, (size_t)(to - from));
	base64(hash, sizeof(hash), text);
}

const char *status_policy(void)
{
	static char policy[512];
	char style[64], script[64];

	if (policy[0])
		return policy;
	hash_of("<style>", "</style>", style);
	hash_of("<script>", "</script>", script);
	snprintf(policy, sizeof(policy),
	         "default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; connect-src 'self'; img-src data:; base-uri 'none'; "
	         "form-action 'none'; frame-ancestors 'none'",
	         style, script);
	return policy;
}
