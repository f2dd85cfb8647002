#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The benches that run gmd, small: they end, everybody is confirmed, the JSON says what it should. Nothing about time.
#
#   tests/bench.sh [MEMBERS]      default 200; GM_BUILD=DIR: built already
set -u
# shellcheck source=deploy/lib.sh
. "$(dirname "$0")/../deploy/lib.sh"

members=${1:-200}

# run BENCH PORT: its rows, each with every field, everybody confirmed
run() {
	"$root/bench/run.sh" "$1" --port "$2" --members "$members" --runs 1 --smoke >"$dir/rows" 2>"$dir/bench.log" ||
		{ tail -n 3 "$dir/bench.log"; return 1; }
	/usr/bin/python3 - "$1" "$2" "$members" "$dir/rows" <<-'END'
		import json, sys
		bench, port, members, path = sys.argv[1:]
		numbers = 'seconds per_s ratio ratio_min ratio_max p50_us p99_us rss_per_member generator'.split()
		next_to_floor = 'floor_seconds worker_us floor_us foreign machine'.split()
		rows = [json.loads(line) for line in open(path, encoding='utf-8')]
		beside = ['rekey', 'join-while-rekey'] + (['read-while-rekey'] if port != 'dpdk' else [])
		names = {'rekey': beside, 'read': ['read-keys', 'read-cred'], 'storm': ['storm', 'storm-echo']}.get(bench, [bench])
		assert [row['bench'] for row in rows] == names, rows
		for row in rows:
		    assert row['port'] == port and row['members'] == row['confirmed'] == int(members), row
		    fields = numbers + (next_to_floor if 'while' not in row['bench'] else ['idle_p99_us', 'served'])
		    assert all(isinstance(row[n], (int, float)) and row[n] >= 0 for n in fields), row
		    assert row['seconds'] > 0 < row.get('floor_seconds', 1) and row['runs'] == 1 and row['cpu'], row
		    assert isinstance(row['void'], list), row
		    assert row['bench'] != 'storm' or row['verify_median'] > 0 < row['verify_max'], row
	END
}

# Who is refused, and who obeys and is in at the end.
overload() {
	"$root/bench/run.sh" overload --members 2100 --runs 1 --smoke >"$dir/rows" 2>"$dir/bench.log" || { tail -n 3 "$dir/bench.log"; return 1; }
	/usr/bin/python3 - "$dir/rows" <<-'END'
		import json, sys
		row, = [json.loads(line) for line in open(sys.argv[1], encoding='utf-8')]
		assert row['bench'] == 'overload' and row['members'] == 2100 and row['obedient'] == row['obedient_in'] == 100, row
		assert row['confirmed'] > 0 < row['offered'] and row['reads'] > 0 < row['goodput'] and isinstance(row['void'], list), row
	END
}

# What it does not have is refused before anything is begun.
refuses() {
	! "$root/bench/run.sh" "$1" "${@:2}" --members 10 --smoke >"$dir/rows" 2>"$dir/bench.log" && [ ! -s "$dir/rows" ] && grep -q -e "$2 is for" "$dir/bench.log"
}

# Counts are right whoever else has the processors: that all is done, and how much of it by a hop.
scaling() {
	"$root/bench/run.sh" scaling --members 2000 --rounds 2 --each 2 >"$dir/rows" 2>"$dir/bench.log" ||
		{ tail -n 3 "$dir/bench.log"; return 1; }
	/usr/bin/python3 - "$dir/rows" <<-'END'
		import json, sys
		rows = [json.loads(line) for line in open(sys.argv[1], encoding='utf-8')]
		assert [row['what'] for row in rows] == ['read-keys'] * 2 + ['rekey-confirm'] * 2, rows
		for row in rows:
		    assert row['bench'] == 'scaling' and row['workers'] == [1, 2] and row['rounds'] == 2 and not row['dropped'], row
		    assert row['ops'] == (4000 if row['what'] == 'read-keys' else 2000) and min(row['ops_per_s']) > 0, row
		    assert 0 < row['ratio_min'] <= row['ratio'] <= row['ratio_max'] and row['cpu_ratio'] > 0, row
		assert [row['hops'] for row in rows][::2] == [0, 0] and all(0.4 < row['hops'] < 0.6 for row in rows[1::2]), rows
	END
}

begin
programs
export GM_BUILD=$build
[ -e "$build/bench_floor" ] || must 'bench_floor is built' cmake --build "$build" --target bench_floor
check "rekey: $members members, everybody confirmed once" run rekey uring
check "the same without io_uring" run rekey mmsg
check "join: everybody is in" run join uring
check "read: everybody has the keys, and a credential" run read uring
check "storm: everybody is back, by a new join and by Echo" run storm uring
check 'overload: those who obey are in' overload
check 'a plot of joins is refused' refuses join --plot "$dir/x.svg"
check 'a budget of an overload is refused' refuses overload --budget
if [ "$(id -u)" = 0 ] && [ -e "$build/gmd-dpdk.so" ] && ip netns list >"$dir/netns.log" 2>&1; then
	for bench in rekey join read; do check "$bench over DPDK" run "$bench" dpdk; done
else
	skip 'benches over DPDK: they need root, ip and the DPDK port'
fi
if [ "$(nproc)" -ge 2 ]; then
	[ -e "$build/bench_scaling" ] || must 'bench_scaling is built' cmake --build "$build" --target bench_scaling
	check 'scaling: all is done by one worker and by two, with hops and without' scaling
else
	skip 'scaling: one processor'
fi
tally
[ "$failed" = 0 ]
