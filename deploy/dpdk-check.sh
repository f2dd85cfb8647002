#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Says what is missing for `port: dpdk`, for a kernel interface (af_packet, af_xdp) or for a PCI device (vfio). Changes nothing.
#
#   deploy/dpdk-check.sh INTERFACE|PCI-ADDRESS [DIRECTORY of gmd-dpdk.so]
# shellcheck disable=SC2015 # ok does not fail
set -u

[ $# -ge 1 ] || { sed -n '/^#   /s/^#   //p' "$0" >&2; exit 2; }
target=$1
here=$(cd "$(dirname "$0")/.." && pwd)
missing=0

ok() { printf 'ok       %s\n' "$*"; }
lacks() { missing=$((missing + 1)); printf 'missing  %s\n' "$*"; }
note() { printf 'note     %s\n' "$*"; }

object=
for dir in "${2:-}" "$here/build/fast" /usr/lib/gmd /usr/local/lib/gmd; do
	[ -z "$object" ] && [ -n "$dir" ] && [ -e "$dir/gmd-dpdk.so" ] && object=$dir/gmd-dpdk.so
done
if [ -z "$object" ]; then
	lacks "gmd-dpdk.so: install libdpdk-dev and libmnl-dev (deploy/install.sh dpdk), then build again"
elif ldd "$object" | grep -q 'not found'; then
	lacks "libraries of $object:$(ldd "$object" | awk '/not found/ { printf " " $1 }')"
else
	ok "$object and its libraries"
fi

# CapEff of this process: bit 12 NET_ADMIN, 13 NET_RAW, 39 BPF, 14 IPC_LOCK
caps=$((0x$(awk '/^CapEff/ { print $2 }' /proc/self/status)))
has() { [ $((caps >> $1 & 1)) = 1 ]; }

huge=$(awk '/^HugePages_Free/ { print $2 }' /proc/meminfo)
if [ "${huge:-0}" -gt 0 ]; then ok "$huge huge pages are free"; else note 'no huge pages are free: use --no-huge (a little slower)'; fi

case $target in
*:*:*.*)
	device=/sys/bus/pci/devices/$target
	[ -e "$device" ] && ok "device $target" || lacks "device $target: see dpdk-devbind.py --status"
	driver=$(basename "$(readlink "$device/driver" 2>/dev/null)" 2>/dev/null)
	[ "$driver" = vfio-pci ] && ok 'bound to vfio-pci' || lacks "vfio-pci on $target (now: ${driver:-none}): dpdk-devbind.py --bind=vfio-pci $target"
	[ -c /dev/vfio/vfio ] && ok '/dev/vfio/vfio' || lacks '/dev/vfio/vfio: modprobe vfio-pci'
	[ -n "$(ls /sys/kernel/iommu_groups 2>/dev/null)" ] && ok 'an IOMMU' || lacks 'an IOMMU: intel_iommu=on or amd_iommu=on; without one only vfio in no-IOMMU mode'
	note "a device on vfio has no kernel interface: name one in dpdk_interface whose routes and neighbours count (deploy/dpdk.md)"
	;;
*)
	link=/sys/class/net/$target
	if [ -e "$link" ]; then
		ok "interface $target"
		[ "$(cat "$link/operstate")" != down ] && ok "$target is up" || lacks "$target is down: ip link set $target up"
		[ "$(cat "$link/type")" = 1 ] && ok "$target is Ethernet" || lacks "$target is not Ethernet"
	else
		lacks "interface $target"
	fi
	has 13 && ok 'CAP_NET_RAW' || lacks 'CAP_NET_RAW'
	has 12 && ok 'CAP_NET_ADMIN' || lacks 'CAP_NET_ADMIN'
	if has 39 && has 14; then ok 'CAP_BPF and CAP_IPC_LOCK, for net_af_xdp'; else note 'net_af_xdp needs CAP_BPF and CAP_IPC_LOCK as well'; fi
	;;
esac
[ "$missing" = 0 ]
