#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each invariant broken on purpose: the simulation has to notice it within SEEDS runs, and nothing without that.
#
#   tests/sim/broken.sh [SEEDS]
set -u
cd "$(dirname "$0")/../.." || exit 1
sim=${GM_BUILD:-build/fast}/sim
passed=0 failed=0

for name in $("$sim" --break list | awk '{ print $1 }'); do
	line=$("$sim" --seeds "1-${1:-60}" --break "$name" --until-failed | grep '^seed')
	if [ -n "$line" ]; then
		passed=$((passed + 1))
		echo "$name: $line"
	else
		failed=$((failed + 1))
		echo "✗ $name is not noticed"
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
