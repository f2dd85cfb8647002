/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of the field once more, with the multiplication for processors without IFMA. */
#define LANES_MUL32
#include "tests/unit/crypto/field.c"
