#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds requirements.md and regression.md to their word: each row is there once, and each test it names exists, ran and passed.

    requirements.py --existing-only
    requirements.py --ctest BUILD/Testing/Temporary/LastTest.log --python LOG --script interop.sh=LOG ...

Criterion programs have to run with CRITERION_VERBOSITY_LEVEL=1 in the environment, Python's tests with -v: then their
logs name each test. Every row is one check. Exit 1 when one fails.
"""

import argparse
import ast
import collections
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent
SPANS = ((1, 12), (20, 44), (50, 85), (90, 113), (120, 145), (150, 170), (180, 188), (190, 198))
IDS = ['R-%03d' % n for first, last in SPANS for n in range(first, last + 1)]
BUGS = ['B-%02d' % n for n in range(1, 29)]
LEVELS = {'M': 'MUST', 'S': 'SHOULD', 'Y': 'MAY', 'D': 'decision'}
REASONS = ('not supported yet: ', 'cannot be observed: ')
NO_TEST = ('not applicable: ', 'open: ')  # in regression.md
TESTED, PARTLY, ARGUED = 'tested', 'in part', 'argued'

Row = collections.namedtuple('Row', 'id level rule shown')


def read_rows(text):
    """The rows of all tables whose first column is an id."""
    rows = []
    for line in text.splitlines():
        if line.startswith('| R-'):
            cells = [cell.strip() for cell in line.strip().strip('|').split(' | ')]
            rows.append(Row(*cells) if len(cells) == 4 else Row(cells[0], '?', line, ''))
    return rows


def read_bugs(text):
    """The rows of regression.md, in the form of those of requirements.md: a remark that begins otherwise is only one."""
    rows = []
    for line in text.splitlines():
        if line.startswith('| B-'):
            cells = [cell.strip() for cell in line.strip()[1:-1].split('|')]
            remark = cells[4] if len(cells) == 5 else ''
            why = REASONS[0] + remark if remark.startswith(NO_TEST) else ''
            good = len(cells) == 5
            rows.append(Row(cells[0], 'M' if good else '?', line, ' '.join((cells[3], why)).strip() if good else ''))
    return rows


def tests_of(row):
    return [name for name in re.findall('`([^`]+)`', row.shown) if '::' in name]


def kind_of(row):
    """TESTED, PARTLY or ARGUED; None when the row says neither what shows it nor why nothing does."""
    if row.shown.startswith(REASONS):
        return ARGUED
    if not tests_of(row):
        return None
    rest = re.sub('`[^`]+::[^`]+`', '', row.shown).strip(' ;')
    if rest.startswith(REASONS):
        return PARTLY
    return None if rest else TESTED


# ---- does a test exist?

def in_c(text, suite, name):
    return re.search(r'^(?:Parameterized)?Test\(\s*%s\s*,\s*%s\s*[,)]' % (re.escape(suite), re.escape(name)), text, re.M)


def in_python(text, suite, name):
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == suite:
            return any(isinstance(f, ast.FunctionDef) and f.name == name for f in node.body)
    return False


def exists(test):
    path, *parts = test.split('::')
    file = TESTS / path
    if not file.is_file():
        return False
    text = file.read_text(encoding='utf-8')
    if file.suffix == '.sh' or len(parts) == 1:
        return parts[0] in text
    return len(parts) == 2 and bool((in_c if file.suffix == '.c' else in_python)(text, *parts))


# ---- did it run and pass?

def passed_in_ctest(text):
    """Tests of all Criterion programs in a LastTest.log, whose sections are named as CMake names the programs."""
    found = set()
    for section in re.split(r'^\d+/\d+ Testing: ', text, flags=re.M)[1:]:
        program = section.split('\n', 1)[0].strip()
        for suite, name in re.findall(r'^\[PASS\] (\w+)::(\w+)', section, re.M):
            found.add('%s.c::%s::%s' % (program, suite, name))
    return found


def passed_in_python(text):
    """Tests in the output of `python3 -m unittest -v`; a docstring may stand between a name and its result."""
    head = re.compile(r'^(\w+) \((\w+)\.(\w+)\.\1\)', re.M)
    found, starts = set(), list(head.finditer(text))
    for i, m in enumerate(starts):
        end = starts[i + 1].start() if i + 1 < len(starts) else len(text)
        if re.search(r'(?:^|\.\.\. )ok$', text[m.end():end], re.M):
            found.add('python/%s.py::%s::%s' % (m[2], m[3], m[1]))
    return found


def passed_in_script(script, text):
    """Lines of checks begin with two blanks and a mark; a dash marks one that was skipped."""
    return {'%s::%s' % (script, m[1]) for m in re.finditer(r'^  (?:\x1b\[\d*m)*(?:ok|✓)(?:\x1b\[\d*m)* (.+)$', text, re.M)}


def passed_in(args):
    def read(path):
        return pathlib.Path(path).read_text(encoding='utf-8', errors='replace')

    found = set()
    for path in args.ctest:
        found |= passed_in_ctest(read(path))
    for path in args.python:
        found |= passed_in_python(read(path))
    for pair in args.script:
        script, _, path = pair.partition('=')
        found |= passed_in_script(script, read(path))
    return found


# ---- the verdict

def faults_of(row, passed):
    if row.level not in LEVELS or kind_of(row) is None:
        yield 'says neither which test shows it nor why none does'
    for test in tests_of(row):
        if not exists(test):
            yield 'names a test that does not exist: ' + test
        elif passed is not None and test not in passed:
            yield 'names a test that did not run or did not pass: ' + test


def missing_and_double(rows, ids):
    count = collections.Counter(row.id for row in rows)
    for name in ids:
        if not count[name]:
            yield '%s is missing' % name
    for name, n in count.items():
        if n > 1:
            yield '%s is there %d times' % (name, n)
        elif name not in ids:
            yield '%s is no row we know' % name


def print_counts(rows):
    count = collections.Counter((row.level, kind_of(row)) for row in rows)
    print('%-10s %8s %8s %8s' % ('level', TESTED, PARTLY, ARGUED))
    for level, word in LEVELS.items():
        print('%-10s %8d %8d %8d' % (word, *(count[level, kind] for kind in (TESTED, PARTLY, ARGUED))))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--table', default=TESTS / 'requirements.md', help='another table than requirements.md')
    parser.add_argument('--regression', default=TESTS / 'regression.md', help='another table than regression.md')
    parser.add_argument('--existing-only', action='store_true', help='before a run: ask for no logs')
    parser.add_argument('--ctest', action='append', default=[], metavar='LOG')
    parser.add_argument('--python', action='append', default=[], metavar='LOG')
    parser.add_argument('--script', action='append', default=[], metavar='NAME=LOG')
    args = parser.parse_args(argv)
    rows = read_rows(pathlib.Path(args.table).read_text(encoding='utf-8'))
    passed = None if args.existing_only else passed_in(args)
    good = failed = 0
    bugs = read_bugs(pathlib.Path(args.regression).read_text(encoding='utf-8'))
    for fault in [*missing_and_double(rows, IDS), *missing_and_double(bugs, BUGS)]:
        print(fault)
        failed += 1
    for row in rows + bugs:
        faults = list(faults_of(row, passed))
        for fault in faults:
            print('%s %s' % (row.id, fault))
        good, failed = good + (not faults), failed + bool(faults)
    print_counts(rows)
    print('%-10s %8d %8d %8d' % ('bugs', *(sum(kind_of(row) == kind for row in bugs) for kind in (TESTED, PARTLY, ARGUED))))
    print('%d passed, %d failed, 0 skipped' % (good, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
