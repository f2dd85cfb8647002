#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The fuzz targets of what only decodes, built with MemorySanitizer, over the corpora in the tree and those that fuzzing grew: nothing
# is decided by bytes that nobody wrote. Targets that call libraries are left out: what those write counts as unwritten. Of sheets the
# files in CSV alone are replayed, as JSON is read by jansson; cose decodes and opens nothing.
#
#   tests/fuzz/msan.sh      the last line counts
set -u
cd "$(dirname "$0")/../.." || exit 1

targets=$(tests/fuzz/run.sh --list) || exit 1
# shellcheck disable=SC2046 # names
set -- $(awk '$2 == "decodes" || $1 == "cose" || $1 == "rtnl" { print $1 }' <<<"$targets")
if ! { cmake --preset msan -DGM_TESTS=ON && cmake --build build/msan -j "$(nproc)" --target "${@/#/fuzz_}"; } >build/msan.log 2>&1; then
	tail -n 20 build/msan.log
	exit 1
fi
passed=0 failed=0
for name; do
	corpora=("tests/fuzz/corpus/$name")
	[ ! -d "build/long/fuzz/grown/$name" ] || [ -z "$(ls "build/long/fuzz/grown/$name")" ] || corpora+=("build/long/fuzz/grown/$name")
	[ "$name" != sheet ] || corpora=(tests/fuzz/corpus/sheet/*.csv)
	if build/msan/fuzz_"$name" "${corpora[@]}" >build/msan/"$name".log 2>&1; then
		passed=$((passed + 1))
		printf '  ✓ %-16s %s\n' "$name" "$(tail -n 1 build/msan/"$name".log)"
	else
		failed=$((failed + 1))
		printf '  ✗ %s\n' "$name"
		head -n 20 build/msan/"$name".log
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
