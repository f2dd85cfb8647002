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
seen() { grep -q "\"step\": *\"$1\"" "$dir/$2.log"; }

ended_well() {
	wait "$member_pid"
	local status=$?
	member_pid=""
	return $status
}

# python_member DELIVERY: joins, receives the rekey we ask for, talks with a member of gmload in both modes, leaves.
python_member() {
	local delivery=$1 version
	say "The Python member, rekeyed by $delivery"
	version=$(version_of g1)
	/usr/bin/python3 "$python/member.py" --gm "127.0.0.1:$port" --as-key "$dir/as.json" --group g1 --delivery "$delivery" \
		--keys-out "$dir/keys.jsonl" join get-group get-node wait-rekey:1 creds "ping-group:$peer_addr" \
		"ping-pairwise:$peer_addr:$peer_sid" leave >"$dir/$delivery.log" 2>&1 &
	member_pid=$!
	check 'its token is accepted' until_true 20 seen authz-info "$delivery"
	check 'it joins and verifies the proof of the Group Manager' until_true 20 seen join "$delivery"
	check 'it reads the keys of the group and its own' until_true 20 seen get-node "$delivery"
	check 'a rekey is ordered' gmctl rekey g1
	check 'the members of gmload have the new keys' ask await-rekey g1 $((version + 1)) --timeout 30
	tell sleep 8 # gmload answers meanwhile
	check 'it has the new keys' until_true 30 seen creds "$delivery"
	check 'a member of gmload reads its message in group mode, it reads the answer' until_true 20 seen ping-group "$delivery"
	check 'the same in pairwise mode' until_true 20 seen ping-pairwise "$delivery"
	check 'it leaves' until_true 20 seen leave "$delivery"
	check 'all of its own checks hold' ended_well
	hear >/dev/null
}

responder() { # the first member of gmload in g1 that answers requests
	ask nodes g1 || return
	tr '{' '\n' <<<"$answer" | grep '"state":"in"' | grep -E '"roles":(4|6)' | head -n 1 >"$dir/peer.json"
	peer_addr=$(field addr <"$dir/peer.json") peer_sid=$(field sid <"$dir/peer.json")
	[ -n "$peer_addr" ]
}

live() {
	/usr/bin/python3 "$python/live.py" --gm "127.0.0.1:$port" --as-key "$dir/as.json" --group g2 --keys-out "$dir/keys.jsonl"
}

oracle() { /usr/bin/python3 "$python/$1" "$dir/run.pcap" "$dir/keys.jsonl" "${@:2}"; }

begin
choose_port
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
start_load --keys "$dir/keys.jsonl"
must 'six members of gmload join' ask join 6 --groups g1 --roles requester,responder --creds 6
must 'one of them answers requests' responder
member_pid=""
python_member control
python_member observe
say 'A whole life of a group with four Python members and a verifier'
check 'all its steps hold' live
check 'no check of gmload failed' stop_load
check 'gmd stops in order' stop_gmd
if [ -n "$capture_pid" ]; then
	say 'The capture of all that'
	check 'nothing was dropped' stop_capture
	check "tshark decrypts it" oracle tshark_decrypt.py --port "$port"
	check 'no nonce protected two messages, and all of them decrypt' oracle nonce_check.py --min-share 0.99
fi
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
