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

# ---- answers

names_algorithms() { # where a number stands in JSON
	gmctl group create alg-1 --sign-alg ES384 --hkdf sha512 --gp-enc-alg A128CTR >"$dir/said" && says 0 '^  hkdf +sha512$' gmctl group show alg-1 && grep -qx '  sign_alg  *ES384' "$dir/said" &&
		grep -qx '  gp_enc_alg  *A128CTR' "$dir/said" && grep -qx '  sign_crv  *P-384' "$dir/said" && grep -qx '  cred_fmt  *kccs' "$dir/said" && grep -qx '  ecdh_crv  *P-384' "$dir/said" &&
		grep -qx '  alg  *AES-CCM-16-64-128' "$dir/said" && grep -qx '  ecdh_alg  *ECDH-SS+HKDF-512' "$dir/said" &&
		says 0 '"hkdf":7,"gp_enc_alg":-65534,"sign_alg":-35,"sign_crv":2,"cred_fmt":14,"ecdh_crv":2,"alg":10,"ecdh_alg":-28' gmctl --json group show alg-1 &&
		gmctl group create alg-2 --pairwise-only >"$dir/said" && says 0 '^  sign_alg +-$' gmctl group show alg-2
}
names_units() { # of what one table has, and of a live view
	gmctl --json status >"$dir/said" && grep -q '"queue":"up_bytes"' "$dir/said" && ! grep -q '"queue":"up"' "$dir/said" && grep -q '"port_rx_cut":0,"asks":0,' "$dir/said" &&
		says 0 ' TOLD/S CONFIRMED/S ' gmctl top --once
}
takes_times() {
	gmctl group create t1 --rekey-every 1h30m --key-lifetime 7d >"$dir/said" && says 0 '^  rekey_every_s +5400$' gmctl group show t1 && grep -qx '  key_lifetime_s  *604800' "$dir/said" &&
		gmctl group create t2 --rekey-every 90s --key-lifetime=3600 >"$dir/said" && says 0 '^  rekey_every_s +90$' gmctl group show t2 && grep -qx '  key_lifetime_s  *3600' "$dir/said" &&
		for word in 1x 30m1h 1h30 h -1h '' 99999999999; do
			says 2 "^gmctl: rekey-every: seconds are needed, or a time as 90s, 30m, 1h30m or 7d, not '$word'" gmctl group create t3 "--rekey-every=$word" || return
		done
}
takes_remarks() {
	printf 'version # one\nversion #two\n  # three\nversion\t# four\ngroup set g1 --description "a # b" # five\n' >"$dir/lines"
	says 0 '^gmctl [0-9]' gmctl <"$dir/lines" && [ "$(grep -c '^gmctl [0-9]' "$dir/said")" = 3 ] && says 0 '^  description +a # b$' gmctl group show g1 &&
		says 1 "^gmctl: no group 'x#y'" gmctl <<<'group show x#y' && says 1 "^gmctl: no group '#z'" gmctl <<<"group show '#z' # or not"
}

# ---- exit status: 2 for the command line alone, 1 for what gmd or a file says

each_command_exits() {
	gmctl --json help >"$dir/verbs.json" && /usr/bin/python3 - "$build/gmctl" "$dir" <<-'END'
		import json, re, subprocess, sys
		gmctl, at = sys.argv[1:]
		good = at + '/rows.csv'
		open(good, 'w').write('group\nfrom-a-file\n')
		open(at + '/there', 'w').write('x')

		def runs(code, *words, socket=at + '/gmd.sock', stdin=''):
		    ran = subprocess.run([gmctl, '-s', socket, *words], capture_output=True, text=True, input=stdin)
		    assert ran.returncode == code, (code, ran.returncode, words, ran.stderr)
		    return ran.stderr

		files = 0
		for verb in map(json.loads, open(at + '/verbs.json')):
		    name, arguments = verb['command'].split(), verb['arguments'].split()
		    words = [re.split('[=.]', word)[0] for word in arguments if not word.startswith(('-', '['))]
		    right = name + [good if word == 'FILE' and name == ['import'] else '0a' if word == 'HASH' else 'x' for word in words]
		    right += ['--all'] if name[0] == 'rekey' and '--all' in arguments else []
		    runs(2, *right, '--no-such-option')
		    if words and verb['level'] != 'local':
		        assert re.search(': .* is missing', runs(2, *name)), name
		    if not any('...' in word for word in arguments) and verb['command'] not in ('recover', 'rotate-key'):
		        runs(2, *right, 'x', 'x', 'x')
		    for word in arguments:
		        option = word.split('=')[0].replace('[', '')
		        if option.startswith('--') and word.endswith(('=UINT', '=TIME')):
		            runs(2, *right, option, 'x')
		        if option.startswith('--') and word.endswith('=HEX'):
		            runs(2, *right, option, 'xyz')
		        if option.startswith('--') and '=' in word and '[' not in word:
		            runs(2, *right, option)
		        if option.startswith('--') and word.endswith('=FILE'):
		            runs(1, *right, option, at + '/missing')
		            runs(1, *right, option, '/dev/null')
		            runs(1, *right, option, '-')
		            files += 1
		        if option == '-c':
		            runs(1, *right, *['--rekey-all'] * ('--rekey-all' in arguments), '-c', at + '/missing')
		            files += 1
		    if verb['level'] != 'local' and '--token=FILE' not in arguments:
		        runs(3, *right, '--yes' if verb['asks'] else '--json', socket=at + '/none')
		assert files >= 6, files
		for words in ('import', 'config check', 'audit verify'): # files that are read
		    runs(1, *words.split(), at + '/missing')
		for words in ('backup', 'audit export', 'export groups', 'export devices', 'export roles', 'support-bundle'): # that are made
		    runs(1, *words.split(), at + '/there')
		for text in ('grup\nx\n', 'group,max_members\nx,lots\n', 'group\na b\n', '{"group": [5]}', '{"group"'):
		    runs(1, 'import', '-', '--yes', stdin=text)
		for words in (['group', 'create', 'a b'], ['group', 'create', 'x', '--hkdf', 'x'], ['group', 'set', 'g1', '--hkdf', 'x'],
		              ['group', 'create', 'x', '--max-stale-sets', '0'], ['group', 'set', 'g1', '--max-stale-sets', '0'], ['group', 'show', 'none'],
		              ['config', 'set', 'pace', 'fast'], ['schedule', 'set', 's', '--at', 'noon'], ['token', 'revoke', '05', '--yes'],
		              ['device', 'set', 'x'], ['pace', '--all', '100000001'], ['config', 'apply', '--confirm', '0']):
		    runs(1, *words)
	END
}
daemon_exits() { # as gmctl does, and what it hands over
	local code
	echo 'audience: 3: 4' >"$dir/wrong.conf"
	for code in "1 check -c $dir/wrong.conf" "1 check -c $dir/missing" "2 check --what" "2 check more" "2 dance" "1 restore x -c $dir/missing" "0 check -c $dir/gmd.conf"; do
		# shellcheck disable=SC2086 # words
		says "${code%% *}" '' "$build/gmd" ${code#* } || return
	done
}
reads_standard_input() {
	says 1 '^gmctl: standard input: is empty$' gmctl as add x --key - </dev/null && says 1 '^gmctl: -: key: hexadecimal digits' gmctl as add x --key - <<<'secret' &&
		says 1 '^gmctl: standard input: is empty$' gmctl token introspect --token - </dev/null && says 2 'rekey pause: a group is needed, or --all' gmctl rekey pause &&
		says 2 'rekey resume: a group is needed, or --all' gmctl rekey resume g1 --all
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
say 'Answers'
check 'algorithms have their names' names_algorithms
check 'columns are called by what they count' names_units
check 'times may have units' takes_times
check 'a table without rows says so at a terminal' terminal empty device list
check 'remarks may stand behind commands' takes_remarks
say 'Exit status'
check 'is 2 where the command line is wrong and 1 where gmd or a file says so, for each command' each_command_exits
check 'and so is that of gmd' daemon_exits
check 'what standard input should have had is said' reads_standard_input
check 'gmd stops in order' stop_gmd
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
