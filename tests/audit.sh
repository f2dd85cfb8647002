#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The audit log of a running gmd: what is in it, that it is whole, and that it is noticed when it is not. Each check is a line; the
# last line counts.
#
#   tests/audit.sh            KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already
# shellcheck disable=SC2317 # functions are called by name
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../deploy/lib.sh"

says() { # says CODE PATTERN COMMAND...
	local code=$1 pattern=$2 got
	shift 2
	"$@" >"$dir/said" 2>&1
	got=$?
	[ "$got" = "$code" ] && grep -qE -- "$pattern" "$dir/said" || { echo "exit code $got"; cat "$dir/said"; return 1; }
}
oracle() { /usr/bin/python3 "$root/tests/python/audit_chain.py" "$@"; }
entry_of() { gmctl --json audit tail --last 1000 | grep "\"event\":\"$1\"" | tail -n 1 | field seq; }
head_hash() { gmctl --json audit head | field hash; }
# An event that is in the log once more: happened EVENT WORDS COMMAND...
happened() {
	local event=$1 words=$2 before after
	shift 2
	before=$(gmctl audit tail --last 10000 | grep -cE "  $event +.*$words")
	"$@" || return
	after=$(gmctl audit tail --last 10000 | grep -cE "  $event +.*$words")
	[ "$after" -gt "$before" ] || { echo "no $event $words"; gmctl audit tail; return 1; }
}
nothing_new() { # a command that is refused
	local before
	before=$(gmctl --json audit head)
	! "$@" && [ "$(gmctl --json audit head)" = "$before" ]
}
node_of() { gmctl --json member list "$1" | field node; }

operators() {
	happened group-created "uid:$(id -u) .*group=g2" gmctl group create g2 && happened group-changed 'changed=active' gmctl group freeze g2 &&
		happened command "uid:$(id -u) .*command=group freeze group=g2" gmctl group freeze g2 && happened rekeyed "uid:$(id -u) .*group=g1 was=.*reason=operator" gmctl group rekey g1 &&
		happened configuration-changed 'key=log_level was=info is=debug' gmctl config set log_level debug &&
		happened configuration-unconfirmed "uid:$(id -u) .*seconds=99" gmctl config apply --confirm 99 && happened configuration-undone 'was=info is=debug' gmctl config undo &&
		happened configuration-unconfirmed 'seconds=98' gmctl config apply --confirm 98 && happened configuration-confirmed "uid:$(id -u)" gmctl config confirm && happened paced 'is=77' gmctl pace --all 77 &&
		happened backup "file=$dir/backup" gmctl backup "$dir/backup" && happened group-deleted 'group=g2' gmctl group delete g2 --yes &&
		happened as-added 'as=other' gmctl as add other --key "$dir/other.json" && happened as-removed 'as=other' gmctl as remove other --yes
}
members() {
	happened evicted "uid:$(id -u) .*group=g1 node=" gmctl member evict g1 "$(node_of g1)" --yes && gmctl audit tail | grep -q '  barred .*group=g1' &&
		happened left 'as:1:.*group=g1' ask leave 1 && gmctl audit tail --last 1000 | grep -qE '  token +as:1:[0-9a-f]+ .*token=01'
}
refused_leaves_nothing() {
	nothing_new gmctl group create g1 2>/dev/null && nothing_new gmctl member evict g1 none --yes 2>/dev/null && nothing_new gmctl config set pace -1 2>/dev/null
}
of_one_group() { gmctl audit tail --group g1 --last 1000 >"$dir/g1" && grep -q 'group=g1' "$dir/g1" && ! grep -q 'group=g2' "$dir/g1"; }
follows() {
	"$build/gmctl" -s "$dir/gmd.sock" audit tail --last 1 --follow --group made >"$dir/followed" &
	local pid=$!
	until_true 60 test -s "$dir/followed" && gmctl group create made && until_true 60 grep -q 'group-created.*group=made' "$dir/followed"
	local status=$?
	kill $pid
	wait $pid
	gmctl group delete made --yes
	return $status
}
who_had_access() {
	local node
	node=$(gmctl --json audit tail --last 1000 | grep '"event":"evicted"' | field node)
	gmctl audit members g1 --at "$before_all" >"$dir/said" && [ ! -s "$dir/said" ] && gmctl audit members g1 --at "$when" | grep -q "^$node .*evicted" &&
		[ "$(gmctl audit members g1 --at "$when" | wc -l)" = 11 ] && ! gmctl audit members g1 --at $(($(date +%s) + 100)) | grep -q "^$node" &&
		[ "$(gmctl --json audit members g1 --at "$(date -u +%F)" | wc -l)" = 10 ] && says 2 'a time is needed' gmctl audit members g1 --at noon
}
restarts() {
	stop_gmd && start_gmd && [ "$(gmctl audit tail --last 2 | grep -oE '  (stopped|started)  ' | xargs)" = 'stopped started' ] &&
		grep -q "audit.head seq=$(gmctl --json audit head | field seq) hash=$(head_hash)" "$dir/gmd.log"
}
exports() {
	gmctl audit export "$dir/log" && [ "$(stat -c %a "$dir/log")" = 600 ] && says 1 'File exists' gmctl audit export "$dir/log" && oracle verify "$dir/log"
}
secrets() {
	local keys
	keys=$(grep -oE '[0-9a-f]{32,}' "$dir/as.json" "$dir/other.json" "$dir/store.key" | cut -d: -f2)
	[ "$(wc -l <<<"$keys")" -ge 3 ] || return
	# shellcheck disable=SC2086 # words
	oracle lacks "$dir/log" $keys
}

# ---- broken on purpose

forged() { # forged HOW ENTRY: gmd on a copy of the store to which that was done
	rm -rf "$dir/copy" && mkdir -m 700 "$dir/copy" && cp "$dir/state/data.mdb" "$dir/copy/" && "$build/audit_forge" "$dir/copy" "$dir/store.key" "$1" "$2" &&
		sed "s|^state_dir.*|state_dir: $dir/copy|" "$dir/gmd.conf" >"$dir/copy.conf"
}
# A byte flipped without the key is seen record by record, too; what was sealed with it opens.
record_opens() {
	if [ "$1" = flip ]; then says 1 '^audit log .* 1 +ff[0-9a-f]{16}$' gmctl store verify; else says 0 '^audit log .* 0 *$' gmctl store verify; fi
}
on_the_copy() { # on_the_copy HOW ENTRY CODE PATTERN VERIFY...: what verify says of it
	local how=$1 entry=$2 status
	shift 2
	forged "$how" "$entry" || return
	"$build/gmd" run -c "$dir/copy.conf" >>"$dir/copy.log" 2>&1 &
	gmd_pid=$!
	until_true 60 started && says "$1" "$2" gmctl audit verify "${@:3}" && record_opens "$how"
	status=$?
	stop_gmd || { echo "gmd does not stop in order: $?"; tail -n 5 "$dir/copy.log"; return 1; }
	return $status
}
cut_off() {
	forged cut "$1" && says 1 'its audit log does not end as it did' timeout 60 "$build/gmd" run -c "$dir/copy.conf"
}
changed_line() { sed "s/\"event\":\"joined\"/\"event\":\"jolned\"/" "$dir/log" >"$dir/log2" && says 1 "entry $(entry_at "$dir/log") is broken" gmctl audit verify "$dir/log2"; }
entry_at() { grep '"event":"joined"' "$1" | head -n 1 | field seq; }
lost_line() { sed 7d "$dir/log" >"$dir/log2" && says 1 'entry 6 is missing' gmctl audit verify "$dir/log2"; }
short() { # the first line says how many; who changes that, too, does not know the hash that was noted
	head -n 8 "$dir/log" >"$dir/log2" && says 1 'entry 8 is missing' gmctl audit verify "$dir/log2" && local hash &&
		hash=$(tail -n 1 "$dir/log2" | field hash) && sed -i "1s/\"head_seq\":.*/\"head_seq\":7,\"head_hash\":\"$hash\"}/" "$dir/log2" &&
		says 0 'entries 1 to 7 are whole' gmctl audit verify "$dir/log2" && says 1 'no entry has the hash that was noted' gmctl audit verify "$dir/log2" --head "$noted"
}

begin
choose_ports port load_port
say "The audit log of a gmd on 127.0.0.1:$port"
programs
write_config 2 'rekey_window_ms: 100' 'rekey_deadline_ms: 100'
before_all=$(($(date +%s) - 10))
"$build/gmas" keygen --alg AES-CCM-16-64-128 --iss other.example --aud gm.example -o "$dir/other.json" >/dev/null
must 'gmd runs' found
gmctl group create g1 >/dev/null
start_load
must 'ten members join' ask join 10 --groups g1
when=$(($(date +%s) + 1))
sleep 1.1
say 'What is in it'
check 'members: tokens, joins, leaves, evictions, bars' members
check 'operators: groups, keys, servers, configuration, pace, backup' operators
check 'what is refused leaves no entry' refused_leaves_nothing
check 'of one group alone' of_one_group
check 'and as it comes' follows
check 'who had access, at a moment and on a day' who_had_access
check 'gmd stops and starts again' restarts
say 'Whole'
check 'verify says so' says 0 'entries 1 to [0-9]+ are whole' gmctl audit verify
check 'and an oracle of an export' exports
check 'verify of the export, against what gmd has and a noted head' eval 'noted=$(head_hash) && says 0 whole gmctl audit verify "$dir/log" --head "$noted" --live'
check 'it grows, and still has what was noted' eval 'gmctl group create g3 && says 0 whole gmctl audit verify --head "$noted" && says 0 whole gmctl audit verify "$dir/log" --live'
check 'no secret is in it' secrets
noted=$(head_hash)
joined=$(entry_of joined)
must 'gmd stops' stop_gmd
say 'Broken on purpose'
if [ -x "$build/audit_forge" ]; then
	check 'a flipped byte in the store' on_the_copy flip "$joined" 1 'entry [0-9]+: its record is missing, or does not open'
	check 'an entry changed by who has the key' on_the_copy text "$joined" 1 "entry $joined is broken: it or one before it was changed"
	check 'all of it written anew is whole' on_the_copy anew "$joined" 0 'are whole'
	check 'but has not the hash that was noted' on_the_copy anew "$joined" 1 'no entry has the hash that was noted' --head "$noted"
	check 'untouched it has' on_the_copy anew 1000000 0 'are whole' --head "$noted"
	check 'a store whose log was cut off does not open' cut_off 20
else
	for _ in 1 2 3 4 5 6; do skip 'audit_forge is not built'; done
fi
check 'a line of an export changed' changed_line
check 'a line lost' lost_line
check 'lines cut off at its end' short
check 'another head than that of the log' says 1 'no entry has the hash' gmctl audit verify "$dir/log" --head "$(printf '%064d' 1)"
kill "$load_pid" && wait "$load_pid"
load_pid=""
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
