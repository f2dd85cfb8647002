#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the fuzz targets until each has had its executions: of those that only decode so many, of those with cryptography or state a
# hundredth. A tenth of them runs with ASan and UBSan, first and for all targets, the rest without. Three hundredths look for inputs with all
# that libFuzzer has, by comparisons and by how often an edge is taken; all that follow begin with what these have found, draw from it
# evenly and look at edges alone, which is two to seven times as fast. Where setting up is dear (kind: shared) many inputs share it but for the first
# hundredth; what lives on from one to the next hides leaks, so they are looked for in that hundredth alone. Rounds of a twentieth each
# go over all targets, so that none waits for the others; pieces take two minutes at most, and an interrupted run goes on with the piece
# it was in. tests/fuzz/run.sh --build makes both builds.
#
#   tests/fuzz/executions.sh DIR EXECUTIONS [NAME...]     corpora in DIR/grown, what is found in DIR/found, counts in DIR/counts
#   tests/fuzz/executions.sh --table DIR                  what was done so far
set -u
cd "$(dirname "$0")/../.." || exit 1

# lines of DIR/counts/NAME: build, executions, seconds, edges
total() { awk -v only="${2:-}" '!only || $1 == only { n += $2 } END { print n + 0 }' "$dir/counts/$1"; }

table() {
	local name kind longest
	printf '%-17s %-8s %11s %11s %8s %6s %7s %6s\n' target kind sanitized others a-second edges corpus found
	while read -r name kind longest; do
		[ -e "$dir/counts/$name" ] || continue
		awk -v name="$name" -v kind="$kind" -v corpus="$(find "$dir/grown/$name" -type f | wc -l)" \
			-v found="$(find "$dir/found/$name" -type f | wc -l)" '
			{ n[$1] += $2; seconds += $3; if ($4 > edges) edges = $4 }
			END { printf "%-17s %-8s %11d %11d %8d %6d %7d %6d\n", name, kind, n["fuzz"], n["fuzz-fast"],
				(n["fuzz"] + n["fuzz-fast"]) / (seconds ? seconds : 1), edges, corpus, found }' "$dir/counts/$name"
	done < <(tests/fuzz/run.sh --list)
}

# piece BUILD NAME KIND LONGEST RUNS DONE GOAL
piece() {
	local build=$1 name=$2 found=$dir/found/$2 grown=$dir/grown/$2 log=$dir/$2.log how=(-entropic=1) lives=1 leaks=1
	[ "$6" -lt $(($7 * 3 / 100)) ] || how=(-entropic=0 -reduce_inputs=0 -use_counters=0)
	[ "$3" != shared ] || [ "$6" -lt $(($7 / 100)) ] || lives=32 leaks=0
	if ! ASAN_OPTIONS=detect_leaks=$leaks GM_FUZZ_LIVES=$lives nice build/"$build"/fuzz_"$name" -runs="$5" -max_len="$4" -max_total_time=120 -timeout=10 -rss_limit_mb=1024 \
		"${how[@]}" -detect_leaks=$leaks -print_final_stats=1 -verbosity=1 -artifact_prefix="$found/" "$grown" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
		tail -n 30 "$log"
		return 1
	fi
	awk -v build="$build" '/^stat::number_of_executed_units/ { n = $2 } /^Done .* runs in/ { s = $5 }
		/ cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) } END { print build, n + 0, s + 0, edges + 0 }' "$log" >>"$dir/counts/$name"
}

# part NAME KIND LONGEST ROUND: until so many twentieths are done
part() {
	local goal=$runs done build
	[ "$2" = decodes ] || [ "$2" = peer ] || goal=$((runs / 100))
	mkdir -p "$dir/found/$1" "$dir/grown/$1" "$dir/counts"
	touch "$dir/counts/$1"
	while :; do
		build=fuzz-fast done=$(total "$1")
		[ "$done" -lt $((goal * $4 / 20)) ] || return 0
		[ "$(total "$1" fuzz)" -ge $((goal / 10)) ] || build=fuzz
		piece $build "$1" "$2" "$3" $((goal * $4 / 20 - done)) "$done" "$goal" || return
	done
}

if [ "$1" = --table ]; then
	dir=$2
	table
	exit
fi
dir=$1 runs=$2
shift 2
targets=$(tests/fuzz/run.sh --list) || exit 1
[ $# = 0 ] || targets=$(grep -E "^($(IFS='|' && echo "$*")) " <<<"$targets")
failed=0
rm -f "$dir"/*.failed
for ((round = 1; round <= 20; round++)); do
	while read -r name kind longest; do
		[ ! -e "$dir/$name.failed" ] || continue
		part "$name" "$kind" "$longest" $round </dev/null || { failed=1; touch "$dir/$name.failed"; }
	done <<<"$targets"
done
rm -f "$dir"/*.failed
exit $failed
