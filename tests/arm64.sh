#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# crypto/ and wire/ compiled for arm64, and their unit tests run by QEMU's user mode: the portable variants, on another
# processor. Debian's packages for arm64, and QEMU, are unpacked below build/arm64, none is installed. The last line counts;
# *skipped* where something cannot be had.
#
#   tests/arm64.sh [JOBS]       of the differential run
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=${here%/tests}
work=$root/build/arm64
sysroot=$work/sysroot
jobs=${1:-20000}

skip() {
	echo "skipped: $1"
	echo '0 passed, 0 failed, 1 skipped'
	exit 0
}
# GCC for it, or clang with its linker
if command -v aarch64-linux-gnu-gcc >/dev/null; then
	cc=aarch64-linux-gnu-gcc
	compiler="-DCMAKE_C_COMPILER=$cc"
elif command -v clang-14 >/dev/null && command -v ld.lld-14 >/dev/null; then
	cc='clang-14 --target=aarch64-linux-gnu'
	compiler="-DCMAKE_C_COMPILER=clang-14 -DCMAKE_C_COMPILER_TARGET=aarch64-linux-gnu -DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld-14
	          -DCMAKE_MODULE_LINKER_FLAGS=-fuse-ld=lld-14"
else
	skip 'no compiler: apt-get install gcc-aarch64-linux-gnu, or clang-14 and lld-14'
fi
command -v cmake >/dev/null && command -v ninja >/dev/null || skip 'no cmake, or no ninja'

packages='libc6 libc6-dev linux-libc-dev libcrypt1 libgcc-s1 libgcc-12-dev libsodium23 libsodium-dev libssl3 libssl-dev
          libjansson4 libjansson-dev liburing2 liburing-dev liblmdb0 liblmdb-dev libcyaml1 libcyaml-dev libyaml-0-2 libyaml-dev
          libedit2 libedit-dev libbsd0 libmd0 libtinfo6 libncurses-dev libsystemd0 libsystemd-dev'

# Lists of their own, so that the system's stay as they are.
fetch() {
	local lists="-o APT::Architectures::=amd64 -o APT::Architectures::=arm64 -o Dir::State::Lists=$work/lists -o Dir::Cache=$work/cache"
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages"
	cd "$work/packages"
	# shellcheck disable=SC2086 # options, and one word per package
	apt-get $lists -q update && apt-get $lists -q download $(printf '%s:arm64 ' $packages) qemu-user-static:amd64
	for package in *_arm64.deb; do
		dpkg-deb -x "$package" "$sysroot.new"
	done
	dpkg-deb -x qemu-user-static_*.deb "$work"
	mv "$sysroot.new" "$sysroot"
	cd "$work"
	rm -r packages lists cache
}
mkdir -p "$work"
if [ ! -d "$sysroot" ]; then
	(set -e; fetch) >"$work/fetch.log" 2>&1 || { tail -n 3 "$work/fetch.log"; skip 'the packages for arm64 cannot be had'; }
fi
qemu=$work/usr/bin/qemu-aarch64-static

# Criterion's place in there is taken by our own.
lib=$sysroot/usr/lib/aarch64-linux-gnu
cp -r "$here/arm64/criterion" "$sysroot/usr/include/"
# shellcheck disable=SC2086 # words
$cc --sysroot="$sysroot" -I"$here/arm64" -O2 -Wall -Wextra -Werror -c "$here/arm64/criterion.c" -o "$work/criterion.o"
rm -f "$lib/libcriterion.a"
ar rc "$lib/libcriterion.a" "$work/criterion.o"
printf 'Name: criterion\nDescription: as much of it as these tests use\nVersion: 2.4.1\nLibs: -lcriterion\n' >"$lib/pkgconfig/criterion.pc"
export PKG_CONFIG_LIBDIR=$lib/pkgconfig:$sysroot/usr/share/pkgconfig PKG_CONFIG_SYSROOT_DIR=$sysroot

# shellcheck disable=SC2086 # options
cmake --fresh -G Ninja -S "$root" -B "$work/build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_SYSTEM_NAME=Linux \
	-DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_SYSROOT="$sysroot" -DCMAKE_LIBRARY_ARCHITECTURE=aarch64-linux-gnu \
	-DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER -DCMAKE_CROSSCOMPILING_EMULATOR="$qemu;-L;$sysroot" -DGM_TESTS=ON \
	-DVALGRIND=VALGRIND-NOTFOUND -DCMAKE_C_FLAGS=-Wno-unused $compiler >"$work/configure.log" 2>&1 || { tail -n 20 "$work/configure.log"; echo '0 passed, 1 failed'; exit 1; }
targets=$(cd "$here" && ls unit/crypto/*.c unit/wire/*.c cross/crypto_libraries.c | sed 's|/|_|g; s|\.c$||; s|^|test_|')
# shellcheck disable=SC2086
cmake --build "$work/build" -j "$(nproc)" --target differential $targets >"$work/build.log" 2>&1 ||
	{ grep -E -A 5 'error|FAILED' "$work/build.log" | head -n 40; echo '0 passed, 1 failed'; exit 1; }

GM_CASES=64 GM_JOBS=500 ctest --test-dir "$work/build" -R '^(unit/crypto|unit/wire|cross/crypto_libraries)' --timeout 1200 >"$work/tests.log" 2>&1 || :
grep -E ' Test +#|check failed' "$work/tests.log" || :
numbers=$(awk '/ Test +#[0-9]+: / { if (/ Passed /) p++; else f++ } END { print p + 0, f + 0 }' "$work/tests.log")
passed=${numbers% *} failed=${numbers#* }
if "$qemu" -L "$sysroot" "$work/build/differential" --jobs "$jobs"; then
	passed=$((passed + 1))
else
	failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 1 ]
