#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds what a bench needs into build/bench and runs it. JSON on standard output, for people on standard error.
#
#   bench/run.sh crypto [--quick] [BENCH...]     what the batches of crypto/ do; --quick: within 40 seconds
#   bench/run.sh model [BENCH...]                what they take on processors that are not at hand, by llvm-mca
#   bench/run.sh rekey|join|storm|read|overload [--port uring|mmsg|dpdk] [--members N] [--runs R] [--plot FILE.svg] [--budget]
#                                                gmd, gmas and gmload, each run next to its floor; --budget: where cycles go
#   bench/run.sh dpdk-null [--seconds S]         sealed rekeying messages handed to a driver that drops them; needs root
#   bench/run.sh walk [-n MEMBERS] [-w WINDOW] [-o] [-r RUNS]       cycles of a worker for a rekey, without a network
#   bench/run.sh memory [--members N] [--groups G] [--workers W]     bytes a member, seconds of a start
#   bench/run.sh scaling [--members N] [--rounds R] [--each E]       two workers next to one, on a load that is prepared
#
# GM_BUILD=DIR: built already.
set -eu
cd "$(dirname "$0")/.."

usage() {
	sed -n '/^#   /s/^#   //p' "$0" >&2
	exit 2
}

# build DIRECTORY TARGET...
build() {
	[ -z "${GM_BUILD:-}" ] || return 0
	dir=$1
	shift
	cmake -S . -B "$dir" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DGM_TESTS=OFF >&2
	cmake --build "$dir" --target "$@" >&2
	GM_BUILD=$dir
	export GM_BUILD
}

# What is there of the DPDK port; without its libraries there is none.
port_object() {
	case " $* " in
	*dpdk*) echo gmd-dpdk ;;
	esac
}

[ $# -gt 0 ] || usage
what=$1
shift
case $what in
crypto)
	build build/bench bench_crypto
	exec "$GM_BUILD/bench_crypto" "$@"
	;;
model)
	build build/bench bench_model
	exec /usr/bin/python3 bench/model/model.py "$@"
	;;
rekey | join | storm | read | overload)
	set -- "$what" "$@"
	# shellcheck disable=SC2046 # none or one word
	build build/bench gmd gmctl gmas gmload bench_floor $(port_object "$@")
	exec /usr/bin/python3 bench/live/live.py "$@"
	;;
dpdk-null)
	build build/bench bench_dpdk gmd-dpdk
	exec /usr/bin/python3 bench/live/null.py "$@"
	;;
walk)
	build build/bench bench_walk
	exec "$GM_BUILD/bench_walk" "$@"
	;;
memory)
	build build/bench bench_memory
	exec "$GM_BUILD/bench_memory" "$@"
	;;
scaling)
	build build/bench bench_scaling
	exec "$GM_BUILD/bench_scaling" "$@"
	;;
*) usage ;;
esac
