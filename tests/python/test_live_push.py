# SPDX-License-Identifier: Apache-2.0
"""A changed configuration at a real gmd. Runs when GM_BUILD names the folder that holds gmd and gmctl."""

import os
import subprocess
import sys
import unittest

BUILD = os.environ.get('GM_BUILD', '')
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'live_push.py')


@unittest.skipUnless(BUILD, 'needs GM_BUILD')
class LivePush(unittest.TestCase):

    def test_other_algorithms_reach_members_ahead_of_the_keys_and_all_understand_each_other(self):
        run = subprocess.run([sys.executable, PROGRAM, '--build', BUILD], capture_output=True, text=True, timeout=600,
                             check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == '__main__':
    unittest.main()
