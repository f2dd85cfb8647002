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

says() { # says CODE PATTERN COMMAND...: what it says stays in said
	local code=$1 pattern=$2 got
	shift 2
	"$@" >"$dir/said" 2>&1
	got=$?
	[ "$got" = "$code" ] && grep -qE -- "$pattern" "$dir/said" || { echo "exit code $got, not $code, or not '$pattern':"; cat "$dir/said"; return 1; }
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

begin
programs
say 'Help'
check '--help and -h behind a command are help of it' helps_behind_each
check 'a family of commands names them' knows_families
tally
[ "$failed" = 0 ]
