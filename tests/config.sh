#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The configuration: what gmctl and gmd say about broken files (tests/config/, one message each), and what a running gmd does
# with a changed one. Each check is a line; the last line counts.
#
#   tests/config.sh           KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already
# shellcheck disable=SC2317 # functions are called by name
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../deploy/lib.sh"

# The line that gmctl, and the same that gmd, says about a file; both refuse it.
message_of() {
	local by_gmctl by_gmd
	by_gmctl=$(cd "$root/tests/config" && "$build/gmctl" config check "$1" 2>&1) && { echo "$1 is taken"; return 1; }
	by_gmd=$(cd "$root/tests/config" && "$build/gmd" check -c "$1" 2>&1) && return 1
	[ "${by_gmctl#gmctl: }" = "${by_gmd#gmd: }" ] && echo "${by_gmctl#gmctl: }"
}
says_of() { # says_of FILE MESSAGE
	local said
	said=$(message_of "$1")
	[ "$said" = "$2" ] || { echo "$said"; return 1; }
}
each_has_its_message() { [ "$(cd "$root/tests/config" && echo *.conf)" = "$(cut -d : -f 1 "$root/tests/config/messages" | xargs)" ]; }

lacks() { # lacks MESSAGE LINE: in a file that is good but for it
	local said
	{ grep -v "^${2%%:*}:" "$dir/gmd.conf" && echo "$2"; } >"$dir/lacking.conf"
	said=$("$build/gmd" check -c "$dir/lacking.conf" 2>&1) && { echo "taken: $2"; return 1; }
	[ "$said" = "gmd: $1" ] || { echo "$said"; return 1; }
	"$build/gmctl" config check "$dir/lacking.conf" || return # another machine may have it
	timeout 10 "$build/gmd" run -c "$dir/lacking.conf" >"$dir/lacking.log" 2>&1
	[ $? = 1 ] || { echo "gmd starts: $2"; return 1; }
}
what_is_missing_is_named() {
	"$build/gmd" check -c "$dir/gmd.conf" && cp "$dir/store.key" "$dir/open.key" && chmod 644 "$dir/open.key" || return
	lacks "control_group: there is no Unix group 'nosuchgroup'" 'control_group: nosuchgroup' &&
		lacks "control_viewers: there is no Unix group 'nosuchgroup'" 'control_viewers: nosuchgroup' &&
		lacks "state_dir: there is no store in $dir/none: gmd init makes one" "state_dir: $dir/none" &&
		lacks "key_file: key file $dir/none: No such file or directory" "key_file: $dir/none" &&
		lacks "key_file: key file $dir/open.key is open to others (mode 0644): chmod 600 it" "key_file: $dir/open.key" &&
		lacks "control_socket: there is no directory $dir/none" "control_socket: $dir/none/gmd.sock" &&
		lacks "witness_file: there is no directory $dir/none" "witness_file: $dir/none/witness"
}

change() { sed -i "s|^$1: .*|$1: $2|" "$dir/gmd.conf"; } # change KEY VALUE, in the file
value() { gmctl --json config show | grep "\"key\":\"$1\"" | field value; }
row() { grep -q "{\"key\":\"$1\",\"$2\":\"$3\",\"$4\":\"$5\",\"changes\":\"$6\"}" "$dir/said"; }
rows() { [ "$(wc -l <"$dir/said")" = "$1" ]; }
ask_gmd() { gmctl --json config "$@" >"$dir/said" 2>"$dir/refused"; }

no_difference() { ask_gmd diff && rows 0; }
differences() { # two keys that can change, one that cannot
	change pace 777 && change members_max 10 && change workers 1 && ask_gmd diff && rows 3 && row pace running 500 file 777 'at a reload' &&
		row members_max running 1000 file 10 'at a reload' && row workers running 2 file 1 'needs a restart' && [ "$(value pace)" = 500 ]
}
reloads() {
	ask_gmd reload && rows 3 && row pace was 500 is 777 changed && row workers running 2 file 1 'needs a restart' &&
		[ "$(value pace)" = 777 ] && [ "$(value members_max)" = 10 ] && [ "$(value workers)" = 2 ] &&
		gmctl --json pace | grep -q '"network":"all","rate":"777"' && ask_gmd diff && rows 1
}
long_value() { # many networks, longer than a row may be, are still a row
	{ printf 'pace_prefixes: [' && printf '{prefix: 10.%d.0.0/16, rate: 15}, ' {0..255} && printf '{prefix: 11.%d.0.0/16, rate: 15}, ' {0..255} &&
		echo '{prefix: 12.0.0.0/8, rate: 1}]'; } >>"$dir/gmd.conf" && ask_gmd diff && rows 2 &&
		grep -q '"key":"pace_prefixes","running":"\[\]","file":"\[{prefix: .*needs a restart' "$dir/said"
	local status=$?
	sed -i '/^pace_prefixes/d' "$dir/gmd.conf"
	return $status
}
refusals() { grep -c "level=warn config.refused why=\".*members_max: has to be a whole number" "$dir/gmd.log"; }
refused_in_one_line() { # by command and by signal: at level warn, with the reason, and nothing after it
	local before
	change members_max many && before=$(refusals); ! ask_gmd reload && [ "$(refusals)" = $((before + 1)) ] && kill -HUP "$gmd_pid" &&
		until_true 60 eval "[ \"\$(refusals)\" = $((before + 2)) ]" && ! grep -q 'config.kept\|level=info config.refused' "$dir/gmd.log" && change members_max 1000
}
bound_counts() { ask join 1 --groups g1 && gmctl health | grep -q '^members  *degraded  *10 of 10$'; } # who comes now is told to come later
wrong_file_changes_nothing() {
	change pace 888 && change members_max many && ! ask_gmd reload &&
		grep -q "gmd.conf:[0-9]*:[0-9]*: members_max: has to be a whole number from 1 to 16777216, not 'many'" "$dir/refused" &&
		[ "$(value pace)" = 777 ] && [ "$(value members_max)" = 10 ] && change members_max 1000
}
hangup() {
	kill -HUP "$gmd_pid" && until_true 60 logged 'config.changed key=pace was="777" is=888' && [ "$(value pace)" = 888 ] &&
		[ "$(value members_max)" = 1000 ] && logged 'config.waits key=workers'
}
logged() { grep -q "$1" "$dir/gmd.log"; }
sets_one() {
	ask_gmd set rekey_window_ms 250 && [ "$(value rekey_window_ms)" = 250 ] && ask_gmd set log_level debug && [ "$(value log_level)" = debug ] &&
		! ask_gmd set rekey_window_ms 70000 && grep -q 'rekey_deadline_ms: has to be at least rekey_window_ms' "$dir/refused" &&
		! ask_gmd set pace fast && grep -q "pace: has to be a whole number from 0 to 100000000, not 'fast'" "$dir/refused" &&
		! ask_gmd set workers 3 && grep -q 'at a start only' "$dir/refused" && ! ask_gmd set pcae 3 && grep -q 'is pace meant?' "$dir/refused" &&
		[ "$(value rekey_window_ms)" = 250 ]
}
counts_pace_of_now() { gmctl pace --all 60 >/dev/null && [ "$(value pace)" = 60 ] && ask_gmd diff && row pace running 60 file 888 'at a reload'; }
tries() { # until somebody says so what apply has changed is no more than tried, and nothing else is changed meanwhile
	change pace 901 && ask_gmd apply --confirm 3600 && rows 2 && row pace was 888 is 901 unconfirmed && [ "$(value pace)" = 901 ] &&
		! ask_gmd reload && grep -q 'config confirm keeps it, config undo takes it back' "$dir/refused" && ! ask_gmd set log_level info &&
		! ask_gmd apply --confirm 9 && [ "$(gmctl --json status | grep '"what":"daemon"' | field config_goes_back_s)" -gt 3000 ]
}
undoes() { ask_gmd undo && rows 1 && row pace was 901 is 888 changed && [ "$(value pace)" = 888 ] && ! ask_gmd undo && grep -q 'nothing waits' "$dir/refused"; }
confirms() { ask_gmd apply --confirm 3600 && ask_gmd confirm && ! ask_gmd undo && ! ask_gmd confirm && [ "$(value pace)" = 901 ]; }
goes_back() { # of two keys that were tried, after the one that was confirmed
	change pace 902 && change members_max 999 && ask_gmd apply --confirm 1 && rows 3 && row pace was 901 is 902 unconfirmed && row members_max was 1000 is 999 unconfirmed &&
		until_true 60 logged 'config.undone key=members_max was="999" is=1000' && until_true 60 logged 'config.went_back keys=2' && [ "$(value pace)" = 901 ] && [ "$(value members_max)" = 1000 ] &&
		ask_gmd diff && row pace running 901 file 902 'at a reload' && change pace 888 && change members_max 1000 && ask_gmd apply && [ "$(value pace)" = 888 ]
}
set_meanwhile() { # stays; that the trial is over is told all the same
	change pace 903 && ask_gmd apply --confirm 3600 && gmctl pace --all 70 && ask_gmd undo && ! grep -q key "$dir/said" && [ "$(value pace)" = 70 ] &&
		logged 'config.went_back keys=0' && gmctl audit tail | grep -q 'configuration-went-back .*keys=0' &&
		change pace 888 && ask_gmd apply && [ "$(value pace)" = 888 ]
}
nothing_to_confirm() { ask_gmd apply --confirm 1 && ! ask_gmd undo && ! ask_gmd apply --confirm 0 && ! ask_gmd apply --confirm 86401; }
members_of() { gmctl --json group show g1 | field members; }

begin
choose_ports port load_port
say 'Broken files'
programs
while IFS= read -r line; do
	check "$line" says_of "${line%%:*}" "$line"
done <"$root/tests/config/messages"
check 'each file has its message' each_has_its_message
check 'the example is good' "$build/gmctl" config check "$root/deploy/example.conf"
say "A running gmd, on 127.0.0.1:$port"
write_config 2 'pace: 500' 'members_max: 1000'
must 'it runs' found
gmctl group create g1 >/dev/null
start_load
must 'nine members join' ask join 9 --groups g1
check 'its file says what is in force' no_difference
check 'what a changed file would change is told' differences
check 'a reload changes what can change, and names the rest' reloads
check 'a long value is cut, not left out' long_value
check 'a bound counts from then on' bound_counts
check 'a wrong file changes nothing' wrong_file_changes_nothing
check 'which one line of the log says' refused_in_one_line
check 'SIGHUP reloads, too' hangup
check 'a change that is to be confirmed is in force, and may be undone' tries
check 'it is undone at a word' undoes
check 'or stays at one' confirms
check 'or goes back when its time is up' goes_back
check 'but for what was set meanwhile' set_meanwhile
check 'where nothing changes there is nothing to confirm' nothing_to_confirm
check 'single keys are set, if they can be' sets_one
check 'what gmctl pace changed is what is in force' counts_pace_of_now
check 'nobody was lost' eval '[ "$(members_of)" = 10 ] && ask join 1 --groups g1'
check 'gmd stops in order' stop_gmd
check 'what a machine lacks is named before a start' what_is_missing_is_named
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
