# SPDX-License-Identifier: Apache-2.0
"""What holds for the sources as a whole."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def sources(*folders):
    for folder in folders:
        for file in sorted((ROOT / folder).rglob('*.[ch]')):
            yield file.relative_to(ROOT), re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\])*"', '', file.read_text(encoding='utf-8'), flags=re.S)


class Dice(unittest.TestCase):
    """Random numbers come from libsodium, which takes them from getrandom; that, once a turn, is core's dice."""

    others = re.compile(r'\b(s?rand|s?random|rand_r|[a-z]rand48|arc4random\w*|RAND_\w+|getentropy|getrandom|_rdrand\w*)\s*\(')

    def test_come_from_libsodium_alone(self):
        for name, text in sources('crypto', 'dataplane', 'control', 'bench'):
            self.assertIsNone(self.others.search(text), name)
            if name != pathlib.Path('crypto/util.c'):
                self.assertNotIn('randombytes', text, name)

    def test_are_thrown_anew_for_each_turn_of_core(self):
        text = (ROOT / 'control/turns.c').read_text(encoding='utf-8')
        self.assertRegex(text, r'gm_random\([^)]*dice')


if __name__ == '__main__':
    unittest.main()
