/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#define eq(type, a, b) ((a) == (b))
