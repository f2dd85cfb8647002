#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A member written in Python and tshark, against a running gmd with members of gmload. Each check is a line; the last line counts.
#
#   tests/interop.sh          KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../deploy/lib.sh"
python=$root/tests/python

# A step of the Python member shows as a line of JSON.
seen() { grep -q "\"step\": *\"$1\"${3:-}" "$dir/$2.log"; }
said() { grep "\"step\": *\"$1\"" "$dir/$2.log" | field "$3"; }

ended_well() {
	wait "$member_pid"
	local status=$?
	member_pid=""
	return $status
}

# python_member DELIVERY: joins, receives the rekey we ask for, talks with a member of gmload in both modes, leaves.
python_member() {
	local delivery=$1 version mode
	say "The Python member, rekeyed by $delivery"
	version=$(version_of g1)
	/usr/bin/python3 "$python/member.py" --gm "127.0.0.1:$port" --as-key "$dir/as.json" --group g1 --delivery "$delivery" \
		--keys-out "$dir/run.jsonl" join get-group get-node wait-rekey:1:120 creds "serve-until:$dir/$delivery.asked" "ping-group:$peer_addr" \
		"ping-pairwise:$peer_addr:$peer_sid" leave >"$dir/$delivery.log" 2>&1 &
	member_pid=$!
	check 'its token is accepted' until_true 60 seen authz-info "$delivery"
	check 'it joins and verifies the proof of the Group Manager' until_true 60 seen join "$delivery"
	check 'it reads the keys of the group and its own' until_true 60 seen get-node "$delivery"
	check 'a rekey is ordered' gmctl rekey g1
	check 'the members of gmload have the new keys' ask await-rekey g1 $((version + 1)) --timeout 60
	check 'it has the new keys' until_true 60 seen creds "$delivery"
	check 'the members of gmload learn its credential' ask learn g1 --sample 6
	for mode in group pairwise; do
		check "a member of gmload asks it in $mode mode and reads the answer" ask ping g1 "$(said listen "$delivery" addr)" \
			"$(said join "$delivery" sid)" $mode
	done
	touch "$dir/$delivery.asked"
	for mode in group pairwise; do
		check "it asks a member of gmload in $mode mode and reads the answer" \
			until_true 60 seen ping "$delivery" ", \"mode\": \"$mode\""
	done
	check 'it leaves' until_true 60 seen leave "$delivery"
	check 'all of its own checks hold' ended_well
}

# It answers requests while it waits for the next command.
responder() { # the first member of gmload in g1 that answers requests
	ask nodes g1 || return
	tr '{' '\n' <<<"$answer" | grep '"state":"in"' | grep -E '"roles":(4|6)' | head -n 1 >"$dir/peer.json"
	peer_addr=$(field addr <"$dir/peer.json") peer_sid=$(field sid <"$dir/peer.json")
	[ -n "$peer_addr" ]
}

# Resources that gmd does not serve yet answer 4.05: such steps are skipped.
live() {
	local found
	if /usr/bin/python3 "$python/live.py" --gm "127.0.0.1:$port" --as-key "$dir/as.json" --group g2 \
		--keys-out "$dir/run.jsonl" >"$dir/live.log" 2>&1; then
		pass 'all its steps hold'
		return
	fi
	found=$(tail -n 1 "$dir/live.log" | grep -o "CheckFailed('[^']*')" | sed "s/.*('//; s/')//")
	if [ -z "$found" ] || grep -qv ' answered 4.05$' <<<"$found"; then
		fail 'all its steps hold'
		tail -n 1 "$dir/live.log"
		return
	fi
	pass 'all its steps hold, but for those of resources that are not served yet'
	while read -r found; do skip "${found% answered*}"; done <<<"$found"
}

# oracle PROGRAM RUN [OPTION...]: over the capture and the keys of a run
oracle() { /usr/bin/python3 "$python/$1" "$dir/$2.pcap" "$dir/$2.jsonl" "${@:3}"; }

# The capture of a run, read by others.
oracles() {
	check 'tshark decrypts it' oracle tshark_decrypt.py "$1" --port "$2" &&
		say "      $(field decrypted <"$dir/check.log") of $(field frames <"$dir/check.log") messages"
	check 'all messages decrypt in Python, no nonce protected two of them' oracle nonce_check.py "$1" --min-share 0.99 &&
		say "      $(field decrypted <"$dir/check.log") messages, $(field nonces <"$dir/check.log") nonces"
}

quickstart() {
	CAPTURE=$dir/quick.pcap KEYS=$dir/quick.jsonl GM_BUILD=$build KEEP='' "$root/deploy/quickstart.sh" 60
}

begin
choose_ports port load_port
say "Interoperability, on 127.0.0.1:$port"
programs
write_config 2 'rekey_window_ms: 200'
must 'gmd runs and trusts the Authorization Server' found
if can_capture; then
	must 'capturing' start_capture "$dir/run.pcap"
else
	skip 'capture: dumpcap is missing or not permitted'
fi
must 'two groups' eval 'gmctl group create g1 && gmctl group create g2'
start_load --keys "$dir/run.jsonl"
must 'six members of gmload join' ask join 6 --groups g1 --roles requester,responder --creds 6
must 'one of them answers requests' responder
member_pid=""
python_member control
python_member observe
say 'A whole life of a group with four Python members and a verifier'
live
check 'no check of gmload failed' stop_load
check 'gmd stops in order' stop_gmd
if [ -n "$capture_pid" ]; then
	say 'The capture of all that'
	check 'nothing was dropped' stop_capture
	oracles run "$port"
	say 'The capture of a quickstart with 60 members'
	if check 'it runs' quickstart; then
		oracles quick "$(sed -n 's/.* on 127.0.0.1:\([0-9]*\)$/\1/p' "$dir/check.log")"
	fi
fi
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
