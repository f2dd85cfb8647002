# SPDX-License-Identifier: Apache-2.0
"""Draws what happened over time, with gnuplot: a rekey with loss, and a storm."""

import pathlib
import shutil
import subprocess
import tempfile

from rig import Failed

HEAD = '''set terminal svg size 960,640 font "sans,13" background "white"
set output "%(file)s"
set border 3 lc rgb "#555555"
set tics nomirror out
set grid xtics ytics lc rgb "#e4e4e4" lw 1
set key above left horizontal Left reverse samplen 2 height 0.5
set decimal locale
set lmargin 12
set rmargin 4
set xrange [%(from)g:%(to)g]
set multiplot title "%(title)s" font "sans,15"
set size 1, 0.50
set origin 0, 0.45
set yrange [0:%(top)d]
set format y "%%'.0f"
set ylabel "members"
'''

LOWER = '''set size 1, 0.46
set origin 0, 0
set xlabel "seconds since the %(what)s"
set logscale y
set yrange [%(bottom)g:%(top2)g]
'''

REKEY = '''set logscale x
plot "%(dir)s/keys" using 1:2 with lines lw 3 lc rgb "#1f6fb4" title "have the new keys and confirmed them", \\
     %(members)d with lines dt 2 lc rgb "#999999" title "all"
''' + LOWER + '''set ylabel "of these (log)"
plot "%(dir)s/keys" using 1:($3 > 0 ? $3 : 1/0) with lines lw 2 lc rgb "#e08a1e" title "members without the new keys", \\
     "%(dir)s/paced" using 1:2 with lines lw 2 lc rgb "#2e8b57" title "newcomers that have joined another group", \\
     "%(dir)s/late" using 1:($4 > 0 ? $4 : 1/0) with lines lw 2 dt 2 lc rgb "#777777" title "retransmissions", \\
     "%(dir)s/late" using 1:($3 > 0 ? $3 : 1/0) with points pt 7 ps 0.6 lc rgb "#c0392b" title "late: given up"
unset multiplot
'''

STORM = '''plot "%(dir)s/done" using 1:2 with lines lw 3 lc rgb "#1f6fb4" title "back in the group", \\
     "%(dir)s/done" using 1:3 with lines lw 2 lc rgb "#e08a1e" title "still outside"
''' + LOWER + '''set format y "%%g"
set ylabel "their join, ms (log)"
plot "%(dir)s/paced" using 1:2 with points pt 7 ps 0.35 lc rgb "#2e8b57" title "newcomers, one by one meanwhile", \\
     50 with lines dt 2 lc rgb "#c0392b" title "50 ms"
unset multiplot
'''


def needed():
    if not shutil.which('gnuplot'):
        raise SystemExit('bench: gnuplot is missing: gnuplot-nox')


def curve(path, times, n, most=3000, at_first=False):
    """How many, how many are left; thinned out."""
    step = max(1, len(times) // most)
    with open(path, 'w', encoding='ascii') as file:
        if at_first:
            file.write('0 0 %d\n%.6f 0 %d\n' % (n, times[0], n))
        for i, t in enumerate(times):
            if i % step == 0 or i + 1 == len(times) or i + 50 > len(times):
                file.write('%.6f %d %d\n' % (t, i + 1, n - i - 1))


def draw(args, rig, data):
    events = [line.split() for line in open(data['events'], encoding='ascii')]
    of = lambda kind: [(int(at) / 1e6, int(took) / 1e3) for k, at, took in events if k == kind]
    with tempfile.TemporaryDirectory(prefix='gmd.') as name:
        folder = pathlib.Path(name)
        words = {'dir': name, 'file': pathlib.Path(args.plot).resolve(), 'top': args.members * 1.08,
                 'members': args.members}
        if data['kind'] == 'rekey':
            times = [t for t, _ in of('keys')]
            curve(folder / 'keys', times, args.members)
            joined = sorted(t for t, _ in of('paced')) or [1.0]
            curve(folder / 'paced', joined, len(joined))
            (folder / 'late').write_text(''.join('%.3f %d %d %d\n' % row for row in data['late']))
            words.update({'what': 'command', 'to': max(times[-1], data['late'][-1][0]) * 1.1, 'bottom': 0.7,
                          'from': max(times[0] / 1.5, 1e-3), 'top2': 2.0 * args.members,
                          'title': 'Rekey of %s members on %s, %d %% of the datagrams lost each way'
                                   % (format(args.members, ','), rig.port, data['loss'])})
            script = HEAD + REKEY
        else:
            done, paced = of('done'), of('paced')
            curve(folder / 'done', [t for t, _ in done], args.members, at_first=True)
            (folder / 'paced').write_text(''.join('%.6f %.3f\n' % row for row in paced) or '0 1\n')
            words.update({'what': 'storm broke', 'from': 0, 'to': max([t for t, _ in done + paced]) * 1.02, 'bottom': 0.3,
                          'top2': max([ms for _, ms in paced] + [100]) * 2,
                          'title': '%s members come back at once on %s: token and join anew'
                                   % (format(args.members, ','), rig.port)})
            script = HEAD + STORM
        try:
            subprocess.run(['gnuplot'], input=script % words, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise Failed('gnuplot: ' + error.stderr) from error
