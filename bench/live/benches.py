# SPDX-License-Identifier: Apache-2.0
"""rekey, join, storm, read: each makes what it needs, measures `runs` times next to its floor, and gives rows."""

import statistics
import threading
import time

from floor import Floor, cpu
from rig import Cost, Failed, Rig, Waits, joining

GENERATOR_MAX = 0.9  # a generator busier than that was perhaps what was measured
MACHINE_MIN = 0.85   # a machine that changes by more changes what is measured
WAIT_MAX_US = 500    # a thread that waits so long for a processor each time waits longer than for gmd
PACED = 500          # joins a second of those who come one by one
PACED_N = 1000
LOSS = 5             # percent, each way, where a plot of a rekey is asked for


def batches(rig):
    """How many calls verified so many signatures, by the lower ends of powers of two."""
    row, = [row for row in rig.rows('batch') if row['call'] == 'verify']
    return {int(at): int(n) for at, n in (pair.split(':') for pair in row['histogram'].split())}


def median_batch(before, after):
    """Of the calls between the two: the lower ends of the median's bucket and of the highest one."""
    calls = sorted((at, n - before.get(at, 0)) for at, n in after.items() if n > before.get(at, 0))
    half, seen = sum(n for _, n in calls) / 2, 0
    for at, n in calls:
        seen += n
        if seen >= half:
            return at, calls[-1][0]
    return 0, 0


class Runs:
    """What was measured, run by run, and the row that comes of it."""

    def __init__(self, bench, rig, members):
        self.bench, self.port, self.members = bench, rig.port, members
        self.answers, self.floors, self.costs, self.more = [], [], [], {}
        self.confirmed = 0

    def add(self, answer, floor, cost, confirmed):
        self.answers.append(answer)
        self.floors.append(floor)
        self.costs.append(cost)
        self.confirmed = confirmed if len(self.answers) == 1 else min(self.confirmed, confirmed)

    def row(self, times, per_member, floor_of):
        """times: of an answer, where its percentiles are; per_member: bytes."""
        seconds = [a['seconds'] for a in self.answers]
        floors = [f['seconds'] for f in self.floors]
        ratios = [s / f for s, f in zip(seconds, floors)]
        generator = [a['generator'] for a in self.answers]
        middle = statistics.median
        looks = [c.verified for c in self.costs] + [f['verified'] for f in self.floors]
        machine, verified = min(looks) / max(looks), middle(c.verified for c in self.costs)
        peer = max(f['peer'] for f in self.floors)
        faults = floor_of.faults(self.floors)
        if peer > GENERATOR_MAX:
            faults.append('floor: its peer busy for %.0f %% of the time' % (100 * peer))
        if machine < MACHINE_MIN:
            faults.append('the machine did at one time %.0f %% of what it did at another' % (100 * machine))
        if max(generator) > GENERATOR_MAX:
            faults.append('generator busy for %.0f %% of the time' % (100 * max(generator)))
        return {
            'bench': self.bench, 'port': self.port, 'members': self.members, 'confirmed': self.confirmed,
            'seconds': middle(seconds), 'per_s': self.members / middle(seconds), 'floor_seconds': middle(floors),
            'ratio': middle(ratios), 'ratio_min': min(ratios), 'ratio_max': max(ratios),
            'p50_us': 1000 * middle(times(a)['p50'] for a in self.answers),
            'p99_us': 1000 * middle(times(a)['p99'] for a in self.answers), 'rss_per_member': per_member,
            'cpu': cpu()[0], 'runs': len(seconds), 'seconds_min': min(seconds), 'seconds_max': max(seconds),
            'generator': middle(generator), 'generator_max': max(generator),
            'worker_us': 1e6 * middle(c.worker for c in self.costs) / self.members,
            'core_us': 1e6 * middle(c.core for c in self.costs) / self.members,
            'floor_us': 1e6 * middle(f['cpu_seconds'] for f in self.floors) / self.members,
            'cpu_ratio': middle((c.worker + c.core) / f['cpu_seconds'] for c, f in zip(self.costs, self.floors)),
            'floor_port': self.floors[0]['port'], 'floor_window': self.floors[0]['window'],
            'floor_peer': middle(f['peer'] for f in self.floors),
            'verify_per_s': verified, 'by_verify': self.members / middle(seconds) / verified,
            'foreign': max(c.foreign for c in self.costs), 'machine': machine, 'void': faults, **self.more}

    def last(self):
        """What is said of the run that was added last."""
        answer, floor, cost = self.answers[-1], self.floors[-1], self.costs[-1]
        return '%.3f s, floor %.3f s; CPU us a member: worker %.2f, core %.2f, floor %.2f; libsodium verifies %.0f and %.0f a second' % (
            answer['seconds'], floor['seconds'], *(1e6 * s / self.members for s in (cost.worker, cost.core, floor['cpu_seconds'])),
            cost.verified, floor['verified'])


def mean(answer, way):
    return round(answer[way + '_bytes'] / answer[way])


def floor_for(args, what, answer):
    """As long as the datagrams of this answer, and as many; calibrated."""
    ask, reply = ('rx', 'tx') if what == 'push' else ('tx', 'rx')
    floor = Floor(args.port, what, answer[ask], mean(answer, ask), mean(answer, reply), args.dpdk_args)
    floor.calibrate(quick=args.smoke)
    return floor


def confirm_all(rig, members, answer):
    """gmd counts what the members counted: everybody once."""
    end = time.monotonic() + 10
    while (group := rig.group('g1'))['confirmed'] + group['late'] != members and time.monotonic() < end:
        time.sleep(0.02)
    if answer['confirmed'] != members or group['confirmed'] != members or answer['duplicates']:
        raise Failed('not confirmed by each member once: gmload %s, gmd %s' % (answer, group))
    return group['confirmed']


def filled(args, *lines):
    """A rig whose group g1 has all members, and what one more of them costs: buffers and tables of a worker are touched by the first half."""
    rig = Rig(args.port, *lines, dpdk_args=args.dpdk_args)
    half = args.members // 2
    rest = args.members - half
    try:
        before = rig.memory()[0]
        rig.join(half)
        between = rig.memory()[0]
        rig.load.ask(joining(rest, 'g1'))
        rig.per_member = max(0, round((rig.memory()[0] - between) / rest))
        rig.fixed = max(0, between - before - half * rig.per_member)
        rig.load.ask('verify')
        rig.ctl('group', 'create', 'g2', '--max-members', '65536')
    except BaseException:
        rig.close()
        raise
    return rig


def rekey_command(rig, more=''):
    return 'rekey g1 --socket %s/gmd.sock --timeout %d%s' % (rig.dir, 120, more)


def paced(n=PACED_N, group='g2'):
    return ' --joins %d --group %s --rate %d --post 100 --roles requester,responder' % (n, group, PACED)


def rekey(args, note):
    with filled(args) as rig:
        runs = Runs('rekey', rig, args.members)
        first = rig.load.ask(rekey_command(rig))
        with floor_for(args, 'push', first) as floor:
            for i in range(args.runs):
                with Cost(rig) as cost:
                    answer = rig.load.ask(rekey_command(rig))
                runs.add(answer, floor.measure(), cost, confirm_all(rig, args.members, answer))
                note('rekey', i, runs.last())
            runs.more['rss_files'], runs.more['rss_fixed'] = rig.memory()[1], rig.fixed
            yield runs.row(lambda a: a['rekey'], rig.per_member, floor)
        yield joins_meanwhile(args, rig, note)
        yield from reads_meanwhile(args, rig, note)
        if args.plot:
            args.draw(args, rig, lossy_rekey(rig))


def during(load, command, work):
    """What load answers to command, and what work() gave, which is done again and again meanwhile."""
    done = []
    load.tell(command)
    while not load.has_answered():
        done.append(work())
    return load.checked(command), done


def spread(values):
    return statistics.median(values), min(values), max(values)


def while_rekeyed(args, rig, note, bench, load, command, of):
    """Latencies of `command`, whose percentiles are of(answer), while nothing else goes on and while all are rekeyed, again and again.
    load is a generator of its own, where there can be two: the rekey's is as busy as can be, and others would wait in its queue."""
    with Waits(rig, load) as idle_waits:
        idle = of(load.ask(command))['p99']
    there, rekeys, waits = [], [], []
    for i in range(args.runs):
        with Waits(rig, load) as waited:
            if load is rig.load:
                rekeyed = [rig.load.ask(rekey_command(rig, paced()))]
                there += [(row['join'], row['generator']) for row in rekeyed if 'join' in row]
            else:
                answer, rekeyed = during(load, command, lambda: rig.load.ask(rekey_command(rig)))
                there.append((of(answer), answer['generator']))
        rekeys += rekeyed
        waits.append(waited.us)
        note(bench, i, '%.3f s, p99 %.3f ms, idle %.3f ms' % (statistics.median(row['seconds'] for row in rekeyed),
                                                            there[-1][0]['p99'] if there else 0, idle))
    middle = statistics.median
    own = max(g for _, g in there)
    ratio, least, most = spread([t['p99'] / idle for t, _ in there])
    seconds = middle(row['seconds'] for row in rekeys)
    us = {name: middle(w[name] for w in waits) for name in waits[0]}
    faults = ['generator busy for %.0f %% of the time' % (100 * own)] if own > GENERATOR_MAX else []
    faults += ['%s waited %.1f ms for a processor each time' % (name, us[name] / 1000) for name in us if us[name] > WAIT_MAX_US]
    return {'bench': bench, 'port': rig.port, 'members': args.members,
            'confirmed': min(row['confirmed'] for row in rekeys), 'rekeys': len(rekeys), 'seconds': seconds, 'per_s': args.members / seconds,
            'served': sum(t['n'] for t, _ in there), 'runs': args.runs, 'p50_us': 1000 * middle(t['p50'] for t, _ in there),
            'p99_us': 1000 * middle(t['p99'] for t, _ in there), 'idle_p99_us': 1000 * idle, 'ratio': ratio, 'ratio_min': least,
            'ratio_max': most, 'rss_per_member': rig.per_member, 'cpu': cpu()[0],
            'generator': middle(row['generator'] for row in rekeys), 'generator_beside': own,
            **{name + '_wait_us': us[name] for name in us}, **{'idle_%s_wait_us' % name: idle_waits.us[name] for name in us},
            'void': faults}


def joins_meanwhile(args, rig, note):
    come = 'join %d --rate %d --group g2 --post 100 --roles requester,responder' % (args.paced_n, PACED)
    return while_rekeyed(args, rig, note, 'join-while-rekey', rig.beside('newcomers') or rig.load, come, lambda a: a['paced'])


def reads_meanwhile(args, rig, note):
    """Of the keys, by members of another group, eight at a time; where there is one interface they have no generator."""
    readers = rig.beside('readers', '--window', '8')
    if not readers:
        return
    rig.ctl('group', 'create', 'g3', '--max-members', '65536')
    readers.ask(joining(4 * args.paced_n, 'g3'))
    yield while_rekeyed(args, rig, note, 'read-while-rekey', readers, 'poll g3 --who all', lambda a: a['ms']['get-group'])


class Watch(threading.Thread):
    """Who is late, by gmd's own counting, four times a second."""

    def __init__(self, rig):
        super().__init__(daemon=True)
        self.rig, self.rows, self.done, self.began = rig, [], False, time.monotonic()

    def run(self):
        while not self.done:
            group = self.rig.group('g1')
            rekeys = self.rig.rows('rekey')[0]
            self.rows.append((time.monotonic() - self.began, group['confirmed'], group['late'], rekeys['retransmitted']))
            time.sleep(0.25)


def lossy_rekey(rig):
    rig.load.ask('loss %d --seed 7' % LOSS)
    before = rig.rows('rekey')[0]['retransmitted']
    watch = Watch(rig)
    watch.start()
    answer = rig.load.ask(rekey_command(rig, ' --events %s/events' % rig.dir + paced(10 * PACED_N)), must=False)
    watch.done = True
    watch.join()
    rig.load.ask('loss 0')
    return {'kind': 'rekey', 'events': rig.dir / 'events', 'answer': answer,
            'late': [(t, c, late, again - before) for t, c, late, again in watch.rows], 'loss': LOSS}


def join(args, note):
    """A group fills from nothing, so each run has a gmd of its own. The floor: as many bare exchanges."""
    floor = runs = None
    try:
        for i in range(args.runs):
            with Rig(args.port, dpdk_args=args.dpdk_args) as rig:
                rig.ctl('group', 'create', 'g1', '--max-members', '65536')
                runs = runs or Runs('join', rig, args.members)
                before = rig.memory()
                with Cost(rig) as cost:
                    answer = rig.load.ask(joining(args.members, 'g1'))
                after = rig.memory()
                rig.load.ask('verify')
                floor = floor or floor_for(args, 'serve', answer)
                runs.add(answer, floor.measure(), cost, rig.group('g1')['members'])
                note('join', i, runs.last())
        if runs.confirmed != args.members:
            raise Failed('%d of %d members are in' % (runs.confirmed, args.members))
        runs.more['rss_files'] = after[1]
        yield runs.row(lambda a: a['ms']['join'], round((after[0] - before[0]) / args.members), floor)
    finally:
        if floor:
            floor.close()


def storm(args, note):
    """All post tokens and join anew at once; then gmd crashes, and all go on where they were, by Echo."""
    floors, kinds = [], {}
    try:
        for i in range(args.runs):
            with filled(args) as rig:
                for kind in ('storm', 'storm-echo'):
                    runs = kinds.setdefault(kind, Runs(kind, rig, args.members))
                    if kind == 'storm-echo':
                        rig.crash()
                    command = 'storm g1%s' % (' --how echo' if kind == 'storm-echo' else
                                              ' --events %s/events%s' % (rig.dir, paced(10 * PACED_N)))
                    verified = batches(rig)
                    with Cost(rig) as cost:
                        answer = rig.load.ask(command)
                    answer['batch'] = median_batch(verified, batches(rig))
                    if len(floors) < len(kinds):
                        floors.append(floor_for(args, 'serve', answer))
                    runs.add(answer, floors[len(kinds) - 1 if i == 0 else kind == 'storm-echo'].measure(), cost,
                             answer['storm']['n'])
                    note(kind, i, answer['seconds'])
                    if kind == 'storm' and args.plot and i == args.runs - 1:
                        args.draw(args, rig, {'kind': 'storm', 'events': rig.dir / 'events', 'answer': answer})
                    if kind == 'storm':
                        in_group = rig.group('g1')['members']
                        if in_group != args.members:
                            raise Failed('%d of %d members are in' % (in_group, args.members))
                per_member = rig.per_member
        for floor, runs in zip(floors, kinds.values()):
            if runs.bench == 'storm':
                for key, times in (('paced_p99_us', 'paced_late_half'), ('served_p99_us', 'served_late_half')):
                    late = [a[times]['p99'] for a in runs.answers if times in a]
                    runs.more[key] = 1000 * statistics.median(late) if late else 0
                for i, key in enumerate(('verify_median', 'verify_max')):
                    runs.more[key] = statistics.median(a['batch'][i] for a in runs.answers)
            yield runs.row(lambda a: a['storm'], per_member, floor)
    finally:
        for floor in floors:
            floor.close()


OVER = 10      # times the peak
PEAK_S = 5.0
OVER_S = 60.0
AFTER_S = 5.0


def phase(rig, command, must=True):
    """What gmload says, with what gmd and the generator cost meanwhile."""
    with Cost(rig) as cost:
        answer = rig.load.ask(command, must)
    joins = answer.get('joins', 0)
    answer['joins_per_cpu_s'] = joins / (cost.worker + cost.core) if joins else 0
    answer['gmd_cpu'], answer['foreign'] = (cost.worker + cost.core) / cost.seconds, cost.foreign
    return answer


def overload(args, note):
    """Ten times as many attempts a second as could be served, for a minute, by members who do not wait when they are refused."""
    seconds = 5.0 if args.smoke else OVER_S
    for i in range(args.runs):
        with filled(args) as rig:
            peak = phase(rig, 'overload g1 --seconds %g' % (2.0 if args.smoke else PEAK_S))
            rig.load.ask('sleep 1')
            before = rig.memory()[0]
            over = phase(rig, 'overload g1 --seconds %g --rate %g --reads 500 --obedient 100 --group g2 --post 100 --roles '
                         'requester,responder' % (seconds, OVER * peak['joins_per_s']))
            during = rig.memory()[0]
            slow = 2 * (peak['token']['p99'] + peak['join']['p99'])
            after = phase(rig, 'recover g1 --seconds %g --slow %g' % (AFTER_S, slow))
            faults = ['generator busy for more than 90 % of the time'] if over['generator'] > GENERATOR_MAX else []
            if over['attempts'] < 0.9 * OVER * peak['joins_per_s'] * seconds:
                faults.append('no more than %.1f times the peak was offered' % (over['attempts'] / seconds / peak['joins_per_s']))
            note('overload', i, seconds)
            yield {'bench': 'overload', 'port': rig.port, 'members': args.members, 'confirmed': over['joins'], 'seconds': seconds,
                   'per_s': over['joins_per_s'], 'peak_per_s': peak['joins_per_s'],
                   'goodput': over['joins_per_s'] / peak['joins_per_s'],
                   'goodput_cpu': over['joins_per_cpu_s'] / peak['joins_per_cpu_s'], 'offered': over['attempts'] / seconds,
                   'refused_tokens': over['refused_tokens'], 'refused_joins': over['refused_joins'], 'silent': over['silent'],
                   'p50_us': 1000 * over['join']['p50'], 'p99_us': 1000 * over['join']['p99'],
                   'reads': over['reads'], 'read_p50_us': 1000 * over['get-group']['p50'], 'read_p99_us': 1000 * over['get-group']['p99'],
                   'later': over['later'], 'obedient': after['obedient'], 'obedient_in': after['obedient_in'],
                   'recovery_s': after['recovery_s'], 'after_lost': after['lost'], 'after_slow': after['slow'], 'slow_ms': slow, 'rss_before': before, 'rss_after': during,
                   'generator': over['generator'], 'foreign': over['foreign'], 'cpu': cpu()[0], 'void': faults}


READS = {'read-keys': ('poll g1 --who all', 'get-group'), 'read-cred': ('fetch %d g1', 'fetch-cred')}


def read(args, note):
    floors = {}
    with filled(args) as rig:
        kinds = {kind: Runs(kind, rig, args.members) for kind in READS}
        try:
            for i in range(args.runs):
                for kind, (command, _) in READS.items():
                    with Cost(rig) as cost:
                        answer = rig.load.ask(command % args.members if '%d' in command else command)
                    if kind not in floors:
                        floors[kind] = floor_for(args, 'serve', answer)
                    kinds[kind].add(answer, floors[kind].measure(), cost, answer['done'])
                    note(kind, i, kinds[kind].last())
            for kind, runs in kinds.items():
                yield runs.row(lambda a, op=READS[kind][1]: a['ms'][op], rig.per_member, floors[kind])
        finally:
            for floor in floors.values():
                floor.close()


BENCHES = {'rekey': rekey, 'join': join, 'storm': storm, 'read': read, 'overload': overload}
