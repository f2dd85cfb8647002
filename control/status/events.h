/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of what gmd says, where more than one file needs it. One thread. */
#ifndef GM_STATUS_EVENTS_H
#define GM_STATUS_EVENTS_H

#include <jansson.h>

#include "status/status.h"

json_t *json_of_pairs(struct gm_bytes pairs); /* an object; NULL: out of memory */
json_t *events_kept(const struct events *e);  /* borrowed */

#endif
