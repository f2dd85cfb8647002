#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs, builds and runs everything. Full logs in build/logs/. The last line counts; exit 0 only if nothing failed.
#
#   tests/run.sh            MEMBERS=300 ROUNDS=10 tests/run.sh
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/.." || exit 1

logs=$PWD/build/logs
passed=0 failed=0 skipped=0
rm -rf "$logs"
mkdir -p "$logs"

# count PASSED FAILED SKIPPED
count() {
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# stage NAME HOW COMMAND...: runs it into its log; HOW says what to count in there: one ctest unittest tally mass
stage() {
	local name=$1 how=$2 log=$logs/${1// /-}.log begun=$SECONDS status numbers
	shift 2
	printf '%-24s ' "$name"
	"$@" >"$log" 2>&1 </dev/null
	status=$?
	numbers=$("count_$how" "$log" $status)
	# What counts nothing, or fails without naming a failed check, failed as a whole.
	case "$status $numbers" in
	*\ ) numbers='0 1 0' ;;
	0\ *) ;;
	*\ *\ 0\ *) numbers="${numbers%% *} 1 ${numbers##* }" ;;
	esac
	# shellcheck disable=SC2086 # three numbers
	count $numbers
	# shellcheck disable=SC2086
	printf '%4d passed, %d failed, %d skipped %6d s\n' $numbers $((SECONDS - begun))
	case $numbers in
	*\ 0\ *) return 0 ;;
	esac
	echo "---- end of ${log#"$PWD"/}"
	"show_$how" "$log"
	echo '----'
	return 1
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
	cmake --preset "$1" -DGM_TESTS=ON && cmake --build "build/$1" -j "$(nproc)"
}
suite() {
	CRITERION_VERBOSITY_LEVEL=1 ctest --test-dir "build/$1" --output-on-failure -j 2 --timeout 300
}

# Criterion lets a test pass whose process leaked.
no_leaks() { ! grep -A 12 'ERROR: LeakSanitizer' build/dev/Testing/Temporary/LastTest.log; }

stage 'install' one deploy/install.sh all || finish
stage 'build gcc' one compile fast && fast=yes
stage 'build sanitizers' one compile dev && dev=yes
stage 'build clang' one compile clang

export ASAN_OPTIONS=abort_on_error=0:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
[ -z "${fast:-}" ] || stage 'tests' ctest suite fast
[ -z "${dev:-}" ] || { stage 'tests sanitizers' ctest suite dev; stage 'leaks in tests' one no_leaks; }
if [ -n "${fast:-}" ]; then
	export GM_BUILD=$PWD/build/fast
	stage 'python' unittest /usr/bin/python3 -m unittest discover -v tests/python
	stage 'interop' tally tests/interop.sh
	stage 'interface' tally tests/python/interface.py
	stage 'long answers' tally tests/python/many.py --members "${MANY:-500}"
	stage 'revoked tokens' tally tests/revoked.sh
	stage 'backup' tally tests/backup.sh
	stage 'service' tally tests/service.sh
	stage 'hand-over' tally tests/takeover.sh
	stage 'memory images' tally tests/images/search.py
	stage 'packages' tally tests/package.sh
	stage 'gmctl' tally tests/gmctl.sh
	stage 'metrics, status page' tally tests/status.sh
	stage 'audit log' tally tests/audit.sh
	stage 'configuration' tally tests/config.sh
	stage 'files of rows' tally tests/sheets.sh
	stage 'kinds of groups' tally tests/kinds.sh
	stage 'quickstart' tally deploy/quickstart.sh "${MEMBERS:-300}"
	stage 'quickstart, plain sockets' tally env PORT=mmsg deploy/quickstart.sh 100
	stage 'ports without rights' tally tests/ports.sh
	stage 'dpdk' tally tests/dpdk.sh "${DPDK_MEMBERS:-30}"
	stage 'benches' tally tests/bench.sh
	stage 'simulation' tally build/fast/sim --seeds 1-200
	stage 'simulation, broken' tally tests/sim/broken.sh
	stage 'power cuts' tally tests/disk/power.py --seconds 0.3
	stage 'power cuts, no sync' tally tests/disk/power.py --seconds 0.1 --show-broken
	stage 'disk and memory fail' mass tests/disk/faults.py --sample 24
	stage 'disk full' tally tests/disk/full.py
	stage 'kill -9' tally tests/crash/kill9.sh "${ROUNDS:-10}"
	stage 'kill -9, no lease' tally tests/crash/kill9.sh --show-broken
	stage 'kill -9 of hand-over' tally tests/takeover.sh --faults
fi
if [ -n "${dev:-}" ]; then
	export GM_BUILD=$PWD/build/dev
	stage 'revoked tokens sanitizers' tally tests/revoked.sh
	stage 'quickstart sanitizers' tally deploy/quickstart.sh 60
	stage 'kinds sanitizers' tally tests/kinds.sh es256-sha512 ctr signature-only pairwise-x25519 pairwise-p521 x5chain
	stage 'simulation sanitizers' tally build/dev/sim --seeds 201-230
	stage 'attack sanitizers' mass /usr/bin/python3 tests/attack/attack.py --seconds 10
fi
stage 'requirements' tally tests/requirements.py --ctest build/fast/Testing/Temporary/LastTest.log --python "$logs/python.log" \
	--script "interop.sh=$logs/interop.log" --script "kinds.sh=$logs/kinds-of-groups.log" \
	--script "disk/power.py=$logs/power-cuts.log" --script "disk/power.py=$logs/power-cuts,-no-sync.log" --script "disk/full.py=$logs/disk-full.log" \
	--script "crash/kill9.sh=$logs/kill--9.log" --script "crash/kill9.sh=$logs/kill--9,-no-lease.log" \
	--script "revoked.sh=$logs/revoked-tokens.log" --script "python/many.py=$logs/long-answers.log" --script "python/interface.py=$logs/interface.log"
finish
