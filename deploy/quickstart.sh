#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs, builds, and runs a Group Manager with MEMBERS members on loopback: joins, rekeys, an eviction, a crash.
#
#   deploy/quickstart.sh [MEMBERS]      default 1,000
#
# PORT=mmsg does without io_uring. KEEP=1 keeps the directory with logs, configuration and store. CAPTURE=FILE records a pcap, KEYS=FILE the
# members' OSCORE contexts. GM_BUILD=DIR: built already.
# Uses only 127.0.0.0/8 (and apt, when packages are missing). Exit 0 only if every check holds.
set -u
# shellcheck source=deploy/lib.sh
. "$(dirname "$0")/lib.sh"

members=${1:-1000}
case $members in
*[!0-9]* | '') say 'usage: deploy/quickstart.sh [MEMBERS]'; exit 2 ;;
esac
groups=(g1 g2 g3)
pairs=24 # members that talk to each other after a rekey, in each group

# ---- steps

make_groups() {
	local group room=$((members * 2 / 3 + 256))
	for group in "${groups[@]}"; do
		gmctl group create "$group" --max-members "$((room < 65536 ? room : 65536))" || return
	done
}

start_as() {
	"$build/gmas" serve -k "$dir/as.json" --listen "127.0.0.1:$as_port" >"$dir/gmas.log" 2>&1 &
	as_pid=$!
	until_true 60 serves_or_gone && ! gone "$as_pid"
}

serves_or_gone() { ! port_free "$as_port" || gone "$as_pid"; }

members_of() { gmctl --json group show "$1" | field members; }

# all_in GROUP: every member of the group confirmed its newest keys, and none is late
all_in() {
	local info
	info=$(gmctl --json group show "$1") || return
	[ "$(field confirmed <<<"$info")" = "$(field members <<<"$info")" ] && [ "$(field late <<<"$info")" = 0 ]
}

# arrives GROUP VERSION: pushed to all its members, by POST or Observe, and confirmed by them
arrives() {
	ask await-rekey "$1" "$2" --timeout 120 || return
	[ "$(field poll <<<"$answer")" = 0 ] && [ "$(field late <<<"$answer")" = 0 ] && until_true 60 all_in "$1"
}

rekey() {
	local group=$1 version
	version=$(version_of "$group") && gmctl rekey "$group" && arrives "$group" $((version + 1))
}

rekey_all() {
	local group
	for group in "${groups[@]}"; do
		if check "$group: rekeyed, pushed to all members, confirmed" rekey "$group"; then
			say "      by POST $(field post <<<"$answer"), by Observe $(field observe <<<"$answer"), all within $(printf '%.1f' "$(inner rekey max <<<"$answer")") ms of the first"
		fi
		check "$group: members talk under the new keys; the old ones fail" ask traffic "$group" --sample "$pairs"
	done
}

evict() {
	local version
	version=$(version_of g1)
	gmctl member evict g1 "$1" --yes && arrives g1 $((version + 1))
}

restart() {
	kill_gmd
	start_gmd
}

# Members of another group, made for ES256: P-256 keys sign and agree on pairwise keys.
other_algorithms() {
	local pair=() nodes=() mode line
	gmctl group create g4 --sign-alg ES256 --max-members 64 && ask join 20 --group g4 --ask mix && ask learn g4 &&
		ask nodes g4 || return
	while read -r line; do
		pair+=("$(field addr <<<"$line") $(field sid <<<"$line")")
		nodes+=("g4/$(field node <<<"$line")")
	done < <(tr '{' '\n' <<<"$answer" | grep '"roles":6' | head -n 2)
	for mode in group pairwise; do
		# shellcheck disable=SC2086 # an address and a Sender ID
		ask ping g4 ${pair[0]} $mode --from "${nodes[1]}" && ask ping g4 ${pair[1]} $mode --from "${nodes[0]}" || return
	done
	ask resources --group g4
}

unchanged() { [ "$(count_members)" = "$1" ]; }
count_members() { gmctl --json status | grep '"core"' | field members; }

# ---- the summary: from gmctl's status before the crash and at the end, and gmload's answer to join

both() { cat "$dir/status.1" "$dir/status.2"; }
sum() { both | grep '"what": *"rekey"' | sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" | awk '{ s += $1 } END { print s + 0 }'; }
row() { grep "\"what\": *\"$1\"" "$dir/status.1"; }
batch() { row batch | grep "\"call\": *\"$1\"" | field "$2"; }
ms() { awk -v us="$1" 'BEGIN { printf "%.1f ", us / 1000 }'; }

summary() {
	local op
	say
	say 'Summary'
	printf '  %-40s %s\n' 'rekeying messages confirmed' "$(sum confirmed)" 'retransmitted' "$(sum retransmitted)" \
		'members late' "$(sum late)" \
		'joined per second' "$(printf '%.0f' "$(field per_second <<<"$joined")")"
	for op in token join observe; do
		printf '  %-40s %s\n' "$op, ms: p50 p90 p99 max" \
			"$(for p in p50 p90 p99 max; do printf '%.1f ' "$(inner "$op" "$p" <<<"$joined")"; done)"
	done
	printf '  %-40s %s\n' 'rekey confirmed, ms, estimated: p50 p90 p99' \
		"$(for p in p50 p90 p99; do ms "$(row rekey | field confirm_us_$p)"; done)"
	for op in open seal verify sign; do
		printf '  %-40s %s\n' "jobs per call of $op: median, most" "$(batch $op jobs_median), $(batch $op jobs_max)"
	done
	printf '  %-40s %s\n' 'events per commit: median, most' \
		"$(row turn | field events_per_commit_median), $(row turn | field events_per_commit_max)" \
		'commit, ms: mean' "$(ms "$(row turn | field commit_us_mean)")"
	say
}

medians_hold() {
	local op
	for op in open seal verify sign; do
		[ "$(batch $op jobs_median)" -ge 8 ] || { echo "$op"; return 1; }
	done
	[ "$(row turn | field events_per_commit_median)" -ge 8 ] || { echo 'events per commit'; return 1; }
}

# ---- the run

begin
choose_ports port load_port as_port
say "A Group Manager with $members members on 127.0.0.1:$port"
programs
if [ -n "${CAPTURE:-}" ]; then
	if can_capture; then
		must "capturing into $CAPTURE" start_capture "$CAPTURE"
	else
		skip 'capture: dumpcap is missing or not permitted'
	fi
fi
write_config 2 "port: ${PORT:-auto}"
must 'store made, gmd runs with two workers on UDP sockets, trusts the Authorization Server' found
must 'gmas serves tokens on loopback' start_as
must 'three groups' make_groups
start_load --keys "$dir/keys.jsonl" --acks "$dir/acks.jsonl"
must "$members members posted tokens and joined, two thirds with POST, one third with Observe" \
	ask join "$members" --groups "g1,g2,g3" --roles mix --post 67 --creds "$pairs"
joined=$answer
check 'gmctl counts them all' unchanged "$members"

say 'A rekey of each group on command'
rekey_all

say 'An eviction'
victim=$(gmctl --json member list g1 | field node)
must "g1/$victim evicted; the others have new keys" evict "$victim"
check "g1/$victim was told, reads nothing, cannot join again, cannot post its token again" ask evicted-check "g1/$victim"
check 'the others talk under the new keys' ask traffic g1 --sample "$pairs"

say 'A crash'
gmctl --json status >"$dir/status.1"
must 'gmd killed with -9 and started again' restart
check 'no member is missing' unchanged $((members - 1))
check "g1/$victim stays out" ask evicted-check "g1/$victim"
rekey_all
gmctl --json status >"$dir/status.2"

say 'Other algorithms'
check 'a group with ES256 and P-256: 20 members joined, talk in both modes; every resource answers what they know' \
	other_algorithms && say "      $(field held <<<"$answer") checks of resources hold"

say 'The end'
check 'no check of any member failed' stop_load
check 'gmd stops in order' stop_gmd
kill "$as_pid" && wait "$as_pid" 2>/dev/null
[ -z "$capture_pid" ] || check 'capture ended' stop_capture
[ -z "${KEYS:-}" ] || cp "$dir/keys.jsonl" "$KEYS"
summary
if [ "$members" -ge 10000 ]; then
	check 'medians of jobs per call and events per commit are 8 at least' medians_hold
fi
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
