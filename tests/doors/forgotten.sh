#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sh tests/doors/forgotten.sh COMPILER: it has to warn at each call of forgotten.c; in a build a warning is an error.
here=$(dirname "$0")
calls=$(grep -c '^	gm_' "$here/forgotten.c")
said=$(LC_ALL=C "$1" -std=gnu11 -I"$here/../../crypto/include" -I"$here/../../dataplane/include" -c -o /dev/null "$here/forgotten.c" 2>&1)
refused=$(echo "$said" | grep -c 'unused-result')
[ "$calls" -gt 0 ] && [ "$refused" -eq "$calls" ] && exit 0
echo "$refused of $calls forgotten checks are noticed"
echo "$said"
exit 1
