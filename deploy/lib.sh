# SPDX-License-Identifier: Apache-2.0
# Sourced by bash scripts that run a gmd on loopback: counted checks, a directory, the daemon, a capture, the end of it all.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
passed=0 failed=0 skipped=0
# shellcheck disable=SC2034 # some are for those who source this
dir="" build="" port="" load_port="" as_port="" gmd_pid="" load_pid="" as_pid="" capture_pid="" captured=""

# ---- checks: one line each, counted

if [ -t 1 ]; then good=$'\e[32m✓\e[0m' bad=$'\e[31m✗\e[0m'; else good='✓' bad='✗'; fi
pass() { passed=$((passed + 1)); printf '  %s %s\n' "$good" "$*"; }
fail() { failed=$((failed + 1)); printf '  %s %s\n' "$bad" "$*"; }
skip() { skipped=$((skipped + 1)); printf '  - %s\n' "$*"; }
say() { printf '%s\n' "$*"; }
tally() { printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"; }

# check WHAT COMMAND...: its output goes to check.log; a failure shows the end of it.
check() {
	local what=$1
	shift
	if "$@" >"$dir/check.log" 2>&1; then
		pass "$what"
	else
		fail "$what"
		tail -n 5 "$dir/check.log" | sed 's/^/      /'
		return 1
	fi
}

# A step without which the rest makes no sense.
must() { check "$@" || give_up; }

give_up() {
	show_logs
	tally
	exit 1
}

show_logs() {
	local log
	for log in "$dir"/*.log; do
		[ -s "$log" ] || continue
		say "---- end of ${log##*/}"
		{ grep -E 'ERROR: |runtime error: |SUMMARY: |^ +#[0-9] ' "$log" | head -n 12; tail -n 12 "$log"; } | cut -c 1-200
	done
}

# until_true SECONDS COMMAND...: tries it every 50 ms.
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# ---- what gmd says

nothing_flies() { gmctl metrics | awk '/^gmd_worker_inflight/ { n += $2 } END { exit n != 0 }'; }
# A rekey of GROUP that is paused while somebody is not told yet: nothing that is on its way ends it. At a pace of one a second
holds_back() {
	gmctl group rekey "$1" && gmctl rekey pause "$1" && until_true 20 nothing_flies && [ "$(gmctl --json group show "$1" | field state)" = paused ]
}

# ---- the programs

# Uses GM_BUILD as it is; otherwise installs packages and builds into build/fast.
programs() {
	build=${GM_BUILD:-}
	if [ -z "$build" ]; then
		build=$root/build/fast
		must 'packages are installed' "$root/deploy/install.sh" build
		[ -e "$build/build.ninja" ] || must 'configured' cmake -S "$root" --preset fast -DGM_TESTS=OFF
		must "built in ${build#"$root"/}" cmake --build "$build" -j "$(nproc)" --target gmd gmctl gmas gmload
	fi
	build=$(realpath "$build")
}

# From here on gmd is one that can be told to fail.
build_faults() {
	[ -n "${GM_BUILD:-}" ] && [ -x "$build/gmd_faults" ] || cmake --build "$build" -j "$(nproc)" --target gmd_faults || return
	gmd=$build/gmd_faults
}

# ---- a directory, a port

begin() {
	dir=$(mktemp -d "${TMPDIR:-/tmp}/gmd.XXXXXX")
	trap finish EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

finish() {
	local status=$? pid
	trap '' INT TERM
	for pid in ${member_pid:-} $load_pid $as_pid $gmd_pid $capture_pid; do
		kill "$pid" 2>/dev/null
	done
	for pid in ${member_pid:-} $load_pid $as_pid $gmd_pid $capture_pid; do
		until_true 5 gone "$pid" || kill -9 "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	if [ -n "${KEEP:-}" ]; then say "kept: $dir"; else rm -rf "$dir"; fi
	exit $status
}

gone() { ! kill -0 "$1" 2>/dev/null; }

port_free() { ! grep -q "$(printf ':%04X ' "$1")" /proc/net/udp /proc/net/udp6 2>/dev/null; }

# choose_ports NAME...: sets each variable to a UDP port that nobody uses now, below those the kernel gives out
choose_ports() {
	local name port
	for name; do
		while port=$((20000 + RANDOM % 12000)); do
			port_free "$port" && break
		done
		declare -g "$name=$port"
	done
}

# ---- gmd

# write_config WORKERS [LINE...]: more lines of YAML
write_config() {
	local workers=$1
	shift
	cat >"$dir/gmd.conf" <<-END
		audience: gm.example
		listen: ["127.0.0.1:$port"]
		workers: $workers
		state_dir: $dir/state
		key_file: $dir/store.key
		control_socket: $dir/gmd.sock
	END
	[ $# = 0 ] || printf '%s\n' "$@" >>"$dir/gmd.conf"
}

# A store, a key of an Authorization Server, a running gmd that trusts it; write_config comes first.
found() {
	"$build/gmas" keygen --alg AES-CCM-16-64-128 --iss as.example --aud gm.example -o "$dir/as.json" &&
		"${gmd:-$build/gmd}" init -c "$dir/gmd.conf" && start_gmd && gmctl as add demo --key "$dir/as.json"
}

gmctl() { "$build/gmctl" --socket "$dir/gmd.sock" "$@"; }

start_gmd() {
	"${gmd:-$build/gmd}" run --config "$dir/gmd.conf" >>"$dir/gmd.log" 2>&1 7>&- 8<&- &
	gmd_pid=$!
	if ! until_true 60 started || gone "$gmd_pid"; then
		say 'gmd does not start'
		return 1
	fi
}

started() { gone "$gmd_pid" || gmctl status; }

# The kernel lets go of what an io_uring held, the UDP port too, a moment after the process is gone: a start waits 3 seconds for that.
kill_gmd() {
	kill -9 "$gmd_pid" 2>/dev/null
	wait "$gmd_pid" 2>/dev/null
	gmd_pid=""
	until_true 60 port_free "$port"
}

stop_gmd() {
	local status
	kill "$gmd_pid" && wait "$gmd_pid"
	status=$?
	gmd_pid=""
	until_true 60 port_free "$port"
	return $status
}

# field NAME: a member of the JSON object on stdin
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" | head -n 1; }

# member of the JSON object on stdin that lies in another: inner NAME KEY
inner() { sed -n "s/.*\"$1\": *{[^}]*\"$2\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" | head -n 1; }

version_of() { gmctl --json group show "$1" | field version; }

# ---- gmload: lines of commands in, a line of JSON out

# start_load [OPTION...]: the tables that it prints go to gmload.log
start_load() {
	mkfifo "$dir/load.in" "$dir/load.out"
	"$build/gmload" --server "127.0.0.1:$port" --as "$dir/as.json" --port "$load_port" "$@" \
		<"$dir/load.in" >"$dir/load.out" 2>>"$dir/gmload.log" &
	load_pid=$!
	exec 7>"$dir/load.in" 8<"$dir/load.out"
}

# ask COMMAND...: true when gmload says it is all right; answer is what it says. patience: seconds.
answer="" patience=600
ask() {
	tell "$@"
	hear
}
tell() { printf '%s\n' "$*" >&7; }
hear() {
	IFS= read -r -t "$patience" answer <&8 || answer='{"error":"gmload does not answer"}'
	printf '%s\n' "$answer" | tee -a "$dir/gmload.json"
	[[ $answer == *'"ok":true'* ]]
}

# Ends gmload by the end of its input (so gmd must not hold fd 7 open); true when none of its checks failed.
stop_load() {
	local status
	exec 7>&-
	wait "$load_pid"
	status=$?
	load_pid=""
	return $status
}

# ---- a capture of all packets of the port

can_capture() {
	command -v dumpcap >/dev/null && dumpcap -D 2>/dev/null | grep -q '\blo\b'
}

# start_capture FILE: pcap of UDP on the port, both directions
start_capture() {
	captured=$1
	dumpcap -q -P -i lo -B 64 -f "udp port $port" -w "$captured" >"$dir/capture.log" 2>&1 &
	capture_pid=$!
	until_true 60 test -s "$captured"
}

# What dumpcap has not written when it is told to stop is lost: so a datagram that is no CoAP goes last.
mark='the capture is complete up to here'
marked() {
	grep -qaF "$mark" "$captured" || { printf '\0%s' "$mark" >"/dev/udp/127.0.0.1/$port"; return 1; }
}

# Fails when the kernel dropped packets.
stop_capture() {
	until_true 60 marked || return
	kill -INT "$capture_pid" && wait "$capture_pid"
	capture_pid=""
	tail -n 1 "$dir/capture.log"
	grep -q "dropped on interface.*: [0-9]*/0 " "$dir/capture.log"
}
