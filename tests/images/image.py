# SPDX-License-Identifier: Apache-2.0
"""What stands in the memory of a process: read while it runs, or stopped at its very end."""
import ctypes
import os
import re
import signal

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
TRACEME, CONT, DETACH, SETOPTIONS = 0, 7, 17, 0x4200
TRACEEXIT, EXITKILL, EVENT_EXIT = 0x40, 0x100000, 6


class Area:
    """A part of the address space, with its flags: dd, out of core dumps; lo, locked."""

    def __init__(self, line):
        span, self.rights, *rest = line.split(None, 5)
        self.start, self.end = (int(n, 16) for n in span.split('-'))
        self.name = rest[3].strip() if len(rest) > 3 else ''
        self.flags = set()

    def __str__(self):
        return '%s of %d KiB' % (self.name or 'anonymous', (self.end - self.start) >> 10)


def areas(pid):
    """All of them, by /proc/PID/smaps."""
    found = []
    with open('/proc/%d/smaps' % pid, encoding='utf-8') as file:
        for line in file:
            if re.match('[0-9a-f]+-[0-9a-f]+ ', line):
                found.append(Area(line))
            elif line.startswith('VmFlags:'):
                found[-1].flags = set(line.split()[1:])
    return found


def pages(pid, area):
    """The runs of pages of an area that are there, or were swapped out: large reserved areas are mostly not."""
    size = os.sysconf('SC_PAGE_SIZE')
    with open('/proc/%d/pagemap' % pid, 'rb') as file:
        file.seek(area.start // size * 8)
        entries = memoryview(file.read((area.end - area.start) // size * 8)).cast('Q')
    start = None
    for i, entry in enumerate([*entries, 0]):
        there = entry >> 62
        if there and start is None:
            start = i
        elif not there and start is not None:
            yield area.start + start * size, area.start + i * size
            start = None


def image(pid):
    """[(area, address, bytes)] of all that can be written."""
    found = []
    with open('/proc/%d/mem' % pid, 'rb', buffering=0) as file:
        for area in areas(pid):
            if not area.rights.startswith('rw'):  # programs, libraries and the store's file have nothing of the kind
                continue
            for start, end in pages(pid, area):
                file.seek(start)
                found.append((area, start, file.read(end - start)))
    return found


def places(data, form):
    at = data.find(form)
    while at >= 0:
        yield at
        at = data.find(form, at + 1)


def finds(parts, secret):
    """[(area, address)] where a secret stands, as bytes or in hex."""
    forms = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    return [(area, start + at) for area, start, data in parts for form in forms for at in places(data, form)]


def ptrace(request, pid, data=0):
    if LIBC.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), 'ptrace %d' % request)


def image_at_exit(argv):
    """(image, exit code) of a program that has done all it does, and is about to be gone."""
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        LIBC.ptrace(TRACEME, 0, None, None)
        os.execv(argv[0], argv)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSTOPPED(status), status
    ptrace(SETOPTIONS, pid, TRACEEXIT | EXITKILL)
    ptrace(CONT, pid)
    while True:
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            raise AssertionError('it ended without a stop: %d' % status)
        if status >> 8 == signal.SIGTRAP | EVENT_EXIT << 8:
            break
        ptrace(CONT, pid, os.WSTOPSIG(status) if os.WSTOPSIG(status) != signal.SIGTRAP else 0)
    parts = image(pid)
    ptrace(CONT, pid)
    _, status = os.waitpid(pid, 0)
    return parts, os.waitstatus_to_exitcode(status)
