/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that lie in objects of their own, so that gmd does not need their libraries. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gm/dp.h"
#include "port/dpdk/dpdk.h"

/* Beside the program, as it is built; or where a package puts it. */
static const char *const places[] = {"/gmd-dpdk.so", "/../lib/gmd/gmd-dpdk.so"};

static bool program_dir(char dir[static PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", dir, PATH_MAX - 1);

	if (n < 0)
		return false;
	dir[n] = '\0';
	char *slash = strrchr(dir, '/');
	if (!slash)
		return false;
	*slash = '\0';
	return true;
}

/* Any word of it may have changed its meaning between two builds: sizes show the most, the version some. */
static bool fits(const struct gm_port_object *o)
{
	static const struct gm_port_object mine = GM_PORT_OBJECT(NULL);

	return o->ops_size == mine.ops_size && o->config_size == mine.config_size && o->stats_size == mine.stats_size &&
	       o->dgram_size == mine.dgram_size && strcmp(o->version, mine.version) == 0;
}

static const struct gm_port_ops *load(const char *path, char why[static GM_WHY])
{
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct gm_port_object *found = object ? dlsym(object, "gm_port_object") : NULL;

	if (!found) {
		snprintf(why, GM_WHY, "%s", dlerror());
	} else if (!fits(found)) {
		snprintf(why, GM_WHY, "%.200s is of another build", path);
		found = NULL;
	}
	return found ? found->ops : NULL; /* stays loaded: what it starts cannot be stopped */
}

const struct gm_port_ops *gm_port_dpdk_load(char why[static GM_WHY])
{
	char dir[PATH_MAX], path[PATH_MAX + 64];

	snprintf(why, GM_WHY, "gmd-dpdk.so is not there: gmd was built without DPDK");
	if (!program_dir(dir))
		return NULL;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", dir, places[i]);
		if (access(path, F_OK) == 0)
			return load(path, why);
	}
	return NULL;
}

const char *gm_port_how(const struct gm_port_ops *port)
{
	return port->how ? port->how() : "";
}

const char *gm_port_why(const struct gm_port_ops *port)
{
	return port->why ? port->why() : "";
}
