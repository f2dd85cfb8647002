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

# ---- the command line

takes_options_in_front() {
	gmctl group create front >"$dir/said" && says 2 'without --yes' gmctl group delete front && says 0 '' gmctl --yes group delete front && gmctl group create front >"$dir/said" &&
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
say 'The command line'
check '--yes and --wait in front are as behind' takes_options_in_front
check 'an option in front without its value, or that is none, is named' names_the_option
check 'gmd stops in order' stop_gmd
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
