/* SPDX-License-Identifier: Apache-2.0 */
/* Networks with a pace of their own, named by prefixes: one table for all workers, fixed at the start. The buckets in it are
 * shared, without locks, so that a network gets its rate however its members are spread over the workers. Any thread. */
#ifndef GM_WORK_DOMAIN_H
#define GM_WORK_DOMAIN_H

#include "gm/dp.h"

#define GM_DOMAIN_LEVELS 16u /* a network's pace goes down to one part of so many */

struct gm_domains;

/* timeout_ms: the longest first wait for an acknowledgement. NULL where n is 0, or there is no memory. */
struct gm_domains *gm_domains_new(const struct gm_pace_prefix *prefixes, unsigned n, unsigned timeout_ms);
void gm_domains_free(struct gm_domains *t);
/* The one with the longest prefix that holds the address, from 1; 0: none. */
uint16_t gm_domain_of(const struct gm_domains *t, const struct gm_addr *addr);
unsigned gm_domains_n(const struct gm_domains *t);

/* When the next message may go. */
uint64_t gm_domain_next_ns(const struct gm_domains *t, uint16_t d);
bool gm_domain_take(struct gm_domains *t, uint16_t d, uint64_t now_ns); /* false: not yet */
/* How many may follow each other in one turn: one, but where a turn is longer than the time between two. */
unsigned gm_domain_quantum(const struct gm_domains *t, uint16_t d);

/* What congestion is told from: a confirmable message left for the first time; the one that did at first_ns got no answer
 * to that. When more than 5 % of those of an epoch did not, the rate halves; it comes back step by step. */
void gm_domain_sent(struct gm_domains *t, uint16_t d, uint64_t now_ns);
void gm_domain_retry(struct gm_domains *t, uint16_t d, uint64_t now_ns, uint64_t first_ns);
void gm_domain_resent(struct gm_domains *t, uint16_t d);
void gm_domain_waits(struct gm_domains *t, uint16_t d, int more); /* messages that wait for their turn */

void gm_domain_status(const struct gm_domains *t, uint16_t d, struct gm_pace_status *s);

#endif
