#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files of groups, devices and roles at a running gmd: written by Python's csv and json, imported, exported, and read by them again; files
# that spreadsheets spoil and files that mean harm; ten thousand rows; the hand-over report. Each check is a line; the last line counts.
#
#   tests/sheets.sh           KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already
# shellcheck disable=SC2317 # functions are called by name
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../deploy/lib.sh"

says() { # says CODE PATTERN COMMAND...
	local code=$1 pattern=$2 got
	shift 2
	"$@" >"$dir/said" 2>&1
	got=$?
	[ "$got" = "$code" ] && grep -qE -- "$pattern" "$dir/said" || { echo "exit code $got, not $code, or not '$pattern':"; cat "$dir/said"; return 1; }
}
made() { says 0 "^$1 +$2 +$3 +$4\$" gmctl import "$dir/$5" --yes; } # made KIND MADE CHANGED LEFT-ALONE FILE
python() { /usr/bin/python3 - "$dir" "$@"; }

write_files() {
	python <<-'END'
		import csv, json, sys
		at = sys.argv[1] + '/'
		names = ['Lamp 3.14', '=1+1', '+49 30', '-x', '@SUM(A1)', "'quoted'", "'", 'a,b;c', 'Lämpchen €', '=cmd|‘’!A0', 'two  spaces', 'tab-free']
		rows = [{'device': 'as:1:%04x' % i, 'name': name, 'groups': 'f1/requester+responder f%d' % (i + 2)} for i, name in enumerate(names)]
		rows.append({'device': 'cred:' + '5a' * 32, 'name': '', 'groups': ''})
		def write(name, encoding='utf-8', **how):
		    with open(at + name, 'w', newline='', encoding=encoding) as f:
		        out = csv.DictWriter(f, list(rows[0]), **how)
		        out.writeheader()
		        # as gmctl export does it, and people in spreadsheets: an apostrophe before what looks like a formula
		        out.writerows([{k: "'" + v if v[:1] in tuple("=+-@'") and v else v for k, v in row.items()} for row in rows])
		write('plain.csv'), write('unix.csv', lineterminator='\n'), write('quoted.csv', quoting=csv.QUOTE_ALL)
		write('excel.csv', encoding='utf-8-sig', delimiter=';'), write('tabs.csv', delimiter='\t')
		json.dump(rows, open(at + 'array.json', 'w'), indent=1)
		open(at + 'lines.json', 'w').writelines(json.dumps(row, ensure_ascii=False) + '\n' for row in rows)
		json.dump(rows, open(at + 'rows', 'w'))
	END
}
exported_is_what_python_wrote() { # exported_is_what_python_wrote csv|json
	rm -f "$dir/out.$1"
	if [ "$1" = csv ]; then gmctl export devices "$dir/out.csv"; else gmctl export devices "$dir/out.json" --json; fi || return
	python "$1" <<-'END'
		import csv, json, sys
		at, how = sys.argv[1] + '/', sys.argv[2]
		text = open(at + 'out.' + how, newline='', encoding='utf-8')
		rows = list(csv.DictReader(text, strict=True)) if how == 'csv' else [json.loads(line) for line in text]
		if how == 'csv':
		    assert not any(v[:1] in tuple('=+-@\t\r') and v for row in rows for v in row.values()), 'a formula'
		    rows = [{k: v[1:] if v[:1] == "'" and v[1:2] in tuple("=+-@'") else v for k, v in row.items()} for row in rows]
		rows = [{k: row.get(k, '') for k in ('device', 'name', 'groups')} for row in rows]
		assert sorted(rows, key=str) == sorted(json.load(open(at + 'rows')), key=str), rows
	END
}
all_forms() {
	local file
	made devices 13 0 0 plain.csv || return
	for file in unix.csv quoted.csv excel.csv tabs.csv array.json lines.json; do made devices 0 0 13 $file || { echo "$file"; return 1; }; done
}
exports_come_back() {
	local kind
	for kind in groups devices roles; do
		gmctl export $kind "$dir/$kind.csv" && gmctl export $kind "$dir/$kind.json" --json || return
		says 0 "^$kind +0 +0 +[1-9]" gmctl import "$dir/$kind.csv" && says 0 "^$kind +0 +0 +[1-9]" gmctl import "$dir/$kind.json" || return
	done
	! gmctl export groups "$dir/groups.csv" # is there
}
spoil() { # spoil PATTERN TEXT: refused, with the line, and nothing has changed
	printf '%b' "$2" >"$dir/bad"
	says 1 "$1" gmctl import "$dir/bad" --yes && [ "$(gmctl --json device list | wc -l)" = 13 ]
}
spoiled_files() {
	spoil '/bad:3: device: has to be as:ID:HEX' 'device,name\nas:1:aaaa,x\nLamp,y\n' && spoil '/bad:2:11: this quote' 'device,name\nas:1:aaaa,"x\n' &&
		spoil '/bad:2:9: not UTF-8' 'device,name\nas:1:01,\xe4\n' && spoil '/bad:1:1: this is UTF-16' '\xff\xfed\0e\0' &&
		spoil "/bad:1: no column 'nmae'" 'device,nmae\n' && spoil '/bad:2: 3 cells where the first line has 2' 'device,name\nas:1:aaaa,x,y\n' &&
		spoil '/bad:3: the name stands in line 2 already' 'device,name\nas:1:aaaa,New one\nas:1:bbbb,new-one\n' &&
		spoil '/bad:2: name: another device has the name' 'device,name\nas:1:aaaa,lamp-3.14\n' && spoil '/bad: no rows' '\n\n' &&
		spoil '/bad:2:9: a control character, number 27' 'device,name\nas:1:01,\x1b]0;x\x07\n' &&
		spoil '/bad:2:10: a control character, number 0' 'device,name\nas:1:01,a\0b\n' && spoil 'not JSON' '{"device":"as:1:aaaa"' &&
		spoil '/bad:1: name: has to be text' '{"device":"as:1:aaaa","name":{"x":1}}'
}
too_large() {
	head -c 17000000 /dev/zero | tr '\0' x >"$dir/large" && says 1 'longer than 16 MiB' gmctl import "$dir/large" --yes &&
		{ echo device; seq -f 'as:1:%08g' 20001; } >"$dir/many" && says 1 ':20002: more than 20000 rows' gmctl import "$dir/many" --yes
}
ten_thousand() { # and members join meanwhile
	{ echo device,name,groups; seq 10000 | awk '{ printf "as:7:%08x,Device %d,f%d/requester\n", $1, $1, $1 % 100 }'; } >"$dir/ten.csv"
	says 0 '^devices: 10000 made, 0 changed, 0 left alone$' gmctl import "$dir/ten.csv" --dry-run && made devices 10000 0 0 ten.csv &&
		made devices 0 0 10000 ten.csv && [ "$(gmctl export devices | wc -l)" = 10014 ]
}
asks_before() { says 2 'import .*rows?.csv: devices: 1 made, 0 changed, 0 left alone; not a terminal: pass --yes to go ahead' gmctl import "$1"; }
groups_of_a_template() {
	{ echo group,template,max_members; seq -f 'floor%g,floor,' 300; echo floor301,,64; } >"$dir/floors.csv"
	made groups 301 0 0 floors.csv && made groups 0 0 301 floors.csv && [ "$(gmctl --json group show floor300 | field max_members)" = 90 ] &&
		says 1 ':2: max_members: .*has .64., not .65.' gmctl import - --yes < <(printf 'group,max_members\nfloor301,65\n')
}
survives_a_kill() { kill_gmd && start_gmd && [ "$(gmctl --json device list | wc -l)" = 10013 ] && [ "$(gmctl --json group list | wc -l)" = 302 ]; }

# ---- the report

register_members() { # of three members the first is registered by its token, the second by its credential and for another group
	gmctl --json member list f1 --full >"$dir/members" && {
		echo device,name,groups
		printf '%s,Door 1,f1\n' "$(sed -n 1p "$dir/members" | field device)"
		printf 'cred:%s,Door 2,floor1\n' "$(sed -n 2p "$dir/members" | field cred)"
	} >"$dir/doors.csv" && made devices 2 0 0 doors.csv
}
all_have_the_keys() { [ "$(gmctl --json group show f1 | field waiting)" = 0 ]; }
reports() {
	until_true 60 all_have_the_keys || return
	says 5 '^f1: version [0-9]+ since .*, 3 members, 0 late, 0 not yet, 112 missing, 2 unexpected' gmctl report f1 &&
		gmctl report f1 --csv >"$dir/report.csv"
	python <<-'END'
		import csv, sys
		rows = list(csv.DictReader(open(sys.argv[1] + '/report.csv', newline=''), strict=True))
		found = {row['name'] or row['finding']: row for row in rows if row['node']}
		assert found['Door 1']['finding'] == '' and found['Door 1']['keys'] == 'latest' and found['Door 1']['since_at']
		assert found['Door 2']['finding'] == 'unexpected' and found['Door 2']['device'].startswith('cred:')
		assert 'unregistered' in found and len(rows) == 3 + 112, len(rows)
	END
}
names_are_shown_and_taken() {
	says 0 'Door 1 ' gmctl member list f1 && says 2 'evicts 1 of f1' gmctl device evict door-1 && says 0 'evicted +1' gmctl device evict door-1 --yes &&
		grep -q 'member.remove group=f1 .*reason=evicted name="Door 1"' "$dir/gmd.log" && says 0 'registered +yes' gmctl device show door-1
}

begin
choose_ports port load_port
say "Files of groups, devices and roles at a gmd on 127.0.0.1:$port"
programs
write_config 1 'templates: [{name: floor, max_members: 90, backward: window}]' 'rekey_window_ms: 0' 'rekey_deadline_ms: 0'
must 'gmd runs' found
must 'files are written' write_files
gmctl group create f1 --template floor >/dev/null
check 'CSV in six dialects and JSON in two forms say the same' all_forms
check "its export is what Python's csv reads, without formulas" exported_is_what_python_wrote csv
check 'and its JSON' exported_is_what_python_wrote json
check 'what was exported is imported without a change' exports_come_back
check 'spoiled files change nothing, and say where' spoiled_files
check 'too large ones, too' too_large
printf 'device\nas:1:abcd\n' >"$dir/row.csv"
check 'without a terminal nothing is made unless --yes says so' asks_before "$dir/row.csv"
check 'three hundred groups of a template' groups_of_a_template
check 'ten thousand devices' ten_thousand
check 'are there after kill -9' survives_a_kill
start_load
must 'three members join' ask join 3 --groups f1
check 'members are registered' register_members
check 'the report compares them with the register' reports
check 'names are shown, and taken for devices' names_are_shown_and_taken
check 'gmd stops in order' stop_gmd
kill "$load_pid" && wait "$load_pid"
load_pid=""
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
