#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs one fuzz target, which tests/fuzz/run.sh has built, for a number of executions, in pieces: interrupted, it goes on with the
# piece it was in. What it finds lands in build/fuzz/found/NAME; the line that sums it up goes to FILE.
#
#   tests/fuzz/executions.sh NAME EXECUTIONS FILE      a hundredth of them where each costs cryptography or a start
set -u
cd "$(dirname "$0")/../.." || exit 1

name=$1 runs=$2 file=$3
case $name in
oscore_unprotect | record | config | backup | exchange | cred) runs=$((runs / 100)) ;;
esac
piece=$((runs < 10000000 ? runs : 10000000))
found=build/fuzz/found/$name grown=build/fuzz/grown/$name pieces=$file.pieces log=build/fuzz/$name.log
mkdir -p "$found" "$grown"
touch "$pieces"

done_so_far() { awk '{ n += $1 } END { print n + 0 }' "$pieces"; }
stat_of() { sed -n "s/^stat::$1: *//p" "$log"; }
while [ "$(done_so_far)" -lt "$runs" ]; do
	if ! nice build/fuzz/fuzz_"$name" -runs="$piece" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$found/" \
		"$grown" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
		tail -n 30 "$log"
		exit 1
	fi
	echo "$(stat_of number_of_executed_units) $(stat_of average_exec_per_sec)" >>"$pieces"
done
awk -v name="$name" -v edges="$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)" \
	-v corpus="$(find "$grown" -type f | wc -l)" -v found="$(find "$found" -type f | wc -l)" '
	{ n += $1; seconds += $1 / ($2 ? $2 : 1) }
	END { printf "%-18s %12d %8d %6d %7d %6d\n", name, n, n / (seconds ? seconds : 1), edges, corpus, found }' "$pieces" >"$file.now"
rm "$pieces"
mv "$file.now" "$file"
cat "$file"
