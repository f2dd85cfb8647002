#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Group Manager on DPDK's af_packet port, and its members behind a veth pair, each end in a namespace of its own.
#
#   tests/dpdk.sh [MEMBERS]      default 200; at most 500 of each family
#
# Needs root, for the namespaces, and a build with DPDK; says what is missing and skips otherwise. The namespaces are
# removed at the end. KEEP=1 keeps the directory with logs. GM_BUILD=DIR: built already.
# shellcheck disable=SC2317,SC2015,SC2016 # functions are called by name; awk has its own $
set -u
# shellcheck source=deploy/lib.sh
. "$(dirname "$0")/../deploy/lib.sh"

members=${1:-200}
near=gmd-$$-near far=gmd-$$-far
port=5683 made=""

# ---- what is missing

missing() {
	[ "$(id -u)" = 0 ] || { echo 'not root'; return; }
	command -v ip >/dev/null || { echo 'no iproute2'; return; }
	[ -e "$build/gmd-dpdk.so" ] || { echo 'built without DPDK (libdpdk-dev, libmnl-dev)'; return; }
	ip netns add "$near" 2>/dev/null || { echo 'network namespaces are not permitted'; return; }
	ip -n "$near" link add va type veth peer name vb >/dev/null 2>&1 || echo 'no veth in this kernel'
	ip netns del "$near"
}

# ---- two ends

network() {
	made=yes
	ip netns add "$near" && ip netns add "$far" &&
		ip -n "$near" link add va type veth peer name vb netns "$far" &&
		ip -n "$near" link set lo up && ip -n "$far" link set lo up &&
		ip -n "$near" addr add 10.77.0.1/24 dev va && ip -n "$far" addr add 10.77.0.2/24 dev vb &&
		ip -n "$near" addr add fd77::1/64 dev va nodad && ip -n "$far" addr add fd77::2/64 dev vb nodad &&
		ip -n "$near" link set va up && ip -n "$far" link set vb up &&
		ip -n "$far" route add local 10.78.0.0/16 dev lo && ip -n "$near" route add 10.78.0.0/16 via 10.77.0.2
}

no_network() {
	[ -z "$made" ] || { ip netns del "$near"; ip netns del "$far"; } 2>/dev/null
}

there() { ip netns exec "$far" "$@"; }

# ---- gmd on DPDK

configure() {
	cat >"$dir/gmd.conf" <<-END
		audience: gm.example
		listen: ["[::]:$port"]
		state_dir: $dir/state
		key_file: $dir/store.key
		control_socket: $dir/gmd.sock
		port: dpdk
		dpdk_args: "$1"
	END
}
args="--no-huge --no-shconf --no-telemetry --no-pci -m 64 --vdev net_af_packet0,iface=va"

# What lib.sh starts as gmd: the same in the namespace. `ip` becomes the program, so the process is gmd's.
gmd=""
wrapper() {
	gmd=$dir/gmd
	printf '#!/bin/sh\nexec ip netns exec %s %s "$@"\n' "$near" "$build/gmd" >"$gmd" && chmod +x "$gmd"
}

# refuses TEXT: gmd does not start, says TEXT and leaves nothing
refuses() {
	timeout 30 "$gmd" run --config "$dir/gmd.conf" >"$dir/refused" 2>&1
	[ $? = 1 ] && grep 'gmd.start_failed at=network' "$dir/refused" | grep -F -- "$1" || { cat "$dir/refused"; false; }
}

without_interface() {
	configure "${args/iface=va/iface=nowhere}"
	refuses 'dpdk_args:'
}
without_device() {
	configure "${args% --vdev*}"
	refuses 'they make 0 ports'
}
with_nonsense() {
	configure "--nonsense"
	refuses 'dpdk_args:'
}

# ---- members

start_far() {
	mkfifo "$dir/load.in" "$dir/load.out"
	there "$build/gmload" --server "$1" --from "$2" --as "$dir/as.json" --port 20000 <"$dir/load.in" >"$dir/load.out" \
		2>>"$dir/gmload.log" &
	load_pid=$!
	exec 7>"$dir/load.in" 8<"$dir/load.out"
}

end_far() {
	stop_load
	local status=$?
	rm -f "$dir/load.in" "$dir/load.out"
	return $status
}

joins() {
	gmctl group create "$1" --max-members 1024 && ask join "$members" --groups "$1" --roles mix --post 50
}

arrives() {
	ask await-rekey "$1" "$2" --timeout 60 || return
	[ "$(field poll <<<"$answer")" = 0 ] && [ "$(field late <<<"$answer")" = 0 ] && until_true 20 all_in "$1"
}

all_in() {
	local info
	info=$(gmctl --json group show "$1") || return
	[ "$(field confirmed <<<"$info")" = "$(field members <<<"$info")" ] && [ "$(field late <<<"$info")" = 0 ]
}

rekeyed() {
	local version
	version=$(version_of "$1") && gmctl rekey "$1" && arrives "$1" $((version + 1))
}

pings() { there ping -c 3 -i 0.2 -W 1 "$1"; }
rekeyed_while_pinged() {
	pings "$2" >"$dir/ping" 2>&1 &
	local ping=$! status=0
	rekeyed "$1" || status=1
	wait $ping || { cat "$dir/ping"; status=1; }
	return $status
}

# ---- counters

counter() { gmctl --json status | grep '"worker"' | field "$1"; }
least() { local n; n=$(counter "$1"); echo "$1 $n"; [ "${n:-0}" -ge "$2" ]; }
most() { local n; n=$(counter "$1"); echo "$1 $n"; [ "${n:-1}" -le "$2" ]; }

# By the kernel go a burst or so, until it knows the neighbour, and one a second to those that it has to ask again.
counted() {
	least tx $((members * 3)) && least port_tx_kernel 1 && most port_tx_kernel $((members * 3 / 2)) &&
		most port_tx_failed 0 && most port_rx_bad 0 && most port_rx_fragments 0
}

no_unreachables() {
	[ "$(ip netns exec "$near" awk '/^Icmp:/ && !at { for (i = 1; i <= NF; i++) if ($i == "OutDestUnreachs") at = i; next }
	                                /^Icmp:/ { print $at }' /proc/net/snmp)" = 0 ]
}

# Two fragments to our port (IPv6: those of IPv4 af_packet puts together); then a datagram whose UDP length lies.
hostile() {
	there /usr/bin/python3 - <<-'END' || return
		import socket, struct
		s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
		s.sendto(bytes(2000), ("fd77::1", 5683))
		raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
		raw.sendto(struct.pack(">4H", 4000, 5683, 2000, 0) + bytes(8), ("10.77.0.1", 5683))
	END
	until_true 5 least port_rx_fragments 2 && until_true 5 least port_rx_bad 1
}

# Frames for 65,536 members behind a router, handed to a driver that drops them.
nothing() {
	ip -n "$near" neigh replace 10.77.0.2 lladdr 02:00:00:00:00:0b nud permanent dev va &&
		ip netns exec "$near" "$build/bench_dpdk" va 10.77.0.1 10.78.0.0 1 >"$dir/null" && cat "$dir/null" &&
		[ "$(field by_kernel <"$dir/null")" = 0 ] && [ "$(field failed <"$dir/null")" = 0 ] &&
		[ "$(field per_s <"$dir/null")" -ge 100000 ]
}

restart() {
	kill_gmd
	start_gmd
}

# ---- the run

begin
trap 'status=$?; no_network; (exit $status); finish' EXIT
programs
[ -n "${GM_BUILD:-}" ] || cmake --build "$build" --target gmd-dpdk bench_dpdk >/dev/null 2>&1
say "A Group Manager on DPDK, $members members of each family behind a veth pair"
why=$(missing)
if [ -n "$why" ]; then
	skip "the DPDK port: $why"
	tally
	exit 0
fi
must 'two namespaces' network
wrapper
configure "$args"
must 'a store and a key' "$gmd" init -c "$dir/gmd.conf"
check 'an interface that is not there is refused, and said' without_interface
check 'arguments that make no port are refused, and said' without_device
check 'arguments that DPDK does not know are refused, and said' with_nonsense
rm -rf "$dir/state" "$dir/store.key"
configure "$args"
must 'gmd runs on net_af_packet, without huge pages' found
for family in 4 6; do
	case $family in
	4) server=10.77.0.1:$port host=10.77.0.1 from=10.78.0.0 ;;
	6) server="[fd77::1]:$port" host=fd77::1 from=fd77::2 ;;
	esac
	say "IPv$family"
	start_far "$server" "$from"
	must "$members members posted tokens and joined, half with POST, half with Observe" joins "g$family"
	if command -v ping >/dev/null; then
		check 'rekeyed, pushed to all, confirmed; the kernel answers ping meanwhile' rekeyed_while_pinged "g$family" "$host"
	else
		skip 'ping: not installed'
		check 'rekeyed, pushed to all, confirmed' rekeyed "g$family"
	fi
	[ $family = 6 ] || check 'the counters tell of it: most of it went past the kernel' counted
	[ $family = 6 ] || check 'the kernel called nothing unreachable' no_unreachables
	check 'killed with -9 and started again' restart
	check 'rekeyed, pushed to all, confirmed' rekeyed "g$family"
	check 'no check of any member failed' end_far
done
check 'fragments and lengths that lie are counted' hostile
check 'gmd stops in order' stop_gmd
check 'frames are built and handed to net_null' nothing && say "      $(cat "$dir/null")"
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
