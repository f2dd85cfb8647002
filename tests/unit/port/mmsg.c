/* SPDX-License-Identifier: Apache-2.0 */
#define PORT mmsg
#include "kernel.h"
