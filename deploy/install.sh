#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the packages of Debian 12 that are needed: to build and run gmd, and with "all" (default) for the tests as well.
#
#   deploy/install.sh [build|dpdk|all]     dpdk: to build, and what the DPDK port needs
set -eu

build='gcc libc6-dev cmake ninja-build pkg-config libsodium-dev libssl-dev liburing-dev liblmdb-dev libcyaml-dev libyaml-dev
       libjansson-dev libedit-dev libsystemd-dev libmicrohttpd-dev'
tests='libcriterion-dev libcbor-dev clang-14 libclang-rt-14-dev llvm-14 tshark valgrind zsh python3 python3-cbor2
       python3-cryptography python3-prometheus-client'

dpdk='libdpdk-dev dpdk libbpf-dev clang-14 llvm-14 iproute2 iputils-ping'

case ${1:-all} in
build) wanted=$build optional= ;;
dpdk) wanted="$build $dpdk" optional= ;;
all) wanted="$build $tests" optional="$dpdk lld" ;;
*) echo "usage: deploy/install.sh [build|dpdk|all]" >&2; exit 2 ;;
esac

missing_of() {
	for package; do
		state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
		[ "$state" = installed ] || printf ' %s' "$package"
	done
}
# shellcheck disable=SC2086 # one word per package
missing=$(missing_of $wanted)
# shellcheck disable=SC2086
optional=$(missing_of $optional)
[ -n "$missing$optional" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	[ -z "$optional" ] || echo "for the DPDK port, as root: apt-get install --no-install-recommends$optional" >&2
	[ -n "$missing" ] || exit 0
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
if [ -n "$missing" ]; then
	if ! install && ! { quietly apt-get update -q && install; }; then
		cat "$log" >&2
		exit 1
	fi
	echo "installed:$missing"
fi
[ -n "$optional" ] || exit 0
missing=$optional
if install || { quietly apt-get update -q && install; }; then
	echo "installed:$missing"
else
	echo "not installed:$missing (gmd is built without the DPDK port where its packages are missing)" >&2
fi
