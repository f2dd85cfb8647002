#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Backup while gmd serves, restore, a store that went back in time, another key for the store: with a real gmd and members.
#
#   tests/backup.sh           KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../deploy/lib.sh"

members=40
offline() { "$build/gmd" "$@" -c "$dir/gmd.conf"; }
# refuses STATUS WORDS COMMAND...: it fails so, and says so
refuses() {
	local status=$1 words=$2
	shift 2
	"$@" >"$dir/refused.txt" 2>&1
	[ $? = "$status" ] && grep -q "$words" "$dir/refused.txt" || { cat "$dir/refused.txt"; return 1; }
}
start_refused() { # WORDS
	refuses 1 "$1" timeout 60 "$build/gmd" run -c "$dir/gmd.conf"
}
file_mode() { [ "$(stat -c %a "$1")" = 600 ]; }
put_back() { # the store's file as it was when the backup was made, as an operator does it who knows no better
	head -c -64 "$dir/backup" >"$dir/state/data.mdb"
}
members_are() { [ "$(gmctl --json group show g1 | field members)" = "$1" ]; }
leapt() { [ "$(version_of g1)" -gt $((version + 60000)) ]; } # from the version that was put back, and no two alike
another_key() { ! cmp -s "$1" "$2"; }
join_some() { # HOW_MANY TOKEN_FILES
	rm -f "$dir/load.in" "$dir/load.out"
	start_load
	ask join "$1" --groups g1
}
damaged() { # BYTE: a backup with one bit changed
	cp "$dir/backup" "$dir/damaged"
	printf '\x01' | dd of="$dir/damaged" bs=1 seek="$1" conv=notrunc status=none
}

begin
choose_ports port load_port
say "Backup, restore and recovery, on 127.0.0.1:$port"
programs
write_config 2 'rekey_window_ms: 200' 'changes_per_minute: 0'
must 'gmd runs' found
must 'a group' gmctl group create g1
start_load
must "$members members join" ask join "$members" --groups g1

say 'A backup while gmd serves'
tell churn 2
sleep 0.3
must 'a backup is made under load' gmctl backup "$dir/backup"
check 'the load goes on undisturbed' hear
check 'the file is for its owner alone' file_mode "$dir/backup"
check 'a file that is there is not overwritten' refuses 1 'File exists' gmctl backup "$dir/backup"
check 'one that cannot be made is refused, and said' refuses 1 'No such file' gmctl backup "$dir/nowhere/backup"
check 'another one can be made' gmctl backup "$dir/backup2"
must 'a rekey after the backup arrives' eval 'version=$(version_of g1) && gmctl rekey g1 && ask await-rekey g1 $((version + 1))'
version=$(version_of g1)
check 'gmload found no fault' stop_load

say 'A store that went back in time'
must 'gmd stops in order' stop_gmd
cp "$dir/state/data.mdb" "$dir/newest"
put_back
check 'gmd does not start on it, and says what to do' start_refused 'went back in time.*gmd recover'
check 'a recovery is not made by mistake' refuses 2 'rekey-all' offline recover
cp "$dir/newest" "$dir/state/data.mdb"
check 'the newest store, put back, is taken' start_gmd
check 'with all its members' eval '[ "$(gmctl --json group show g1 | field members)" -gt 0 ]'
kill_gmd
put_back
must 'it is recovered' offline recover --rekey-all
must 'gmd runs on it' start_gmd
check 'all members are out' members_are 0
check 'the version leapt' leapt
must 'members join anew' join_some 30
check 'they talk' ask traffic g1 --sample 8
check 'gmload found no fault' stop_load
version=$(version_of g1)
must 'gmd stops in order' stop_gmd

say 'Restore'
check 'an existing store is not overwritten' refuses 1 'there is a store' offline restore "$dir/backup"
rm "$dir/state/data.mdb"
head -c 100000 "$dir/backup" >"$dir/cut"
check 'one that is cut short is refused' refuses 1 'cut short' offline restore "$dir/cut"
damaged 70000
check 'one that was changed is refused' refuses 1 'damaged' offline restore "$dir/damaged"
check 'something else is refused' refuses 1 'no backup' offline restore "$dir/gmd.conf"
check 'a missing one is refused' refuses 1 'No such file' offline restore "$dir/nothing"
check 'nothing was put in place by all that' test ! -e "$dir/state/data.mdb"
check 'a good one is restored' offline restore "$dir/backup"
must 'gmd runs on it' start_gmd
check 'all members are out' members_are 0
check 'the version leapt beyond that of the first recovery' leapt
must 'members join anew' join_some 30
check 'gmload found no fault' stop_load
must 'gmd stops in order' stop_gmd

say 'Another key for the store'
cp "$dir/store.key" "$dir/old.key"
must 'all records are sealed anew' "$build/gmctl" rotate-key -c "$dir/gmd.conf"
check 'under another key' another_key "$dir/store.key" "$dir/old.key"
check 'which is for its owner alone' file_mode "$dir/store.key"
must 'gmd runs with it' start_gmd
check 'and has its members' members_are 30
kill_gmd
cp "$dir/store.key" "$dir/new.key"
cp "$dir/old.key" "$dir/store.key"
check 'the old key opens nothing' start_refused 'belongs to another store'
cp "$dir/new.key" "$dir/store.key.new"
check 'a change that was interrupted is noticed' start_refused 'rotate-key goes on'
check 'and ended' "$build/gmctl" rotate-key -c "$dir/gmd.conf"
must 'gmd runs with it' start_gmd
check 'and has its members' members_are 30
check 'gmd stops in order' stop_gmd
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
