#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs, builds and runs everything. Full logs in build/logs/. The last line counts; exit 0 only if nothing failed.
#
#   tests/run.sh            MEMBERS=300 ROUNDS=10 LANES=3 tests/run.sh; LANES: how many of those that mostly wait run at a time
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/.." || exit 1

logs=$PWD/build/logs
passed=0 failed=0 skipped=0
lanes=${LANES:-3} waiting=()
rm -rf "$logs"
mkdir -p "$logs"

# count PASSED FAILED SKIPPED
count() {
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# run NAME HOW COMMAND...: into its log, with its line and what failed in .said and its numbers in .count beside it.
# HOW says what to count in the log: one ctest unittest tally mass
run() {
	local name=$1 how=$2 log=$logs/${1// /-}.log begun=$SECONDS status numbers
	shift 2
	"$@" >"$log" 2>&1 </dev/null
	status=$?
	numbers=$("count_$how" "$log" $status)
	# What counts nothing, or fails without naming a failed check, failed as a whole.
	case "$status $numbers" in
	*\ ) numbers='0 1 0' ;;
	0\ *) ;;
	*\ *\ 0\ *) numbers="${numbers%% *} 1 ${numbers##* }" ;;
	esac
	{
		# shellcheck disable=SC2086 # three numbers
		printf '%-26s %4d passed, %d failed, %d skipped %6d s\n' "$name" $numbers $((SECONDS - begun))
		case $numbers in
		*\ 0\ *) ;;
		*) echo "---- end of ${log#"$PWD"/}" && "show_$how" "$log" && echo '----' ;;
		esac
	} >"$log.said"
	echo "$numbers" >"$log.count"
}

# tell NAME: what run found; fails if anything failed
tell() {
	local log=$logs/${1// /-}.log numbers
	numbers=$(cat "$log.count")
	cat "$log.said"
	# shellcheck disable=SC2086 # three numbers
	count $numbers
	case $numbers in *\ 0\ *) ;; *) return 1 ;; esac
}

# stage NAME HOW COMMAND...: runs it and tells
stage() {
	run "$@"
	tell "$1"
}

# beside NAME HOW COMMAND...: likewise, with others at the same time: these wait for clocks and networks most of the time.
# They are told in the order in which they were begun.
beside() {
	while [ "$(jobs -rp | wc -l)" -ge "$lanes" ]; do wait -n; done
	tell_done
	run "$@" &
	waiting+=("$1")
}
tell_done() {
	while [ "${#waiting[@]}" != 0 ] && [ -e "$logs/${waiting[0]// /-}.log.count" ]; do
		tell "${waiting[0]}"
		waiting=("${waiting[@]:1}")
	done
}
gather() {
	wait
	tell_done
}

count_one() { [ "$2" != 0 ] || echo '1 0 0'; }
count_tally() { tail -n 1 "$1" | awk '/^[0-9]+ passed, [0-9]+ failed/ { print $1, $3, $5 + 0 }'; }
# Very many small checks: one, unless some fail.
count_mass() { count_tally "$1" | awk '{ print $2 ? 0 : 1, $2, 0 }'; }
count_ctest() {
	awk '/ Test +#[0-9]+: / { if (/ Passed /) p++; else if (/Skipped|Disabled/) s++; else f++ }
	     END { if (p + f + s) print p + 0, f + 0, s + 0 }' "$1"
}
count_unittest() {
	awk '/^Ran [0-9]+ test/ { ran = $2 }
	     /^(OK|FAILED)/ { n = split($0, part, /[(,)] */)
	                      for (i = 2; i <= n; i++) if (split(part[i], kv, "=") == 2) {
	                          if (kv[1] == "skipped") s += kv[2]
	                          else if (kv[1] != "expected failures") f += kv[2] } done = 1 }
	     END { if (done && ran) print ran - f - s, f + 0, s + 0 }' "$1"
}
show_one() { grep -E 'error|warning|FAILED|E:' "$1" | head -n 20 || tail -n 20 "$1"; }
show_tally() {
	grep -E -A 4 '✗|^seed |ERROR: |runtime error: |check failed: |^R-[0-9]+ | times: |^Traceback' "$1" | head -n 40 | cut -c 1-200
}
show_mass() { show_tally "$1"; }
show_unittest() { tail -n 30 "$1"; }
show_ctest() {
	awk '/ Test +#[0-9]+: / && !/ Passed / || /FAIL|ERROR: |SUMMARY: |runtime error/' "$1" | head -n 40
}

finish() {
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	[ "$failed" = 0 ]
	exit
}

compile() {
	local preset=$1
	shift
	cmake --preset "$preset" -DGM_TESTS=ON && cmake --build "build/$preset" -j "$(nproc)" --target all "$@"
}
# As on a machine that has what deploy/install.sh build brings, and no clang.
compile_alone() {
	cmake -S . -B build/alone -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DGM_TESTS=OFF -DGM_CLANG=OFF && cmake --build build/alone -j "$(nproc)" --target gm_crypto
}
suite() {
	CRITERION_VERBOSITY_LEVEL=1 ctest --test-dir "build/$1" --output-on-failure -j 2 --timeout 1200
}

# Criterion lets a test pass whose process leaked.
no_leaks() { ! grep -A 12 'ERROR: LeakSanitizer' build/dev/Testing/Temporary/LastTest.log; }

stage 'install' one deploy/install.sh all || finish
stage 'build gcc' one compile fast gmd_faults && fast=yes
stage 'build gcc without clang' one compile_alone
stage 'build sanitizers' one compile dev && dev=yes
stage 'build clang' one compile clang

export ASAN_OPTIONS=abort_on_error=0:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
[ -z "${fast:-}" ] || stage 'tests' ctest suite fast
[ -z "${dev:-}" ] || { stage 'tests sanitizers' ctest suite dev; stage 'leaks in tests' one no_leaks; }
# The longest first.
if [ -n "${dev:-}" ]; then
	export GM_BUILD=$PWD/build/dev
	beside 'attack sanitizers' mass /usr/bin/python3 tests/attack/attack.py --seconds 10
	beside 'revoked tokens sanitizers' tally tests/revoked.sh
	beside 'quickstart sanitizers' tally deploy/quickstart.sh 60
	beside 'kinds sanitizers' tally tests/kinds.sh es256-sha512 ctr signature-only pairwise-x25519 pairwise-p521 x5chain
	beside 'simulation sanitizers' tally build/dev/sim --seeds 201-230
fi
if [ -n "${fast:-}" ]; then
	export GM_BUILD=$PWD/build/fast
	beside 'python' unittest /usr/bin/python3 -m unittest discover -v tests/python
	beside 'kill -9' tally tests/crash/kill9.sh "${ROUNDS:-10}"
	beside 'interop' tally tests/interop.sh
	beside 'interface' tally tests/python/interface.py
	beside 'long answers' tally tests/python/many.py --members "${MANY:-500}"
	beside 'revoked tokens' tally tests/revoked.sh
	beside 'backup' tally tests/backup.sh
	beside 'service' tally tests/service.sh
	beside 'hand-over' tally tests/takeover.sh
	beside 'memory images' tally tests/images/search.py
	beside 'packages' tally tests/package.sh
	beside 'gmctl' tally tests/gmctl.sh
	beside 'words of gmctl' tally tests/words.sh
	beside 'metrics, status page' tally tests/status.sh
	beside 'audit log' tally tests/audit.sh
	beside 'configuration' tally tests/config.sh
	beside 'files of rows' tally tests/sheets.sh
	beside 'kinds of groups' tally tests/kinds.sh
	beside 'quickstart' tally deploy/quickstart.sh "${MEMBERS:-300}"
	beside 'quickstart, plain sockets' tally env PORT=mmsg deploy/quickstart.sh 100
	beside 'ports without rights' tally tests/ports.sh
	beside 'dpdk' tally tests/dpdk.sh "${DPDK_MEMBERS:-30}"
	beside 'benches' tally tests/bench.sh
	beside 'simulation' tally build/fast/sim --seeds 1-200
	beside 'simulation, broken' tally tests/sim/broken.sh
	beside 'power cuts' tally tests/disk/power.py --seconds 0.3
	beside 'power cuts, no sync' tally tests/disk/power.py --seconds 0.1 --show-broken
	beside 'disk and memory fail' mass tests/disk/faults.py --sample 24
	beside 'disk full' tally tests/disk/full.py
	beside 'kill -9, no lease' tally tests/crash/kill9.sh --show-broken
	beside 'kill -9 of hand-over' tally tests/takeover.sh --faults
fi
gather
stage 'requirements' tally tests/requirements.py --ctest build/fast/Testing/Temporary/LastTest.log --python "$logs/python.log" \
	--script "interop.sh=$logs/interop.log" --script "kinds.sh=$logs/kinds-of-groups.log" \
	--script "disk/power.py=$logs/power-cuts.log" --script "disk/power.py=$logs/power-cuts,-no-sync.log" --script "disk/full.py=$logs/disk-full.log" \
	--script "crash/kill9.sh=$logs/kill--9.log" --script "crash/kill9.sh=$logs/kill--9,-no-lease.log" \
	--script "revoked.sh=$logs/revoked-tokens.log" --script "python/many.py=$logs/long-answers.log" --script "python/interface.py=$logs/interface.log"
finish
