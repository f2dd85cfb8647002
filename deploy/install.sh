#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the packages of Debian 12 that are needed: to build and run gmd, and with "all" (default) for the tests as well.
#
#   deploy/install.sh [build|all]
set -eu

build='gcc libc6-dev cmake ninja-build pkg-config libsodium-dev libssl-dev liburing-dev liblmdb-dev libcyaml-dev
       libjansson-dev'
tests='libcriterion-dev clang-14 libclang-rt-14-dev llvm-14 tshark valgrind python3 python3-cbor2
       python3-cryptography'

case ${1:-all} in
build) wanted=$build ;;
all) wanted="$build $tests" ;;
*) echo "usage: deploy/install.sh [build|all]" >&2; exit 2 ;;
esac

missing=
for package in $wanted; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "these packages are missing; install them as root:" >&2
	echo "  apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
	DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1
}
install() {
	# shellcheck disable=SC2086 # one word per package
	quietly apt-get install -y -q --no-install-recommends $missing
}
# The lists may be missing or old: refresh them only when the first attempt fails.
if ! install && ! { quietly apt-get update -q && install; }; then
	cat "$log" >&2
	exit 1
fi
echo "installed:$missing"
