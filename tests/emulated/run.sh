#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tests of crypto/ on a processor that this machine need not have: Ice Lake, with AVX-512 IFMA, VAES and SHA-NI, in the
# emulator Bochs. Boots a Debian kernel, unpacked from its package and never installed, with the programs of build/fast as
# its RAM disk; no network, no disk to write to. The last line counts; *skipped* where Bochs is missing.
#
#   tests/emulated/run.sh [JOBS]       of the differential run; more than a few thousand take hours
#
# MODEL=tigerlake for another processor; KERNEL=/boot/vmlinuz-... for a kernel that is there already.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=${here%/tests/emulated}
build=${GM_BUILD:-$root/build/fast}
work=$root/build/emulated
jobs=${1:-2000}

skip() {
	echo "skipped: $1"
	echo '0 passed, 0 failed, 1 skipped'
	exit 0
}
command -v bochs >/dev/null || skip 'no Bochs: apt-get install bochs bochs-term bochsbios vgabios'
bios=/usr/share/bochs/BIOS-bochs-latest vga=/usr/share/vgabios/vgabios.bin
[ -e $bios ] && [ -e $vga ] || skip 'no BIOS for Bochs: apt-get install bochsbios vgabios'
ls /usr/lib/*/bochs/plugins/libbx_term_gui.so >/dev/null 2>&1 || skip 'no terminal for Bochs: apt-get install bochs-term'
command -v script >/dev/null || skip 'no script(1): apt-get install bsdutils'

mkdir -p "$work"
cd "$work"

# The kernel for virtual machines: small and of few drivers.
kernel=${KERNEL:-$(ls boot/vmlinuz-*-cloud-amd64 2>/dev/null | head -n 1)}
if [ -z "$kernel" ]; then
	package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }')
	[ -n "$package" ] && apt-get download -q "$package" >apt.log 2>&1 || skip 'no kernel: apt-get download linux-image-cloud-amd64 failed'
	dpkg-deb -x "$package"_*.deb unpacked
	mkdir -p boot
	mv unpacked/boot/vmlinuz-* boot/
	rm -r unpacked "$package"_*.deb
	kernel=$(ls boot/vmlinuz-*-cloud-amd64)
fi

# What runs in there, one a line.
tests="/bin/test_unit_crypto_dispatch --verbose=1 -j1
/bin/test_unit_crypto_trial --verbose=1 -j1
/bin/differential --jobs $jobs --curves $((jobs / 20 + 1)) --variants ifma,vaes,shani
/bin/trace 2 ifma
/bin/trace 3 vaes
/bin/trace 3 shani
/bin/test_unit_crypto_x25519 --verbose=1 -j1
GM_CASES=64 /bin/test_unit_crypto_ed25519_lanes --verbose=1 -j1
GM_JOBS=200 /bin/test_unit_crypto_hkdf_variants --verbose=1 -j1
GM_JOBS=200 /bin/test_unit_crypto_ccm_variants --verbose=1 -j1
/bin/test_cross_crypto_libraries --verbose=1 -j1"
tests=${TESTS:-$tests}

rm -rf disk
mkdir -p disk/proc disk/tmp disk/bin "disk$root/tests"
programs=$(printf '%s\n' "$tests" | grep -oE '/bin/[^ ]+' | sort -u)
for program in $programs; do
	strip -o "disk$program" "$build/${program#/bin/}"
	ldd "$build/${program#/bin/}" | grep -oE '/[^ ]+'
done | sort -u | while read -r library; do
	mkdir -p "disk${library%/*}"
	cp -L "$library" "disk$library"
done
cp -r "$root/tests/vectors" "disk$root/tests/" # where the programs look for them
printf '%s\n' "$tests" >disk/tests
${CC:-gcc} -O2 -static "$here/init.c" -o disk/init
${CC:-gcc} -c "$here/boot.S" -o boot.o
ld -Ttext 0x7c00 --oformat binary -o boot.bin boot.o

# Bochs 2.7 names features that the kernel then expects more of: no XSAVEC, XSAVES (321, 323: sizes of the compact form), no
# PKU (515: of no size), no FSRM (580: without ERMS, memmove() of this kernel goes astray).
cylinders=$(/usr/bin/python3 "$here/image.py" disk.img boot.bin "$kernel" disk 512 \
	'console=ttyS0 quiet nokaslr panic=-1 random.trust_cpu=on clearcpuid=321,323,515,580')
# A slow clock: whatever waits for time waits for fewer instructions.
cat >bochsrc <<END
display_library: term
cpu: model=${MODEL:-corei7_icelake_u}, ips=8000000, reset_on_triple_fault=0
clock: sync=none
megs: 512
romimage: file=$bios
vgaromimage: file=$vga
ata0-master: type=disk, path=disk.img, mode=flat, cylinders=$cylinders, heads=16, spt=63
ata1: enabled=0
boot: disk
com1: enabled=1, mode=file, dev=console
log: bochs.log
panic: action=fatal
error: action=ignore
sound: driver=dummy
END
echo c >debugger # Debian's Bochs is built with its debugger: go on
rm -f disk.img.lock console
touch console

# It wants a terminal and ends itself when the machine says so.
TERM=vt100 script -qec 'exec bochs -q -f bochsrc -rc debugger' screen </dev/null >/dev/null &
emulator=$!
trap 'kill $emulator 2>/dev/null || :' EXIT
begun=$SECONDS
while kill -0 $emulator 2>/dev/null && ! grep -qE '^emulated: [0-9]+ passed, [0-9]+ failed' console; do
	[ $((SECONDS - begun)) -lt "${LIMIT:-7200}" ] || { echo "no end after $((SECONDS - begun)) s"; break; }
	sleep 1
done
wait_for() { for _ in $(seq 10); do kill -0 $emulator 2>/dev/null || return 0; sleep 1; done; }
wait_for

tr -d '\r' <console | sed 's/\x1b\[[0-9;]*m//g' | grep -vE '^\[ +[0-9.]+\]|^\[(RUN|PASS) '
if verdict=$(grep -oE '^emulated: [0-9]+ passed, [0-9]+ failed' console); then
	echo "${verdict#emulated: }, 0 skipped"
	case $verdict in *', 0 failed') exit 0 ;; esac
else
	tail -n 5 bochs.log
	echo '0 passed, 1 failed, 0 skipped'
fi
exit 1
