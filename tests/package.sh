#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Debian packages: made by cpack, installed, started as the unit would, the handbook followed to a first group, purged, nothing is left.
#
#   tests/package.sh [clean]       in this machine's own root below an overlay; clean: in a new one that debootstrap makes
#   tests/package.sh record FILE   two terminals of tmux in which the handbook's first chapter is typed word for word: deploy/first-group.txt
#
# As root, with namespaces of its own for mounts, network and processes; all that it changes is in a tmpfs that ends with it.
# KEEP=1 keeps the directory, GM_BUILD=DIR uses programs built already.
set -u
self=$(realpath "$0")
# shellcheck source=deploy/lib.sh
. "$(dirname "$0")/../deploy/lib.sh"

programs_all() {
	build=${GM_BUILD:-$root/build/fast}
	[ -e "$build/build.ninja" ] || must 'configured' cmake -S "$root" --preset fast -DGM_TESTS=OFF
	must 'built' cmake --build "$build" -j "$(nproc)"
}
make_packages() { cpack --config "$build/CPackConfig.cmake" -B "$dir/packages" && rm -rf "$dir/packages/_CPack_Packages"; }

# ---- the root that they are installed into: $new

overlay_root() {
	mkdir "$dir/over" && mount -t tmpfs tmpfs "$dir/over" && mkdir "$dir/over/upper" "$dir/over/work" &&
		mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/over/upper,workdir=$dir/over/work" "$new"
}
clean_root() { mount --bind "$dir/debian" "$new"; }
# Outside of the namespaces, where there is a network: a Debian, and what the packages will ask for
make_debian() {
	local mirror
	# shellcheck disable=SC2016 # apt's own variables
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
	debootstrap --variant=minbase bookworm "$dir/debian" "${mirror:-http://deb.debian.org/debian}" &&
		mkdir -p "$dir/debian/tmp/packages" && cp "$dir"/packages/gmd{,-tools}_*.deb "$dir/debian/tmp/packages" &&
		chroot "$dir/debian" sh -c 'apt-get install -y -q --no-install-recommends --download-only /tmp/packages/*.deb'
}
kernel_files() {
	mount -t proc proc "$new/proc" && mount -t tmpfs tmpfs "$new/run" && mount -t tmpfs tmpfs "$new/tmp" &&
		mount --rbind /dev "$new/dev" && ip link set lo up && cp -r "$dir/packages" "$new/tmp/"
}
inside() { chroot "$new" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }

# What there is but for what every installation changes: the books of dpkg and apt, logs, copies that useradd's kin make.
# systemd, which a new Debian gets with them, leaves two files. Of an overlay, what lies above.
inventory() {
	local at=$new
	[ "$how" = clean ] || at=$dir/over/upper
	(cd "$at" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/cache -o -path ./var/log -o -path ./tmp \
		-o -path ./run -o -path ./proc -o -path ./dev -o -path ./sys \) -prune -o ! -type d ! -path './etc/*-' ! -name .pwd.lock \
		! -path './etc/*shadow' ! -path './etc/sub[ug]id' ! -path ./etc/machine-id ! -path ./etc/mtab ! -path ./etc/passwd ! -path ./etc/group -print | sort)
	grep -hv '^systemd-' "$new"/etc/passwd "$new"/etc/group # those of packages that ours needs stay
}

# ---- what is done in there

install_packages() {
	local names=(/tmp/packages/gmd_*.deb /tmp/packages/gmd-tools_*.deb)
	[ "$how" != clean ] || { inside sh -c "apt-get install -y -q --no-install-recommends ${names[*]}"; return; }
	inside sh -c "dpkg --no-triggers -i ${names[*]}"
}
purge_packages() {
	inside dpkg --no-triggers --purge gmd-tools gmd || return
	[ "$how" != clean ] || inside apt-get autoremove -y -q --purge
}
complete() { # every file of ours has a place in a package: programs, pages, units
	local file
	for file in gmd gmctl gmload gmas; do [ -x "$new/usr/bin/$file" ] || return; done
	for file in man8/gmd.8 man5/gmd.conf.5 man1/gmctl.1 man1/gmload.1 man1/gmas.1; do [ -s "$new/usr/share/man/$file.gz" ] || return; done
	[ -s "$new/usr/share/doc/gmd/handbook.md" ] && [ -s "$new/etc/gmd/gmd.conf" ] && [ -s "$new/usr/lib/systemd/system/gmd.service" ]
}
status_package() { # beside the others where it was built: it comes whole, runs, and goes without a trace
	local deb
	deb=$(cd "$new/tmp/packages" && ls gmd-status_*.deb) && inside dpkg --no-triggers -i "/tmp/packages/$deb" && inside gmd-status --version &&
		[ -s "$new/usr/share/man/man8/gmd-status.8.gz" ] && [ -s "$new/usr/lib/systemd/system/gmd-status.service" ] &&
		[ -s "$new/usr/share/gmd/grafana/gmd.json" ] && [ -s "$new/usr/share/gmd/prometheus/gmd.rules.yml" ] && inside dpkg --no-triggers --purge gmd-status
}
owned() { [ "$(inside stat -c '%U %a' /etc/gmd/store.key /var/lib/gmd | paste -sd ' ')" = 'gmd 600 gmd 700' ]; }
of_unit() { sed -n "s/^$1=//p" "$new/usr/lib/systemd/system/gmd.service"; }
as_unit() { # shellcheck disable=SC2046,SC2086 # words
	inside setpriv --reuid gmd --regid gmd --groups "$(of_unit SupplementaryGroups | tr ' ' ,)" --inh-caps=-all --bounding-set=-all --no-new-privs $1
}
start_as_unit() {
	inside install -d -o gmd -g gmd -m 755 /run/gmd && as_unit "$(of_unit ExecStartPre)" || return
	as_unit "$(of_unit ExecStart)" >"$dir/gmd.log" 2>&1 &
	gmd_pid=$!
	until_true 60 inside gmctl status
}
# The lines in a chapter of the handbook, block by block, as they stand there.
lines() { # lines CHAPTER BLOCK; an empty BLOCK: of all
	awk -v chapter="## $1" -v want="$2" '/^## /{ on = $0 == chapter } !on { next }
		/^    / { if (!in_block) n++; in_block = 1; if (!want || n == want) print substr($0, 5); next } { in_block = 0 }' "$root/deploy/handbook.md"
}
# But for where backups go; what systemd does is done above. It raises the limit of locked memory, too: without it health may be degraded here.
commands() { # commands CHAPTER BLOCK
	# shellcheck disable=SC2016 # the handbook's own
	lines "$1" "$2" | sed '/systemctl/d; s|/srv/backup|/tmp/backup|; s|$(date +%F)|2026-01-31|; s/^gmctl health$/& || [ $? = 5 ]/'
}
follow() { # follow CHAPTER BLOCK...
	local chapter=$1 block
	shift
	inside sh -exc "cd /tmp; $(for block; do commands "$chapter" "$block"; done)"
}
first='First group in five minutes'
joined() { grep -q '"command":"join".*"ok":true' "$dir/load.log"; }
devices() { # what the handbook has in a second terminal goes on
	inside sh -c "cd /tmp; exec $(commands "$first" 3)" >"$dir/load.log" 2>&1 &
	load_pid=$!
	until_true 60 joined
}
devices_end() { kill "$load_pid" && wait "$load_pid" 2>/dev/null; load_pid=""; }
recorded() { # what was typed for the recording is what the handbook says
	local line
	while IFS= read -r line; do
		grep -qF -- "# $line" "$root/deploy/first-group.txt" || { echo "$line"; return 1; }
	done < <(lines "$first" '')
}
backed_up() { inside install -d -m 700 /tmp/backup && follow 'Backup and restore' 1 && [ "$(inside stat -c '%U %a' /tmp/backup/gmd-2026-01-31)" = 'root 600' ]; }
restored() { # the group, without its members
	follow 'Backup and restore' 2 && start_as_unit && [ "$(inside gmctl --json group show floor3 | field members)" = 0 ]
}
two_members() { [ "$(inside gmctl --json member list floor3 | wc -l)" = 2 ]; }
stop_as_unit() { inside sh -c 'kill $(pidof gmd)' && wait "$gmd_pid"; }
nothing_left() { inventory >"$dir/after" && diff "$dir/before" "$dir/after"; }
again() { install_packages && inside test -e /var/lib/gmd/data.mdb; }
removed_not_purged() { inside dpkg --no-triggers --remove gmd && inside test -s /etc/gmd/store.key && inside test -s /var/lib/gmd/data.mdb; }

# ---- the recording

terminal() { tmux -L "gmd-record-$$" -f /dev/null "$@"; }
prompts() { [ "$(wc -l <"$new/tmp/prompts.$1")" -gt "$2" ]; }
open_terminal() { # open_terminal first|second: a shell that says into a file how often it has asked
	local how=(new-session -d -s gmd -x 100 -y 40)
	[ "$1" = first ] || how=(new-window -d -t gmd:)
	: >"$new/tmp/prompts.$1"
	terminal "${how[@]}" -n "$1" "exec chroot $new /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=screen LC_ALL=C.UTF-8 PS1='# ' \
PROMPT_COMMAND='echo >>/tmp/prompts.$1' sh -c 'cd /tmp && exec bash --norc --noprofile'" && until_true 60 prompts "$1" 0
}
type_line() { # type_line first|second TEXT
	terminal send-keys -t "gmd:$1" -l -- "$2" && terminal send-keys -t "gmd:$1" Enter
}
typed=0
type_block() { # in the first one; the next line when it asks again
	local line
	while IFS= read -r line; do
		if [[ $line == systemctl* ]]; then
			start_as_unit || return
			line="# $line  (there is no systemd in here: what the unit starts was started)"
		fi
		type_line first "$line" && typed=$((typed + 1)) && until_true 60 prompts first "$typed" || return
	done < <(lines "$first" "$1")
}
screen() { terminal capture-pane -p -J -S - -t "gmd:$1" | sed 's/ *$//'; }
shows() { screen "$1" | grep -q -- "$2"; }
asks_again() { [ "$(screen first | grep . | tail -n 1)" = '#' ]; }
follow_in_terminals() {
	unset TMUX
	open_terminal first && open_terminal second && type_block 1 && type_block 2 && type_line second "$(lines "$first" 3)" &&
		until_true 60 shows second '"command":"join"' && type_block 4 && type_block 5 && until_true 60 asks_again
}
save_recording() { # save_recording FILE
	{
		printf -- '---- the first terminal\n\n' && screen first && printf -- '\n---- the second terminal\n\n' && screen second
	} | grep -v '^#$' | cat -s | sed '${/^$/d}' >"$1"
}
record_in_namespace() {
	new=$dir/new
	mkdir "$new"
	must 'an overlay over this root' overlay_root
	must 'what the kernel gives' kernel_files
	must 'gmd and gmd-tools are installed' install_packages
	check 'the handbook is followed in two terminals' follow_in_terminals
	save_recording "$1"
	terminal kill-server
	check 'gmd stops in order' stop_as_unit
}

in_namespace() {
	new=$dir/new
	mkdir "$new"
	if [ "$how" = clean ]; then
		must 'it is mounted' clean_root
	elif ! overlay_root >"$dir/check.log" 2>&1; then
		skip "installing: no overlay over this machine's root"
		return
	fi
	must 'what the kernel gives' kernel_files
	inventory >"$dir/before"
	must 'gmd and gmd-tools are installed' install_packages
	check 'all their files are there' complete
	check "the store and its key are gmd's alone" owned
	if [ "$how" = clean ] || ! ls "$dir"/packages/gmd-status_*.deb >/dev/null 2>&1; then
		skip 'gmd-status: not built, or a new Debian, which has not what it needs'
	else
		check 'gmd-status is installed, runs, and goes' status_package
	fi
	check 'the handbook: configured' follow "$first" 1
	if check 'gmd starts as the unit starts it' start_as_unit; then
		check 'the handbook: a first group' follow "$first" 2
		check 'the handbook: three devices join' devices
		check 'the handbook: they are there, are rekeyed, one is put out' follow "$first" 4 5
		check 'two of three members are left' two_members
		devices_end
		check 'the handbook: a backup' backed_up
		check 'gmd stops in order' stop_as_unit
		check 'the handbook: restored, and it serves' restored
		check 'and stops in order' stop_as_unit
	fi
	check 'removed, they leave the store and its key' removed_not_purged
	check 'installed again, the store is as it was' again
	check 'purged' purge_packages
	check 'nothing is left' nothing_left
}

how=${1:-overlay} to=${2:-}
if [ -n "${GM_PACKAGE_DIR:-}" ]; then # the part in namespaces
	dir=$GM_PACKAGE_DIR
	mount --make-rprivate /
	if [ "$how" = record ]; then record_in_namespace "$to"; else in_namespace; fi
	tally
	[ "$failed" = 0 ]
	exit
fi
[ "$how" != record ] || to=$(realpath -m "${to:?FILE}")
begin
say "Debian packages, in $([ "$how" = clean ] && echo 'a new Debian' || echo "this machine's root, below an overlay")"
programs_all
[ "$how" = record ] || check 'the recording is of the handbook as it is' recorded
must 'cpack makes the packages' make_packages
say "      $(cd "$dir/packages" && ls ./*.deb | sed 's|./||' | paste -sd ' ')"
if [ "$(id -u)" != 0 ] || ! unshare --mount --net true 2>/dev/null; then
	skip 'installing: needs root and namespaces'
else
	[ "$how" != clean ] || must 'debootstrap makes a Debian' make_debian
	GM_PACKAGE_DIR=$dir unshare --mount --net --pid --fork --kill-child "$self" "$how" "$to" | tee "$dir/in.log"
	read -r p _ f _ s _ <<<"$(tail -n 1 "$dir/in.log" | tr -d ,)"
	passed=$((passed + ${p:-0})) failed=$((failed + ${f:-1})) skipped=$((skipped + ${s:-0}))
fi
tally
[ "$failed" = 0 ]
