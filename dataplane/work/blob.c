/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "gm/crypto.h"
#include "work/worker.h"

struct blob *gm_blob_new(size_t n)
{
	struct blob *b = malloc(sizeof *b + n);

	if (b) {
		b->refs = 1;
		b->n = (uint32_t)n;
	}
	return b;
}

struct blob *gm_blob_copy(const void *p, size_t n)
{
	struct blob *b = gm_blob_new(n);

	if (b && n)
		memcpy(b->bytes, p, n);
	return b;
}

struct blob *gm_blob_ref(struct blob *b)
{
	if (b)
		b->refs++;
	return b;
}

void gm_blob_drop(struct blob **b)
{
	if (*b && --(*b)->refs == 0) {
		gm_wipe((*b)->bytes, (*b)->n);
		free(*b);
	}
	*b = NULL;
}
