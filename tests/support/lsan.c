/* SPDX-License-Identifier: Apache-2.0 */
/* Criterion's runner now and then ends with an allocation of its own. Leaks are looked for where the tests run: in its
 * children, which find BXFI_MAP in their environment. */
#include <stdlib.h>

int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
	return getenv("BXFI_MAP") == NULL;
}
