/* SPDX-License-Identifier: Apache-2.0 */
/* What the service manager is told, when there is one. Core thread. */
#ifndef GM_SERVICE_H
#define GM_SERVICE_H

#include <stdint.h>

void gm_service_loading(void); /* a large store: it may take longer */
void gm_service_ready(unsigned groups, unsigned members);
void gm_service_alive(uint64_t now_ms); /* each turn; at half the watchdog's time it is passed on */
void gm_service_stopping(void);

#endif
