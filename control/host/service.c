/* SPDX-License-Identifier: Apache-2.0 */
#include "host/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#define EXTEND_S 120 /* for each portion of the store */

static uint64_t every_ms, next_ms; /* every_ms 0: there is no watchdog */

void gm_service_loading(void)
{
	sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%u\nSTATUS=Loading the store", EXTEND_S * 1000000u);
}

void gm_service_ready(unsigned groups, unsigned members)
{
	uint64_t us = 0;

	every_ms = sd_watchdog_enabled(0, &us) > 0 ? us / 2000 : 0;
	sd_notifyf(0, "READY=1\nSTATUS=Serving %u groups with %u members", groups, members);
}

void gm_service_alive(uint64_t now_ms)
{
	if (!every_ms || now_ms < next_ms)
		return;
	next_ms = now_ms + every_ms;
	sd_notify(0, "WATCHDOG=1");
}

void gm_service_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

const char *gm_service_manager(uint64_t *watchdog_us)
{
	const char *path = getenv("NOTIFY_SOCKET");

	*watchdog_us = 0;
	(void)sd_watchdog_enabled(0, watchdog_us);
	return path ? path : "";
}

void gm_service_as(const char *manager, uint64_t watchdog_us)
{
	char us[24];

	if (!manager[0])
		return;
	snprintf(us, sizeof(us), "%llu", (unsigned long long)watchdog_us);
	setenv("NOTIFY_SOCKET", manager, 1);
	unsetenv("WATCHDOG_PID");
	if (watchdog_us)
		setenv("WATCHDOG_USEC", us, 1);
	else
		unsetenv("WATCHDOG_USEC");
}

void gm_service_is_now(int pid)
{
	sd_notifyf(0, "MAINPID=%d\nSTATUS=Handed over", pid);
}
