/* SPDX-License-Identifier: Apache-2.0 */
#define PORT uring
#include "kernel.h"
