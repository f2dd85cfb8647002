#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One gmd takes over from another, again and again, while members read, join and leave: nothing is lost, nobody notices.
#
#   tests/takeover.sh [ROUNDS]   default 3 hand-overs
#   tests/takeover.sh --faults   either process is killed with -9 at each step of it; needs a test build, which it makes
#
# After each hand-over: no member was asked for an Echo, none was unknown. At the end no (key, nonce) protected two byte strings, in
# a capture of all packets. A line of JSON says how long nobody answered; no check depends on that.
# KEEP=1 keeps the directory, MEMBERS sizes the load, GM_BUILD=DIR uses programs built already.
# shellcheck disable=SC2317 # functions are called by name
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../deploy/lib.sh"

members=${MEMBERS:-300}
large=()
[ "$members" -le 40000 ] || large=(--max-members=65536)

# shellcheck disable=SC2120,SC2119 # mostly without arguments
# take_over [NAME=VALUE...]: a new gmd in place of the one that runs; 0: it is there, and the old one has ended with 3
take_over() {
	local old=$gmd_pid status
	env "$@" "${gmd:-$build/gmd}" run --take-over --config "$dir/gmd.conf" >>"$dir/gmd.log" 2>&1 7>&- 8<&- &
	gmd_pid=$!
	until_true 120 either_gone "$old" "$gmd_pid"
	gone "$old" || { echo 'the old process goes on'; kill "$gmd_pid"; gmd_pid=$old; return 1; }
	wait "$old"
	status=$?
	[ $status = 3 ] || { echo "the old process ended with $status"; return 1; }
	until_true 60 started && ! gone "$gmd_pid"
}
either_gone() { gone "$1" || gone "$2"; }
# of the workers, all together: counters NAME
counters() { gmctl --json status | grep '"what":"worker"' | grep -o "\"$1\":[0-9]*" | awk -F: '{ n += $2 } END { print n + 0 }'; }
nobody_noticed() {
	local echoes strangers
	echoes=$(counters echo_sent) strangers=$(counters rx_stranger)
	[ "$echoes $strangers" = '0 0' ] || { echo "$echoes challenged by Echo, $strangers unknown"; return 1; }
}
round() { # what the last one brought shows before the next one
	local begun
	sleep 0.4
	nobody_noticed || return
	begun=$(date +%s.%N)
	take_over || return
	echo "$begun $(date +%s.%N)" >>"$dir/times"
}

# Confirmed are all: nobody was forgotten in the middle of a walk.
all_confirmed() {
	local row
	row=$(gmctl --json group show "$1")
	[ "$(field state <<<"$row")" = idle ] && [ "$(field confirmed <<<"$row")" = "$(field members <<<"$row")" ] &&
		[ "$(field late <<<"$row")" = 0 ]
}
some_confirmed() { [ "$(gmctl --json group show "$1" | field confirmed)" -gt 0 ]; }
rekeyed_meanwhile() {
	local version
	version=$(version_of g1)
	gmctl rekey g1 && until_true 60 some_confirmed g1 && take_over && ask await-rekey g1 $((version + 1)) --timeout 60 && nobody_noticed
}
timed() { gmctl metrics | awk '$1 == "gmd_handover_seconds" { print; good = $2 > 0 && $2 < 60 } END { exit !good }'; }
in_the_middle() { grep -q 'takeover.done .*held=[1-9]' "$dir/gmd.log"; }

# ---- other ways

# Whom the service manager is told of, at a socket of ours: the old process names the new one before it ends.
listen_to_both() {
	/usr/bin/python3 - "$dir/notify" >"$dir/told.log" 7>&- 8<&- <<-'END' &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
		while True:
		    text, control, _, _ = s.recvmsg(4096, 256)
		    pid = int.from_bytes(control[0][2][:4], sys.byteorder)
		    print(pid, text.decode().replace('\n', ' '), flush=True)
	END
	as_pid=$!
	until_true 60 test -S "$dir/notify"
}
told() { grep -q "^$1" "$dir/told.log"; }
order() { # old says who is new, then new that it is ready, and goes on
	[ "$(grep -o "^$1 MAINPID=$2\|^$2 READY=1\|^$2 WATCHDOG=1" "$dir/told.log" | uniq | head -n 3 | paste -sd ' ')" = "$1 MAINPID=$2 $2 READY=1 $2 WATCHDOG=1" ]
}
upgraded() { # by the verb that systemctl reload runs, without the environment that only the first one had
	local old=$gmd_pid status
	"$build/gmd" upgrade --config "$dir/gmd.conf" >>"$dir/gmd.log" 2>&1 7>&- 8<&- || return
	wait "$old" 2>/dev/null
	status=$?
	[ $status != 127 ] || { until_true 60 gone "$old" && status=3; } # no child of ours
	gmd_pid=$(sed -n 's/.*handover.done pid=\([0-9]*\) .*/\1/p' "$dir/gmd.log" | tail -n 1)
	[ $status = 3 ] && gmctl status >"$dir/status" && ! gone "$gmd_pid"
}
stop_other() { # no child of this shell
	kill "$gmd_pid" && until_true 60 gone "$gmd_pid" && gmd_pid="" && [ ! -e "$dir/gmd.sock" ] && [ ! -e "$dir/gmd.sock.handover" ]
}
with_line() { # with_line NAME TEXT: in gmd.conf from now on
	sed -i "/^$1:/d" "$dir/gmd.conf" && printf '%s: %s\n' "$1" "$2" >>"$dir/gmd.conf"
}
# refused PATTERN COMMAND...: the new one ends with 1 or 2 and says why; the old one goes on, and nobody noticed
refused() {
	local pattern=$1 status
	shift
	"$@" >"$dir/refused" 2>&1 7>&- 8<&-
	status=$?
	cat "$dir/refused"
	[ $status = 1 ] || [ $status = 2 ] || return
	grep -q "$pattern" "$dir/refused" && ! gone "$gmd_pid" && ask get 20 && nobody_noticed
}
again() { "$build/gmd" run --take-over --config "$1"; }
other_store() {
	sed "s|^state_dir:.*|state_dir: $dir/state2|; s|^key_file:.*|key_file: $dir/store2.key|" "$dir/gmd.conf" >"$dir/gmd2.conf" &&
		"$build/gmd" init -c "$dir/gmd2.conf" && refused 'works on another store' again "$dir/gmd2.conf"
}
runs() { gmctl --json config show | grep -q "\"key\":\"$1\",\"value\":\"$2\""; }
kept_by_name() { # once each; nobody is said to have changed it but who did
	local log key
	log=$(gmctl audit tail --last 1000)
	for key in pace changes_per_minute rekey_deadline_ms rekey_window_ms; do
		[ "$(grep -c "  configuration-kept  *gmd .*key=$key file=[0-9]* is=[0-9]" <<<"$log")" = 1 ] || { echo "$key: not kept once"; return 1; }
	done
	! grep '  configuration-changed  *gmd ' <<<"$log"
}
sets() { # the window is checked against the deadline, which comes behind it
	gmctl pace --all 7777 && gmctl config set changes_per_minute 99 && gmctl config set rekey_deadline_ms 9000 && gmctl config set rekey_window_ms 8000 &&
		upgraded && runs pace 7777 && runs changes_per_minute 99 && runs rekey_window_ms 8000 && runs rekey_deadline_ms 9000 &&
		! grep -q takeover.leaves "$dir/gmd.log" && kept_by_name
}
undoes() { # nobody has confirmed it
	local before log
	before=$(gmctl --json config show | grep '"key":"groups_max"' | field value)
	with_line groups_max 77 && gmctl config apply --confirm 3600 >"$dir/tried" && runs groups_max 77 && upgraded && runs groups_max "$before" && ! gmctl config confirm &&
		log=$(gmctl audit tail --last 1000) && [ "$(grep -c '  configuration-went-back  *gmd .*keys=[1-9]$' <<<"$log")" = 1 ] && [ "$(grep -c ' config.went_back keys=[1-9]$' "$dir/gmd.log")" = 1 ]
}
group_is() { [ "$(gmctl --json group show g1 | field state)" = "$1" ]; }
some_wait() { [ "$(gmctl --json group show g1 | field waiting)" -gt 1 ]; }
holds_some_back() { holds_back g1 && some_wait; } # the messages of the first second may be told all but one
stays_paused() {
	gmctl pace --all 1 >"$dir/paced" && until_true 60 holds_some_back && upgraded && group_is paused && some_wait &&
		gmctl pace --all 0 >"$dir/paced" && group_is paused && gmctl rekey resume g1 && until_true 60 group_is idle &&
		[ "$(gmctl --json group show g1 | field waiting)" = 0 ]
}
other_ways() {
	local workers old port_name
	must 'somebody listens to what gmd tells' listen_to_both
	export NOTIFY_SOCKET=$dir/notify WATCHDOG_USEC=200000
	check 'gmd that has a service manager takes over' take_over
	unset NOTIFY_SOCKET WATCHDOG_USEC
	old=$gmd_pid
	check 'gmd upgrade starts the next one' upgraded
	check 'the old one said who that is, and it reports in its place' until_true 60 order "$old" "$gmd_pid"
	for workers in 3 1 2; do check "workers: $workers" eval "with_line workers $workers && upgraded && ask get 20 && nobody_noticed"; done
	for port_name in mmsg uring; do check "port: $port_name" eval "with_line port $port_name && upgraded && ask get 20 && nobody_noticed"; done
	check 'with another store nothing happens' other_store
	sed 's/^workers:.*/workers: many/' "$dir/gmd.conf" >"$dir/gmd3.conf"
	check 'nor with a configuration that is wrong' refused 'workers' again "$dir/gmd3.conf"
	sed '/^port:/d; s/^workers:.*/port: dpdk\ndpdk_args: --no-huge/' "$dir/gmd.conf" >"$dir/gmd4.conf"
	check 'nor with DPDK' refused "DPDK's queues cannot be handed over" again "$dir/gmd4.conf"
	check 'drained, it lets nobody in' eval 'gmctl drain --wait && gmctl --json status | grep -q "\"newcomers\":\"refused\""'
	check 'nor does the next one, until it is told' eval 'upgraded && gmctl --json status | grep -q "\"newcomers\":\"refused\"" && gmctl audit tail | grep -q "drain-kept  *gmd" && gmctl undrain && ask rejoin 5'
	check 'which the one after it is not any more' eval 'upgraded && gmctl --json status | grep -q "\"newcomers\":\"let in\""'
	check 'what gmctl has set goes along' sets
	check 'and ends where the file says something else by now, which is named' eval 'with_line pace 8888 && upgraded && runs pace 8888 && runs changes_per_minute 99 && grep -q "takeover.leaves key=pace value=\"7777\"" "$dir/gmd.log"'
	check 'a configuration that nobody has confirmed goes back' undoes
	check 'a rekey that is paused stays so, and goes on where it stopped' stays_paused
}

settings=('rekey_window_ms: 0' 'changes_per_minute: 0' 'stranger_rate: 0' "pace: $((members / 6))")
begin_run() {
	begin
	choose_ports port load_port
	programs
	write_config 2 "${settings[@]}"
}
nonces() { /usr/bin/python3 "$root/tests/python/nonce_check.py" "$dir/run.pcap" "$dir/keys.jsonl" --min-share 0.99; }

none_to_upgrade() {
	! "$build/gmd" upgrade -c "$dir/gmd.conf" >"$dir/said" 2>&1 && [ "$(cat "$dir/said")" = "gmd: no gmd runs at $dir/gmd.sock: gmd run starts one" ]
}
hand_overs() {
	local number
	begin_run
	say "$1 hand-overs, $members members on 127.0.0.1:$port"
	must 'gmd runs' found
	must 'two groups' gmctl group create g1 g2 "${large[@]}"
	if can_capture; then must 'capturing' start_capture "$dir/run.pcap"; else skip 'no capture, no check of nonces: dumpcap is missing or not permitted'; fi
	start_load --keys "$dir/keys.jsonl" --tries 30
	must "$members members join" ask join "$members" --groups g1,g2 --roles mix
	/usr/bin/python3 "$root/tests/takeover/ping.py" 127.0.0.1 "$port" "$dir/stop" "$dir/times" >"$dir/gap.json" 2>"$dir/ping.log" 7>&- 8<&- &
	member_pid=$!
	check 'a rekey of all, and a hand-over in the middle' rekeyed_meanwhile
	check 'the rekey went on where it was' in_the_middle
	check 'and all have confirmed' until_true 60 all_confirmed g1
	check 'how long changes waited is a metric' timed
	tell churn "$((1 + $1 / 2))" --window 16
	for ((number = 1; number <= $1; number++)); do check "hand-over $number, while members come, go and read" round || break; done
	check 'every request was answered' hear && say "      $answer"
	other_ways
	check 'every member reads' ask poll
	check 'and nobody noticed' nobody_noticed
	touch "$dir/stop"
	wait "$member_pid"
	member_pid=""
	say "{\"bench\":\"takeover\",\"members\":$members,${answer:+\"retransmitted\":$(counters rx_repeat),}$(cut -c 2- "$dir/gap.json")"
	check 'no check of any member failed' stop_load
	check 'gmd stops in order' stop_other
	check 'then an upgrade says that there is none' none_to_upgrade
	[ -z "$capture_pid" ] || {
		check 'the capture is complete' stop_capture
		check 'no nonce protected two messages' nonces && say "      $(field decrypted <"$dir/check.log") messages decrypted, $(field nonces <"$dir/check.log") nonces"
	}
}

# ---- kill -9 at every step

steps_new=(connected welcome prepared ready frozen loaded carried told bye)
steps_old=(ready frozen loaded halted carried taken bye)
serves() { ask poll && ask get "$members"; }
# The new one dies: the old one has not noticed, or all is over and a start is that after any crash.
new_dies() {
	local old=$gmd_pid status
	env "GM_DIE_AT=new-$1" "$gmd" run --take-over --config "$dir/gmd.conf" >>"$dir/gmd.log" 2>&1 7>&- 8<&-
	status=$?
	[ $status = 137 ] || { echo "the new process ended with $status"; return 1; }
	if [ "$1" = bye ]; then
		wait "$old" && return 1
		start_gmd && serves
		return
	fi
	! gone "$old" && serves && nobody_noticed
}
# The old one dies: the new one starts as after a crash, and where there is nothing left to be done it has taken over.
old_dies() {
	local old=$gmd_pid
	env "GM_DIE_AT=old-$2" "$gmd" run --take-over --config "$dir/gmd.conf" >>"$dir/gmd.log" 2>&1 7>&- 8<&- &
	gmd_pid=$!
	wait "$old"
	[ $? = 137 ] || { echo "the old process did not die at old-$1"; return 1; }
	until_true 60 started && ! gone "$gmd_pid" && serves && { [ "$1" != bye ] || nobody_noticed; }
}
faults() {
	local step next=("${steps_old[@]:1}" none)
	begin_run
	must 'a gmd with faults on request' build_faults
	say "kill -9 at each step of a hand-over, $members members on 127.0.0.1:$port"
	must 'gmd runs' found
	must 'two groups' eval 'gmctl group create g1 && gmctl group create g2'
	if can_capture; then must 'capturing' start_capture "$dir/run.pcap"; else skip 'no capture, no check of nonces: dumpcap is missing or not permitted'; fi
	start_load --keys "$dir/keys.jsonl" --tries 30
	must "$members members join" ask join "$members" --groups g1,g2 --roles mix
	for step in "${steps_new[@]}"; do check "the new process dies: $step" new_dies "$step" || break; done
	check 'a hand-over nevertheless' take_over "GM_DIE_AT=old-${steps_old[0]}"
	for step in "${!steps_old[@]}"; do check "the old process dies: ${steps_old[step]}" old_dies "${steps_old[step]}" "${next[step]}" || break; done
	check 'a rekey of all' eval 'gmctl rekey g1 && ask await-rekey g1 1 --timeout 60'
	check 'no check of any member failed' stop_load
	check 'gmd stops in order' stop_gmd
	[ -z "$capture_pid" ] || {
		check 'the capture is complete' stop_capture
		check 'no nonce protected two messages' nonces && say "      $(field decrypted <"$dir/check.log") messages decrypted, $(field nonces <"$dir/check.log") nonces"
	}
}

case ${1:-3} in
--faults) members=${MEMBERS:-60} && faults ;;
*[!0-9]*) say 'usage: tests/takeover.sh [ROUNDS | --faults]'; exit 2 ;;
*) hand_overs "${1:-3}" ;;
esac
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
