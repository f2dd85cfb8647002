#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What gmctl says: help, refusals and exit status of command lines that are wrong, the same words for the same mistake. Each check is a
# line; the last line counts.
#
#   tests/words.sh            KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already
# shellcheck disable=SC2317 # functions are called by name
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../deploy/lib.sh"

says() { # says CODE PATTERN COMMAND...: what it says stays in said; pattern '': anything
	local code=$1 pattern=$2 got
	shift 2
	"$@" >"$dir/said" 2>&1
	got=$?
	if [ "$got" != "$code" ] || { [ -n "$pattern" ] && ! grep -qE -- "$pattern" "$dir/said"; }; then
		echo "$*: exit code $got, not $code, or not '$pattern':"
		cat "$dir/said"
		return 1
	fi
}
terminal() { /usr/bin/python3 "$root/tests/python/terminal.py" "$1" "$build/gmctl" "$dir/gmd.sock" "$dir" "${@:2}"; }
commands() { gmctl --json help | sed 's/.*"command":"\([^"]*\)".*/\1/'; }

# ---- help

helps_behind_each() { # as `help` does; also those that gmd itself carries out
	local name
	while read -r name; do
		# shellcheck disable=SC2086 # words
		{
			gmctl help $name >"$dir/help" && gmctl $name --help >"$dir/said" && cmp "$dir/help" "$dir/said" &&
				gmctl $name -h >"$dir/said" && cmp "$dir/help" "$dir/said"
		} || { echo "$name --help"; return 1; }
	done < <(commands)
	gmctl help group >"$dir/help" && gmctl group --help >"$dir/said" && cmp "$dir/help" "$dir/said" &&
		says 0 'group create' gmctl group create g1 --max-members 5 --help && says 2 "no such command 'grp'" gmctl grp --help
}
knows_families() {
	local name
	for name in group member export; do
		gmctl help "$name" >"$dir/help" && says 2 "^gmctl: $name needs one of these" gmctl "$name" && grep -vxF "gmctl: $name needs one of these behind it:" "$dir/said" | cmp - "$dir/help" || return
	done
	says 2 "no such command 'group crate'; try gmctl help group" gmctl group crate && says 2 "no such command 'grp x'; try gmctl help\$" gmctl grp x &&
		says 2 "no such command 'grp'; try gmctl help\$" gmctl grp && says 2 "no such command 'group crate'" gmctl help group crate
}

wraps() { # 80 columns where there is no terminal; a word that is longer stays whole
	local name
	{
		gmctl --help
		gmctl help
		while read -r name; do
			# shellcheck disable=SC2086 # words
			gmctl help $name
		done < <(commands)
	} >"$dir/said"
	! awk 'length > 80' "$dir/said" | grep . && ! grep -E '\[FILE\]=|[A-Z]=(FILE|HEX)|--[a-z-]+=|-c=' "$dir/said" && terminal helps
}
tells_options() { # each has a line of its own with a text, and no text is of an option that is none
	gmctl --json help >"$dir/verbs.json"
	/usr/bin/python3 - "$build/gmctl" "$dir/verbs.json" "$root/control/ctl/gmctl/arguments.def" <<-'END'
		import json, re, subprocess, sys
		gmctl, verbs, texts = sys.argv[1:]
		known = set(re.findall(r'^GM_ARGUMENT\("([^"]*)", "([^"]*)"', open(texts).read(), re.M))
		for verb in map(json.loads, open(verbs)):
		    said = subprocess.run([gmctl, 'help', verb['command']], capture_output=True, text=True, check=True).stdout
		    options = re.findall(r'(?:^| )(--?[a-z-]+)', verb['arguments'])
		    for option in options + ['--yes'] * verb['asks'] + ['--wait'] * verb['wait']:
		        assert re.search(r'^  %s\b[^\n]*(  |\n {20,})\w' % option, said, re.M), (verb['command'], option, said)
		    known -= {(verb['command'], option.lstrip('-')) for option in options}
		assert not known, known
	END
}
writes_arguments() {
	says 0 '^usage: gmctl token revoke HASH \[OPTION...\]$' gmctl help token revoke && says 0 '^usage: gmctl config check \[FILE\]$' gmctl config check --help &&
		says 0 '^  --key FILE ' gmctl help as add && grep -q '^  --trl\[=PATH\] ' "$dir/said" && says 0 '^  --backward off|window|each$' gmctl help group create &&
		says 0 '^  restore BACKUP \[OPTION...\]$' gmctl help && says 0 '^usage: gmctl rekey GROUP' gmctl help rekey && grep -q '^  rekey pause \[GROUP\] \[OPTION...\]$' "$dir/said"
}

# ---- the command line

takes_options_in_front() {
	gmctl group create front >"$dir/said" && says 2 'front: .*--yes' gmctl group delete front && says 0 '' gmctl --yes group delete front && gmctl group create front >"$dir/said" &&
		says 0 '"version":1,"confirmed":0' gmctl --wait --json group rekey front && says 0 '' gmctl --yes --wait <<<'group delete front' &&
		says 2 "group list: no such option '--yes'" gmctl --yes group list && says 2 "group list: no such option '--wait'" gmctl --wait group list
}
names_the_option() {
	says 2 '^gmctl: -s needs a value$' "$build/gmctl" -s && says 2 '^gmctl: --socket needs a value$' "$build/gmctl" --json --socket && says 2 "no such option '--jsno'" gmctl --jsno group list &&
		says 0 '^--yes$' gmctl --complete --y && says 0 '^g1$' gmctl --complete -s "$dir/gmd.sock" --yes group show g
}

begin
choose_ports port
programs
write_config 1
must 'gmd runs' found
gmctl group create g1 >"$dir/said"
say 'Help'
check '--help and -h behind a command are help of it' helps_behind_each
check 'a family of commands names them' knows_families
check 'no line is wider than the terminal' wraps
check 'each option has its line and its text' tells_options
check 'arguments are written as they are given' writes_arguments
say 'The command line'
check '--yes and --wait in front are as behind' takes_options_in_front
check 'an option in front without its value, or that is none, is named' names_the_option
check 'gmd stops in order' stop_gmd
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
