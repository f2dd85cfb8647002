#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Metrics and the status page: what `gmctl metrics` and gmd-status say of a real gmd with members of gmload, read by Prometheus' own
# client library and in a real browser. Each check is a line; the last line counts.
#
#   tests/status.sh                       KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already
#   tests/status.sh --pictures DIR [MEMBERS]   of the page, and of gmctl top, during a rekey of so many members (default 10,000)
# shellcheck disable=SC2317 # functions are called by name
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../deploy/lib.sh"
python=$root/tests/python
hostile='<img src=x onerror="window.owned=1">"\'

oracle() { /usr/bin/python3 "$python/metrics.py" "$@"; }
metrics_now() { gmctl metrics >"$dir/metrics.txt"; }
http() { curl -sS --max-time 30 -o "$dir/body" -D "$dir/head" -w '%{http_code}' "$@"; } # http [OPTION...] URL: the code
gets() { # gets CODE PATH [OPTION...]
	local code=$1 path=$2 got
	shift 2
	got=$(http "$@" "http://127.0.0.1:$web$path")
	[ "$got" = "$code" ] || { echo "$path: $got, not $code"; cat "$dir/body"; return 1; }
}

start_status() { # as nobody in the viewers' Unix group, where we are root
	local as=()
	if [ "$(id -u)" = 0 ]; then
		chmod 711 "$dir" && mkdir -p "$dir/bin" && cp "$build/gmd-status" "$dir/bin/" && chmod -R 755 "$dir/bin" || return
		as=(setpriv --reuid=65534 --regid=65534 --groups=1 --inh-caps=-all --bounding-set=-all --no-new-privs --)
	fi
	rm -f "$dir/status.log"
	"${as[@]}" "$([ "$(id -u)" = 0 ] && echo "$dir/bin" || echo "$build")/gmd-status" -s "$dir/gmd.sock" -l 127.0.0.1:0 "$@" 2>"$dir/status.log" 7>&- 8<&- &
	member_pid=$! # ended with the others
	until_true 60 grep -q '^status.ready' "$dir/status.log" && web=$(sed -n 's/^status.ready.* port=//p' "$dir/status.log")
}
stop_status() {
	kill "$member_pid" && wait "$member_pid"
	local status=$?
	member_pid=""
	return $status
}

# ---- what gmctl says

traffic() { # 20 joins, rekeys that all confirm
	ask join 20 --groups g1,g2 --roles mix && gmctl rekey g1 --wait >/dev/null && gmctl rekey g2 --wait >/dev/null
}
counted() { # as gmload did
	local entries
	entries=$(gmctl --json audit head | field seq)
	metrics_now && oracle "$dir/metrics.txt" values 'gmd_members:20' 'gmd_groups:2' 'gmd_tokens_total result=ok:20' 'gmd_joins_total result=ok:20' \
		'gmd_requests_total resource=authz-info method=POST code=2.01:20' 'gmd_group_members group=g1:10' 'gmd_group_late:0' \
		"gmd_rekey_outcomes_total outcome=confirmed:$(gmctl --json status | grep '"rekey"' | field confirmed)" 'gmd_rekey_outcomes_total outcome=late:0' \
		"gmd_rekeys_total:$(gmctl --json status | grep '"core"' | field rekeys)" 'gmd_request_seconds_count resource=group method=POST:+20' \
		'gmd_requests_total resource=group method=POST code=2.01:20' 'gmd_workers:2' 'gmd_store_free_bytes:+1' 'gmd_leases_total:+1' \
		"gmd_audit_entries_total:+$entries" 'gmd_schedule_state schedule=night state=waiting:1' 'gmd_schedule_next_timestamp_seconds:+1.7e9' \
		'gmd_start_seconds part=load:+0' 'gmd_handover_seconds:0' 'gmd_draining:0'
}
manual_is_made() { # the table in gmd-metrics(7) is what the program has
	diff <(sed -n '/^\.\\" BEGIN/,/^\.\\" END/p' "$root/deploy/man/gmd-metrics.7" | sed '1d;$d') <(gmctl metrics names --manual)
}
all_counters_are_shown() { # whatever a worker counts is a metric
	/usr/bin/python3 - "$root" <<-'END'
		import re, sys
		root = sys.argv[1]
		stats = re.search(r'struct gm_worker_stats \{.*?\n\};', open(root + '/dataplane/include/gm/dp.h').read(), re.S).group(0)
		fields = re.findall(r'\w+', ' '.join(re.findall(r'_Atomic uint64_t ([^;]*);', re.sub(r'\[[^;,]*\]', '', stats))))
		text = lambda name: open(root + '/control/ctl/' + name).read()
		shown = text('metrics.def') + text('verbs/metrics.c') + text('verbs/status.c') + re.sub(r'\bX\((\w+)', r'mem_\1', text('verbs/memory.c'))
		missing = [field for field in fields if not re.search(r'\b(hist_)?%s\b' % field.replace('hist_', ''), shown)]
		assert len(fields) > 60 and not missing, (len(fields), missing)
	END
}
promtool_agrees() { promtool check rules "$root/deploy/prometheus/gmd.rules.yml" && promtool check metrics <"$dir/metrics.txt"; }
runbooks_are_there() { # each rule names a chapter, and a row or heading in it
	local name
	for name in $(sed -n 's/.*runbook: "handbook.md, Alerts: \(.*\)"/\1/p' "$root/deploy/prometheus/gmd.rules.yml"); do
		grep -q "^| .*\`$name\`" "$root/deploy/handbook.md" || { echo "$name"; return 1; }
	done
	[ "$(grep -c '^      - alert:' "$root/deploy/prometheus/gmd.rules.yml")" = "$(grep -c '^          runbook:' "$root/deploy/prometheus/gmd.rules.yml")" ]
}

# ---- what is served

serves() {
	gets 200 /health && grep -q '"state":"ok"' "$dir/body" && gets 200 /metrics && cp "$dir/body" "$dir/served.txt" &&
		oracle "$dir/served.txt" format && gets 200 /status.json && /usr/bin/python3 -m json.tool "$dir/body" >/dev/null &&
		gets 200 / && cmp "$dir/body" "$root/control/status/page.html" && gets 404 /nothing
}
serves_open() { gets 200 /metrics -H 'Accept: application/openmetrics-text; version=1.0.0' && grep -q '^Content-Type: application/openmetrics-text' "$dir/head" && oracle "$dir/body" open; }
reads_only() {
	gets 200 /health -X GET -d "$(printf '%09000d' 0)" && grep -q '"state"' "$dir/body" &&
		gets 405 / -X POST -d x && grep -q '^Allow: GET, HEAD' "$dir/head" && gets 405 /metrics -X DELETE && gets 200 / -I && ! grep -q '<html' "$dir/body"
}
only_under_its_names() {
	local host
	for host in evil.example 127.0.0.1.evil.example 'localhost:x' '127.0.0.1@evil' '[::1].evil' ''; do
		gets 403 /status.json -H "Host: $host" 2>/dev/null || { [ -z "$host" ] && gets 403 /status.json -H 'Host;'; } || { echo "$host"; return 1; }
	done
	gets 200 / -H "Host: LOCALHOST:$web" && gets 200 / -H 'Host: [::1]' && gets 200 / -H 'Host: proxy.example' && gets 403 / -H 'Host: proxy.example.org'
}
bounded() { # more connections than it takes say nothing, or a byte now and then, and it goes on; a head beyond bounds is refused
	/usr/bin/python3 - "$web" <<-'END' || return
		import socket, sys
		quiet = []
		for _ in range(100):
		    s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
		    s.settimeout(0.2)
		    quiet.append(s)
		for s in quiet:
		    s.close()
		slow = []
		for i in range(80): # every place is taken by a head that never ends, while somebody asks
		    s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
		    s.sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\nX: ')
		    slow.append(s)
		    for s in slow[-32:]:
		        try:
		            s.sendall(b'x')
		        except ConnectionError:
		            pass
		    if i >= 40 and i % 10 == 0:
		        s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
		        s.settimeout(8) # an idle one goes after 10
		        s.sendall(b'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n')
		        assert s.recv(12) == b'HTTP/1.1 200'
		s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
		s.settimeout(30)
		try:
		    s.sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\nX: ' + b'x' * 40000 + b'\r\n\r\n')
		    assert s.recv(99).split()[1] in (b'431', b'413', b'400', b'414')
		except ConnectionError:
		    pass
	END
	until_true 60 gets 200 /health
}
without_gmd() { # it says so, and finds gmd again, which now gives members that do not answer up at once
	kill_gmd && until_true 60 gets 503 /metrics && gets 503 /health && grep -q unreachable "$dir/body" && gets 503 /status.json && gets 200 / || return
	printf '%s\n' 'ack_timeout_ms: 50' 'retransmit_max: 0' >>"$dir/gmd.conf"
	start_gmd && until_true 60 gets 200 /health
}
late_of() { gmctl --json member list "$1" --late | wc -l; }
none_waits() { [ "$(gmctl --json group show g1 | field state)" = idle ] && [ "$(late_of g1)" -gt 0 ]; }
late_members() { # as many in the list as there are; those of g2 are not
	gmctl rekey g1 && until_true 60 none_waits && [ "$(late_of g2)" = 0 ] && [ "$(gmctl --json group show g1 | field late)" = "$(late_of g1)" ] &&
		until_true 60 gets 503 /health && grep -q 'late members.*degraded' "$dir/body" && metrics_now &&
		oracle "$dir/metrics.txt" values "gmd_group_late group=g1:$(late_of g1)" "gmd_rekey_outcomes_total outcome=late:$(late_of g1)" || return
	until_true 60 late_served
}
late_served() { gets 200 /status.json && [ "$(grep -o '"node":' "$dir/body" | wc -l)" = "$(late_of g1)" ]; }
exposure() {
	systemd-analyze security --offline=true "$root/deploy/systemd/gmd-status.service" | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p' |
		awk '{ print; good = $1 <= 2.0 } END { exit !good }'
}

# ---- pictures

pictures() {
	local to=$1 members=$2 theme
	mkdir -p "$to"
	write_config 2 "pace: $((members / 40))" 'control_viewers: daemon'
	must 'gmd runs' found
	for group in floor1 floor2 floor3; do gmctl group create "$group" --max-members 20000 >/dev/null; done
	start_load
	must "$members members join" ask join "$members" --groups floor1,floor2,floor3 --roles mix
	must 'gmd-status runs' start_status
	gmctl rekey floor1 && gmctl rekey floor2 && sleep 2
	/usr/bin/python3 "$python/page.py" picture "http://127.0.0.1:$web/" "$to/status.png" &
	as_pid=$!
	TMUX='' tmux -L gmd-pictures new-session -d -x 110 -y 24 "$build/gmctl -s $dir/gmd.sock top"
	sleep 4
	tmux -L gmd-pictures capture-pane -p >"$to/top.txt"
	tmux -L gmd-pictures kill-session
	wait "$as_pid"
	as_pid=""
	for theme in dark 'light phone'; do # shellcheck disable=SC2086
		/usr/bin/python3 "$python/page.py" picture "http://127.0.0.1:$web/" "$to/status-${theme##* }.png" $theme
	done
	stop_status
	stop_load
	stop_gmd
	say "in $to: $(cd "$to" && ls | paste -sd ' ')"
}

# An authorization server with a link has metrics of its own; this one's name would be markup, and ends what a label stands in
hostile_server() {
	"$build/gmas" keygen --alg AES-CCM-16-64-128 --iss other.example --aud gm.example -o "$dir/other.json" &&
		"$build/gmas" link -o "$dir/link.json" --addr "127.0.0.1:$as_port" &&
		gmctl as add "$hostile" --key "$dir/other.json" --link "$dir/link.json" --introspect
}

begin
choose_ports port load_port as_port
say "Metrics and the status page of a gmd on 127.0.0.1:$port"
programs
if [ "${1:-}" = --pictures ]; then
	pictures "$(realpath -m "$2")" "${3:-10000}"
	tally
	exit
fi
write_config 2 'rekey_window_ms: 200' 'control_viewers: daemon'
must 'gmd runs' found
must 'two groups, a schedule for none' eval 'gmctl group create g1 && gmctl group create g2 && gmctl schedule set night --groups none'
start_load
must '20 members join and are rekeyed' traffic
check 'metrics count what gmload counted' counted
check 'every resource is asked for' ask resources --group g1
check 'an authorization server with a hostile name' hostile_server
if /usr/bin/python3 -c 'import prometheus_client' 2>/dev/null; then
	metrics_now
	check "Prometheus' parser reads them" oracle "$dir/metrics.txt" format
	check 'dashboard, rules and page name what is exported' oracle "$dir/metrics.txt" names "$root/deploy/grafana/gmd.json" \
		"$root/deploy/prometheus/gmd.rules.yml" "$root/control/status/page.html"
else
	skip "Prometheus' parser: python3-prometheus-client is missing"
fi
if command -v promtool >/dev/null; then
	check 'promtool finds nothing in rules and metrics' promtool_agrees
else
	skip 'promtool: the package prometheus is missing'
fi
check 'whatever a worker counts is shown' all_counters_are_shown
check 'the manual page is made of the same table' manual_is_made
check 'each alert has its line in the handbook' runbooks_are_there
say 'gmd-status'
if [ ! -x "$build/gmd-status" ]; then
	skip 'gmd-status: built without libmicrohttpd-dev'
else
	must 'it runs' start_status --host proxy.example
	check 'it serves page, metrics, JSON and health' serves
	check 'and OpenMetrics, where that is asked for' serves_open
	check 'it answers GET and HEAD alone' reads_only
	check 'and only under its own names' only_under_its_names
	check 'many that say nothing, and one that says too much, come and go' bounded
	check 'without gmd it says so, and finds it again' without_gmd
	stop_load
	check 'members that are late are listed, and health says so' late_members
	if command -v chromium >/dev/null; then
		check 'a browser shows it, live, and runs nothing else' /usr/bin/python3 "$python/page.py" check "http://127.0.0.1:$web/" "$build/gmctl" "$dir/gmd.sock" "$hostile"
	else
		skip 'in a browser: chromium is missing'
	fi
	check 'it stops in order' stop_status
	if command -v systemd-analyze >/dev/null; then
		check 'the exposure of its unit is 2.0 at most' exposure
	else
		skip 'exposure: systemd-analyze is missing'
	fi
fi
[ -z "$load_pid" ] || stop_load
check 'gmd stops in order' stop_gmd
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
