/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include <inttypes.h>
#include <stdio.h>

uint64_t gm_hist_sum(const uint64_t hist[static GM_HIST_N])
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < GM_HIST; i++)
		sum += hist[i];
	return sum;
}

static uint64_t lower_end(unsigned bucket)
{
	return bucket ? UINT64_C(1) << (bucket - 1) : 0;
}

uint64_t gm_hist_quantile(const uint64_t hist[static GM_HIST_N], double q)
{
	uint64_t all = gm_hist_sum(hist), seen = 0;

	for (unsigned i = 0; i < GM_HIST && all; i++) {
		seen += hist[i];
		if ((double)seen >= q * (double)all)
			return lower_end(i);
	}
	return 0;
}

uint64_t gm_hist_most(const uint64_t hist[static GM_HIST_N])
{
	return hist[GM_HIST];
}

static uint64_t at_most(uint64_t v, uint64_t most)
{
	return v < most ? v : most;
}

uint64_t gm_hist_estimate(const uint64_t hist[static GM_HIST_N], double q)
{
	double rank = q * (double)gm_hist_sum(hist), seen = 0;

	for (unsigned i = 0; i < GM_HIST && rank > 0; seen += (double)hist[i++]) /* NOLINT(cert-flp30-c): i counts */
		if (seen + (double)hist[i] >= rank)
			return at_most(lower_end(i) + (uint64_t)((double)lower_end(i) * (rank - seen) / (double)hist[i]), gm_hist_most(hist));
	return 0;
}

static unsigned bucket(uint64_t v)
{
	unsigned b = v ? 64u - (unsigned)__builtin_clzll(v) : 0;
	return b < GM_HIST ? b : GM_HIST - 1;
}

void gm_hist_count(uint64_t hist[static GM_HIST_N], uint64_t v)
{
	hist[bucket(v)]++;
	hist[GM_HIST] = v > hist[GM_HIST] ? v : hist[GM_HIST];
}

void gm_hist_text(const uint64_t hist[static GM_HIST_N], char text[static GM_HIST_TEXT])
{
	size_t n = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < GM_HIST; i++)
		if (hist[i])
			n += (size_t)snprintf(text + n, GM_HIST_TEXT - n, "%s%" PRIu64 ":%" PRIu64, n ? " " : "", lower_end(i), hist[i]);
}
