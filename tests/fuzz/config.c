/* SPDX-License-Identifier: Apache-2.0 */
/* gmd.conf: taken, with every number in its bounds, or refused with a line that says why. */
#include "insist.h"

#include "ctl/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gm_config config;
	char why[GM_CONFIG_WHY] = "";
	char *text = malloc(size + 1);

	insist(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	enum gm_err err = gm_config_parse(&config, "gmd.conf", text, size, why);
	free(text);
	if (err != GM_E_OK) {
		insist(why[0] && !strchr(why, '\n'));
		return 0;
	}
	insist(config.workers >= 1 && config.workers <= GM_WORKERS_MAX && config.contexts_max >= 1);
	insist(config.listen_n >= 1 && config.listen_n <= 8 && config.prefixes_n <= GM_PREFIXES_MAX);
	insist(config.audience[0] && config.pace <= GM_PACE_MAX);
	return 0;
}
