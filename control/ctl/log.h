/* SPDX-License-Identifier: Apache-2.0 */
/* One line per happening on stderr, logfmt: ts=… level=info group.created group=g1. No secrets. One thread.
 *
 * While lines are held they gather until gm_log_flush(), so that a turn costs one write and decisions are told only
 * once they are durable. Errors and warnings never wait. */
#ifndef GM_CTL_LOG_H
#define GM_CTL_LOG_H

#include <stdbool.h>

enum gm_log_level { GM_LOG_ERROR, GM_LOG_WARN, GM_LOG_INFO, GM_LOG_DEBUG };

void gm_log_set(enum gm_log_level most); /* lines above this level are dropped; GM_LOG_INFO at start */
void gm_log_hold(bool hold);             /* false (at start): each line is written at once */
__attribute__((format(printf, 2, 3))) void gm_log(enum gm_log_level level, const char *fmt, ...);
void gm_log_flush(void);
void gm_log_drop(void); /* forgets what is held: it did not come about */

#endif
