#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Group Manager on DPDK, with each of its drivers that needs no card of its own, and its members at the other end of a wire,
# each end in a namespace of its own.
#
#   tests/dpdk.sh [MEMBERS]      default 30; at most 500
#
# Needs root, for the namespaces, and a build with DPDK; says what is missing and skips otherwise. The namespaces are
# removed at the end. KEEP=1 keeps the directory with logs. GM_BUILD=DIR: built already.
# shellcheck disable=SC2317,SC2015,SC2016 # functions are called by name; awk has its own $
set -u
# shellcheck source=deploy/lib.sh
. "$(dirname "$0")/../deploy/lib.sh"

members=${1:-30}
near=gmd-$$-near far=gmd-$$-far
port=5683 made="" patience=60 io=uring
eal="--no-huge --no-shconf --no-telemetry --no-pci"

# ---- what is missing

missing() {
	[ "$(id -u)" = 0 ] || { echo 'not root'; return; }
	command -v ip >/dev/null || { echo 'no iproute2'; return; }
	[ -e "$build/gmd-dpdk.so" ] || { echo 'built without DPDK (libdpdk-dev)'; return; }
	ip netns add "$near" 2>/dev/null || { echo 'network namespaces are not permitted'; return; }
	ip -n "$near" link add va type veth peer name vb >/dev/null 2>&1 || echo 'no veth in this kernel'
	ip netns del "$near"
}

# Why net_af_xdp cannot run here; nothing where it can.
no_xdp() {
	[ -e "$build/steer.bpf.o" ] || { echo 'built without clang, llvm or libbpf-dev'; return; }
	ls /usr/lib/*/dpdk/pmds-*/librte_net_af_xdp.so* >/dev/null 2>&1 || { echo 'DPDK has no net_af_xdp'; return; }
	/usr/bin/python3 -c 'import socket; socket.socket(44, socket.SOCK_RAW, 0)' 2>/dev/null || echo 'no AF_XDP in this kernel'
}

# ---- two ends

here() { ip netns exec "$near" "$@"; }
there() { ip netns exec "$far" "$@"; }

# addresses NEAR-DEVICE FAR-DEVICE: both ends of a wire, and members' addresses behind the far one
addresses() {
	ip -n "$near" addr add 10.77.0.1/24 dev "$1" && ip -n "$far" addr add 10.77.0.2/24 dev "$2" &&
		ip -n "$near" addr add fd77::1/64 dev "$1" nodad && ip -n "$far" addr add fd77::2/64 dev "$2" nodad &&
		ip -n "$near" link set "$1" up && ip -n "$far" link set "$2" up &&
		ip -n "$near" route add 10.78.0.0/16 via 10.77.0.2
}

no_wire() { ip -n "$near" link del va; } 2>/dev/null

# wire QUEUES: a veth pair in place of the one before
wire() {
	no_wire
	ip -n "$near" link add va numtxqueues "$1" numrxqueues "$1" type veth \
		peer name vb netns "$far" numtxqueues "$1" numrxqueues "$1" && addresses va vb
}

network() {
	made=yes
	ip netns add "$near" && ip netns add "$far" && ip -n "$near" link set lo up && ip -n "$far" link set lo up &&
		ip -n "$far" route add local 10.78.0.0/16 dev lo && wire 1
}

no_network() {
	[ -z "$made" ] || { ip netns del "$near"; ip netns del "$far"; } 2>/dev/null
}

# A driver's interface becomes the far end; gm0 is the kernel's. The MAC addresses differ then.
card() {
	ip -n "$near" link set card netns "$far" && ip -n "$far" link set card address 02:00:00:00:00:0b && addresses gm0 card
}
card_again() {
	restart && card
}

# ---- gmd on DPDK

# configure WORKERS DRIVERS [INTERFACE]
configure() {
	cat >"$dir/gmd.conf" <<-END
		audience: gm.example
		listen: ["[::]:$port"]
		workers: $1
		state_dir: $dir/state
		key_file: $dir/store.key
		control_socket: $dir/gmd.sock
		rekey_at_start: no
		port: dpdk
		dpdk_args: "$eal -m 64 $2"
		${3:+dpdk_interface: $3}
	END
}

# What lib.sh starts as gmd: the same in the namespace. `ip` becomes the program, so the process is gmd's.
gmd=""
wrapper() {
	gmd=$dir/gmd
	printf '#!/bin/sh\nexec ip netns exec %s %s %s "$@"\n' "$near" "$*" "$build/gmd" >"$gmd" && chmod +x "$gmd"
}

# refuses DRIVERS TEXT [INTERFACE]: gmd does not start, and says TEXT
refuses() {
	configure 1 "$1" "${3:-}"
	timeout 60 "$gmd" run --config "$dir/gmd.conf" >"$dir/refused" 2>&1
	[ $? = 1 ] && grep 'gmd.start_failed at=network' "$dir/refused" | grep -F -- "$2" || { cat "$dir/refused"; false; }
}

restart() {
	kill_gmd
	start_gmd
}

# runs WHAT WORKERS DRIVERS [INTERFACE]
runs() {
	local what=$1
	shift
	configure "$@"
	check "$what" start_gmd
}

ends() {
	check 'gmd stops in order' stop_gmd
}

# ---- members

start_far() {
	mkfifo "$dir/load.in" "$dir/load.out"
	there "$build/gmload" --server "$1" --from "$2" --as "$dir/as.json" --port 20000 --io "$io" <"$dir/load.in" >"$dir/load.out" \
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

arrives() {
	ask await-rekey "$1" "$2" --timeout 60 || return
	[ "$(field poll <<<"$answer")" = 0 ] && [ "$(field late <<<"$answer")" = 0 ] && until_true 60 all_in "$1"
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

# The members' frames past the kernel, too.
both_ends() {
	local io="dpdk:$eal -m 64 --vdev net_af_xdp0,iface=vb"
	serves 4 restart
}

pings() { there ping -c 2 -i 0.2 -W 60 "$1"; }
rekeyed_while_pinged() {
	command -v ping || { rekeyed "$1"; return; }
	pings "$2" >"$dir/ping" 2>&1 &
	local ping=$! status=0
	rekeyed "$1" || status=1
	wait $ping || { cat "$dir/ping"; status=1; }
	return $status
}

joins() {
	gmctl group create "$1" --max-members 1024 && ask join "$members" --groups "$1" --roles mix --post 50
}

# serves FAMILY [COMMAND...]: members join and are rekeyed, twice with COMMAND between
serves() {
	local family=$1 server=10.77.0.1:$port host=10.77.0.1 from=10.78.0.0 status=0
	shift
	[ "$family" = 4 ] || server="[fd77::1]:$port" host=fd77::1 from=fd77::2
	start_far "$server" "$from"
	joins g && rekeyed_while_pinged g "$host" || status=1
	if [ $status = 0 ] && [ $# != 0 ]; then
		"$@" && rekeyed g || status=1
	fi
	gmctl group delete g --yes >/dev/null || status=1
	end_far || status=1
	return $status
}

# ---- counters

counter() { gmctl --json status | grep "\"worker\": *${2:-0}\b" | field "$1"; }
least() { local n; n=$(counter "$1" "${3:-0}"); echo "$1 $n"; [ "${n:-0}" -ge "$2" ]; }
is() { local n; n=$(counter "$1" "${3:-0}"); echo "$1 $n"; [ "${n:-x}" = "$2" ]; }

# Before the kernel knows who has the router's address a datagram goes by it; with the address known for ever, none.
known_for_ever() {
	ip -n "$near" neigh replace 10.77.0.2 lladdr "$(there cat /sys/class/net/vb/address)" nud permanent dev va &&
		until_true 60 none_by_kernel ask get 1 g && none_by_kernel rekeyed g
}
none_by_kernel() {
	local before after
	before=$(counter port_tx_kernel) && "$@" && after=$(counter port_tx_kernel)
	echo "port_tx_kernel $before $after"
	[ "$before" = "$after" ]
}
by_kernel_at_first() {
	least port_tx_kernel 1 && least tx $((members * 3)) && is port_tx_failed 0 && is port_rx_bad 0
}

can_manage() { ip -n "$near" neigh add 10.77.0.99 dev va managed; } 2>/dev/null
managed() { ip -n "$near" neigh show "$1" | grep -w managed; }

# spread TEXT: what the last start said of how datagrams come to the workers
spread() { grep network.queues "$dir/gmd.log" | tail -n 1 | grep -E -- "$1"; }

no_unreachables() {
	[ "$(here awk '/^Icmp:/ && !at { for (i = 1; i <= NF; i++) if ($i == "OutDestUnreachs") at = i; next }
	               /^Icmp:/ { print $at }' /proc/net/snmp)" = 0 ]
}

both_work() {
	least rx 1 && least rx 1 1 && is port_rx_lost 0 && is port_rx_lost 0 1
}

# All buffers come into use when many frames wait; afterwards as many can wait as before.
takes_many_at_once() {
	local round before
	for round in 1 2 3 4 5 6 7 8; do
		before=$(counter rx)
		kill -STOP "$gmd_pid"
		there /usr/bin/python3 -c 'if True:
			import socket, time
			s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
			for i in range(2000):
				s.sendto(b"x" * 8, ("10.77.0.1", 5683))
				if i % 50 == 0: time.sleep(0.001)'
		kill -CONT "$gmd_pid"
		until_true 60 least rx $((before + 1500)) || { echo "in round $round"; return 1; }
	done
}

# ---- what is not ours, and what lies

other_port_is_the_kernels() {
	rm -f "$dir/other"
	here /usr/bin/python3 -c 'if True:
		import socket
		s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
		s.bind(("::", 7777)); s.settimeout(60); print("ready", flush=True)
		for _ in range(2): d, a = s.recvfrom(99); s.sendto(d, a)' >"$dir/other" &
	local other=$!
	until_true 60 grep -q ready "$dir/other" && there /usr/bin/python3 -c 'if True:
		import socket
		for to in ("::ffff:10.77.0.1", "fd77::1"):
			s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout(30)
			s.sendto(b"?", (to, 7777)); s.recvfrom(9)'
	local status=$?
	wait $other && return $status
}

# Two fragments to our port of each family; then a datagram whose UDP length lies.
strange() {
	there /usr/bin/python3 -c 'if True:
		import socket, struct
		s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
		s.sendto(bytes(1900), ("fd77::1", 5683))
		s.sendto(bytes(1900), ("::ffff:10.77.0.1", 5683))
		raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
		raw.sendto(struct.pack(">4H", 4000, 5683, 2000, 0) + bytes(8), ("10.77.0.1", 5683))'
}
strange_is_counted() {
	strange && until_true 60 least port_rx_fragments 2 && until_true 60 least port_rx_bad 1
}

# Frames whose source is the near end itself, or loopback; then some to loopback. The one from a neighbour is counted as the others are
# not, and comes last. SOURCE DESTINATION...
forged() {
	there /usr/bin/python3 - "$(here cat /sys/class/net/va/address)" "$@" <<-'END'
		import socket, struct, sys
		from ipaddress import ip_address

		def total(b):
		    s = sum(struct.unpack('>%dH' % (len(b) // 2), b))
		    while s >> 16:
		        s = (s & 0xffff) + (s >> 16)
		    return ~s & 0xffff

		def frame(mac, src, dst):
		    udp = struct.pack('>4H', 4000, 5683, 12, 0) + b'\x40\0\0\7'  # a ping
		    pseudo = src.packed + dst.packed + struct.pack('>2H', 17, len(udp))
		    udp = udp[:6] + struct.pack('>H', total(pseudo + udp)) + udp[8:]
		    if src.version == 6:
		        return mac + bytes(6) + b'\x86\xdd' + struct.pack('>IHBB', 6 << 28, len(udp), 17, 9) + src.packed + dst.packed + udp
		    head = struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(udp), 0, 0, 9, 17, 0) + src.packed + dst.packed
		    return mac + bytes(6) + b'\x08\0' + head[:10] + struct.pack('>H', total(head)) + head[12:] + udp

		s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		s.bind(('vb', 0))
		mac = bytes.fromhex(sys.argv[1].replace(':', ''))
		for src, dst in zip(*[map(ip_address, sys.argv[2:])] * 2):
		    s.send(frame(mac, src, dst))
	END
}
forged_is_refused() {
	local rx bad
	rx=$(counter rx) && bad=$(counter port_rx_bad) &&
		forged 10.77.0.1 10.77.0.1 127.0.0.1 10.77.0.1 fd77::1 fd77::1 ::1 fd77::1 10.77.0.2 127.0.0.1 fd77::2 ::1 10.77.0.2 10.77.0.1 &&
		until_true 60 least rx $((rx + 1)) && is rx $((rx + 1)) && is port_rx_bad $((bad + 4))
}
whole_again_by_kernel() {
	strange && until_true 60 least port_rx_kernel 2 && until_true 60 least port_rx_bad 1 && is port_rx_fragments 0
}

# By loopback: the driver never sees these.
own_host_is_served() {
	gmctl group create own && here "$build/gmload" --server "127.0.0.1:$port" --as "$dir/as.json" --port 20000 \
		'join 4 --groups own' && least port_rx_kernel 4
}

# ---- the steering program

attached() { ip -n "$near" link show va | grep -q xdp; }
detached() { ! attached; }
goes_with_the_process() {
	attached && kill_gmd && detached && start_gmd && attached
}
leftover_is_taken_away() {
	ip -n "$near" link set dev va xdp obj "$build/steer.bpf.o" sec xdp && attached && start_gmd && stop_gmd && detached
}
others_are_left_alone() {
	printf 'int pass(void *c) __attribute__((section("xdp"))); int pass(void *c) { return 2; }' |
		clang-14 -O2 -target bpf -x c -c - -o "$dir/pass.o" &&
		ip -n "$near" link set dev va xdp obj "$dir/pass.o" sec xdp &&
		refuses "--vdev net_af_xdp0,iface=va" 'of somebody else' && attached &&
		ip -n "$near" link set dev va xdp off
}

# Frames for 65,536 members behind a router, handed to a driver that drops them.
nothing() {
	ip -n "$near" neigh replace 10.77.0.2 lladdr 02:00:00:00:00:0b nud permanent dev va &&
		here "$build/bench_dpdk" va 10.77.0.1 10.78.0.0 0.2 >"$dir/null" && cat "$dir/null" &&
		[ "$(field by_kernel <"$dir/null")" = 0 ] && [ "$(field failed <"$dir/null")" = 0 ]
}

# ---- the run

begin
trap 'status=$?; no_network; (exit $status); finish' EXIT
programs
[ -n "${GM_BUILD:-}" ] || cmake --build "$build" --target gmd-dpdk bench_dpdk >/dev/null 2>&1
say "A Group Manager on DPDK, $members members of each family at the other end of a wire"
why=$(missing)
if [ -n "$why" ]; then
	skip "the DPDK port: $why"
	tally
	exit 0
fi
must 'two namespaces' network
wrapper
packet="--vdev net_af_packet0,iface=va"
configure 1 "$packet"
must 'a store, a key, an authorization server' found
stop_gmd

say 'What it does not start with'
check 'an interface that is not there' refuses '--vdev net_af_packet0,iface=nowhere' 'dpdk_args:'
check 'arguments that make no port' refuses '' 'they make 0 ports'
check 'arguments that DPDK does not know' refuses '--nonsense' 'dpdk_args:'
check 'an interface for the routes that is not there' refuses '--vdev net_null0' 'there is no nowhere' nowhere
check 'more af_packet queue pairs than workers' refuses "$packet,qpairs=2" 'qpairs has to be less'

say 'net_af_packet, one worker'
runs 'starts' 1 "$packet"
check 'IPv4: joined, rekeyed twice; a known next hop is sent to without the kernel' serves 4 known_for_ever
check 'IPv4: before it was known the kernel helped' by_kernel_at_first
check 'IPv6: joined, rekeyed, killed with -9 and started again, rekeyed' serves 6 restart
check 'the kernel called nothing unreachable' no_unreachables
check 'another UDP port is the kernel'\''s' other_port_is_the_kernels
check 'fragments and lengths that lie are counted' strange_is_counted
check 'what claims to come from the host itself is refused, what goes to loopback is not taken' forged_is_refused
ends

say 'net_af_packet, two queue pairs for two workers'
runs 'starts' 2 "$packet,qpairs=2"
check 'the driver takes no rules, says so, and spreads by itself' spread 'way=driver queues=2 workers=2 rte_flow="'
check 'joined, rekeyed' serves 4
check 'both workers received' both_work
ends

say 'net_af_packet, two workers at one queue pair'
runs 'starts' 2 "$packet"
check 'one worker deals out, and says so' spread 'way=software queues=1 workers=2$'
check 'joined, rekeyed, killed with -9 and started again, rekeyed' serves 4 restart
check 'both workers received' both_work
ends

say 'net_null'
check 'rekeying messages are sealed, framed and handed over, none by the kernel' nothing

say 'A card that the kernel does not have (a tap with its other end far away), and the kernel behind it by a tap'
no_wire
runs 'starts' 1 '--vdev net_tap0,iface=card --vdev net_tap1,iface=gm0' gm0
check 'the far end of the wire' card
check 'IPv4: joined, rekeyed while pinged; killed with -9 and started again, rekeyed' serves 4 card_again
check 'IPv6: the same' serves 6 card_again
check 'another UDP port is the kernel'\''s' other_port_is_the_kernels
check 'fragments come put together by the kernel' whole_again_by_kernel
ends

say 'The same, two queues for two workers'
runs 'starts' 2 '--vdev net_tap0,iface=card --vdev net_tap1,iface=gm0' gm0
check 'the far end of the wire' card
check 'by rules of the driver where the kernel can have them' spread 'way=(rte_flow|rss|driver) queues=2 workers=2'
check 'joined, rekeyed while pinged' serves 4
check 'both workers received' both_work
check 'another UDP port is the kernel'\''s' other_port_is_the_kernels
ends

why=$(no_xdp)
if [ -n "$why" ]; then
	skip "net_af_xdp: $why"
else
	xdp="--vdev net_af_xdp0,iface=va"
	say 'net_af_xdp with our steering program'
	wire 1
	check 'dpdk-check.sh finds all that it needs' here "$root/deploy/dpdk-check.sh" af_xdp va "$build"
	runs 'starts' 1 "$xdp"
	check 'IPv4: joined, rekeyed; no program outlives kill -9; started again, rekeyed' serves 4 goes_with_the_process
	check 'IPv6: the same' serves 6 goes_with_the_process
	if can_manage; then
		check 'the kernel keeps the router'\''s address fresh' managed 10.77.0.2
	else
		skip 'routers as managed neighbours: Linux before 5.16'
	fi
	check 'another UDP port is the kernel'\''s' other_port_is_the_kernels
	check 'fragments come put together by the kernel' whole_again_by_kernel
	check 'IPv4: joined, rekeyed with both ends on it; gmd started again, rekeyed' both_ends
	check 'as many frames wait for it after many have waited as before' takes_many_at_once
	check 'members on the host itself are served' own_host_is_served
	ends
	check 'what a start that was killed left is taken away' leftover_is_taken_away
	check 'a program of somebody else is left alone, and said' others_are_left_alone
	wire 2
	say 'net_af_xdp, two queues for two workers'
	runs 'starts' 2 "$xdp,start_queue=0 --vdev net_af_xdp1,iface=va,start_queue=1"
	check 'joined, rekeyed; no program outlives kill -9; started again, rekeyed' serves 4 goes_with_the_process
	check 'both workers received' both_work
	check 'none of it by the kernel' is port_rx_kernel 0
	check 'by our program, and said' spread 'way=xdp queues=2 workers=2$'
	ends
	say 'net_af_xdp, two workers at one of two queues'
	runs 'starts' 2 "$xdp"
	check 'joined, rekeyed: what comes by the other queue the kernel hands on' serves 4
	check 'both workers received' both_work
	ends
	say 'net_af_xdp as nobody, with CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and CAP_IPC_LOCK'
	caps=+net_raw,+net_admin,+bpf,+ipc_lock
	chmod 711 "$dir" && chown -R 65534:65534 "$dir/state" "$dir/store.key" && mkdir "$dir/run" && chown 65534 "$dir/run"
	sed -i "s#$dir/gmd.sock#$dir/run/gmd.sock#" "$dir/gmd.conf"
	wrapper env "XDG_RUNTIME_DIR=$dir/run" setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all,$caps \
		--inh-caps=-all,$caps --ambient-caps=-all,$caps
	ln -sf "$dir/run/gmd.sock" "$dir/gmd.sock"
	check 'starts' start_gmd
	check 'joined, rekeyed; no program outlives kill -9; started again, rekeyed' serves 4 goes_with_the_process
	ends
	wrapper
fi

[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
