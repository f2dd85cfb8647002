#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The long runs, by name. Each is made of pieces; what is done is kept in build/long/, so that a run that was interrupted goes on
# where it was. A run that ends appends its result, with date and commit, to tests/long.md.
#
#   tests/long.sh                 all of them
#   tests/long.sh sim             one; by environment: SEEDS=10000 FIRST=1 JOBS=2 NICE=10
#   tests/long.sh --again sim     from the beginning
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/.." || exit 1
build=${GM_BUILD:-build/fast}
jobs=${JOBS:-$(nproc)}

runs='sim' # a function each: long_NAME; add yours here

# pieces DIR: what comes on stdin, one "NAME COMMAND" a line, is run niced, $jobs at a time; done is what left DIR/NAME. False:
# it was interrupted.
pieces() {
	local name command todo
	todo=$(cat)
	while read -r name command; do
		[ -e "$1/$name" ] || printf '%s\0' "$command >$1/$name.now 2>&1; mv $1/$name.now $1/$name"
	done <<<"$todo" | xargs -0 -r -P "$jobs" -I{} nice -n "${NICE:-10}" bash -c '{}'
	while read -r name command; do
		[ -e "$1/$name" ] || return 1
	done <<<"$todo"
}

# report NAME TEXT: to the report
report() {
	{
		printf '\n## %s, %s, %s\n\n' "$1" "$(date -u +%F)" "$(git rev-parse --short HEAD)"
		cat
	} >>tests/long.md
}

long_sim() {
	local dir=$1 first=${FIRST:-1} last piece=100 at
	last=$((first + ${SEEDS:-10000} - 1))
	for ((at = first; at <= last; at += piece)); do
		echo "$at $build/sim --seeds $at-$((at + piece - 1 < last ? at + piece - 1 : last))"
	done | pieces "$dir" || { echo "long.sh: sim is not done; the next call goes on" >&2; return 1; }
	{
		echo "Seeds $first to $last of \`tests/sim\`: $(cat "$dir"/* | grep -c '^seed ') failed. What was injected and done:"
		echo
		cat "$dir"/* | awk '/^  [a-z_]+ +[0-9]+$/ { if (!($1 in n)) order[++k] = $1; n[$1] += $2 }
			END { for (i = 1; i <= k; i++) printf("%s%s %d", (i == 1 ? "" : (i % 6 == 1 ? ",\n" : ", ")), order[i], n[order[i]]); print "" }'
		cat "$dir"/* | grep '^seed ' | sed 's/^/- /'
	} | tee /dev/stderr | report sim
	rm -rf "$dir.done" && mv "$dir" "$dir.done" && ! grep -q '^seed ' "$dir.done"/*
}

again=
[ "${1:-}" != --again ] || { again=yes; shift; }
failed=0
# shellcheck disable=SC2048 # names without spaces
for run in ${*:-$runs}; do
	case " $runs " in
	*" $run "*) ;;
	*) echo "long.sh: no run $run; there are: $runs" >&2; exit 2 ;;
	esac
	dir=build/long/$run
	[ -z "$again" ] || rm -rf "$dir"
	mkdir -p "$dir"
	"long_$run" "$dir" || failed=1
done
exit $failed
