# SPDX-License-Identifier: Apache-2.0
"""Cycles of each stage of gmd, by sampling: perf's software clock, since not every machine lets its counters be read.

A sample belongs to the innermost function of its stack that the table names; the time of the samples is turned into cycles
of the time stamp counter. Stacks are copied and read by DWARF: libsodium keeps no frame pointers, and uses much stack."""

import collections
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import benches
from floor import cpu
from rig import Failed, Rig, joining

HZ = 1999
ATTACH_S = 0.5  # until perf looks

# Kernel functions first: what is below a system call is its, softirqs too.
STAGES = (
    ('send', r'(__)?(io_send(msg)?|udp(v6)?_sendmsg|___sys_sendmmsg|__sys_sendmmsg|uring_tx_\w+|mmsg_tx_\w+|send_run'
             r'|dpdk_tx_\w+|queue_send|gm_udp_put_\w+)'),
    ('receive', r'(__)?(io_recvmsg|io_poll_issue|io_poll_task_func|udp(v6)?_recvmsg|__sys_recvmmsg|uring_rx_\w+'
                r'|mmsg_rx_\w+|dpdk_rx_\w+|receive|give_out|reap|gm_udp_get_\w+)'),
    ('sleep', r'(do_nanosleep|hrtimer_nanosleep|schedule|io_cqring_wait|uring_wait|mmsg_wait|sleep_a_while|do_sys_poll'
              r'|ppoll|eventfd_write|__wake_up\w*)'),
    ('credential', r'(gm_cred_\w+|gm_ed25519_to_x25519_pub|check_cred)'),
    ('verify', r'(gm_ed25519_\w*verify\w*|gm_proofs?_verify\w*|_?crypto_sign\w*verify\w*|gm_verify|batch_\w+|verify_lanes'
               r'|(to|fold)_buckets|fe_pow_250|ge_decode)'),
    ('sign', r'(gm_ed25519_sign\w*|_?crypto_sign\w*_detached|gm_proof_make\w*|sign_all|sign_lanes|base_times)'),
    ('derive', r'(gm_hkdf\w*|gm_oscore_derive\w*|gm_oscore_keys\w*)'),
    ('token', r'(gm_token\w*|gm_cwt\w*|gm_cose\w*)'),
    ('open', r'(gm_aead_open\w*|gm_ccm_open\w*|gm_oscore_unwrap\w*|open_group)'),
    ('seal', r'(gm_aead_seal\w*|gm_ccm_seal\w*|gm_oscore_wrap\w*|gm_oscore_rekey\w*|gm_box_flush|seal_group)'),
    ('parse', r'(gm_coap_decode\w*|gm_oscore_option_decode|gm_join_request_decode|gm_fields_read|gm_creds_filter\w*'
              r'|gm_keying_decode)'),
    ('lookup', r'(gm_ctx_at|gm_out_find|gm_out_at|gm_group_\w+|gm_member_at|gm_member_of|gm_slab_\w+|gm_view_\w+'
               r'|gm_roster_find|xch_of|gm_siphash|gm_worker_hash)'),
    ('timers', r'(gm_wheel_\w+|gm_timers_run)'),
    ('commit', r'(gm_store_\w+|commit|mdb_\w+|fdatasync|do_fsync|\w*pwrite\w*|vfs_fsync\w*)'),
    ('decide', r'(gm_core_\w+|gm_dp_roster|txn|gather|publish)'),
    ('effects', r'(gm_effects_run)'),
    ('walk', r'(gm_rekey_\w+|gm_out_\w+|visit|start_out|start_walked|step_group)'),
    ('check', r'(gm_check_\w+|gm_read_here|gm_answer\w*|request_opened|response_opened|on_\w+)'),
    ('turn', r'(gm_worker_turn|turn|loop|run)'),
    ('curve', r'((fe|ge|sc|sha512)_\w+)'),  # of verify and sign, where what is below on the stack cannot be read
)
NAMED = [(stage, re.compile('^(%s)$' % pattern)) for stage, pattern in STAGES]
OTHER = 'other'


def stage_of(stack, known={}):
    for function in stack:
        function = re.sub(r'\.(constprop|isra|part|cold)\..*$', '', function)
        if function not in known:
            known[function] = next((stage for stage, pattern in NAMED if pattern.match(function)), None)
        if known[function]:
            return known[function]
    return OTHER


def stages(text):
    """Samples by stage, of `perf script -F tid,ip,sym`: a line with the thread, its stack, an empty line."""
    count = collections.Counter()
    for sample in text.split('\n\n'):
        lines = sample.strip().split('\n')
        stack = [line.split(None, 1)[1].strip() for line in lines[1:] if len(line.split(None, 1)) == 2]
        if stack:
            count[stage_of(stack)] += 1
    return count


class Perf:
    def __init__(self, pid):
        self.dir = tempfile.TemporaryDirectory(prefix='gmd.')
        self.data = pathlib.Path(self.dir.name) / 'perf.data'
        self.pid = pid

    def __enter__(self):
        self.process = subprocess.Popen(['perf', 'record', '-q', '-o', self.data, '-F', str(HZ), '-e', 'cpu-clock',
                                         '--call-graph', 'dwarf,16384', '-p', str(self.pid)], stderr=subprocess.PIPE, text=True)
        time.sleep(ATTACH_S)
        if self.process.poll() is not None:
            raise Failed('perf record: ' + self.process.stderr.read().strip())
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        script = subprocess.run(['perf', 'script', '--no-inline', '-i', self.data, '-F', 'tid,ip,sym'], check=True, capture_output=True,
                                text=True, errors='replace')
        self.count = stages(script.stdout)
        self.dir.cleanup()


COMMANDS = {'rekey': [('rekey', None)], 'read': [('read-keys', 'poll g1 --who all'), ('read-cred', 'fetch %d g1')],
            'join': [('join', None)], 'storm': [('storm', 'storm g1'), ]}


def show(args):
    """Rows of JSON, and a table that the README can keep."""
    if not shutil.which('perf'):
        raise Failed('perf is missing: linux-perf')
    hz = cpu()[1]
    table = {}
    with Rig(args.port, dpdk_args=args.dpdk_args) as rig:
        rig.ctl('group', 'create', 'g1', '--max-members', '65536')
        if args.bench != 'join':
            rig.load.ask(joining(args.members, 'g1'))
        for name, command in COMMANDS[args.bench]:
            command = command or (joining(args.members, 'g1') if name == 'join' else benches.rekey_command(rig))
            command = command % args.members if '%d' in command else command
            runs = args.runs if name != 'join' else 1
            with Perf(rig.gmd.pid) as perf:
                for _ in range(runs):
                    rig.load.ask(command)
            table[name] = {stage: n / HZ * hz / (args.members * runs) for stage, n in perf.count.items()}
            total = sum(table[name].values())
            print(json.dumps({'bench': 'budget', 'of': name, 'port': args.port, 'members': args.members, 'runs': runs,
                              'cpu': cpu()[0], 'cycles': {k: round(v) for k, v in table[name].items()},
                              'total': round(total)}), flush=True)
    names = list(table)
    say = lambda *cells: print('| ' + ' | '.join(cells) + ' |', file=sys.stderr)
    say('stage', *names)
    say('---', *['---'] * len(names))
    order = [stage for stage, _ in STAGES] + [OTHER]
    for stage in sorted({s for of in table.values() for s in of}, key=order.index):
        say(stage, *['%.0f' % table[name].get(stage, 0) for name in names])
    say('all', *['%.0f' % sum(table[name].values()) for name in names])
