#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gmctl as operators use it, at a running gmd: levels, previews, --wait, JSON, events, the shell of its own, top, completion. Each
# check is a line; the last line counts.
#
#   tests/gmctl.sh            KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already
# shellcheck disable=SC2317 # functions are called by name
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../deploy/lib.sh"
watch_pid=""

exits() { # exits CODE COMMAND...
	local code=$1 got
	shift
	"$@"
	got=$?
	[ "$got" = "$code" ] || echo "exit code $got, not $code"
	[ "$got" = "$code" ]
}
says() { # says CODE PATTERN COMMAND...
	local code=$1 pattern=$2
	shift 2
	exits "$code" "$@" >"$dir/said" 2>&1 || { cat "$dir/said"; return 1; }
	grep -qE -- "$pattern" "$dir/said" || { cat "$dir/said"; return 1; }
}
node_of() { gmctl --json member list "$1" | field node; }
members_of() { gmctl --json group show "$1" | field members; }
terminal() { # CHECK ARGUMENT...
	local check=$1
	shift
	mkdir -p "$dir/home"
	/usr/bin/python3 "$root/tests/python/terminal.py" "$check" "$build/gmctl" "$dir/gmd.sock" "$dir/home" "$@"
}

# ---- levels

as_user() { # as_user GROUPS COMMAND...: nobody in these Unix groups
	local groups=$1
	shift
	setpriv --reuid=65534 --regid=65534 --groups="$groups" -- "$dir/bin/gmctl" -s "$dir/gmd.sock" "$@"
}
levels() {
	chmod 711 "$dir" && mkdir -p "$dir/bin" && cp "$build/gmctl" "$dir/bin/" && chmod -R 755 "$dir/bin" || return
	exits 0 as_user 1 group list && says 4 'it takes an operator' as_user 1 drain && exits 0 as_user 2 undrain && says 4 'it takes an operator, you are a viewer' as_user 1 rekey g1 &&
		exits 0 as_user 2 group rekey g2 && says 4 'it takes an admin, you are an operator' as_user 2 group delete g2 --yes &&
		exits 0 as_user 1,3 group create made && exits 0 as_user 3 group delete made --yes &&
		says 4 'permission denied' as_user 65534 group list && grep -q 'ctl.refused verb="group delete" uid=65534 level=operator' "$dir/gmd.log" &&
		exits 0 as_user 2 pace --all 21 && exits 0 gmctl pace --all 20 && grep -q 'ctl.change verb="pace --all" uid=65534 level=operator' "$dir/gmd.log"
}

# ---- previews

asks_for_yes() {
	local node
	node=$(node_of g1)
	says 2 'evicts 1 of g1, rekeys 19 members.*--yes' gmctl member evict g1 "$node" &&
		says 2 'evicts 1 of g1, rekeys 19 members' gmctl device evict "g1/$node" &&
		says 2 'evicts 20 of g1' gmctl as remove demo && says 2 'which has 20 members' gmctl group delete g1 &&
		[ "$(members_of g1)" = 20 ] && exits 0 gmctl group show g1 && exits 0 gmctl as show demo
}
asks_where_a_setting_puts_out() { # g1 may have 40,000 members, so its Sender IDs have two bytes; the twentieth is a monitor and has none. What does no harm is not asked about
	says 2 'group set g1: puts out 19 members, max_members becomes 100.*--yes' gmctl group set --alg AES-CCM-64-64-128 g1 &&
		[ "$(members_of g1)" = 20 ] && exits 0 gmctl group set g1 --description floor --check-interval 3600 &&
		exits 0 gmctl group create s300 --max-members 300 && says 0 'max_members +100' gmctl group set s300 --alg AES-CCM-64-64-128 --yes &&
		exits 0 gmctl group delete s300 --yes
}
tells_the_time() { # 18 messages a second from 127/8 for 19 members: 1 s by pace, 9 s through the network's own
	says 2 'rekeys 19 members, about 10 s at the configured pace' gmctl member evict g1 "$(node_of g1)"
}
evicts_with_yes() {
	exits 0 gmctl member evict g1 "$(node_of g1)" --yes && [ "$(members_of g1)" = 19 ]
}

# ---- JSON

every_verb_is_json() {
	gmctl --json help >"$dir/verbs.json" || return
	/usr/bin/python3 - "$build/gmctl" "$dir/gmd.sock" "$(node_of g1)" "$dir/gmd.conf" <<-'END'
		import json, subprocess, sys
		gmctl, socket, node, conf = sys.argv[1:]
		ask = lambda *words: subprocess.run([gmctl, '-s', socket, *words], capture_output=True, text=True, check=True).stdout
		rows = [json.loads(line) for line in ask('--json', 'help').splitlines()]
		args = {'group create': ['g-json'], 'group set': ['g-json', '--description', 'x'], 'member show': ['g1', node],
		        'as show': ['demo'], 'member list': ['g1'], 'group delete': ['g-json', '--yes'], 'top': ['--once'],
		        'config check': [conf], 'config set': ['log_level', 'info'], 'config keys': [], 'audit export': [conf + '.log'], 'audit members': ['g1'], 'template show': ['t1'],
		        'device set': ['as:1:00', '--name', 'J', '--groups', 'g9'], 'device show': ['j'], 'device remove': ['j'],
		        'rekey pause': ['--all'], 'rekey resume': ['--all'], 'schedule set': ['s', '--groups', 'none*'], **{'schedule ' + do: ['s'] for do in ('show', 'run-now', 'pause', 'resume', 'remove')}}
		skip = {'watch', 'import', 'member evict', 'device evict', 'as add', 'as remove', 'token revoke', 'backup', 'restore', 'recover', 'rotate-key', 'config confirm', 'config undo', 'token introspect'}
		last = ['group delete', 'export devices', 'export roles', 'device remove', 'schedule remove']
		for row in sorted(rows, key=lambda row: row['command'] in last):
		    name = row['command']
		    words = args.get(name, ['g-json'] if row['arguments'].startswith('GROUP') else [])
		    if name in skip:
		        continue
		    text = ask(*name.split(), *words, '--json')
		    objects = [json.loads(line) for line in text.splitlines()]
		    assert all(isinstance(one, dict) for one in objects), name
		    assert objects or row['level'] == 'viewer', name + ' says nothing'
		print(len(rows), 'commands')
	END
}

percentiles_are_in_order() { # those of commits and of confirmations, also behind the largest value there was
	gmctl --json status >"$dir/status.json" && /usr/bin/python3 - "$dir/status.json" <<-'END'
		import json, sys
		rows = {row['what']: row for row in map(json.loads, open(sys.argv[1])) if row['what'] in ('turn', 'rekey')}
		for row, name in ((rows['turn'], 'commit_us_'), (rows['rekey'], 'confirm_us_')):
		    assert 0 < row[name + 'p50'] <= row[name + 'p99'] <= row[name + 'max'], row
	END
}

# ---- --wait

waits_for_all() { # three kinds of commands, and the version has moved each time
	local before
	before=$(version_of g1)
	exits 0 gmctl group rekey g1 --wait && exits 0 gmctl rekey g1 --compromised --wait --json &&
		exits 0 gmctl member evict g1 "$(node_of g1)" --yes --wait && [ "$(version_of g1)" -ge $((before + 3)) ] &&
		[ "$(gmctl --json group show g1 | field confirmed)" = "$(members_of g1)" ]
}
says_when_some_are_late() {
	kill -STOP "$load_pid" # nobody acknowledges now
	says 5 '0 confirmed, 17 late' gmctl group rekey g1 --wait && says 5 'late members +degraded +17 in 1 groups: g1' gmctl health &&
		says 0 'g1 +idle' gmctl rekey status
	local status=$?
	kill -CONT "$load_pid"
	return $status
}
state_is() { [ "$(gmctl --json group show g1 | field state)" = "$1" ]; }
pauses() { # while most have not been told; the pace lets one a second through
	local status
	watch "$dir/events" && gmctl pace --all 1 >"$dir/paced" && until_true 60 holds_back g1 && says 5 'rekeys +degraded +paused, gmctl rekey resume: g1' gmctl health &&
		says 0 'g1 +paused' gmctl rekey status && says 0 '0 running, 1 paused' gmctl top --once && says 0 '^gmd_rekeys_paused 1' gmctl metrics && says 1 'paused already' gmctl rekey pause g1 &&
		says 0 'rekeys_paused +1' gmctl rekey pause --all && says 2 'a group is needed, or --all' gmctl rekey pause && says 2 'a group is needed, or --all' gmctl rekey resume g1 --all &&
		says 0 'rekeys_paused +0' gmctl rekey resume --all && ! state_is paused && says 1 'is not paused' gmctl rekey resume g1 && happened rekey-paused && happened rekey-resumed &&
		gmctl audit tail | grep -q "rekey-paused  *uid:$(id -u) .*group=g1" && gmctl audit tail | grep -q "rekey-resumed  *uid:$(id -u) .*group=g1"
	status=$?
	gmctl pace --all 0 >"$dir/paced"
	kill "$watch_pid"
	wait "$watch_pid"
	return $status
}
drains() { # until the rekey that runs has ended; members are served
	local status
	watch "$dir/events" && kill -STOP "$load_pid" && gmctl group rekey g1 && exits 0 gmctl drain --wait &&
		[ "$(gmctl --json group show g1 | field state)" = idle ] && says 5 'newcomers +degraded +refused: gmctl undrain' gmctl health &&
		gmctl --json status | grep -q '"newcomers":"refused"' && happened draining
	status=$?
	kill -CONT "$load_pid"
	[ $status = 0 ] && ask get 5 g1 && exits 0 gmctl undrain && gmctl --json status | grep -q '"newcomers":"let in"' && happened drain-ended
	status=$?
	kill "$watch_pid"
	wait "$watch_pid"
	return $status
}
well_again() { # some may be late once more: gmd is in a hurry, and this machine may be busy
	until_true 120 eval 'gmctl group rekey g1 --wait && gmctl health'
}

# ---- events

watch() { # watch FILE [ARGUMENT...]
	local file=$1
	shift
	rm -f "$file" # else what was watched before is taken for this
	"$build/gmctl" -s "$dir/gmd.sock" watch "$@" >"$file" 2>&1 &
	watch_pid=$!
	until_true 60 grep -q watching "$file"
}
happened() { until_true 60 grep -qE -- "$1" "$dir/events"; }
sees_events() {
	watch "$dir/events" --json && ask join 1 --groups g1 && happened '"event":"joined","group":"g1","node":"' &&
		gmctl member evict g1 "$(node_of g1)" --yes --wait && happened '"event":"evicted","group":"g1","node":"[^"]+","reason":"evicted"' &&
		happened '"event":"rekey-started","group":"g1","num":[0-9]+,"reason":"evicted","members":18' &&
		happened '"event":"rekey-finished".*"confirmed":18,"late":0' && ask leave 1 && happened '"event":"left"' &&
		gmctl group create seen && happened '"event":"group-created","group":"seen"' && gmctl group freeze seen &&
		happened '"event":"group-changed"' && gmctl group delete seen --yes && happened '"event":"group-deleted"' &&
		! grep -q '"event":"lost"' "$dir/events"
	local status=$?
	kill "$watch_pid"
	wait "$watch_pid"
	return $status
}
sees_late_members() {
	watch "$dir/events" && kill -STOP "$load_pid" && exits 5 gmctl group rekey g1 --wait && happened 'rekey-late +group=g1 .*late=17'
	local status=$?
	kill -CONT "$load_pid"
	kill "$watch_pid"
	wait "$watch_pid"
	return $status
}

# ---- line by line

reads_lines() {
	printf 'group list\n\n# a remark\ngroup show "g1"\n' | says 0 '^  max_members' gmctl &&
		printf 'group list\ngroup show none\nversion\n' | says 1 'line 2 failed, the rest is not done' gmctl && ! grep -q '^gmctl [0-9]' "$dir/said" &&
		printf 'version\nquit\ngroup show none\n' | exits 0 gmctl && printf 'group delete g1\n' | says 2 'pass --yes to go ahead' gmctl
}
reads_a_file_once() { # of which a child could put back what was read ahead
	printf 'version\nversion\nversion\n' >"$dir/lines" && timeout 60 "$build/gmctl" -s "$dir/gmd.sock" <"$dir/lines" | head -n 9 >"$dir/said"
	[ "$(wc -l <"$dir/said")" = 3 ]
}
cut_never_in_pipes() { COLUMNS=20 gmctl group list >"$dir/wide" && ! grep -q … "$dir/wide" && grep -q REKEYED-AT "$dir/wide"; }

# ---- completion: each command of verbs.def, as bash and zsh see it

complete_bash() {
	bash --norc -c ". '$root/deploy/completion/gmctl.bash'"'
		complete -p gmctl >/dev/null || exit
		gmctl=$1
		shift
		COMP_WORDS=("$gmctl" "$@")
		COMP_CWORD=$#
		_gmctl
		printf "%s\n" "${COMPREPLY[@]}"' - "$build/gmctl" "$@"
}
complete_zsh() {
	zsh -f -c '
		compadd() { print -rl -- ${(P)2} }
		_files() { print files }
		words=("$@")
		CURRENT=$#
		source "$0"' "$root/deploy/completion/_gmctl" "$build/gmctl" "$@"
}
completes_every_verb() { # completes_every_verb SHELL
	local name first second
	while read -r name; do
		first=${name%% *} second=${name#* }
		"complete_$1" "${first%?}" | grep -qx -- "$first" || { echo "$1 does not know $first"; return 1; }
		[ "$first" = "$name" ] || "complete_$1" "$first" "${second%?}" | grep -qx -- "$second" || { echo "$1 does not know $name"; return 1; }
	done < <(gmctl --json help | sed 's/.*"command":"\([^"]*\)".*/\1/')
}
completes_names() {
	"complete_$1" -s "$dir/gmd.sock" member evict g | grep -qx g1 &&
		"complete_$1" -s "$dir/gmd.sock" member evict g1 '' | grep -qx -- "$(node_of g1)" &&
		"complete_$1" -s "$dir/gmd.sock" as show d | grep -qx demo && "complete_$1" -s "$dir/gmd.sock" token introspect --as d | grep -qx demo &&
		"complete_$1" member evict g1 x --y | grep -qx -- --yes &&
		"complete_$1" group create x --backward '' | grep -qx window
}

completes_many() { # 70 KiB of names, which the shell's 64 KiB cut within one
	local same
	same=$(printf '%060d' 0)
	{ echo group; seq -f "$same%04g" 1100; } >"$dir/many" && says 0 '^groups +1100 ' gmctl import "$dir/many" --yes && terminal completes_many "$same"
}

# ---- the store, and what leaves the site

opens_every_record() { # as many members and contexts as core has, and leases, of which no page has all
	gmctl --json store verify >"$dir/said" && [ "$(grep '"table":"members"' "$dir/said" | field records)" = "$(gmctl --json status | grep '"core"' | field members)" ] &&
		[ "$(grep '"table":"contexts"' "$dir/said" | field records)" = "$(gmctl --json token list | wc -l)" ] && [ "$(grep '"table":"leases"' "$dir/said" | field records)" = 256 ] && ! grep -v '"broken":0' "$dir/said"
}
lists_tokens() { # by that hash its holder is out
	local row members
	members=$(members_of g1)
	gmctl --json token list >"$dir/tokens" && ask join 1 --groups g1 && row=$(gmctl --json token list | grep -vxFf "$dir/tokens") &&
		[ "$(wc -l <<<"$row")" = 1 ] && grep -q '"as":"demo","memberships":1,"groups":"g1"' <<<"$row" && [ "$(members_of g1)" = $((members + 1)) ] &&
		exits 0 gmctl token revoke "$(field hash <<<"$row")" --yes && [ "$(members_of g1)" = "$members" ] &&
		! gmctl --json token list | grep -q "$(field hash <<<"$row")"
}
bundles() { # nothing that is a name, an address, a path or a hash is left, and each object is there still
	gmctl device set "$(gmctl --json token list | field device)" --name 'Lamp 7' >/dev/null
	exits 0 gmctl support-bundle "$dir/bundle" && exits 1 gmctl support-bundle "$dir/bundle" && exits 0 gmctl support-bundle --anon "$dir/anon" &&
		/usr/bin/python3 - "$dir" "$(node_of g1)" <<-'END'
			import json, re, sys
			where, node = sys.argv[1:]
			whole, anon = ([json.loads(line) for line in open(where + '/' + name)] for name in ('bundle', 'anon'))
			parts = {row['of'] for row in whole}
			assert parts == {row['of'] for row in anon} >= {'machine', 'status', 'metrics', 'config show', 'group settings', 'audit'}, parts
			text = open(where + '/bundle').read()
			assert 'g1' in text and node in text and where in text and 'demo' in text
			text = re.sub(r'"of":"[^"]*"', '', open(where + '/anon').read())
			for secret in ('g1', 'g2', 'demo', node, where, 'gm.example', '127.0.', 'uid:', 'Lamp', '"t1"'):
			    assert secret not in text, text[text.index(secret) - 80:][:160]
			assert not re.findall('"[0-9a-f]{12,}"', text)
			assert any(row.get('event') == 'joined' and row['group'].startswith('name-') for row in anon)
			who = {str(row[key]) for row in anon if row['of'] in ('as list', 'audit') for key in ('id', 'pid') if key in row}
			assert who and all(one.startswith('name-') for one in who), who
			detail = {row['what']: row['detail'] for row in anon if row['of'] == 'health'}
			assert {detail[what] for what in ('newcomers', 'schedules', 'rekeys')} == {'let in', 'none has stopped', 'none is paused'}, detail
			values = {row['key']: row['value'] for row in anon if row['of'] == 'config show'}
			assert values['control_socket'].startswith('name-') and values['uri'] == '""', values
			assert re.fullmatch(r'\[\{name: name-\d+, modes: group\}\]', values['templates']) and values['pace_prefixes'] == '[]', values
			assert re.fullmatch(r'\[name-\d+\]', values['listen']), values
			assert not any(row[key].startswith('name-') for row in anon if row['of'] == 'audit' for key in ('roles', 'changed', 'active', 'event') if key in row)
			assert {'gmd'} <= {row['by'] for row in anon if row['of'] == 'audit'}
			assert all(re.fullmatch(r'\d+ of \d+', detail[what]) for what in ('contexts', 'members', 'groups')), detail
		END
}
bundles_what_it_can() { # the file is wrong by now: what cannot be said of it is a row, and all else is there
	echo 'pace: banana' >>"$dir/gmd.conf"
	exits 0 gmctl support-bundle "$dir/spoiled" && exits 0 gmctl support-bundle --anon "$dir/spoiled-anon"
	local status=$?
	sed -i '/^pace: banana/d' "$dir/gmd.conf"
	[ $status = 0 ] && /usr/bin/python3 - "$dir" <<-'END'
		import json, sys
		for name in ('spoiled', 'spoiled-anon'):
		    rows = [json.loads(line) for line in open(sys.argv[1] + '/' + name)]
		    errors = [row for row in rows if 'error' in row]
		    assert [row['of'] for row in errors] == ['config diff'], errors
		    assert 'banana' in errors[0]['error'] if name == 'spoiled' else errors[0]['error'].startswith('name-'), errors
		    assert rows[-1]['of'] == 'audit' and 'event' in rows[-1] and {'status', 'metrics', 'group settings'} < {row['of'] for row in rows}
	END
}
for_the_owner_alone() {
	(umask 022 && gmctl support-bundle "$dir/bundle2" && gmctl export groups "$dir/groups.csv") && [ "$(stat -c %a "$dir/bundle2" "$dir/groups.csv" | xargs)" = '600 600' ]
}

begin
choose_ports port load_port
say "gmctl at a gmd on 127.0.0.1:$port"
programs
echo leak:wcsdup >"$dir/lsan" # libedit's, of functions that are added
export LSAN_OPTIONS=suppressions=$dir/lsan:print_suppressions=0
own='' # Unix groups 1, 2 and 3 of every Debian
[ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null || own=yes
write_config 2 'pace: 20' 'pace_prefixes: [{prefix: 127.0.0.0/8, rate: 2, burst: 1000}]' \
	'rekey_window_ms: 0' 'rekey_deadline_ms: 0' 'templates: [{name: t1, modes: group}]' ${own:+'control_viewers: daemon' 'control_operators: bin' 'control_group: sys'}
must 'gmd runs' found
gmctl group create g1 >/dev/null && gmctl group create g2 >/dev/null
start_load
must 'twenty members join' ask join 20 --groups g1
if [ -n "$own" ]; then check 'each level may what is its own' levels; else skip 'levels: only root can become another user'; fi
say 'Before it is too late'
check 'without a terminal nothing is put out unless --yes says so' asks_for_yes
check 'nor by a change of a group' asks_where_a_setting_puts_out
check 'it says how long that takes, through the slowest network' tells_the_time
must 'gmd starts again, in no hurry' eval 'stop_gmd && sed -i "/^pace/d" "$dir/gmd.conf" && start_gmd'
check 'with --yes it is done' evicts_with_yes
say 'Answers'
check 'every command says in JSON what it says' every_verb_is_json
check 'tables are cut at terminals only' cut_never_in_pipes
check 'and there they fit' terminal fits group list
check 'commands come line by line' reads_lines
check 'each line of a file once' reads_a_file_once
say 'The store'
check 'every record opens, and there are as many as core has' opens_every_record
check 'tokens are listed by the hash that revokes them' lists_tokens
check 'a bundle for who helps says what there is, and with --anon no name of it' bundles
check 'where the file of the configuration is wrong it says so, and all else' bundles_what_it_can
check 'and what leaves is a file for its owner alone' for_the_owner_alone
say 'Waiting'
check '--wait waits for all members' waits_for_all
check 'no percentile is above the maximum' percentiles_are_in_order
check 'a rekey is paused, which is seen everywhere, and resumed' pauses
say 'Watching'
check 'events come as they happen' sees_events
say 'Late members'
must 'gmd starts again, and gives up soon' eval 'stop_gmd && printf "%s\n" "ack_timeout_ms: 100" "retransmit_max: 1" >>"$dir/gmd.conf" && start_gmd'
check '--wait says that some are late' says_when_some_are_late
check 'drain --wait waits for the rekey that runs' drains
check 'a rekey that left members late is told' sees_late_members
check 'and all is well again' well_again
say 'At a terminal'
check 'verbs and names are completed' terminal completes g1
check 'lines are remembered' terminal remembers
check '^C ends a command, not the shell' terminal interrupts
check 'it asks before somebody is put out' terminal asks g1 "$(node_of g1)"
check 'top paints until q' terminal top
check 'and leaves the terminal as it was, whatever ends it' terminal top_killed
check 'top without a terminal is one frame' says 0 '^WORKER' gmctl top
say 'Completion'
check 'bash knows every command' completes_every_verb bash
check 'and names of what there is' completes_names bash
if command -v zsh >/dev/null; then
	check 'zsh knows every command' completes_every_verb zsh
	check 'and names of what there is' completes_names zsh
else
	skip 'zsh is missing'
	skip 'zsh is missing'
fi
check 'where there are more names than fit none is cut' completes_many
check 'gmd stops in order' stop_gmd
check 'which gmctl tells' exits 3 gmctl status
kill "$load_pid" && wait "$load_pid"
load_pid=""
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
