#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# deploy/quickstart.sh in a new Debian 12: deploy/install.sh names every package that building and running needs, and gcc alone compiles it all.
#
#   tests/clean.sh [MEMBERS]       default 200
#
# As root, with debootstrap and a network for apt; what HEAD has is built, in a directory that goes with it.
set -u
# shellcheck source=deploy/lib.sh
. "$(dirname "$0")/../deploy/lib.sh"

mirror() { # shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1
}
new_debian() {
	local from
	from=$(mirror) && debootstrap --variant=minbase bookworm "$dir/debian" "${from:-http://deb.debian.org/debian}" &&
		cp /etc/resolv.conf "$dir/debian/etc/" && mkdir "$dir/debian/src" && git -C "$root" archive HEAD | tar -x -C "$dir/debian/src"
}
# The mounts go with their namespace.
in_it() {
	# shellcheck disable=SC2016 # the inner shell's
	unshare --mount bash -c 'cd "$1" && mount --make-rprivate / && mount -t proc proc proc && mount --rbind /sys sys && mount --rbind /dev dev &&
		mount -t tmpfs tmpfs tmp && exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
			sh -c "cd /src && exec deploy/quickstart.sh $2"' - "$dir/debian" "$1"
}

begin
say 'The quickstart in a new Debian 12'
if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null || ! unshare --mount true 2>/dev/null; then
	skip 'needs root, namespaces and debootstrap'
else
	must 'debootstrap makes one' new_debian
	check 'everything is installed, built, and runs' in_it "${1:-200}"
fi
tally
[ "$failed" = 0 ]
