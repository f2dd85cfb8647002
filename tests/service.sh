#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gmd as a service: what it tells the service manager, as another user without capabilities, how exposed its unit is.
#
#   tests/service.sh          KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../deploy/lib.sh"

listen_to_gmd() {
	/usr/bin/python3 - "$dir/notify" >"$dir/told.log" <<-'END' &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		while True:
		    text = s.recv(4096).decode()
		    print(text, flush=True)
		    if 'STOPPING=1' in text:
		        break
	END
	as_pid=$! # ended with the others
	until_true 60 test -S "$dir/notify"
	export NOTIFY_SOCKET=$dir/notify WATCHDOG_USEC=400000
}
told() { grep -q "^$1" "$dir/told.log"; }
confined() { # no new privileges, and a filter in each thread
	local thread
	for thread in /proc/"$gmd_pid"/task/*/status; do
		grep -q '^NoNewPrivs:.1$' "$thread" && grep -q '^Seccomp:.2$' "$thread" || return
	done
}
no_core() { grep -q '^Max core file size *0 *0 ' /proc/"$gmd_pid"/limits; }
# Its configuration is read by its directory; another file cannot be, even by root, wherever a link leads, nor its key any more.
refuses_to_read() {
	mv "$dir/gmd.conf" "$dir/gmd.conf.kept" && ln -s "$1" "$dir/gmd.conf" && ! gmctl config diff >"$dir/refused" 2>&1
	mv -f "$dir/gmd.conf.kept" "$dir/gmd.conf" && grep -q 'Permission denied' "$dir/refused"
}
reads_only_its_own() { refuses_to_read /etc/passwd && refuses_to_read "$away/store.key" && gmctl config diff; }
# exposure MOST: of the unit in $dir/unit, with the drop-ins that lie there
exposure() {
	systemd-analyze security --offline=true "$dir/unit/gmd.service" | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p' |
		awk -v most="$1" '{ print; good = $1 <= most } END { exit !good }'
}
# Nothing in it is unknown to systemd; its programs are not where it says, here.
understood() {
	systemd-analyze verify --man=no "$dir/unit/gmd.service" 2>&1 | grep -v 'is not executable: No such file' >"$dir/verify.log"
	! grep 'gmd.service' "$dir/verify.log"
}
# As the unit starts it: another user, no capability, no way to get one.
as_service() { # in the background only
	exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$@"
}

begin
choose_ports port load_port
say "gmd as a service, on 127.0.0.1:$port"
programs
write_config 2
away=$(mktemp -d) # the key, in no directory that gmd may read
sed -i "s|^\( *key_file:\).*|\1 $away/store.key|" "$dir/gmd.conf"
must 'somebody listens to what gmd tells' listen_to_gmd
must 'gmd runs' found
check 'it says that it serves' until_true 60 told READY=1
check 'and goes on saying that it is alive' until_true 60 told WATCHDOG=1
if "$build/gmd" --version >/dev/null && nm -D "$build/gmd" 2>/dev/null | grep -q __asan_; then
	skip 'confined: not in builds with sanitizers'
else
	check 'each of its threads is confined' confined
fi
if grep -q confine.files_open "$dir/gmd.log" || nm -D "$build/gmd" 2>/dev/null | grep -q __asan_; then
	skip 'closed files: no Landlock here, or a build with sanitizers'
else
	check 'it reads its own files, and no other' reads_only_its_own
fi
check 'it leaves no core' no_core
check 'it stops in order' stop_gmd
mv "$away/store.key" "$dir/" && rmdir "$away" && sed -i "s|^\( *key_file:\).*|\1 $dir/store.key|" "$dir/gmd.conf"
check 'and has said so' until_true 60 told STOPPING=1
unset NOTIFY_SOCKET WATCHDOG_USEC
say 'As a user without any capability'
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 711 "$dir"
	mkdir "$dir/nobody" && cp "$build/gmd" "$dir/nobody/" && chmod 755 "$dir/nobody/gmd"
	chown -R 65534 "$dir/state" "$dir/store.key" "$dir/nobody"
	sed -i "s|^control_socket: .*|control_socket: $dir/nobody/gmd.sock|" "$dir/gmd.conf"
	chmod 644 "$dir/gmd.conf"
	gmctl() { "$build/gmctl" --socket "$dir/nobody/gmd.sock" "$@"; }
	as_service "$dir/nobody/gmd" run -c "$dir/gmd.conf" >>"$dir/gmd.log" 2>&1 &
	gmd_pid=$!
	check 'it runs' until_true 60 gmctl status
	check 'and has a group' gmctl group create g1
	start_load
	check 'which members join' ask join 50 --groups g1
	check 'gmload found no fault' stop_load
	check 'it stops in order' stop_gmd
else
	skip 'another user: only root can become one'
fi
say 'The unit'
if command -v systemd-analyze >/dev/null; then
	mkdir "$dir/unit" && cp "$root/deploy/systemd/gmd.service" "$dir/unit/"
	check 'is understood by systemd' understood
	check 'is exposed by 2.0 of 10 at most' exposure 2.0 && say "      $(cat "$dir/check.log")"
	cp -r "$root/deploy/systemd/gmd.service.d" "$dir/unit/"
	check 'so is what DPDK needs besides' understood
	check 'which exposes it by 3.0 at most' exposure 3.0 && say "      $(cat "$dir/check.log")"
else
	skip 'exposure: systemd-analyze is missing'
fi
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
