#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gmctl at a terminal: a pty in which this program types and reads. Used by tests/gmctl.sh.

    terminal.py CHECK GMCTL SOCKET [WORD ...]     exit 0: as it should be
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

PATIENCE = 120  # seconds for something that comes at once
LEAVE = b'\x1b[?1049l'


class Terminal:
    """A program with a terminal of its own."""

    def __init__(self, argv, columns=100, rows=40, home='/nonexistent'):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        env = dict(os.environ, TERM='dumb', HOME=home, LC_ALL='C.UTF-8')
        env.pop('COLUMNS', None)
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(slave, fd)
            os.closerange(3, 64)
            os.execve(argv[0], argv, env)
        self.seen = b''
        self.status = None

    def _read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        data = os.read(self.master, 65536)
        self.seen += data
        return bool(data)

    def until(self, what):
        """Reads until a pattern has come; what came before it is forgotten."""
        end = time.monotonic() + PATIENCE
        while True:
            match = re.search(what, self.seen, re.DOTALL)
            if match:
                before, self.seen = self.seen[:match.end()], self.seen[match.end():]
                return before
            if time.monotonic() > end:
                raise SystemExit('%r did not come, but %r' % (what, self.seen[-2000:]))
            self._read(0.2)

    def type(self, text):
        os.write(self.master, text)

    def end(self):
        """Waits for its end; the wait status."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            while self._read(0):
                pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self._read(0):
                    pass
                return status
            time.sleep(0.01)
        raise SystemExit('it does not end: %r' % self.seen[-500:])

    def as_it_was(self):
        """Are the settings of the terminal those of the beginning?"""
        return termios.tcgetattr(self.slave) == self.before


def expect(condition, what):
    if not condition:
        raise SystemExit(what)


def exited(status):
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else None


def shell(gmctl, home):
    terminal = Terminal(gmctl, home=home)
    terminal.until(b'gmctl> ')
    return terminal


def check_completes(gmctl, home, group):
    """Verbs, names of objects, options; and the answer is gmd's."""
    terminal = shell(gmctl, home)
    terminal.type(b'heal\t')
    terminal.until(b'health ')
    terminal.type(b'\n')
    terminal.until(b'late members.*gmctl> ')
    terminal.type(b'group sho\t%s\t' % group[:2].encode())
    terminal.until(b'show ' + group.encode() + b' ')
    terminal.type(b'\n')
    terminal.until(b'max_members.*gmctl> ')
    terminal.type(b'member \t\t')
    terminal.until(b'list +show +evict.*gmctl> ')
    terminal.type(b'\x15quit\n')
    expect(exited(terminal.end()) == 0, 'quit does not leave well')


def check_completes_many(gmctl, home, same):
    """Of more names than fit none is cut: they begin with the same as all of them."""
    terminal = Terminal(gmctl, columns=2 * len(same), home=home)
    terminal.until(b'gmctl> ')
    terminal.type(b'group show %s\t' % same[:1].encode())
    terminal.until(b'show ' + same.encode())
    terminal.type(b'\x15quit\n')
    expect(exited(terminal.end()) == 0, 'quit does not leave well')


def check_remembers(gmctl, home):
    """Arrow up brings the line before, in this session and in the next; a command that fails ends nothing."""
    terminal = shell(gmctl, home)
    terminal.type(b'no-such-command-%d\n' % 7)
    terminal.until(b"no such command 'no-such-command-7'.*gmctl> ")
    terminal.type(b'\x1b[A\n')
    terminal.until(b"no such command 'no-such-command-7'.*gmctl> ")
    terminal.type(b'version\n')
    terminal.until(b'gmctl \\d.*gmctl> ')
    terminal.type(b'exit\n')
    terminal.end()
    expect(os.stat(home + '/.gmctl_history').st_mode & 0o77 == 0, 'others may read the history')
    terminal = shell(gmctl, home)
    terminal.type(b'\x1b[A\x1b[A\n')
    terminal.until(b'gmctl \\d.*gmctl> ')
    terminal.type(b'exit\n')
    terminal.end()


def check_interrupts(gmctl, home):
    """^C ends what runs, not the shell."""
    terminal = shell(gmctl, home)
    terminal.type(b'watch\n')
    terminal.until(b'watching')
    terminal.type(b'\x03')
    terminal.until(b'gmctl> ')
    terminal.type(b'version\n')
    terminal.until(b'gmctl \\d.*gmctl> ')
    terminal.type(b'exit\n')
    expect(exited(terminal.end()) == 0, 'exit does not leave well')


def check_asks(gmctl, home, group, node):
    """Says what would become of it; n leaves all as it is, y does it."""
    argv = gmctl + ['member', 'evict', group, node]
    for answer, code in ((b'n\n', 1), (b'\n', 1), (b'y\n', 0)):
        terminal = Terminal(argv, home=home)
        terminal.until(b'evicts 1 of %s, rekeys \\d+ members.*\\[y/N\\] ' % group.encode())
        terminal.type(answer)
        expect(exited(terminal.end()) == code, 'answer %r: not exit code %d' % (answer, code))


def check_fits(gmctl, home, *words):
    """No line of a table is wider than the terminal; what was cut shows."""
    terminal = Terminal(gmctl + list(words), columns=44, home=home)
    expect(exited(terminal.end()) == 0, 'it fails')
    lines = terminal.seen.decode().replace('\r', '').splitlines()
    expect(lines and max(map(len, lines)) <= 44, 'too wide: %r' % max(lines, key=len))
    expect(any('…' in line for line in lines), 'nothing was cut')


def check_helps(gmctl, home, *words):
    """Help fills the terminal, and no line is wider."""
    for columns in (50, 140):
        terminal = Terminal(gmctl + ['help', *words], columns=columns, home=home)
        expect(exited(terminal.end()) == 0, 'it fails')
        widest = max(map(len, terminal.seen.decode().replace('\r', '').splitlines()))
        expect(columns - 15 < widest <= columns, '%d of %d columns' % (widest, columns))


def check_empty(gmctl, home, *words):
    """A table without rows says so."""
    terminal = Terminal(gmctl + list(words), home=home)
    expect(exited(terminal.end()) == 0, 'it fails')
    expect(terminal.seen == b'none\r\n', repr(terminal.seen))


def check_top(gmctl, home):
    """Paints frames until q; everything is as it was then."""
    terminal = Terminal(gmctl + ['top'], home=home)
    terminal.until(b'\\x1b\\[\\?1049h.*WORKER.*q leaves')
    expect(not terminal.as_it_was(), 'it should read keys without return')
    terminal.until(b'\\x1b\\[H.*q leaves')
    terminal.type(b'q')
    expect(exited(terminal.end()) == 0, 'q does not leave well')
    expect(LEAVE in terminal.seen, 'the screen stays')
    expect(terminal.as_it_was(), 'the terminal is not as it was')


def check_top_killed(gmctl, home):
    """Whatever signal ends it, the terminal comes back; stopped and continued, it paints again."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV, signal.SIGABRT, signal.SIGUSR1):
        terminal = Terminal(gmctl + ['top'], home=home)
        terminal.until(b'q leaves')
        os.kill(terminal.pid, number)
        status = terminal.end()
        expect(os.WIFSIGNALED(status) and os.WTERMSIG(status) == number, 'signal %d: status %x' % (number, status))
        expect(LEAVE in terminal.seen, 'signal %d: the screen stays' % number)
        expect(terminal.as_it_was(), 'signal %d: the terminal is not as it was' % number)
    terminal = Terminal(gmctl + ['top'], home=home)
    terminal.until(b'q leaves')
    os.kill(terminal.pid, signal.SIGTSTP)
    os.waitpid(terminal.pid, os.WUNTRACED)
    expect(terminal.as_it_was(), 'stopped: the terminal is not as it was')
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.until(b'\\x1b\\[\\?1049h.*q leaves')
    terminal.type(b'q')
    terminal.end()
    expect(terminal.as_it_was(), 'continued: the terminal is not as it was')


def main():
    name, program, socket, home, *rest = sys.argv[1:]
    globals()['check_' + name]([program, '-s', socket], home, *rest)


if __name__ == '__main__':
    main()
