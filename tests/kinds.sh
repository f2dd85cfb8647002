#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Twenty members of gmload, and one written in Python, in a group of each kind, at a running gmd: joins by members that
# learn the algorithms as strangers do, every resource, a rekey, talk in all modes the group has, leaving. Each check is
# a line; the last line counts.
#
#   tests/kinds.sh [KIND ...]   KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../deploy/lib.sh"
python=$root/tests/python
members=20

# name, arguments of `gmctl group create`
kinds() {
	cat <<-END
		eddsa
		es256              --sign-alg ES256
		es384              --sign-alg ES384
		es512              --sign-alg ES512
		eddsa-sha512       --hkdf sha512
		es256-sha512       --sign-alg ES256 --hkdf sha512 --alg AES-CCM-16-128-256 --gp-enc-alg A256GCM
		ctr                --gp-enc-alg A128CTR
		ctr-192            --gp-enc-alg A192CTR --alg A192GCM
		ctr-256            --gp-enc-alg A256CTR --alg ChaCha20/Poly1305
		chacha             --gp-enc-alg 24 --alg A128GCM
		ccm-64             --gp-enc-alg AES-CCM-64-64-128 --alg AES-CCM-64-128-256 --max-members 50
		signature-only     --signature-only --sign-alg ES256
		pairwise-x25519    --pairwise-only
		pairwise-p256      --pairwise-only --ecdh-curve P-256
		pairwise-p384      --pairwise-only --ecdh-curve P-384 --hkdf sha512
		pairwise-p521      --pairwise-only --ecdh-curve P-521
		kcwt               --sign-alg ES384 --cred-fmt kcwt
		x5chain            --sign-alg ES512 --cred-fmt x5chain
		x5bag              --cred-fmt x5bag
		c5c                --sign-alg ES256 --cred-fmt c5c
		pairwise-c5b       --pairwise-only --ecdh-curve P-256 --cred-fmt c5b
		x5chain-eddsa      --cred-fmt x5chain
		pairwise-kcwt      --pairwise-only --cred-fmt kcwt
	END
}

# modes NAME: those that its group has
modes() {
	case $1 in
	signature-only) echo group ;;
	pairwise-*) echo pairwise ;;
	*) echo group pairwise ;;
	esac
}

# Monitors can prove nothing in a group without signatures: gmd lets none in.
roles() { case $1 in pairwise-*) echo requester,responder ;; *) echo mix ;; esac; }

rekey() {
	local version
	version=$(version_of "$1")
	gmctl rekey "$1" && ask await-rekey "$1" $((version + 1)) --timeout 60
}

# A step of the Python member shows as a line of JSON.
seen() { grep -q "\"step\": *\"$1\"${2:-}" "$dir/$kind.log"; }
said() { grep "\"step\": *\"$1\"" "$dir/$kind.log" | field "$2"; }

# peer GROUP: a member of gmload that answers requests
peer() {
	ask nodes "$1" || return
	tr '{' '\n' <<<"$answer" | grep '"state":"in"' | grep -E '"roles":(4|6)' | head -n 1 >"$dir/peer.json"
	peer_addr=$(field addr <"$dir/peer.json") peer_sid=$(field sid <"$dir/peer.json")
	[ -n "$peer_addr" ]
}

python_joins() {
	peer "$kind" && start_python
}

start_python() {
	local mode steps=()
	for mode in $(modes "$kind"); do
		case $mode in
		group) steps+=("ping-group:$peer_addr") ;;
		pairwise) steps+=("ping-pairwise:$peer_addr:$peer_sid") ;;
		esac
	done
	/usr/bin/python3 "$python/member.py" --gm "127.0.0.1:$port" --as-key "$dir/as.json" --group "$kind" \
		join creds wait-rekey:1:120 "${steps[@]}" leave >"$dir/$kind.log" 2>&1 &
	member_pid=$!
	until_true 60 seen creds
}

ended_well() {
	wait "$member_pid"
	local status=$?
	member_pid=""
	[ $status = 0 ] || tail -n 2 "$dir/$kind.log"
	return $status
}

ask_python() {
	local mode
	ask learn "$kind" --sample 2 || return
	for mode in $(modes "$kind"); do
		ask ping "$kind" "$(said listen addr)" "$(said join sid)" "$mode" || return
	done
}

# Started before the rekey, it goes on with the new keys.
with_python() {
	must "$kind: a member written in Python joins" python_joins
	check "$kind: it is asked by a member of gmload and answers" ask_python
	check "$kind: both have new keys" rekey "$kind"
	check "$kind: it asks a member of gmload, reads the answers, leaves" ended_well
}

live() {
	kind=$1
	must "$kind: a group" gmctl group create "$kind" "${@:2}"
	must "$kind: $members members join" ask join "$members" --group "$kind" --roles "$(roles "$kind")" --ask mix --osc mix --creds 4
	check "$kind: every resource answers what the fleet knows" ask resources --group "$kind"
	check "$kind: rekeyed" rekey "$kind"
	check "$kind: they talk, old keys fail" ask traffic "$kind" --sample 10
	with_python
	check "$kind: all leave" ask leave "$members" "$kind"
}

begin
choose_ports port load_port
say "Groups of every kind, on 127.0.0.1:$port"
programs
write_config 2 'rekey_window_ms: 200'
must 'gmd runs and trusts the Authorization Server' found
start_load
member_pid="" kind="" peer_addr="" peer_sid=""
while read -r -a row <&9; do
	[ $# = 0 ] || [[ " $* " == *" ${row[0]} "* ]] || continue
	live "${row[@]}"
done 9< <(kinds)
check 'no check of gmload failed' stop_load
check 'gmd stops in order' stop_gmd
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
