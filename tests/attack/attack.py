#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input for a running gmd, from the network and from the control socket, while an honest member works on.

    attack.py [--build build/attack] [--seconds 30] [--seed 1] [--only NAME,...] [--keep]

Starts a gmd of its own on loopback. Ends with "N passed, N failed"; exit 1 when a check failed.
"""

import argparse
import base64
import os
import random
import subprocess
import sys
import threading
import time

import control
import joins
import links
import network
import storms
import tokens
from rig import ROOT, Client, Patient, Server, Tally, cbor2, coap, error_of

GROUPS = (('quiet',), ('busy', '--max-members=400'), ('g1', '--max-members=400'), ('asleep', '--inactive'),
          ('signed', '--signature-only'))
CONFIG = ('workers: 2', 'contexts_max: 16384', 'members_max: 2000', 'ack_timeout_ms: 400', 'retransmit_max: 3',
          'rekey_window_ms: 100', 'rekey_deadline_ms: 300')


class Honest(threading.Thread):
    """A member of a group nobody attacks reads on and on; newcomers post tokens, join the busy group and leave."""

    def __init__(self, server, tally):
        super().__init__(daemon=True)
        self.server, self.tally, self.running, self.rounds = server, tally, True, 0
        self.client = Patient(server).enter([('quiet', 6)])
        answer = self.client.join('quiet')
        self.check(answer, '2.01', 'joins')
        self.state = self.snapshot()

    def check(self, answer, code, what):
        self.tally.check(error_of(answer)[0] == code, 'the honest member ' + what, error_of(answer))
        return answer

    def snapshot(self):
        rows = self.server.ctl('member', 'show', 'quiet', self.client.node)
        return {k: v for k, v in rows[0].items() if not k.endswith(('_at', '_s', 'address', 'addr'))}

    def run(self):
        while self.running:
            try:
                self.round()
            except Exception as error:  # every surprise is a failed check, and the thread goes on
                self.tally.check(False, 'the honest member meets %s' % type(error).__name__, str(error))
            time.sleep(0.05)

    def round(self):
        client, base = self.client, '/ace-group/quiet'
        self.rounds += 1
        reply = cbor2.loads(self.check(client.ask(coap.GET, base + '/nodes/' + client.node), '2.05', 'reads').payload)
        self.tally.check(reply[9] == 0, 'the version of the quiet group stays')
        self.check(client.ask(coap.GET, base + '/num'), '2.05', 'reads num')
        if self.rounds % 10 == 1:
            newcomer = Patient(self.server).enter([('busy', 6)])
            self.check(newcomer.join('busy'), '2.01', 'comes to the busy group')
            left = newcomer.ask(coap.DELETE, '/ace-group/busy/nodes/%s' % newcomer.node)
            self.check(left, '2.02', 'leaves the busy group')
            newcomer.close()

    def end(self):
        self.running = False
        self.join(120)
        self.tally.check(self.snapshot() == self.state, 'the honest member is what it was',
                         (self.state, self.snapshot()))
        self.tally.check(self.rounds > 3, 'the honest member worked', self.rounds)


class Attack:
    """What the phases share."""

    def __init__(self, server, tally, dice):
        self.server, self.tally, self.dice = server, tally, dice
        self.clients, self.secrets = [], set()

    def client(self, entries=None):
        client = Client(self.server)
        self.clients.append(client)
        return client.enter(entries) if entries else client

    def expect(self, answer, want, what):
        """want: a code, or (code, form), or (code, form, error)."""
        got = error_of(answer)
        want = (want,) if isinstance(want, str) else want
        return self.tally.check(got[:len(want)] == want, what, 'got %s, not %s' % (got, want))

    def members(self, group):
        return self.server.ctl('group', 'show', group)[0]['members']


def the_log_is_clean(server, tally, clients):
    """No sanitizer report, no secret of this run in the log."""
    reports = server.reports()
    tally.check(not reports, 'no sanitizer report', reports[:3])
    log = server.log()
    with open(server.path('key'), 'rb') as file:
        secrets = {server.as_key['key'], file.read().strip()}
    for client in clients:
        for part in (client.osc or {}).values():
            if len(part) >= 8:
                secrets.add(part)
        if client.ctx:
            secrets |= {client.ctx.sender_key, client.ctx.recipient_key, client.ctx.common_iv}
    low = log.lower()
    for secret in secrets:
        forms = (secret, secret.hex().encode(), base64.b64encode(secret))
        tally.check(not (forms[0] in log or forms[1] in low or forms[2] in log), 'no secret in the log', secret.hex())


def counters_are_plausible(attack):
    end = time.monotonic() + 60
    while not _counters(attack, time.monotonic() > end):
        time.sleep(0.5)


def _counters(attack, last):
    """False: members are still being told that it is over, and it is not the last look."""
    rows = attack.server.ctl('status')
    core = next(r for r in rows if r['what'] == 'core')
    workers = [r for r in rows if r['what'] == 'worker']
    total = {k: sum(w[k] for w in workers) for k in workers[0] if isinstance(workers[0][k], int)}
    if core['members'] != total['members'] and not last:
        return False
    print('               ' + ' '.join('%s=%d' % (k, v) for k, v in total.items() if v and k != 'worker'))
    sure = attack.tally.check
    sure(all(0 <= v < 1 << 48 for v in total.values()), 'counters have not run below zero', total)
    sure(total['rx'] > 0 and total['rx_bad'] <= total['rx'], 'bad datagrams are some of all', total)
    sure(core['contexts'] <= total['contexts'] + total['contexts_pending'], 'core knows no context workers lack',
         (core, total))
    sure(core['members'] == total['members'], 'core and workers count the same members', (core, total))
    sure(core['joins_ok'] - core['leaves'] - core['evictions'] - core['expiries'] >= core['members'],
         'joins less ends are members, or of a deleted group', core)
    return True


PHASES = {
    'unprotected': network.unprotected, 'tokens': tokens.wrong_tokens, 'same-token': tokens.one_token_often,
    'joins': joins.malformed, 'credentials': joins.credentials, 'proofs': joins.proofs, 'uris': joins.control_uris,
    'resources': joins.other_resources, 'pipelined': joins.pipelined, 'blocks': network.blocks,
    'observe': network.observations, 'strangers': network.contexts_of_others, 'spoofed': network.spoofed_answers,
    'replays': network.replays, 'storm': storms.operator_against_members, 'rejoins': storms.endless_rejoins,
    'scopes': storms.long_scopes, 'references': links.references, 'introspection': links.introspections,
    'link': links.wire, 'lists': links.lists, 'control': control.all_of_it, 'unused-tokens': tokens.unused_tokens,
}


def rounds_of_noise(attack, seconds):
    """Equal rounds of mutated datagrams and unused tokens; memory between two later rounds stays."""
    end, sizes = time.monotonic() + seconds, []
    while time.monotonic() < end or len(sizes) < 3:
        network.mutations(attack, 2500)
        sizes.append(attack.server.rss_kib())
        attack.tally.check(attack.server.alive(), 'gmd lives')
        if not attack.server.alive():
            return
    attack.tally.check(sizes[-1] - sizes[1] < 16 << 10, 'memory does not grow between equal rounds', sizes)


def run(args, server, tally):
    attack = Attack(server, tally, random.Random(args.seed))
    for group in GROUPS:
        server.ctl('group', 'create', *group)
    honest = Honest(server, tally)
    attack.clients.append(honest.client)
    honest.start()
    for name, phase in PHASES.items():
        if args.only and name not in args.only:
            continue
        start = time.monotonic()
        try:
            phase(attack)
        except Exception as error:  # a phase that breaks off is a failed check; the next one still runs
            if args.trace:
                raise
            tally.check(False, 'phase %s runs to its end' % name, repr(error))
        print('%-14s %.1f s' % (name, time.monotonic() - start), flush=True)
        if not tally.check(server.alive(), 'gmd lives after ' + name):
            return
    if not args.only or 'noise' in args.only:
        rounds_of_noise(attack, args.seconds)
    if server.alive():
        honest.end()
        counters_are_plausible(attack)
    if server.alive() and (not args.only or 'restart' in args.only):
        network.after_a_kill(attack, honest.client)
    if server.alive() and (not args.only or 'hints' in args.only):
        storms.short_questions(attack)
    the_log_is_clean(server, tally, attack.clients)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=os.environ.get('GM_BUILD', os.path.join(ROOT, 'build', 'attack')))
    parser.add_argument('--seconds', type=float, default=30.0, help='of mutated datagrams, after the phases')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--only', type=lambda text: text.split(','),
                        help=', '.join([*PHASES, 'noise', 'restart', 'hints']))
    parser.add_argument('--keep', action='store_true', help='keep the directory of the run')
    parser.add_argument('--trace', action='store_true', help='stop at the first surprise')
    args = parser.parse_args()
    tally, server = Tally(), Server(args.build, CONFIG)
    try:
        run(args, server, tally)
        if server.alive():
            tally.check(server.stop() == 0, 'gmd ends with 0')
        tally.check(not server.reports(), 'no sanitizer report at the end', server.reports()[:3])
    except subprocess.CalledProcessError as error:
        tally.check(False, 'a program fails', error.stderr)
    finally:
        if server.alive():
            server.kill()
        if args.keep or tally.failed:
            print('kept: ' + server.dir)
        else:
            server.remove()
    return tally.end()


if __name__ == '__main__':
    sys.exit(main())
