#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Says what is missing for `port: dpdk` in one of the set-ups of deploy/dpdk.md. Changes nothing; exit 0: nothing is missing.
#
#   deploy/dpdk-check.sh af_xdp|af_packet INTERFACE [DIRECTORY of gmd-dpdk.so]
#   deploy/dpdk-check.sh vfio|bifurcated PCI-ADDRESS [DIRECTORY of gmd-dpdk.so]
# shellcheck disable=SC2015 # ok does not fail
set -u

usage() { sed -n '/^#   /s/^#   //p' "$0" >&2; exit 2; }
case ${1:-} in
af_xdp|af_packet|vfio|bifurcated) how=$1 ;;
*) usage ;;
esac
target=${2:-}
[ -n "$target" ] || usage
here=$(cd "$(dirname "$0")/.." && pwd)
missing=0

ok() { printf 'ok       %s\n' "$*"; }
lacks() { missing=$((missing + 1)); printf 'missing  %s\n' "$*"; }
note() { printf 'note     %s\n' "$*"; }

# CapEff of this process, by bit
caps=$((0x$(awk '/^CapEff/ { print $2 }' /proc/self/status)))
may() { if [ $((caps >> $1 & 1)) = 1 ]; then ok "$2"; else lacks "$2, for gmd: AmbientCapabilities= in its unit, or setpriv"; fi; }

# ---- whatever it is

object=
for dir in "${3:-}" "$here/build/fast" /usr/lib/gmd /usr/local/lib/gmd; do
	[ -z "$object" ] && [ -n "$dir" ] && [ -e "$dir/gmd-dpdk.so" ] && object=$dir/gmd-dpdk.so
done
if [ -z "$object" ]; then
	lacks "gmd-dpdk.so: install libdpdk-dev (deploy/install.sh dpdk), then build again"
elif ldd "$object" | grep -q 'not found'; then
	lacks "libraries of $object:$(ldd "$object" | awk '/not found/ { printf " " $1 }')"
else
	ok "$object and its libraries"
fi

driver() {
	for dir in /usr/lib/*/dpdk/pmds-* /usr/local/lib/*/dpdk/pmds-*; do
		[ -e "$dir/librte_$1.so" ] || ls "$dir/librte_$1.so".* >/dev/null 2>&1 || continue
		ok "DPDK's driver $1"
		return
	done
	lacks "DPDK's driver $1 (package libdpdk-dev, or the librte-* package that has it)"
}

huge() {
	free=$(awk '/^HugePages_Free/ { print $2 }' /proc/meminfo)
	if [ "${free:-0}" -gt 0 ]; then ok "$free huge pages are free: --no-huge may be left out"
	else note 'no huge pages are free: use --no-huge, or echo 64 >/proc/sys/vm/nr_hugepages'; fi
}

interface() {
	link=/sys/class/net/$target
	[ -e "$link" ] || { lacks "interface $target"; return; }
	ok "interface $target"
	[ "$(cat "$link/operstate")" != down ] && ok "$target is up" || lacks "$target is down: ip link set $target up"
	[ "$(cat "$link/type")" = 1 ] && ok "$target is Ethernet" || lacks "$target is not Ethernet"
}

# ---- af_xdp

xdp() {
	driver net_af_xdp
	[ -n "$object" ] && grep -q gm_steer "$object" && ok 'the steering program' ||
		lacks 'the steering program in gmd-dpdk.so: install libbpf-dev, clang-14 and llvm-14, then build again'
	may 39 CAP_BPF
	may 14 CAP_IPC_LOCK
	[ $((caps >> 21 & 1)) = 1 ] || note 'without CAP_SYS_ADMIN a leftover of a start that was killed has to be taken away by hand'
	mtu=$(cat "/sys/class/net/$target/mtu" 2>/dev/null || echo 0)
	[ "$mtu" -le 3498 ] && ok "MTU $mtu" || lacks "an MTU that XDP takes: $target has $mtu, at most about 3,498"
	program=$(ip -d link show "$target" 2>/dev/null | sed -n 's/.*prog\/xdp id \([0-9]*\).*/\1/p')
	[ -z "$program" ] && ok 'no XDP program is there yet' ||
		lacks "an interface without XDP program: $target has program $program (gmd's own while it runs): ip link set dev $target xdp off"
	if command -v ethtool >/dev/null; then
		note "queues of $target: $(ethtool -l "$target" 2>/dev/null | awk '/^Current/ { now = 1 } now && /^Combined/ { print $2 }' |
			grep . || echo 'not told, so 1, or one --vdev each')"
	fi
}

# ---- cards

card() {
	device=/sys/bus/pci/devices/$target
	[ -e "$device" ] && ok "device $target" || lacks "device $target: see dpdk-devbind.py --status"
	bound=$(basename "$(readlink "$device/driver" 2>/dev/null)" 2>/dev/null)
	driver net_tap
	[ -c /dev/net/tun ] && ok '/dev/net/tun' || lacks '/dev/net/tun, for the kernel'\''s way to the card: modprobe tun'
	may 12 CAP_NET_ADMIN
}

vfio() {
	[ "$bound" = vfio-pci ] && ok 'bound to vfio-pci' || lacks "vfio-pci on $target (now: ${bound:-none}): dpdk-devbind.py --bind=vfio-pci $target"
	[ -c /dev/vfio/vfio ] && ok '/dev/vfio/vfio' || lacks '/dev/vfio/vfio: modprobe vfio-pci'
	[ -n "$(ls /sys/kernel/iommu_groups 2>/dev/null)" ] && ok 'an IOMMU' || lacks 'an IOMMU: intel_iommu=on or amd_iommu=on; without one only vfio in no-IOMMU mode'
}

bifurcated() {
	case $bound in
	mlx4_core|mlx5_core) ok "driver $bound shares the card" ;;
	*) lacks "a driver that shares the card with the kernel (now: ${bound:-none}): mlx4_core or mlx5_core" ;;
	esac
	driver "net_${bound%_core}"
	[ -n "$(ls /dev/infiniband/uverbs* 2>/dev/null)" ] && ok '/dev/infiniband/uverbs*' || lacks '/dev/infiniband/uverbs*: modprobe ib_uverbs'
}

case $how in
af_xdp) interface; may 13 CAP_NET_RAW; may 12 CAP_NET_ADMIN; xdp ;;
af_packet) interface; may 13 CAP_NET_RAW; may 12 CAP_NET_ADMIN; driver net_af_packet ;;
vfio) card; vfio ;;
bifurcated) card; bifurcated ;;
esac
huge
[ "$missing" = 0 ]
