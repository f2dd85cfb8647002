#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzz targets with libFuzzer, ASan and UBSan and runs each; corpora grow in build/long/fuzz/grown/NAME, what is found lands in
# build/long/fuzz/found/NAME.
#
#   tests/fuzz/run.sh [SECONDS [NAME...]]        default: 60 seconds each, all targets; 0: only built
#   tests/fuzz/run.sh --build PRESET             only built: fuzz, or fuzz-fast without sanitizers
#   tests/fuzz/run.sh --list                     name, kind and longest input of each
set -u
cd "$(dirname "$0")/../.." || exit 1

# The table and the sources have to agree.
list() {
	local name
	grep -v '^#' tests/fuzz/targets
	for source in tests/fuzz/*.c; do
		name=$(basename "$source" .c)
		[ "$name" = replay ] || grep -q "^$name " tests/fuzz/targets || { echo "tests/fuzz/targets lacks $name" >&2; return 1; }
	done
}

# build PRESET NAME...
build() {
	local preset=$1
	shift
	{ cmake --preset "$preset" && nice cmake --build "build/$preset" -j "$(nproc)" --target "${@/#/fuzz_}"; } >"build/$preset.log" 2>&1 ||
		{ tail -n 20 "build/$preset.log"; return 1; }
}

mkdir -p build
seconds=${1:-60}
shift $(($# > 0))
case $seconds in
--list)
	list
	exit
	;;
--build)
	targets=$(list) || exit 1
	# shellcheck disable=SC2046 # names
	build "$1" $(cut -d ' ' -f 1 <<<"$targets")
	exit
	;;
esac
targets=$(list) || exit 1
# shellcheck disable=SC2046
[ $# != 0 ] || set -- $(cut -d ' ' -f 1 <<<"$targets")
build fuzz "$@" || exit 1
[ "$seconds" != 0 ] || exit 0
status=0
printf '%-20s %12s %10s %8s  %s\n' target executions per-second corpus result
for name; do
	found=build/long/fuzz/found/$name grown=build/long/fuzz/grown/$name log=build/fuzz/$name.log
	mkdir -p "$found" "$grown"
	result=clean
	nice build/fuzz/fuzz_"$name" -max_total_time="$seconds" -max_len="$(awk -v n="$name" '$1 == n { print $3 }' tests/fuzz/targets)" -timeout=10 \
		-rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$found/" "$grown" "tests/fuzz/corpus/$name" >"$log" 2>&1 ||
		{ result="see $log"; status=1; }
	printf '%-20s %12s %10s %8s  %s\n' "$name" \
		"$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
		"$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")" "$(find "$grown" -type f | wc -l)" "$result"
done
exit $status
