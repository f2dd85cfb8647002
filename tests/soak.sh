#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Joins, re-joins, leaves, reads, rekeys, evictions, members that move or come back with a new token, all mixed, at one gmd for a
# long time. Fails on any error, and when memory or descriptors of gmd still grow in the last fifth of the time.
#
#   tests/soak.sh [SECONDS]    1800; a line every ten rounds, the last line counts
#
# MEMBERS and RATE size the load, ROUND the seconds of one round, KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already.
set -u
# shellcheck source=deploy/lib.sh
. "$(dirname "$0")/../deploy/lib.sh"

groups=(g1 g2 g3)
members=${MEMBERS:-300}
rate=${RATE:-2000} # operations a second: the same load from the first round to the last, whoever else has the machine
round_s=${ROUND:-6}
seconds=${1:-1800}
case $seconds in *[!0-9]* | '') say 'usage: tests/soak.sh [SECONDS]'; exit 2 ;; esac

create_groups() {
	local group
	for group in "${groups[@]}"; do gmctl group create "$group" || return; done
}

# Bytes that are gmd's own, and its descriptors. The store's mapping is the kernel's cache and stands beside.
sample() {
	local own file fds
	own=$(awk '/^Rss(Anon|Shmem):/ { sum += $2 } END { print sum }' "/proc/$gmd_pid/status") || return
	file=$(awk '/^RssFile:/ { print $2 }' "/proc/$gmd_pid/status")
	fds=$(find "/proc/$gmd_pid/fd" -mindepth 1 | wc -l)
	echo "$(date +%s) $own $fds $file" >>"$dir/samples"
}

# One member that is in, of a group: it is put out, hears of it, reads nothing more, and is refused. Another takes its place.
evict_one() {
	local group=$1 node
	node=$(gmctl --json member list "$group" | field node)
	[ -n "$node" ] || return
	# keys that were on their way before may still have reached it: these are newer
	gmctl member evict "$group" "$node" --yes >/dev/null && gmctl rekey "$group" --compromised >/dev/null &&
		ask await-rekey "$group" "$(version_of "$group")" --timeout 60 >/dev/null &&
		ask evicted-check "$group/$node" --timeout 60 >/dev/null &&
		ask join 1 --groups "$group" --roles mix >/dev/null
}

# Requests that were out when a group was rekeyed may be told to come again; gmload repeats them, and complains of all else.
round() {
	local number=$1 group=${groups[$1 % 3]}
	tell churn "$round_s" --window 128 --rate "$rate"
	sleep $((round_s / 3)).$((RANDOM % 10))
	gmctl rekey "$group" >/dev/null || return
	[ $((number % 3)) != 0 ] || gmctl rekey "${groups[(number + 1) % 3]}" --compromised >/dev/null || return
	gmctl --json status >"$dir/status.json" && gmctl --json pace >"$dir/pace.json" || return
	hear >/dev/null || { say "churn: $answer"; return 1; }
	ask poll --who late >/dev/null || { say "poll: $answer"; return 1; }
	ask move 3 >/dev/null || { say "move: $answer"; return 1; }
	ask rejoin 3 "$group" >/dev/null || { say "rejoin: $answer"; return 1; }
	ask update 3 "$group" >/dev/null || { say "update: $answer"; return 1; }
	ask get 20 "$group" >/dev/null || { say "get: $answer"; return 1; }
	[ $((number % 4)) != 1 ] || evict_one "$group" || { say "evict: $answer"; return 1; }
	sample
}

# COLUMN NAME SLACK: the median of the fourth fifth of the samples, and that of the last; a thousandth and SLACK more is growth. Single
# samples differ by a megabyte, by what was on its way when they were taken. The first ten minutes go through rings and tables for the
# first time: pages that are touched once, and then no more.
grows_not() {
	awk -v c="$1" -v name="$2" -v slack="$3" '
		function median(from, to,   i, j, n, v) {
			for (i = from + 1; i <= to; i++) {
				for (j = n++; j > 0 && v[j - 1] > all[i]; j--) v[j] = v[j - 1]
				v[j] = all[i]
			}
			return v[int(n / 2)]
		}
		{ all[NR] = $c }
		END {
			early = median(int(NR * 3 / 5), int(NR * 4 / 5))
			late = median(int(NR * 4 / 5), NR)
			printf "%s: %d after the first round, median %d in the fourth fifth, %d in the last\n", name, all[1], early, late
			exit NR < 20 || late > early * 1.001 + slack }' "$dir/samples"
}
shows() { check "$@"; sed 's/^/      /' "$dir/check.log"; }

nothing_said() { ! grep -E 'level=(error|warn)|ERROR|runtime error|<[0-4]>' "$dir/gmd.log"; }
nothing_lost() { # counters that stay 0 unless a queue or the memory was full
	! gmctl --json status | grep -oE '"(hop_drop|up_full|port_tx_failed|port_rx_truncated)": ?[1-9][0-9]*'
}

begin
choose_ports port load_port
programs
say "soak: ${seconds} s with $members members on 127.0.0.1:$port"
write_config 2 'rekey_window_ms: 300' 'rekey_deadline_ms: 1000' 'changes_per_minute: 0' \
	'pace_prefixes: [{prefix: 127.1.0.0/27, rate: 40, burst: 2}]'
must 'gmd runs' found
must 'three groups' create_groups
start_load --tries 30
must "$members members join" ask join "$members" --groups g1,g2,g3 --roles mix --exp $((seconds + 3600))
end=$((SECONDS + seconds)) number=0 rounds_failed=0
while [ $SECONDS -lt $end ]; do
	number=$((number + 1))
	if ! round $number >"$dir/round.log" 2>&1; then
		fail "round $number: $(tail -n 1 "$dir/round.log" | cut -c 1-300)"
		rounds_failed=$((rounds_failed + 1))
		if [ $rounds_failed = 3 ] || gone "$gmd_pid"; then break; fi
	fi
	[ $((number % 10)) != 0 ] || say "  round $number: $(tail -n 1 "$dir/samples" | awk '{ print $2 " KiB, " $3 " descriptors" }')"
done
[ $rounds_failed != 0 ] || pass "$number rounds without an error"
if [ "$seconds" -ge 1200 ]; then
	shows 'memory does not grow' grows_not 2 'KiB' 256
	shows 'descriptors do not grow' grows_not 3 'descriptors' 0
else
	skip 'less than 1200 s tell nothing of growth'
fi
check 'nothing was dropped' nothing_lost
say "      $(gmctl --json status | grep '"core"' | grep -oE '"(joins_ok|rejoins|leaves|evictions|rekeys|confirmed|late)": ?[0-9]+' | tr -d '"' | paste -sd ' ')"
check 'no check of any member failed' stop_load
check 'gmd stops in order' stop_gmd
check 'gmd had nothing to complain of' nothing_said
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
