#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzz targets with libFuzzer, ASan and UBSan and runs each; what it finds lands in build/fuzz/found/NAME.
#
#   tests/fuzz/run.sh [SECONDS [NAME...]]        default: 60 seconds each, all targets; 0: only built
#   tests/fuzz/run.sh --list                     their names
set -u
cd "$(dirname "$0")/../.." || exit 1

seconds=${1:-60}
shift $(($# > 0))
if [ $# = 0 ]; then
	for source in tests/fuzz/*.c; do
		name=$(basename "$source" .c)
		[ "$name" = replay ] || set -- "$@" "$name"
	done
fi
if [ "$seconds" = --list ]; then
	printf '%s\n' "$@"
	exit
fi

if ! { cmake --preset fuzz && cmake --build build/fuzz -j "$(nproc)" --target "${@/#/fuzz_}"; } >build/fuzz.log 2>&1; then
	tail -n 20 build/fuzz.log
	exit 1
fi

[ "$seconds" != 0 ] || exit 0
status=0
printf '%-20s %12s %10s %8s  %s\n' target executions per-second corpus result
for name; do
	found=build/fuzz/found/$name grown=build/fuzz/grown/$name log=build/fuzz/$name.log
	mkdir -p "$found" "$grown"
	result=clean
	build/fuzz/fuzz_"$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
		-artifact_prefix="$found/" "$grown" "tests/fuzz/corpus/$name" >"$log" 2>&1 || { result="see $log"; status=1; }
	printf '%-20s %12s %10s %8s  %s\n' "$name" \
		"$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
		"$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")" "$(find "$grown" -type f | wc -l)" "$result"
done
exit $status
