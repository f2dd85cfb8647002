/* SPDX-License-Identifier: Apache-2.0 */
/* A control URI: address, port and path that were read, written again, are read as the same. */
#include "insist.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "wire/groupcomm.h"

static bool rewrite(struct gm_bytes input, struct gm_out *out)
{
	char host[INET6_ADDRSTRLEN], head[96];
	struct gm_uri uri;

	if (gm_uri_decode(input, &uri) != GM_E_OK)
		return false;
	insist(uri.path.n > 0 && uri.path.p[0] == '/' && !memchr(uri.path.p, 0, uri.path.n));
	inet_ntop(AF_INET6, uri.ip, host, sizeof host);
	int n = uri.port ? snprintf(head, sizeof head, "coap://[%s]:%u", host, (unsigned)uri.port)
	                 : snprintf(head, sizeof head, "coap://[%s]", host);
	gm_out_bytes(out, head, (size_t)n);
	gm_out_bytes(out, uri.path.p, uri.path.n);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	insist_stable(rewrite, data, size);
	return 0;
}
