#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs that take longer than tests/run.sh may. Each appends what it found to tests/long.md. Needs a build in build/fast.
# Logs and what is done already stand in build/long/: a run that was interrupted goes on there.
#
#   tests/long.sh               all of them
#   tests/long.sh NAME [SIZE]   one, of that size
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/.." || exit 1

# name, usual size, of what
runs='differential 10000000 jobs
ccm 10000000 jobs
trace 5 secrets
timing 20000 measurements
emulated 2000 jobs
arm64 20000 jobs
sim 10000 seeds
codec 10000000 items
kill9 1000 rounds
powercut 5000 images
faults 40 pieces
pages 1000000 cycles
loss 65536 members
posts 1000000 bad tokens
memory 1000000 members
overload 16000 members
soak 1800 seconds
package 1 Debian
clean 200 members
tsan 60 seconds
msan 0 more
cppcheck 0 more
tidy 0 more
cost 400 rounds
fuzz 100000000 executions'

build=${GM_BUILD:-$PWD/build/fast}
state=$PWD/build/long
mkdir -p "$state"

# note TITLE FILE: the file as a dated section of long.md
note() {
	{
		printf '\n## %s\n\n%s, %s, %s\n\n' "$1" "$(date -u +%F)" "$(git rev-parse --short HEAD)" \
			"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
		sed 's/^/    /' "$2"
	} >>tests/long.md
}

# differential TITLE JOBS [OPTION...]: pieces of 100,000 jobs of each kind, each with its own seed; a piece that is there is not
# computed again. Slow variants get a part of the jobs: how many is in the lines.
differential() {
	local title=$1 piece=100000 pieces=$(($2 / 100000)) dir=$state/$name-$2 seed
	shift 2
	mkdir -p "$dir"
	for ((seed = 1; seed <= pieces; seed++)); do
		[ ! -e "$dir/$seed" ] || continue
		nice "$build/differential" --jobs $piece --curves $piece --seed $seed "$@" >"$dir/now" || { cat "$dir/now"; return 1; }
		mv "$dir/now" "$dir/$seed"
	done
	# shellcheck disable=SC2046 # numbers
	(cd "$dir" && cat $(seq "$pieces")) | awk '
		{ k = sprintf("%-27s %-14s", $1, $2); if (!(k in c)) order[++n] = k; c[k] += $3; a[k] += $5; r[k] += $7; w[k] += $9 }
		END { for (i = 1; i <= n; i++) { k = order[i]
			printf "%s %9d cases %9d accepted %9d rejected %d wrong\n", k, c[k], a[k], r[k], w[k] } }' >"$dir/sum"
	cat "$dir/sum"
	note "$title" "$dir/sum" && rm -r "$dir"
}
run_differential() { differential "differential: $1 jobs of each kind" "$1"; }
run_ccm() { differential "differential: $1 jobs of AES-CCM alone" "$1" --only ccm_seal,ccm_open,ccm_seal_same; }

# Pieces of 100 seeds, as many at a time as there are processors. A seed that fails is named, with the command that shows it.
run_sim() {
	local dir=$state/sim-$1 at last=$1
	mkdir -p "$dir"
	for ((at = 1; at <= last; at += 100)); do
		[ -e "$dir/$at" ] || printf '%d %d\0' "$at" "$((at + 99 < last ? at + 99 : last))"
	done | xargs -0 -r -P "$(nproc)" -I{} bash -c 'set -- {}
		nice '"$build/sim"' --seeds "$1-$2" >'"$dir"'/"$1.now" 2>&1; mv '"$dir"'/"$1.now" '"$dir"'/"$1"'
	{
		echo "seeds 1 to $last: $(cat "$dir"/* | grep -c '^seed ') failed"
		cat "$dir"/* | awk '/^  [a-z_]+ +[0-9]+$/ { if (!($1 in n)) order[++k] = $1; n[$1] += $2 }
			END { for (i = 1; i <= k; i++) printf "%-28s %12d\n", order[i], n[order[i]] }'
		cat "$dir"/* | grep '^seed '
	} >"$state/sim.sum"
	cat "$state/sim.sum"
	note "sim: $last seeds" "$state/sim.sum"
	! grep -q '^seed ' "$state/sim.sum" && rm -r "$dir"
}

# pieces TITLE SIZE STEP COMMAND...: COMMAND with a seed and a size behind it, piece by piece; the last line but one of each says what
# was found. A piece that is there is not computed again; one that fails stays, and is computed again the next time.
pieces() {
	local title=$1 size=$2 step=$3 dir=$state/$name-$2 seed
	shift 3
	mkdir -p "$dir"
	for ((seed = 1; (seed - 1) * step < size; seed++)); do
		[ ! -e "$dir/$seed" ] || continue
		"$@" $seed "$step" >"$dir/now" 2>&1 || { tail -n 20 "$dir/now"; mv "$dir/now" "$dir/failed.$seed"; return 1; }
		mv "$dir/now" "$dir/$seed"
	done
	for ((seed = 1; (seed - 1) * step < size; seed++)); do
		tail -n 2 "$dir/$seed" | head -n 1
	done >"$dir/sum"
	cat "$dir/sum"
	note "$title" "$dir/sum" && rm -r "$dir"
}
piece_powercut() { GM_BUILD=$build nice tests/disk/power.py --seed "$1" --images "$2"; }
piece_faults() { GM_BUILD=$build nice tests/disk/faults.py --piece "$1/$whole"; }
piece_kill9() { GM_BUILD=$build nice tests/crash/kill9.sh "$2"; }

# once TITLE COMMAND...: all or nothing
once() {
	local title=$1 log=$state/$name.log status
	shift
	nice "$@" >"$log" 2>&1
	status=$?
	tail -n 40 "$log"
	grep -v '^emulated: started' "$log" | tail -n 60 >"$log.end"
	[ $status != 0 ] || note "$title" "$log.end"
	return $status
}
piece_codec() { nice tests/codec/cbor.py --items "$2" --seed $(($1 * 1000)) --build "$build"; }
run_codec() { pieces "codec: $1 items beside cbor2" "$1" 1000000 piece_codec; }
run_powercut() { pieces "powercut: $1 images" "$1" 500 piece_powercut; }
run_faults() { whole=$1 pieces 'faults: every write, sync, file, mapping and allocation' "$1" 1 piece_faults; }
run_pages() { GM_CYCLES=$1 once "pages: $1 members come and go" "$build/test_unit_store_lmdb" --filter 'store/uses_free_pages*' --verbose; }
run_kill9() { pieces "kill9: $1 rounds" "$1" 50 piece_kill9; }
run_trace() { once "trace: $1 secrets" "$build/trace" "$1"; }
run_timing() { once "timing: $1 measurements of each secret" "$build/timing" "$1"; }
run_emulated() { once "emulated: Ice Lake, $1 jobs" tests/emulated/run.sh "$1"; }
run_arm64() { once "arm64: $1 jobs" tests/arm64.sh "$1"; }
run_memory() { once "memory: $1 members" "$build/bench_memory" --members "$1" --most 1024; }
run_loss() { GM_LOSS_MEMBERS=$1 once "loss: a rekey of $1 members over a network that loses" "$build/test_flow_loss" --verbose; }
run_posts() { GM_FAILED_POSTS=$1 once "posts: $1 bad tokens, then a good one" "$build/test_flow_regression" --filter 'token/*' --verbose; }
run_package() { once "package: in a new Debian" tests/package.sh clean; }
run_clean() { once "clean: the quickstart in a new Debian, $1 members" tests/clean.sh "$1"; }
run_overload() { GM_BUILD=$build once "overload: ten times the peak, $1 members" bench/run.sh overload --members "$1" --runs 1; }
run_tsan() { once "tsan: $1 s of everything mixed for each port, gmd under ThreadSanitizer" tests/tsan.sh "$1"; }
run_msan() { once 'msan: the corpora through decoders built with MemorySanitizer' tests/fuzz/msan.sh; }
run_cppcheck() {
	command -v cppcheck >/dev/null || { echo 'cppcheck is missing'; return; }
	# shellcheck disable=SC2016 # the inner shell's
	once 'cppcheck' bash -c 'cppcheck "$@" && echo "$(cppcheck --version): nothing but what tests/cppcheck.txt argues"' - \
		--quiet --enable=warning,performance,portability --inline-suppr --error-exitcode=1 --std=c11 -j "$(nproc)" \
		--suppressions-list=tests/cppcheck.txt -I dataplane/include -I dataplane -I crypto/include -I crypto -I control \
		-DGM_VERSION='"x"' -D__x86_64__ -D'SEC(name)=' -D'LIBBPF_OPTS(type,name,...)=struct type name={__VA_ARGS__}' \
		crypto dataplane control
}
# Each file that is ours, with what it is compiled with. One that was clean is not read again until it or a header changes; findings stay
# in FILE.said.
tidy_one() {
	local file=$1 dir=$2 mark=$2/${1//\//_} with=()
	[ ! -e "$mark" ] || [ -n "$(find .clang-tidy control dataplane crypto bench tests -newer "$mark" \
		\( -path "$file" -o -name '*.h' -o -name '*.def' -o -name .clang-tidy \) -print -quit)" ] || return 0
	[ "$file" != tests/arm64/criterion.c ] || with=("--extra-arg-before=-I$PWD/tests/arm64")
	if nice clang-tidy-14 -p "$dir" --quiet "${with[@]}" "$file" >"$mark.said" 2>/dev/null; then mv "$mark.said" "$mark"; fi
}
run_tidy() {
	local dir=$state/tidy findings
	command -v clang-tidy-14 >/dev/null || { echo 'clang-tidy-14 is missing'; return; }
	cmake --preset clang -B "$dir" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >"$state/tidy.log" 2>&1 || { cat "$state/tidy.log"; return 1; }
	export -f tidy_one
	git ls-files -z '*.c' | xargs -0 -P "${GM_JOBS:-$(nproc)}" -I{} bash -c 'tidy_one "$@"' - {} "$dir"
	findings=$(cat "$dir"/*.said 2>/dev/null | grep -E ': (error|warning): ' | sort -u)
	{
		clang-tidy-14 --version | sed -n 's/.*LLVM version/clang-tidy/p'
		echo "$(git ls-files '*.c' | wc -l) files, $(printf '%s' "$findings" | grep -c '') findings"
		echo "argued in their line:"
		git grep -hoE 'NOLINT(NEXTLINE|BEGIN)?\([^)]*\): [^*]*' -- '*.[ch]' | sed -E 's/^NOLINT[A-Z]*\(([^)]*)\): /  \1: /; s/ *$//' | sort | uniq -c
	} >"$state/tidy.sum"
	printf '%s\n' "$findings" && cat "$state/tidy.sum"
	! compgen -G "$dir/*.said" >/dev/null && note tidy "$state/tidy.sum" && rm -r "$dir"
}
run_cost() { once "cost: what strangers' datagrams cost, $1 rounds" "$build/attack_cost" "$1"; }

# So many executions of each target that does nothing but decode, a hundredth for those with cryptography or state. Counts and corpora
# stay: a longer run goes on where this one ended.
run_fuzz() {
	local build
	for build in fuzz fuzz-fast; do
		tests/fuzz/run.sh --build $build || return
	done
	tests/fuzz/executions.sh "$state/fuzz" "$1" || return
	tests/fuzz/executions.sh --table "$state/fuzz" | tee "$state/fuzz.sum"
	note "fuzz: $1 executions of each decoder, $(($1 / 100)) of each target with cryptography or state" "$state/fuzz.sum"
}
run_soak() { once "soak: $1 s of everything mixed" tests/soak.sh "$1"; }

failed=0
while read -r name size what; do
	[ "${1:-$name}" = "$name" ] || continue
	found=yes
	printf -- '---- %s: %s %s\n' "$name" "${2:-$size}" "$what"
	"run_$name" "${2:-$size}" </dev/null || failed=$((failed + 1))
done <<<"$runs"
[ -n "${found:-}" ] || { echo "no run $1" >&2; exit 2; }
echo "$failed failed"
[ "$failed" = 0 ]
