# SPDX-License-Identifier: Apache-2.0
"""bench/run.sh dpdk-null: bench_dpdk in a namespace whose neighbours are known, so that every frame is the driver's."""

import argparse
import json
import subprocess
import sys

from live import table
from rig import BUILD, Failed, Veth


def main():
    p = argparse.ArgumentParser(prog='bench/run.sh dpdk-null')
    p.add_argument('--seconds', type=float, default=5)
    args = p.parse_args()
    try:
        path = Veth()
    except Failed as error:
        print('bench: %s' % error, file=sys.stderr)
        return 1
    try:
        subprocess.run(['ip', '-n', path.names[0], 'neigh', 'replace', '10.77.0.2', 'lladdr', '02:00:00:00:00:0b', 'nud',
                        'permanent', 'dev', 'va'], check=True)
        done = subprocess.run([*path.near, BUILD / 'bench_dpdk', 'va', '10.77.0.1', '10.78.0.0', str(args.seconds)],
                              stdout=subprocess.PIPE, text=True, check=False)
    finally:
        path.close()
    if done.returncode:
        return 1
    row = json.loads(done.stdout)
    if row['by_kernel'] or row['failed']:
        row['void'].append('%d by the kernel, %d failed' % (row['by_kernel'], row['failed']))
    print(json.dumps(row))
    table([row])
    return 0


if __name__ == '__main__':
    sys.exit(main())
