# SPDX-License-Identifier: Apache-2.0
"""Which window a bench's floor is measured at, where a window loses datagrams now and then."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'bench/live'))
import floor  # noqa: E402
from rig import Failed  # noqa: E402


class Scripted(floor.Floor):
    """Without programs: the wider the window, the faster; lost: which tries of a window lose something, by their number."""

    def __init__(self, port, lost):  # pylint: disable=super-init-not-called
        self.port, self.lost, self.tried = port, lost, {}

    def once(self, port, window):
        self.tried[window] = self.tried.get(window, 0) + 1
        if self.lost(window, self.tried[window]):
            raise floor.Lost()
        return {'seconds': 1 / window, 'port': port, 'window': window}


class Windows(unittest.TestCase):

    def calibrated(self, lost, port='dpdk'):
        scripted = Scripted(port, lost)
        scripted.calibrate()
        return scripted

    def test_best_window_is_measured_at(self):
        self.assertEqual(self.calibrated(lambda window, n: False).measure()['window'], max(floor.WINDOWS))

    def test_window_that_lost_something_once_is_left_out(self):
        self.assertEqual(self.calibrated(lambda window, n: window == 4096 and n != 2).measure()['window'], 1024)

    def test_window_that_loses_again_and_again_later_gives_way_to_the_next_best(self):
        scripted = self.calibrated(lambda window, n: window == 4096 and n > 2)
        for _ in range(2):
            self.assertEqual(scripted.measure()['window'], 1024)
        self.assertEqual(scripted.tried[4096], 2 + floor.TRIES)

    def test_one_loss_later_is_tried_again(self):
        self.assertEqual(self.calibrated(lambda window, n: window == 4096 and n == 3).measure()['window'], 4096)

    def test_better_of_two_ports_is_taken(self):
        scripted = self.calibrated(lambda window, n: window > 64, 'uring')
        self.assertEqual([rank[0]['port'] for rank in scripted.ranks], ['uring', 'mmsg'])

    def test_no_window_at_all_fails(self):
        with self.assertRaisesRegex(Failed, 'whatever the window'):
            self.calibrated(lambda window, n: True)
        later = self.calibrated(lambda window, n: n > 2)
        with self.assertRaisesRegex(Failed, 'datagrams are lost'):
            later.measure()


if __name__ == '__main__':
    unittest.main()
