/* SPDX-License-Identifier: Apache-2.0 */
/* One line per happening on stderr, logfmt: ts=… level=info group.created group=g1. No secrets. One thread. */
#ifndef GM_CTL_LOG_H
#define GM_CTL_LOG_H

enum gm_log_level { GM_LOG_ERROR, GM_LOG_WARN, GM_LOG_INFO, GM_LOG_DEBUG };

void gm_log_set(enum gm_log_level most); /* lines above this level are dropped; GM_LOG_INFO at start */
__attribute__((format(printf, 2, 3))) void gm_log(enum gm_log_level level, const char *fmt, ...);

#endif
