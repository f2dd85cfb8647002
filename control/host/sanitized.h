/* SPDX-License-Identifier: Apache-2.0 */
/* Is this a build with sanitizers, whose own calls are others? */
#ifndef GM_SANITIZED_H
#define GM_SANITIZED_H

#define SANITIZED 0
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#undef SANITIZED
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#undef SANITIZED
#define SANITIZED 1
#endif
#endif

#endif
