#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Kills gmd with -9 at random moments under load, starts it again with another number of workers, and looks for what was lost.
#
#   tests/crash/kill9.sh [ROUNDS]        default 100; a line for each; the last line counts
#   tests/crash/kill9.sh --show-broken   a gmd that leases no sequence numbers: the check of nonces has to notice
#
# After each round every member that holds an acknowledged Join is in gmctl's list, and nobody else is. At the end no Sender ID
# was given twice under one Gid, and no (sender key, nonce) protected two byte strings, in a capture of all packets.
# KEEP=1 keeps the directory, MEMBERS sizes the load, GM_BUILD=DIR uses programs built already.
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../../deploy/lib.sh"

groups=(g1 g2 g3)
workers=(1 3 2)
members=${MEMBERS:-240}

# pause FROM TO: a random time in ms
pause() { sleep "$(awk -v ms=$(($1 + RANDOM % ($2 - $1))) 'BEGIN { print ms / 1000 }')"; }

create_groups() {
	local group
	for group in "${groups[@]}"; do gmctl group create "$group" || return; done
}

# What gmctl and gmload say about who is in, into FILE.gmd and FILE.load
look() {
	local group
	for group in "${groups[@]}"; do
		gmctl --json member list "$group" | sed "s/^{/{\"group\":\"$group\",/" || return
	done >"$1.gmd"
	ask nodes >/dev/null && printf '%s\n' "$answer" >"$1.load"
}

same_members() {
	look "$dir/round.$1" && /usr/bin/python3 "$root/tests/crash/check.py" members "$dir/round.$1.gmd" "$dir/round.$1.load"
}

restart() {
	kill_gmd
	pause 1 300
	sed -i "s/^workers: .*/workers: $1/" "$dir/gmd.conf"
	start_gmd
}

# round NUMBER: churn, a kill in the middle, sometimes a second one soon after. Requests that were out when gmd died are
# repeated after two seconds and more, when the churn is over: so nothing covers up what the kill may have lost.
round() {
	local number=$1 next=${workers[$1 % 3]} kills=1 churned
	tell churn 2
	pause 100 1900
	[ $((RANDOM % 2)) = 0 ] || gmctl rekey "${groups[RANDOM % 3]}" >/dev/null 2>&1
	pause 1 60
	restart "$next" || return
	if [ $((number % 4)) = 0 ]; then
		pause 1 3000
		kills=2
		restart "$next" || return
	fi
	hear >/dev/null || { printf '%s\n' "$answer"; return 1; }
	churned=$answer
	same_members "$number" || { printf '%s\n' "$churned"; return 1; }
	say "$kills" "$next" >"$dir/round.said"
}

begin_run() {
	begin
	choose_ports port load_port
	can_capture || { skip 'dumpcap is missing or not permitted: no capture, no check'; tally; exit 0; }
}

kills() {
	local number
	begin_run
	say "kill -9, $1 rounds with $members members on 127.0.0.1:$port"
	programs
	write_config 2 'rekey_window_ms: 300' 'rekey_deadline_ms: 1000' 'changes_per_minute: 0'
	must 'gmd runs' found
	must 'three groups' create_groups
	must 'capturing' start_capture "$dir/run.pcap"
	start_load --keys "$dir/keys.jsonl" --acks "$dir/acks.jsonl" --tries 30
	must "$members members join" ask join "$members" --groups g1,g2,g3 --roles mix
	for ((number = 1; number <= $1; number++)); do
		check "round $number" round "$number" || break
	done
	check 'no check of any member failed' stop_load
	check 'gmd stops in order' stop_gmd
	check 'the capture is complete' stop_capture
	check 'every acknowledged Join has a Sender ID of its own' /usr/bin/python3 "$root/tests/crash/check.py" sids "$dir/acks.jsonl" &&
		say "      $(cat "$dir/check.log")"
	check 'no nonce protected two messages' nonces &&
		say "      $(field decrypted <"$dir/check.log") messages decrypted, $(field nonces <"$dir/check.log") nonces"
}

# Hardly anything may stay unread: what the check cannot open it cannot judge.
nonces() { /usr/bin/python3 "$root/tests/python/nonce_check.py" "$dir/run.pcap" "$dir/keys.jsonl" --min-share 0.99; }

# ---- the check can fail

# confirmed GROUP: by all of its members, and gmd has committed that. What it has not, it sends once more after a start, to the byte.
confirmed() {
	local info
	info=$(gmctl --json group show "$1") && [ "$(field state <<<"$info")" = idle ] && [ "$(field confirmed <<<"$info")" = "$broken_members" ]
}
# By this process: its rekey has gone to all members, whatever they think of it.
sent_to_all() { [ "$(gmctl --json status | grep '"what": *"rekey"' | field sent)" -ge "$broken_members" ]; }

# crash_and_rekey NAME: a rekey, a kill, a rekey. What members think of the second one does not matter here.
broken_members=20
crash_and_rekey() {
	local what=$1
	rm -rf "$dir"/state "$dir"/store.key "$dir"/as.json "$dir"/load.in "$dir"/load.out "$dir"/keys.jsonl "$dir"/run.pcap
	must "$what: gmd runs" found
	must "$what: a group" gmctl group create g1
	must "$what: capturing" start_capture "$dir/run.pcap"
	start_load --keys "$dir/keys.jsonl"
	must "$what: members join" ask join "$broken_members" --groups g1
	must "$what: rekeyed" eval 'gmctl rekey g1 && ask await-rekey g1 1 --timeout 60 && until_true 60 confirmed g1'
	kill_gmd
	must "$what: killed, started again, rekeyed" eval 'start_gmd && gmctl rekey g1 && until_true 60 sent_to_all'
	stop_load
	stop_gmd
	must "$what: captured" stop_capture
}

notices() { ! nonces && [ "$(field reuses <"$dir/check.log")" -gt 0 ]; }

show_broken() {
	begin_run
	say "A gmd without leases of sequence numbers, on 127.0.0.1:$port"
	programs
	must 'a gmd with faults on request' build_faults
	write_config 2 'rekey_window_ms: 0' 'test_no_lease: false'
	crash_and_rekey 'with leases'
	check 'with leases no nonce protected two messages' nonces
	write_config 2 'rekey_window_ms: 0' 'test_no_lease: true'
	crash_and_rekey 'without'
	check 'without them the check finds nonces that did' notices &&
		say "      $(field reuses <"$dir/check.log") of $(field decrypted <"$dir/check.log") messages"
}

case ${1:-100} in
--show-broken) show_broken ;;
*[!0-9]*) say 'usage: tests/crash/kill9.sh [ROUNDS | --show-broken]'; exit 2 ;;
*) kills "${1:-100}" ;;
esac
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
