/* SPDX-License-Identifier: Apache-2.0 */
/* As much of Criterion's interface as the tests of crypto/ and wire/ use, for a machine that is emulated program by
 * program: Criterion starts its tests by exec, which QEMU's user mode leads back to the host. Here a test is a fork. */
#ifndef CRITERION_CRITERION_H_
#define CRITERION_CRITERION_H_

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct criterion_set {
	void (*init)(void), (*fini)(void);
	double timeout;
};

struct criterion_test {
	const char *suite, *name;
	void (*run)(void); /* NULL: the settings of a suite */
	struct criterion_set set;
	struct criterion_test *next;
};

void criterion_add(struct criterion_test *t);
void criterion_failed(bool fatal, const char *file, int line, const char *what, const char *format, ...);
_Noreturn void criterion_skip(const char *why);

#define CRITERION_ADD(id, suite_, run_, ...)                                                                           \
	__attribute__((constructor)) static void criterion_add_##id(void)                                              \
	{                                                                                                              \
		static struct criterion_test t = {suite_, #id, run_, {__VA_ARGS__}, NULL};                             \
		criterion_add(&t);                                                                                     \
	}

#define Test(suite, name, ...)                                                                                         \
	static void suite##_##name(void);                                                                              \
	CRITERION_ADD(suite##_##name, #suite, suite##_##name, __VA_ARGS__)                                             \
	static void suite##_##name(void)
#define TestSuite(suite, ...) CRITERION_ADD(suite##_suite, #suite, NULL, __VA_ARGS__) _Static_assert(1, "a semicolon follows")

#define CRITERION_CHECK(fatal, ok, what, ...)                                                                              \
	do {                                                                                                           \
		if (!(ok))                                                                                             \
			criterion_failed(fatal, __FILE__, __LINE__, what, "" __VA_ARGS__);                                             \
	} while (0)

#define cr_expect(x, ...) CRITERION_CHECK(false, x, #x, __VA_ARGS__)
#define cr_assert(x, ...) CRITERION_CHECK(true, x, #x, __VA_ARGS__)
#define cr_expect_not(x, ...) CRITERION_CHECK(false, !(x), "not " #x, __VA_ARGS__)
#define cr_assert_not(x, ...) CRITERION_CHECK(true, !(x), "not " #x, __VA_ARGS__)
#define cr_expect_eq(a, b, ...) CRITERION_CHECK(false, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) CRITERION_CHECK(true, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) CRITERION_CHECK(false, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) CRITERION_CHECK(true, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) CRITERION_CHECK(false, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) CRITERION_CHECK(true, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) CRITERION_CHECK(false, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) CRITERION_CHECK(true, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) CRITERION_CHECK(false, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) CRITERION_CHECK(true, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) CRITERION_CHECK(false, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) CRITERION_CHECK(true, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_expect_null(a, ...) CRITERION_CHECK(false, (a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_assert_null(a, ...) CRITERION_CHECK(true, (a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_expect_not_null(a, ...) CRITERION_CHECK(false, (a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_assert_not_null(a, ...) CRITERION_CHECK(true, (a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) CRITERION_CHECK(false, strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) CRITERION_CHECK(true, strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...) CRITERION_CHECK(false, memcmp(a, b, n) == 0, #a " holds " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) CRITERION_CHECK(true, memcmp(a, b, n) == 0, #a " holds " #b, __VA_ARGS__)
#define cr_expect_arr_neq(a, b, n, ...) CRITERION_CHECK(false, memcmp(a, b, n) != 0, #a " differs from " #b, __VA_ARGS__)
#define cr_assert_arr_neq(a, b, n, ...) CRITERION_CHECK(true, memcmp(a, b, n) != 0, #a " differs from " #b, __VA_ARGS__)
#define cr_skip_test(why, ...) criterion_skip(why)
#define cr_log_info(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr))

#endif
