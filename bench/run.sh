#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds what a bench needs into build/bench and runs it. JSON on standard output, for people on standard error.
#
#   bench/run.sh crypto [--quick] [BENCH...]     what the batches of crypto/ do; --quick: within 40 seconds
set -eu
cd "$(dirname "$0")/.."

usage() {
	sed -n '/^#   /s/^#   //p' "$0" >&2
	exit 2
}

build() {
	cmake -S . -B build/bench -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DGM_TESTS=OFF >&2
	cmake --build build/bench --target "$1" >&2
}

[ $# -gt 0 ] || usage
what=$1
shift
case $what in
crypto)
	build bench_crypto
	exec build/bench/bench_crypto "$@"
	;;
*) usage ;;
esac
