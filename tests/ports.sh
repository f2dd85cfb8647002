#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The ports that need no rights: io_uring, plain sockets, and plain sockets because io_uring is forbidden or too old. gmd and its members
# as nobody, without any capability where this runs as root; over IPv4 and IPv6 by loopback.
#
#   tests/ports.sh [MEMBERS]      default 30; GM_BUILD=DIR: built already; KEEP=1 keeps the directory with logs
# shellcheck disable=SC2317,SC2013 # functions are called by name; a word a line
set -u
# Members have a socket each on IPv6, on ports one after the other: in a network of our own nobody else takes one of them.
if [ "$(id -u)" = 0 ] && [ -z "${PORTS_ALONE:-}" ] && unshare --net true 2>/dev/null; then
	PORTS_ALONE=yes exec unshare --net sh -c 'ip link set lo up && exec "$@"' sh "$0" "$@"
fi
# shellcheck source=deploy/lib.sh
. "$(dirname "$0")/../deploy/lib.sh"

members=${1:-30} patience=60 round=0
as=()

# Everything in the directory is nobody's, programs too: where they were built may be closed to it.
become_nobody() {
	[ "$(id -u)" = 0 ] && command -v setpriv >/dev/null || return 0
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs)
	cp "$build/gmd" "$build/gmload" "$dir" && chmod 755 "$dir/gmd" "$dir/gmload" && chown -R 65534:65534 "$dir"
}

# Runs its arguments as a program that gets EPERM from io_uring_setup(); after "old", EINVAL from io_uring_register() for rings of buffers,
# which Linux has since 5.19.
forbidden() {
	cat >"$dir/forbidden.py" <<-'END'
		import ctypes, os, struct, sys
		SETUP, REGISTER, BUF_RING, EPERM_IT, EINVAL_IT, ALLOW = 425, 427, 22, 0x00050001, 0x00050016, 0x7fff0000
		steps = ((0x20, 0, 0, 0), (0x15, 0, 1, SETUP), (6, 0, 0, EPERM_IT), (6, 0, 0, ALLOW))
		if sys.argv[1] == 'old':
		    del sys.argv[1]
		    steps = ((0x20, 0, 0, 0), (0x15, 0, 3, REGISTER), (0x20, 0, 0, 24), (0x15, 0, 1, BUF_RING), (6, 0, 0, EINVAL_IT), (6, 0, 0, ALLOW))
		text = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *i) for i in steps))
		prog = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(steps), ctypes.addressof(text)))
		libc = ctypes.CDLL(None, use_errno=True)
		if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, prog, 0, 0):
		    sys.exit('seccomp: ' + os.strerror(ctypes.get_errno()))
		os.execv(sys.argv[1], sys.argv[1:])
	END
}

# How lib.sh starts gmd: wrapper [COMMAND...]
wrapper() {
	printf '#!/bin/sh\nexec %s %s "$@"\n' "${as[*]} $*" "$real" >"$dir/start" && chmod 755 "$dir/start"
	gmd=$dir/start
}

configure() {
	write_config 2 "port: $1"
	sed -i "s/^listen: .*/listen: [\"127.0.0.1:$port\", \"[::1]:$port\"]/" "$dir/gmd.conf"
	chmod 644 "$dir/gmd.conf"
}

all_in() {
	local info
	info=$(gmctl --json group show "$1") || return
	[ "$(field confirmed <<<"$info")" = "$members" ] && [ "$(field late <<<"$info")" = 0 ]
}

# serves SERVER GROUP IO: members join and are rekeyed; each confirms, none asks for it
serves() {
	local status=0
	mkfifo "$dir/load.in" "$dir/load.out"
	"${as[@]}" "${real%gmd}gmload" --server "$1" --as "$dir/as.json" --port "$load_port" --io "$3" <"$dir/load.in" >"$dir/load.out" \
		2>>"$dir/gmload.log" &
	load_pid=$!
	exec 7>"$dir/load.in" 8<"$dir/load.out"
	{ gmctl group create "$2" && ask join "$members" --groups "$2" --roles mix --post 50 && gmctl rekey "$2" --compromised &&
		ask await-rekey "$2" 1 --timeout 60 && [ "$(field poll <<<"$answer")" = 0 ] && until_true 60 all_in "$2"; } || status=1
	stop_load || status=1
	rm -f "$dir/load.in" "$dir/load.out"
	return $status
}

without_rights() {
	[ ${#as[@]} = 0 ] || awk '/^Uid:/ && $2 != 65534 || /^Cap(Eff|Prm|Bnd):/ && $2 !~ /^0*$/ { bad = 1 } END { exit bad }' "/proc/$gmd_pid/status"
}

# runs WHAT PORT IO
runs() {
	say "$1"
	round=$((round + 1))
	configure "$2"
	check 'starts, without rights' start_gmd && check 'has none' without_rights
	check 'IPv4: joined, rekeyed, all confirmed' serves "127.0.0.1:$port" "$2-$round-4" "$3"
	check 'IPv6: joined, rekeyed, all confirmed' serves "[::1]:$port" "$2-$round-6" sockets
	check 'stops in order' stop_gmd
}

# gmload opens as many sockets as it could have members, from load_port on: nobody has one of these ports, nor will gmd.
room() {
	local hex
	[ "$load_port" -gt "$port" ] || [ $((load_port + 1000)) -le "$port" ] || return
	for hex in $(awk 'FNR > 1 { sub(/.*:/, "", $2); print $2 }' /proc/net/udp /proc/net/udp6); do
		[ $((16#$hex)) -lt "$load_port" ] || [ $((16#$hex)) -ge $((load_port + 1000)) ] || return
	done
}

begin
choose_ports port load_port
until room; do choose_ports load_port; done
programs
say "Ports that need no rights, $members members of each family on loopback"
real=$build/gmd
configure auto
must 'a store, a key, an authorization server' found
must 'gmd stops' stop_gmd
chmod 711 "$dir"
must 'nobody has it all' become_nobody
if [ ${#as[@]} = 0 ]; then
	skip 'as nobody: only root can become one, so as who this is'
else
	real=$dir/gmd
fi
wrapper
if "$build/gmd" --version >/dev/null && /usr/bin/python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None, use_errno=True).syscall(425, 0, 0) < 0 and ctypes.get_errno() in (1, 38))'; then
	runs 'io_uring' uring uring
else
	skip 'io_uring: not in this kernel'
fi
runs 'sendmmsg and recvmmsg' mmsg sockets
forbidden
wrapper /usr/bin/python3 "$dir/forbidden.py"
runs 'io_uring is forbidden' auto sockets
check 'and so it was: plain sockets, and said' grep 'network.port name=mmsg reason="io_uring: Operation not permitted"' "$dir/gmd.log"
wrapper /usr/bin/python3 "$dir/forbidden.py" old
runs 'io_uring is older than the port' auto sockets
check 'and so it was: plain sockets, and said' grep 'network.port name=mmsg reason="io_uring: Linux 6.1 or later is needed"' "$dir/gmd.log"
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
