/* SPDX-License-Identifier: Apache-2.0 */
/* For libraries that stand before libc: the function that would have been called. */
#ifndef GM_PRELOAD_H
#define GM_PRELOAD_H

#include <dlfcn.h>
#include <stdbool.h>

/* Found once; more than one thread may find it, which does no harm. */
#define REAL(result, name, ...) \
	(*({ \
		static result (*real_##name)(__VA_ARGS__); \
		if (!real_##name) \
			*(void **)&real_##name = dlsym(RTLD_NEXT, #name); \
		real_##name; \
	}))

#endif
