#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Other algorithms for a group that talks, at a gmd of its own on loopback: members that are called hear of them ahead of
the keys, one that observes reads them in the notification, one that polls in its GET; then all understand each other.

    live_push.py --build build/fast
"""

import argparse
import os
import sys
import tempfile

import ace
from daemon import free_port
from live import Scene
from live_algs import WRONG, Daemon
from member import check, emit_json

A128GCM, A256GCM = 1, 3


class PushScene(Scene):
    """The actors of live.py in a group whose configuration changes."""

    def __init__(self, daemon, *args):
        super().__init__(*args)
        self.daemon = daemon

    def run(self):
        for step in (self.joins, self.everyone_talks, self.what_is_no_algorithm, self.other_algorithms,
                     self.everyone_talks, self.once, self.end):
            self.emit(scene=step.__name__)
            step()
        check(not self.defects, '; '.join(self.defects))

    def heard(self):
        return {name: self.actors[name].member.configurations for name in 'abcd'}

    def what_is_no_algorithm(self):
        version = self.actors['a'].member.version
        self.daemon.ctl('group', 'set', self.group, '--description', 'lamps')
        self.actors['a'].do(lambda m: m.pump(1.0))
        check(self.heard() == dict.fromkeys('abcd', 0), 'a description was pushed')
        check(self.actors['a'].do(lambda m: m.number() or m.version) == version, 'a description rekeyed')

    def other_algorithms(self):
        before = {name: self.actors[name].member.party.ssn for name in 'ad'}
        check(all(before.values()), 'nobody has said anything yet')
        self.daemon.ctl('group', 'set', self.group, '--alg', 'A128GCM', '--gp-enc-alg', 'A256GCM')
        self.settle()
        check(self.heard() == {'a': 1, 'b': 0, 'c': 0, 'd': 1}, 'the configuration reached %s' % self.heard())
        for actor in self.members():
            group = actor.member.group
            check((group.alg, group.gp_enc_alg) == (A128GCM, A256GCM), 'member %s has other algorithms' % actor.label)

    def once(self):
        self.daemon.ctl('rekey', self.group)
        arrived = self.actors['a'].do(lambda m: m.pump(60.0, lambda: m.rekeys >= 2))
        check(arrived, 'no rekey on command')
        self.settle()
        check(self.heard()['a'] == 1, 'the configuration came again')


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=os.environ.get('GM_BUILD', 'build/fast'))
    parser.add_argument('--port', type=int, default=free_port())
    args = parser.parse_args(argv)
    fault = None
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(args.build, folder, args.port)
        try:
            daemon.ctl('group', 'create', 'push')
            scene = PushScene(daemon, ('127.0.0.1', args.port), ace.load_as_key(folder + '/as.json'), 'push')
            try:
                scene.run()
            except WRONG as error:
                fault = repr(error)
            finally:
                scene.close()
        finally:
            ended = daemon.end()
    emit_json(ok=fault is None and ended == 0, **({'error': fault} if fault else {}))
    return 1 if fault or ended else 0


if __name__ == '__main__':
    sys.exit(main())
