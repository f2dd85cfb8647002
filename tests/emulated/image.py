#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that boots a Linux kernel: image.py OUT BOOT_SECTOR KERNEL FOLDER MEGABYTES COMMAND_LINE

The folder becomes the initial RAM disk.

Documentation/x86/boot.rst and zero-page.rst of the kernel say what stands where."""

import os
import stat
import struct
import sys

SECTOR = 512
PARAMS, KERNEL, RAM_DISK = 0x10000, 0x100000, 0x8000000
COMMAND_LINE = PARAMS + 0x1000
TABLE = 448


def boot_params(kernel, ram_disk, megabytes):
    end = 0x202 + kernel[0x201]
    page = bytearray(0x1000)
    page[0x1F1:end] = kernel[0x1F1:end]
    page[0x210] = 0xFF  # a loader without a number
    page[0x211] |= 1  # loaded high
    struct.pack_into("<II", page, 0x218, RAM_DISK, len(ram_disk))
    struct.pack_into("<I", page, 0x228, COMMAND_LINE)
    memory = [(0, 0x9F000), (0x100000, (megabytes << 20) - 0x200000)]  # what is above is the firmware's
    page[0x1E8] = len(memory)
    for i, (start, size) in enumerate(memory):
        struct.pack_into("<QQI", page, 0x2D0 + 20 * i, start, size, 1)
    return page


def archived(name, mode, content=b"", device=(0, 0)):
    """one file of a cpio archive in the form "newc" """
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def archive(folder):
    out = [archived("dev", stat.S_IFDIR | 0o755), archived("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))]
    for at, folders, files in os.walk(folder):
        at_there = os.path.relpath(at, folder)
        out += [archived(os.path.normpath(os.path.join(at_there, f)), stat.S_IFDIR | 0o755) for f in folders]
        for f in files:
            with open(os.path.join(at, f), "rb") as file:
                mode = stat.S_IFREG | (0o755 if os.access(file.name, os.X_OK) else 0o644)
                out.append(archived(os.path.normpath(os.path.join(at_there, f)), mode, file.read()))
    return b"".join(out) + archived("TRAILER!!!", 0)


def padded(piece):
    return bytes(piece) + bytes(-len(piece) % SECTOR)


def main():
    out, boot, kernel, folder, megabytes, command_line = sys.argv[1:]
    with open(boot, "rb") as f:
        boot = bytearray(f.read())
    with open(kernel, "rb") as f:
        kernel = f.read()
    ram_disk = archive(folder)
    if kernel[0x202:0x206] != b"HdrS":
        sys.exit(f"{sys.argv[3]} is no Linux kernel")
    setup = SECTOR * (1 + (kernel[0x1F1] or 4))
    params = boot_params(kernel, ram_disk, int(megabytes)) + command_line.encode() + b"\0"
    at, table, disk = 1, b"", b""
    for piece, address in (params, PARAMS), (kernel[setup:], KERNEL), (ram_disk, RAM_DISK):
        piece = padded(piece)
        table += struct.pack("<III", at, len(piece) // SECTOR, address)
        disk += piece
        at += len(piece) // SECTOR
    table += struct.pack("<IIIII", 0, 0, 0, KERNEL + 0x200, PARAMS)
    boot[TABLE:TABLE + len(table)] = table
    track = 16 * 63 * SECTOR  # a cylinder
    disk = bytes(boot) + disk
    with open(out, "wb") as f:
        f.write(disk + bytes(-len(disk) % track))
    print((len(disk) + track - 1) // track)  # cylinders


main()
