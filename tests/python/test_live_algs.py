# SPDX-License-Identifier: Apache-2.0
"""Groups of every kind at a real gmd. Runs when GM_BUILD names the folder that holds gmd and gmctl."""

import os
import subprocess
import sys
import unittest

BUILD = os.environ.get('GM_BUILD', '')
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'live_algs.py')


@unittest.skipUnless(BUILD, 'needs GM_BUILD')
class LiveAlgs(unittest.TestCase):

    def test_members_of_every_kind_of_group_live_and_understand_each_other(self):
        run = subprocess.run([sys.executable, PROGRAM, '--build', BUILD], capture_output=True, text=True, timeout=1800,
                             check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == '__main__':
    unittest.main()
