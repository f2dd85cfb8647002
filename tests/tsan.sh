#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gmd built with ThreadSanitizer, three workers, everything mixed: joins, reads, rekeys, evictions, backups, status and stops, over
# io_uring and over plain sockets. Criterion's tests do not start under that sanitizer, so this is how workers, rings and the store
# are watched.
#
#   tests/tsan.sh [SECONDS]    60, of load for each port; the last line counts. KEEP=1 keeps the directory
set -u
# shellcheck source=deploy/lib.sh
. "$(dirname "$0")/../deploy/lib.sh"

seconds=${1:-60}
case $seconds in *[!0-9]* | '') say 'usage: tests/tsan.sh [SECONDS]'; exit 2 ;; esac
fast=${GM_BUILD:-$root/build/fast}

compile() {
	cmake -S "$root" --preset tsan -DGM_TESTS=OFF && cmake --build "$root/build/tsan" -j "$(nproc)" --target gmd
}
# The members, gmctl and gmas as they are: what is watched is gmd. Its address space is not shuffled, which the sanitizer may not survive.
wrap() {
	cat >"$dir/gmd" <<-END && chmod 755 "$dir/gmd"
		#!/bin/sh
		export TSAN_OPTIONS="halt_on_error=0 exitcode=66 second_deadlock_stack=1 log_path=$dir/tsan"
		exec setarch -R "$root/build/tsan/gmd" "\$@"
	END
}
races() { cat "$dir"/tsan.* 2>/dev/null | grep -c 'WARNING: ThreadSanitizer'; }
no_races() {
	[ "$(races)" = 0 ] || { grep -h -A 12 'WARNING: ThreadSanitizer' "$dir"/tsan.* | head -n 40; return 1; }
}
watched() { nm "$root/build/tsan/gmd" | grep -q __tsan_write4; }

mixed() {
	local end=$((SECONDS + seconds)) n=0 node
	while [ $SECONDS -lt $end ]; do
		n=$((n + 1))
		tell churn 4 --window 64
		gmctl rekey g1 >/dev/null && gmctl --json status >/dev/null && gmctl --json pace >/dev/null || return
		rm -f "$dir/backup" && gmctl backup "$dir/backup" >/dev/null || return
		hear >/dev/null || { echo "churn: $answer"; return 1; }
		ask move 3 >/dev/null || { echo "move: $answer"; return 1; }
		ask rejoin 3 g1 >/dev/null || { echo "rejoin: $answer"; return 1; }
		ask get 20 g1 >/dev/null || { echo "get: $answer"; return 1; }
		node=$(gmctl --json member list g1 | field node)
		[ -z "$node" ] || gmctl member evict g1 "$node" --allow-return --yes >/dev/null || return
	done
	echo "$n rounds"
}

run_over() {
	choose_ports port load_port
	say "over $1, on 127.0.0.1:$port"
	rm -rf "$dir"/{state,store.key,as.json,load.in,load.out}
	write_config 3 "port: $1" 'ack_timeout_ms: 1000'
	# shellcheck disable=SC2034 # for those functions that start it
	gmd=$dir/gmd
	wrap
	must 'gmd runs' found
	must 'groups' eval 'gmctl group create g1 && gmctl group create g2'
	start_load
	must '60 members join' ask join 60 --groups g1,g2
	check "$seconds s of everything mixed" mixed && say "      $(tail -n 1 "$dir/check.log")"
	check 'gmload found no fault' stop_load
	check 'gmd stops in order' stop_gmd
	check 'and starts on what it stored' start_gmd
	check 'and stops' stop_gmd
	check 'no race was seen' no_races
}

begin
if ! setarch -R true 2>/dev/null; then
	skip 'ThreadSanitizer: the address space cannot be left unshuffled here'
	tally
	exit 0
fi
must 'gmd is built with ThreadSanitizer' compile
must 'and watched' watched
build=$(realpath "$fast")
run_over uring
run_over mmsg
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
