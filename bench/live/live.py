# SPDX-License-Identifier: Apache-2.0
"""What bench/run.sh starts for rekey, join, storm, read and overload: JSON on standard output, a table on standard error."""

import argparse
import json
import signal
import sys

import benches
import budget
import plot
from floor import cpu
from rig import DPDK_ARGS, Failed


def options():
    p = argparse.ArgumentParser(prog='bench/run.sh', description='gmd, gmas and gmload on this machine, each run next to '
                                                                 'its floor: the same datagrams and nothing else')
    p.add_argument('bench', choices=list(benches.BENCHES))
    p.add_argument('--port', choices=('uring', 'mmsg', 'dpdk'), default='uring')
    p.add_argument('--members', type=int, default=65536)
    p.add_argument('--runs', type=int, default=5)
    p.add_argument('--plot', metavar='FILE.svg', help='rekey: one more, with 5 %% loss; storm: the last; needs gnuplot')
    p.add_argument('--budget', action='store_true', help='cycles of each stage, by perf, in place of the runs')
    p.add_argument('--dpdk-args', default=DPDK_ARGS, help='of the EAL; the interface is va')
    p.add_argument('--smoke', action='store_true', help='one small run, for tests: no more than that it works')
    args = p.parse_args()
    if not 0 < args.members <= 65536 or args.runs < 1:
        p.error('1 to 65536 members, at least one run')
    args.draw = plot.draw
    args.paced_n = 20 if args.smoke else benches.PACED_N
    if args.plot and args.bench not in ('rekey', 'storm'):
        p.error('--plot is for rekey and storm')
    if args.budget and args.bench not in budget.COMMANDS:
        p.error('--budget is for ' + ', '.join(budget.COMMANDS))
    if args.plot:
        plot.needed()
    return args


def rounded(value):
    return round(value, 6) if isinstance(value, float) else value


def note(what, i, said):
    print('  %s, run %d: %s' % (what, i + 1, said if isinstance(said, str) else '%.3f s' % said), file=sys.stderr)


COLUMNS = (('bench', 'bench', '%-16s'), ('members', 'members', '%7d'), ('confirmed', 'confirmed', '%9d'),
           ('s', 'seconds', '%8.3f'), ('a second', 'per_s', '%9.0f'), ('floor s', 'floor_seconds', '%8.3f'),
           ('ratio', 'ratio', '%6.2f'), ('min', 'ratio_min', '%6.2f'), ('max', 'ratio_max', '%6.2f'),
           ('p50 us', 'p50_us', '%8.0f'), ('p99 us', 'p99_us', '%8.0f'), ('B/member', 'rss_per_member', '%8d'),
           ('worker us', 'worker_us', '%9.2f'), ('floor us', 'floor_us', '%8.2f'), ('cpu ratio', 'cpu_ratio', '%9.2f'), ('generator', 'generator', '%9.2f'),
           ('foreign', 'foreign', '%7.2f'), ('machine', 'machine', '%7.2f'))


def width(form):
    return len(form % ('' if 's' in form else 0))


def table(rows):
    say = lambda cells: print('  '.join(cells), file=sys.stderr)
    say(name.rjust(width(form)) for name, _, form in COLUMNS)
    for row in rows:
        say(form % row[key] if key in row else '-'.rjust(width(form)) for _, key, form in COLUMNS)
        for fault in row['void']:
            print('    void: ' + fault, file=sys.stderr)


def main():
    args = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was made is removed on the way
    print('%s on %s, %s' % (args.bench, args.port, cpu()[0]), file=sys.stderr)
    rows = []
    try:
        if args.budget:
            budget.show(args)
            return 0
        for row in benches.BENCHES[args.bench](args, note):
            print(json.dumps({key: rounded(value) for key, value in row.items()}), flush=True)
            rows.append(row)
    except Failed as error:
        print('bench: %s' % error, file=sys.stderr)
        return 1
    table(rows)
    return 0


if __name__ == '__main__':
    sys.exit(main())
