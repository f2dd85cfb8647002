#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Introspection and the list of revoked tokens, with a real gmd, a real gmas over its link, and members written in Python.
#
#   tests/revoked.sh          KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already
set -u
here=$(dirname "$0")
# shellcheck source=deploy/lib.sh
. "$here/../deploy/lib.sh"
python=$root/tests/python second_port=""

start_gmas() {
	"$build/gmas" serve -k "$dir/as.json" --listen "127.0.0.1:$as_port" --link "$dir/link.json" --tokens "$dir/tokens.jsonl" \
		--revoked "$dir/revoked" "$@" >>"$dir/gmas.log" 2>&1 &
	as_pid=$!
	until_true 60 listens "$as_port"
}
listens() { ! port_free "$1"; }
stop_gmas() {
	kill "$as_pid" && wait "$as_pid"
	as_pid=""
}

as_says() { gmctl as show demo | grep -Eq "^ *$1 +$2 *$"; }

# token N: the Nth of those that were minted, as a file of its own
token() {
	sed -n "$1p" "$dir/tokens.jsonl" >"$dir/token$1.json"
	[ -s "$dir/token$1.json" ]
}
hash_of() { field hash <"$dir/token$1.json"; }
# The file is put in place whole: gmas may read it at any time.
revoke() {
	{ cat "$dir/revoked"; hash_of "$1"; } >"$dir/revoked.new" && mv "$dir/revoked.new" "$dir/revoked"
}

# join N [STEP...]: a member with token N joins g1
join() {
	local n=$1
	shift
	timeout 300 /usr/bin/python3 "$python/member.py" --gm "127.0.0.1:$port" --token-file "$dir/token$n.json" --group g1 join "$@" \
		>"$dir/member$n.log" 2>&1
}
node_of() { grep '"step": *"join"' "$dir/member$1.log" | field node; }
is_in() { gmctl member show g1 "$(node_of "$1")"; }
is_out() { [ -n "$(node_of "$1")" ] && ! is_in "$1"; }
refused() {
	! join "$1" && grep -q "authz-info answered $2" "$dir/member$1.log"
}
refused_where() { # N CODE WHY: the log of gmd says why
	refused "$1" "$2" && tail -n 20 "$dir/gmd.log" | grep -q "$3"
}

# Before the whole list is read again, which is every 4 seconds; on a busy machine the log tells what it was.
put_out_by_notification() {
	local since=$SECONDS
	until_true 60 is_out "$1" && { [ $((SECONDS - since)) -le 3 ] || grep -q 'trl.read .*entries=1 new=1' "$dir/gmd.log"; }
}

# lines FIRST LAST: hashes of tokens that nobody has
lines() {
	local i
	for ((i = $1; i <= $2; i++)); do printf '01%064d\n' "$i"; done
}
append() { # append [FILE]
	{ cat "${1:-$dir/revoked}"; cat; } >"$dir/revoked.new" && mv "$dir/revoked.new" "${1:-$dir/revoked}"
}
# A server whose list is read in full once an hour: however long the changes take, one observation stands.
start_second() {
	touch "$dir/revoked2"
	"$build/gmas" keygen --alg AES-CCM-16-64-128 --iss as2.example --aud gm.example -o "$dir/as2.json" &&
		"$build/gmas" link -o "$dir/link2.json" --addr "127.0.0.1:$second_port" || return
	"$build/gmas" serve -k "$dir/as2.json" --listen "127.0.0.1:$second_port" --link "$dir/link2.json" --revoked "$dir/revoked2" >>"$dir/gmas.log" 2>&1 &
	member_pid=$! # ended with the others
	until_true 60 listens "$second_port" && gmctl as add second --key "$dir/as2.json" --link "$dir/link2.json" --trl --trl-every=3600 &&
		until_true 60 second_says trl observing
}
stop_second() {
	gmctl as remove second --yes && kill "$member_pid" && wait "$member_pid" && member_pid=""
}
second_says() { gmctl as show second | grep -Eq "^ *$1 +$2 *$"; }
one_by_one() { # more than one answer holds, each known before the next one comes
	local i before
	before=$(gmctl --json as show second | field revoked)
	for ((i = 1; i <= 12; i++)); do
		lines "$i" "$i" | append "$dir/revoked2"
		until_true 60 second_says revoked $((before + i)) || return
	done
	grep -q 'entries=8' "$dir/gmd.log"
}

bad_links() {
	local text
	while read -r text; do
		printf '%s' "$text" >"$dir/bad.json"
		gmctl as add bad --key "$dir/as.json" --link "$dir/bad.json" --trl >"$dir/bad.log" 2>&1
		[ $? = 1 ] && grep -q 'bad.json' "$dir/bad.log" || { printf 'not refused: %s\n' "$text"; cat "$dir/bad.log"; return 1; }
	done <<-'END'
		{"addr": 
		[1]
		{"ms": "000102030405060708090a0b0c0d0e0f", "sid": "00", "rid": "01"}
		{"addr": "127.0.0.1:1", "ms": "0001", "sid": "00", "rid": "01"}
		{"addr": "127.0.0.1:1", "ms": "000102030405060708090a0b0c0d0e0x", "sid": "00", "rid": "01"}
		{"addr": "127.0.0.1:1", "ms": "000102030405060708090a0b0c0d0e0f", "sid": "0011223344556677", "rid": "01"}
		{"addr": "127.0.0.1:1", "ms": "000102030405060708090a0b0c0d0e0f", "sid": "00", "rid": "01", "alg": "CCM"}
		{"addr": "127.0.0.1:1", "ms": "000102030405060708090a0b0c0d0e0f", "sid": 1, "rid": "01"}
		{"addr": "127.0.0.1:1", "ms": "000102030405060708090a0b0c0d0e0f", "salt": 1, "sid": "00", "rid": "01"}
		{"addr": "127.0.0.1:1", "ms": "000102030405060708090a0b0c0d0e0f", "sid": "00", "rid": ["01"]}
	END
	! gmctl as add bad --key "$dir/as.json" --link "$dir/none.json" 2>"$dir/bad.log" && grep -q none.json "$dir/bad.log" &&
		! gmctl as add bad --key "$dir/as.json" --trl 2>"$dir/bad.log" && grep -q 'link=FILE is missing' "$dir/bad.log" &&
		! gmctl as list | grep -q bad
}

issuer=$'as.\xc2\x9b31mex\xe2\x80\xaeample' # CSI as one character, and what turns the direction of text
begin
choose_ports port as_port second_port
say "Introspection and revoked tokens, on 127.0.0.1:$port and $as_port"
programs
write_config 2 'rekey_window_ms: 200'
touch "$dir/revoked"
must 'a key, a link and seven references' eval '"$build/gmas" keygen --alg AES-CCM-16-64-128 --iss "$issuer" --aud gm.example -o "$dir/as.json" &&
	"$build/gmas" link -o "$dir/link.json" --addr 127.0.0.1:$as_port &&
	"$build/gmas" mint -k "$dir/as.json" --reference --group g1=requester,responder --count 7 -o "$dir/tokens.jsonl"'
must 'gmas serves' start_gmas
must 'gmd runs' eval '"$build/gmd" init -c "$dir/gmd.conf" && start_gmd'
check 'link files that are wrong are refused, and it is said why' bad_links
must 'gmd trusts it over the link' gmctl as add demo --key "$dir/as.json" --link "$dir/link.json" --introspect --trl --trl-every=4
must 'a group' gmctl group create g1
check 'the list of revoked tokens is read and observed' until_true 60 as_says trl observing
for n in 1 2 3 4 5 6 7; do token $n; done

say 'A reference'
check 'opens the group' join 1
check 'and the membership stands' is_in 1
says_of() { # says_of FILE STATE: what gmctl says about a token, without its key
	gmctl --json token introspect --token "$dir/$1" >"$dir/said" && grep -q "\"state\":\"$2\"" "$dir/said" && ! grep -q "$(sed 's/.*"ms":"\([0-9a-f]*\)".*/\1/' "$dir/token1.json")" "$dir/said"
}
about_it() {
	says_of token1.json active && [ "$(field hash <"$dir/said")" = "$(hash_of 1)" ] && grep -q '"as":"demo","hash":"[0-9a-f]*","device":"as:1:[0-9a-f]*","issuer":"as.\\u009b31mex\\u202eample","audience":"gm.example","scope":"g1/requester+responder"' "$dir/said" &&
		GM_ISSUER=$issuer /usr/bin/python3 -c 'import json, os, sys; assert json.load(sys.stdin)["issuer"] == os.environ["GM_ISSUER"]' <"$dir/said" &&
		gmctl audit tail | grep -q 'command=token introspect'
}
shows_no_controls() { # of the terminal, which the server's name has
	gmctl token introspect --token "$dir/token1.json" >"$dir/said" && grep -q 'as.?31mex?ample' "$dir/said" && ! grep -q "$issuer" "$dir/said"
}
asks_right() {
	! gmctl token introspect 2>"$dir/bad.log" && grep -q 'token is missing' "$dir/bad.log" && ! gmctl token introspect --token "$dir/token1.json" --as other 2>"$dir/bad.log" &&
		grep -q "no authorization server 'other'" "$dir/bad.log" && gmctl token introspect --token "$dir/token1.json" --as demo >"$dir/said"
}
# The server says nothing until it may go on: the one who asks is killed, and the next is not told that somebody asks already.
asks_after_one_that_was_killed() {
	local status=1 asker asked audited
	asked=$(askings)
	audited=$(audited)
	kill -STOP "$as_pid" || return
	"$build/gmctl" -s "$dir/gmd.sock" token introspect --token "$dir/token1.json" &
	asker=$!
	until_true 60 asked_since "$asked"
	kill -9 "$asker"
	wait "$asker"
	until_true 60 audited_since "$audited" && status=0 # that it has asked, though it had no answer
	asked=$(askings)
	"$build/gmctl" -s "$dir/gmd.sock" token introspect --token "$dir/token1.json" >"$dir/said" 2>&1 &
	asker=$!
	until_true 60 asked_since "$asked" || status=1 # it is logged also where it is refused
	kill -CONT "$as_pid"
	wait "$asker" && until_true 60 as_says trl observing && return $status
}
askings() { grep -c 'ctl.change verb="token introspect"' "$dir/gmd.log"; }
audited() { gmctl audit tail --last 1000 | grep -c 'command=token introspect'; }
audited_since() { [ "$(audited)" -gt "$1" ]; }
asked_since() { [ "$(askings)" -gt "$1" ]; }
check 'an operator is told what it is good for' about_it
check 'and shown nothing that a terminal would obey' shows_no_controls
check 'of a server that there is' asks_right
check 'and the next one when the server is silent and who asked has gone' asks_after_one_that_was_killed
printf '{"token":"f0112233445566778899aabbccddeeff","id":"00","ms":"000102030405060708090a0b0c0d0e0f","salt":"00"}' >"$dir/token9.json"
check 'of one that the server does not know it says so' says_of token9.json 'not active'
check 'that the server does not know is refused with 4.01' refused_where 9 4.01 'no authorization server calls the token active'

say 'A revoked token'
join 2 wait-rekey:1 leave &
member_pid=$!
check 'while another is a member' until_true 60 is_in 2
check 'is named in the list of gmas' revoke 1
check 'its holder is put out by the notification' put_out_by_notification 1
check 'the other member is given new keys' wait "$member_pid"
member_pid=""
check 'is refused when it comes again' refused_where 1 4.01 'token has been revoked'

say 'gmas starts again'
check 'a member with the third token' join 3
must 'gmas stops' stop_gmas
check 'tokens cannot be asked about: 5.03' refused 4 5.03
must 'gmas serves again' start_gmas
check 'the link is made anew' until_true 120 as_says trl observing
check 'a token revoked then' revoke 3
check 'puts its holder out' until_true 60 is_out 3
check 'references are known again' join 4

say 'gmd is killed and starts again'
check 'a member with the fifth token' join 5
must 'kill -9' kill_gmd
check 'a token is revoked while it is down' revoke 5
must 'it starts' start_gmd
check 'the list is read again and the holder put out' until_true 60 is_out 5
check 'the hashes from before are known still' refused_where 1 4.01 'token has been revoked'
check 'the other member is a member still' is_in 4

say 'The operator'
check 'a member with the sixth token' join 6
check 'takes it back by its hash' gmctl token revoke "$(hash_of 6)" --yes
check 'and it is out' until_true 60 is_out 6
check 'no hash is refused with an error' eval '! gmctl token revoke 00ff 2>"$dir/bad.log" && grep -q "01 and the 32 bytes" "$dir/bad.log"'
check 'sees how the link does' as_says trl_listed 3

say 'A token that is a CWT'
check 'in the one form that its list asks for opens the group' eval '"$build/gmas" mint -k "$dir/as.json" --group g1=requester,responder >"$dir/token10.json" && join 10'
check 'in another form is refused' eval '"$build/gmas" mint -k "$dir/as.json" --loose --group g1=requester,responder >"$dir/token11.json" && refused 11 4.0'
check 'is put out when its hash is listed' eval 'revoke 10 && until_true 60 is_out 10'

say 'A list that grows'
must 'a second server' start_second
check 'change by change, past what one answer tells' one_by_one
check 'the second server goes' stop_second
check 'is known in full' eval 'lines 1 24 | append && until_true 60 as_says trl_listed 28'
check 'by more than a datagram holds at once' eval 'lines 101 400 | append && until_true 60 as_says trl_listed 328'
check 'and every hash is kept' until_true 60 as_says revoked 329

say 'A token for an administrator'
check 'has the scope that was asked for' eval '"$build/gmas" mint -k "$dir/as.json" --reference --admin "*=list,create" --admin "re:g[0-9]=read" |
	field claims | grep -q 8282f50382d9524966675b302d395d05'
check 'gmd stops in order' stop_gmd
check 'gmas stops in order' stop_gmas
[ "$failed" = 0 ] || show_logs
tally
[ "$failed" = 0 ]
