/* SPDX-License-Identifier: Apache-2.0 */
/* What the service manager is told, when there is one. Core thread. */
#ifndef GM_SERVICE_H
#define GM_SERVICE_H

#include <stdint.h>

void gm_service_loading(void); /* a large store: it may take longer */
void gm_service_ready(unsigned groups, unsigned members);
void gm_service_alive(uint64_t now_ms); /* each turn; at half the watchdog's time it is passed on */
void gm_service_stopping(void);
/* Who this process reports to, and how often, for a successor that the manager has not started itself. */
const char *gm_service_manager(uint64_t *watchdog_us); /* "": nobody */
void gm_service_as(const char *manager, uint64_t watchdog_us);
void gm_service_is_now(int pid); /* of the successor: said by the predecessor, whom the manager believes */

#endif
