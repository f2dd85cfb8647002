# SPDX-License-Identifier: Apache-2.0
"""An administrator against a running gmd, which the tests start themselves. GM_BUILD names the build, else build/fast."""

import os
import subprocess
import threading
import time
import unittest

import ace
import cbor2
import coap
import creds
from admin import ALL, CREATE, DELETE, LIST, READ, Admin, pattern
from daemon import AS_URI, PROGRAMS, Daemon
from member import Member

@unittest.skipUnless(all(p.exists() for p in PROGRAMS), 'gmd is not built')
class AdminTest(unittest.TestCase):
    """Each test makes groups of its own names."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def admin(self, *entries):
        admin = Admin(self.daemon.gm, entries or ([True, ALL],), self.daemon.as_key)
        self.addCleanup(admin.endpoint.close)
        return admin

    def member(self, group, delivery='control'):
        m = Member(self.daemon.gm, group, 6, delivery, emit=lambda **_: None, timeout=60.0)
        self.addCleanup(m.endpoint.close)
        m.mint(self.daemon.as_key)
        m.authz_info()
        return m

    # Who may.

    def test_without_an_admin_entry_the_answer_is_4_01(self):
        user = self.admin(['acc', 6])
        for path in ('/manage', '/manage/acc'):
            for method in (coap.GET, coap.FETCH, coap.POST, coap.PATCH, coap.IPATCH, coap.DELETE, coap.PUT):
                user.refused('4.01', None, method, path)

    def test_unprotected_requests_are_unauthorized(self):
        user = self.admin()
        for path in ('/manage', '/manage/g'):
            request = coap.Message(coap.POST, coap.path_options(path), b'x' * 100)  # long enough to earn hints
            answer = user.endpoint.request(request, user.gm, 60.0)
            self.assertEqual((coap.dotted(answer.code), answer.uint(coap.CONTENT_FORMAT)), ('4.01', ace.CF_ACE))

    def test_an_administrators_token_opens_no_group(self):
        admin = self.admin()
        admin.create({'group_name': 'nouse', 'active': True})
        self.assertEqual(coap.dotted(admin.ask(coap.GET, '/ace-group/nouse').code), '4.03')

    def test_pattern_and_permission_stand_in_one_entry(self):
        self.admin().create({'group_name': 'perm1'})
        weak = self.admin([True, LIST | READ], ['perm1', LIST], [pattern('^perm[2-9]$'), LIST | CREATE])
        self.assertEqual(weak.read('perm1')['group_name'], 'perm1')
        for method in (coap.POST, coap.PATCH, coap.IPATCH):
            weak.refused('4.03', None, method, '/manage/perm1', {'active': True})
        weak.refused('4.03', None, coap.DELETE, '/manage/perm1')
        weak.refused('4.03', None, coap.POST, '/manage', {'group_name': 'other'})
        weak.create({'group_name': 'perm2'})
        for text in ('^perm[2-9]$', '\\p{L}+'):
            other = self.admin([pattern(text), ALL])
            other.refused('4.03', None, coap.GET, '/manage/perm1')
        self.admin([cbor2.CBORTag(99, 'perm1'), ALL]).refused('4.03', None, coap.GET, '/manage/perm1')
        names_are_not_probed = self.admin(['perm1', ALL])
        names_are_not_probed.refused('4.03', None, coap.GET, '/manage/nothing')

    def test_methods_that_are_none_get_4_05(self):
        admin = self.admin()
        admin.create({'group_name': 'method'})
        admin.refused('4.05', None, coap.PUT, '/manage/method')
        for method in (coap.PUT, coap.DELETE, coap.PATCH, coap.IPATCH):
            admin.refused('4.05', None, method, '/manage')

    # Lists.

    def test_lists_have_links_to_what_the_patterns_match(self):
        admin = self.admin()
        for name in ('list1', 'list2', 'list3', 'tsil'):
            admin.create({'group_name': name, 'active': name == 'list2'})
        self.assertEqual(self.admin(['list1', LIST], ['tsil', LIST]).list(), ['list1', 'tsil'])
        self.assertEqual(self.admin([pattern('list[23]'), LIST]).list(), ['list2', 'list3'])
        self.assertEqual(self.admin(['nothing', LIST]).list(), [])
        some = self.admin([pattern('list[0-9]'), LIST])
        self.assertEqual(some.list({'active': True}), ['list2'])
        self.assertEqual(some.list({'active': False, 'gp_enc_alg': 10}), ['list1', 'list3'])
        self.assertEqual(some.list({'group_name': 'list3'}), ['list3'])
        self.assertEqual(some.list({'group_name': pattern('.*[12]'), 'hkdf': 5}), ['list1', 'list2'])
        self.assertEqual(some.list({'group_name': 'tsil'}), [])
        self.assertEqual(some.list({'sign_alg': -7}), [])
        self.assertEqual(some.list({'group_description': None, 'sign_params': [[1], [1, 6]], 'app_groups': []}),
                         ['list1', 'list2', 'list3'])
        for bad in (b'\x80', b'\xff', {-99: 1}, {'active': 1}, {'app_groups_diff': [[], ['x']]}):
            some.refused('4.00', None, coap.FETCH, '/manage', bad)
        some.refused('4.15', None, coap.FETCH, '/manage', {'active': True}, content_format=60)

    # Creating.

    def test_creates_a_group_with_defaults(self):
        admin = self.admin()
        now = int(time.time())
        made = admin.create({'group_name': 'new1'})
        self.assertEqual(made, {'group_name': 'new1', 'joining_uri': 'coap://127.0.0.1:%d/ace-group/new1'
                                % self.daemon.port, 'as_uri': AS_URI, 'max_stale_sets': 16})
        read = admin.read('new1')
        self.assertGreater(read.pop('exp'), now)
        self.assertEqual(read, {
            'hkdf': 5, 'cred_fmt': 14, 'group_mode': True, 'gp_enc_alg': 10, 'sign_alg': -8,
            'sign_params': [[1], [1, 6]], 'pairwise_mode': True, 'alg': 10, 'ecdh_alg': -27, 'ecdh_params': [[1], [1, 4]],
            'det_req': False, 'rt': 'core.osc.gconf', 'active': False, 'group_description': None,
            'ace_groupcomm_profile': 1, 'gid_reuse': False, 'app_groups': [], 'group_policies': {1: 3600, 2: 0}, **made})
        with self.assertRaisesRegex(Exception, '5.03 error 9'):
            self.member('new1').join()

    def test_creates_a_group_as_asked(self):
        admin = self.admin()
        exp = int(time.time()) + 5000
        asked = {'group_name': 'new2', 'active': True, 'group_description': 'rooms 1 and 2', 'max_stale_sets': 3,
                 'exp': exp, 'app_groups': ['room1', 'room2', 'room1'], 'group_policies': {1: 60, 2: 5}, 'as_uri': AS_URI,
                 'pairwise_mode': False, 'gp_enc_alg': 11, 'gid_reuse': True}
        made = admin.create(asked)
        self.assertEqual(set(made), {'group_name', 'joining_uri', 'as_uri', 'gid_reuse'})
        self.assertFalse(made['gid_reuse'])
        read = admin.read('new2')
        self.assertNotIn('det_req', read)
        expected = {**asked, 'gid_reuse': False, 'app_groups': ['room1', 'room2'], 'alg': None, 'ecdh_alg': None,
                    'ecdh_params': None}
        self.assertEqual({k: read[k] for k in expected}, expected)
        member = self.member('new2')
        member.join()
        self.assertEqual(member.policies(), None)

    def test_refuses_what_cannot_be_created(self):
        admin = self.admin()
        past = int(time.time()) - 1
        for bad in ({}, {'active': True}, {'group_name': ''}, {'group_name': 5}, {'rt': 'core.osc.gconf'},
                    {'joining_uri': 'x'}, {'ace_groupcomm_profile': 1}, {-99: 1}, {'exp': past}, {'max_stale_sets': 1},
                    {'max_stale_sets': 0}, {'app_groups_diff': [[], ['x']]}, {'active': 1}, {'sign_params': [[2], [2, 1]]},
                    {'ecdh_params': [[2], [2, 1]]}, {'ecdh_alg': -28}, {'hkdf': 7, 'ecdh_alg': -27}, {'gp_enc_alg': None},
                    {'alg': None}, {'group_mode': False, 'pairwise_mode': False}, {'pairwise_mode': False, 'alg': 10},
                    {'group_mode': False, 'sign_alg': -8}, {'group_mode': False, 'det_req': False},
                    {'det_hash_alg': -16}, {'sign_alg': -37}, {'group_policies': {0: 1}}, {'group_policies': 5},
                    {'group_description': 'x' * 300}, {'app_groups': [5]}, b'\x80', b'\xa1'):
            fields = bad if isinstance(bad, bytes) or 'group_name' in bad or not bad else {'group_name': 'bad1', **bad}
            if bad == {'active': True}:
                fields = bad
            admin.refused('4.00', None, coap.POST, '/manage', fields if fields != {} else b'\xa0')
        admin.refused('4.00', None, coap.POST, '/manage', {'group_name': pattern('bad1')})
        admin.refused('4.15', None, coap.POST, '/manage', {'group_name': 'bad1'}, content_format=60)
        for bad in ({'sign_alg': -99}, {'gp_enc_alg': 99}, {'cred_fmt': 34}, {'hkdf': 'mine'}, {'det_req': True},
                    {'alg': 1000}, {'max_stale_sets': 100000}, {'gp_enc_alg': -65531}):
            self.assertNotEqual(admin.refused('5.03', 12, coap.POST, '/manage', {'group_name': 'bad1', **bad}), '', bad)
        self.assertNotIn('bad1', admin.list())
        self.assertEqual(admin.list(), self.admin([True, LIST]).list())

    def test_another_name_gives_the_same_permissions_or_there_is_none(self):
        admin = self.admin()
        admin.create({'group_name': 'taken'})
        other = admin.create({'group_name': 'taken'})['group_name']
        self.assertNotEqual(other, 'taken')
        self.assertEqual(admin.read(other)['group_name'], other)
        self.admin(['taken', ALL]).refused('5.03', 11, coap.POST, '/manage', {'group_name': 'taken'})
        alike = self.admin([pattern('taken.*'), LIST | CREATE], ['taken', LIST | CREATE])
        self.assertTrue(alike.create({'group_name': 'taken'})['group_name'].startswith('taken'))
        unlike = self.admin([pattern('taken.*'), LIST | CREATE], ['taken', ALL])
        unlike.refused('5.03', 11, coap.POST, '/manage', {'group_name': 'taken'})

    def test_an_authorization_server_that_is_not_trusted_is_replaced(self):
        made = self.admin().create({'group_name': 'as1', 'as_uri': 'coap://elsewhere/token'})
        self.assertEqual(made['as_uri'], AS_URI)

    # Reading.

    def test_reads_what_is_asked_for(self):
        admin = self.admin()
        admin.create({'group_name': 'read1', 'pairwise_mode': False})
        self.assertEqual(admin.get('read1', 'gp_enc_alg', 'active', 'det_req', -99, 'group_policies', 'alg'),
                         {'gp_enc_alg': 10, 'active': False, 'group_policies': {1: 3600, 2: 0}, 'alg': None})
        self.assertEqual(admin.get('read1'), {})
        for bad in (b'\xa0', b'\x80', b'\xa1\x38\x1a\x05', b''):
            admin.refused('4.00', None, coap.FETCH, '/manage/read1', bad)
        admin.refused('4.15', None, coap.FETCH, '/manage/read1', {'conf_filter': [-1]}, content_format=60)
        for method in (coap.GET, coap.FETCH, coap.POST, coap.PATCH, coap.IPATCH, coap.DELETE):
            admin.refused('4.04', None, method, '/manage/nothing', b'\xa0')
        self.assertEqual(coap.dotted(admin.ask(coap.GET, '/manage/read1/').code), '2.05')
        self.assertEqual(coap.dotted(admin.ask(coap.GET, '/manage/read1/more').code), '4.04')

    # Changing.

    def test_overwriting_resets_what_is_left_out(self):
        admin = self.admin()
        admin.create({'group_name': 'over1', 'active': True, 'group_description': 'old', 'max_stale_sets': 5,
                      'app_groups': ['a'], 'group_policies': {1: 7, 2: 8}, 'gp_enc_alg': 11, 'pairwise_mode': False})
        told = admin.overwrite('over1', {'group_description': 'new'})
        self.assertEqual(set(told), {'group_name', 'joining_uri', 'as_uri', 'max_stale_sets'})
        read = admin.read('over1')
        expected = {'group_description': 'new', 'active': False, 'max_stale_sets': 16, 'app_groups': [], 'gp_enc_alg': 10,
                    'group_policies': {1: 3600, 2: 0}, 'pairwise_mode': False, 'alg': None}
        self.assertEqual({k: read[k] for k in expected}, expected)

    def test_what_is_fixed_is_never_changed(self):
        admin = self.admin()
        admin.create({'group_name': 'fix1'})
        before = admin.read('fix1')
        for method in (coap.POST, coap.PATCH, coap.IPATCH):
            for fixed in ({'group_mode': True}, {'pairwise_mode': True}, {'group_name': 'fix1'}, {'gid_reuse': False},
                          {'rt': 'core.osc.gconf'}, {'joining_uri': 'x'}, {'ace_groupcomm_profile': 1}, {-99: 1}):
                admin.refused('4.00', None, method, '/manage/fix1', {'active': True, **fixed})
            admin.refused('4.15', None, method, '/manage/fix1', {'active': True}, content_format=60)
        admin.refused('4.00', None, coap.POST, '/manage/fix1', {'app_groups_diff': [[], ['x']]})
        self.assertEqual(admin.read('fix1'), before)

    def test_patching_leaves_the_rest_alone(self):
        admin = self.admin()
        admin.create({'group_name': 'patch1', 'active': True, 'group_description': 'old', 'app_groups': ['a', 'b']})
        before = admin.read('patch1')
        told = admin.patch('patch1', {'group_description': None, 'group_policies': {1: 77}})
        self.assertEqual(set(told), {'group_name', 'joining_uri', 'as_uri'})
        self.assertEqual(admin.read('patch1'), {**before, 'group_description': None, 'group_policies': {1: 77, 2: 0}})
        admin.patch('patch1', {'app_groups_diff': [['a', 'a', 'z'], ['c', 'b', 'c']]})
        self.assertEqual(admin.get('patch1', 'app_groups'), {'app_groups': ['b', 'c']})
        admin.patch('patch1', {'app_groups_diff': [['b'], ['b', 'd']]})
        self.assertEqual(admin.get('patch1', 'app_groups'), {'app_groups': ['c', 'b', 'd']})
        admin.patch('patch1', {'app_groups_diff': [['b'], []], 'max_stale_sets': 4}, coap.IPATCH)
        self.assertEqual(admin.get('patch1', 'app_groups', 'max_stale_sets'),
                         {'app_groups': ['c', 'd'], 'max_stale_sets': 4})
        admin.patch('patch1', {'app_groups': ['x']}, coap.IPATCH)
        self.assertEqual(admin.get('patch1', 'app_groups'), {'app_groups': ['x']})

    def test_refuses_patches_that_are_none(self):
        admin = self.admin()
        admin.create({'group_name': 'patch2', 'app_groups': ['a']})
        before = admin.read('patch2')
        past = int(time.time()) - 1
        for method in (coap.PATCH, coap.IPATCH):
            for bad in (b'\xa0', {'app_groups_diff': [[], []]}, {'app_groups_diff': [['a'], []], 'app_groups': ['b']},
                        {'app_groups_diff': []}, {'app_groups_diff': [['a'], [1]]}, {'exp': past}, {'max_stale_sets': 1},
                        {'active': 5}, b'\xff'):
                admin.refused('4.00', None, method, '/manage/patch2', bad)
            for bad in ({'sign_params': [[2], [2, 1]]}, {'ecdh_alg': -28}, {'alg': None}, {'sign_alg': -7},
                        {'hkdf': 7, 'active': True}, {'det_hash_alg': -16}):
                self.assertNotEqual(admin.refused('4.09', None, method, '/manage/patch2', bad), '')
            for bad in ({'gp_enc_alg': 99}, {'cred_fmt': 34}, {'hkdf': 'mine'}, {'det_req': True, 'active': True}):
                self.assertNotEqual(admin.refused('5.03', 12, method, '/manage/patch2', bad), '')
        admin.refused('4.00', None, coap.IPATCH, '/manage/patch2', {'app_groups_diff': [['a'], ['a']]})
        self.assertEqual(admin.read('patch2'), before)
        admin.refused('5.03', 12, coap.POST, '/manage/patch2', {'gp_enc_alg': 99})
        admin.refused('4.00', None, coap.POST, '/manage/patch2', {'sign_alg': -7, 'sign_params': [[1], [1, 6]]})

    # What members see.

    def test_an_inactive_group_admits_nobody_and_answers_its_members(self):
        admin = self.admin()
        admin.create({'group_name': 'act1', 'active': True})
        member = self.member('act1')
        member.join()
        admin.patch('act1', {'active': False})
        member.call(coap.GET, '/ace-group/act1/num', '2.05')
        member.call(coap.POST, '/ace-group/act1/nodes/' + member.node, '5.03', 9)
        with self.assertRaisesRegex(Exception, '5.03 error 9'):
            self.member('act1').join()
        admin.patch('act1', {'active': True})
        self.member('act1').join()

    def test_other_algorithms_come_with_new_keys(self):
        admin = self.admin()
        admin.create({'group_name': 'alg1', 'active': True})
        member = self.member('alg1', 'poll')
        member.join()
        admin.patch('alg1', {'gp_enc_alg': 11, 'alg': 30})
        member.wait_rekey(1, 60.0)
        self.assertEqual(member.version, 1)
        keys = cbor2.loads(member.call(coap.GET, '/ace-group/alg1', '2.05').payload)[8]
        self.assertEqual((keys[9], keys[4]), (11, 30))
        version = member.version
        admin.patch('alg1', {'group_description': 'nothing that members see', 'gp_enc_alg': 11})
        time.sleep(0.5)
        self.assertEqual(member.number(), version)

    def test_nonces_too_short_for_sender_ids_put_their_holders_out(self):
        admin = self.admin()
        admin.create({'group_name': 'sid1', 'active': True})
        member = self.member('sid1')
        member.join()
        self.assertEqual(len(member.sid), 2)
        admin.patch('sid1', {'gp_enc_alg': 12, 'alg': 12})
        member.pump(60.0, lambda: member.evicted)
        self.assertTrue(member.evicted)
        member.join()
        self.assertEqual((len(member.sid), member.version), (1, 1))

    def test_another_curve_asks_for_new_credentials(self):
        admin = self.admin()
        admin.create({'group_name': 'crv1', 'active': True})
        member = self.member('crv1', 'poll')
        member.join()
        before = member.gm_cred
        admin.patch('crv1', {'sign_alg': -7, 'sign_params': [[2], [2, 1]], 'ecdh_params': [[2], [2, 1]]})
        member.call(coap.POST, '/ace-group/crv1', '4.00', None, cbor2.dumps(
            {3: cbor2.dumps(['crv1', 6]), 5: b'', 6: b'12345678'}), ace.CF_GROUPCOMM)
        self.assertEqual(cbor2.loads(member.call(coap.GET, '/ace-group/crv1/creds', '2.05').payload)[13], [])
        newcomer, joined = self.member('crv1', 'poll'), threading.Event()
        joining = threading.Thread(target=lambda: newcomer.join() or joined.set(), daemon=True)
        joining.start()
        self.assertFalse(joined.wait(2.0), 'a newcomer was let in before the member has come again')
        member.keys, nonce = creds.KeyPair(creds.CURVE_OF[-7]), os.urandom(8)
        proof = member.keys.sign(ace.client_pop_input(cbor2.dumps(['crv1', 6]), member.challenge, nonce))
        member.call(coap.POST, '/ace-group/crv1/nodes/%s/cred' % member.node, '2.04', None,
                    cbor2.dumps({5: member.keys.cred.raw, 6: nonce, 24: proof}), ace.CF_GROUPCOMM)
        self.assertTrue(joined.wait(60.0), 'the newcomer is not let in after it')
        joining.join(60.0)
        self.assertNotEqual(newcomer.gm_cred, before)
        self.assertIn(member.sid, newcomer.creds)

    def test_an_operator_changes_a_group_in_the_same_way(self):
        admin = self.admin()
        admin.create({'group_name': 'ctl1'})
        ctl = self.daemon.ctl
        ctl('group', 'set', 'ctl1', '--activate', '--description=by hand', '--app-groups=a,b', '--max-stale-sets=4',
            '--check-interval=60', '--hkdf=sha512', '--gp-enc-alg=A128GCM', '--as-uri=' + AS_URI)
        expected = {'active': True, 'group_description': 'by hand', 'app_groups': ['a', 'b'], 'max_stale_sets': 4,
                    'group_policies': {1: 60, 2: 0}, 'hkdf': 7, 'ecdh_alg': -28, 'gp_enc_alg': 1, 'alg': 10}
        self.assertEqual(admin.get('ctl1', *expected), expected)
        ctl('group', 'set', 'ctl1', '--deactivate', '--description=', '--app-groups=')
        self.assertEqual(admin.get('ctl1', 'active', 'group_description', 'app_groups'),
                         {'active': False, 'group_description': None, 'app_groups': []})
        before = admin.read('ctl1')
        for bad in ('--max-stale-sets=1', '--expires=5', '--alg=nothing', '--alg=99', '--description=' + 'x' * 300):
            with self.assertRaises(subprocess.CalledProcessError):
                ctl('group', 'set', 'ctl1', '--activate', bad)
        with self.assertRaises(subprocess.CalledProcessError):
            ctl('group', 'set', 'nothing', '--activate')
        self.assertEqual(admin.read('ctl1'), before)

    # The end.

    def test_changes_nothing_when_the_configuration_is_another_one_by_now(self):
        admin, other = self.admin(), self.admin()
        admin.create({'group_name': 'tag1', 'group_description': 'x' * 120})
        tag = admin.tag('tag1')
        self.assertEqual(other.tag('tag1'), tag)
        other.patch('tag1', {'group_description': 'y'})
        now = admin.tag('tag1')
        self.assertNotEqual(now, tag)
        before = admin.read('tag1')
        stale = [(coap.IF_MATCH, tag)]
        for method in (coap.POST, coap.PATCH, coap.IPATCH, coap.DELETE, coap.GET, coap.FETCH):
            fields = None if method in (coap.DELETE, coap.GET) else {'active': True}
            admin.refused('4.12', None, method, '/manage/tag1', fields, extra=stale)
            admin.refused('4.12', None, method, '/manage/nothing', fields, extra=[(coap.IF_MATCH, b'')])
        self.assertEqual(admin.read('tag1'), before)
        for good in ([(coap.IF_MATCH, now)], stale + [(coap.IF_MATCH, now)], [(coap.IF_MATCH, b'')]):
            self.assertEqual(admin.ask(coap.PATCH, '/manage/tag1', {'group_description': 'y'}, extra=good).code,
                             coap.code('2.04'))
        other.patch('tag1', {'group_description': 'x' * 120})
        self.assertEqual(admin.tag('tag1'), tag, 'the same configuration')
        self.admin(['tag1', LIST | READ]).refused('4.03', None, coap.DELETE, '/manage/tag1', extra=[(coap.IF_MATCH, now)])
        for path in ('/manage', '/ace-group', '/ace-group/tag1'):
            self.assertEqual(coap.dotted(admin.ask(coap.GET, path, extra=[(coap.IF_MATCH, b'')]).code), '4.02')
        self.assertEqual(admin.ask(coap.DELETE, '/manage/tag1', extra=stale).code, coap.code('2.02'))

    def test_a_configuration_by_small_blocks_has_the_same_etag(self):
        admin = self.admin()
        admin.create({'group_name': 'tag2', 'group_description': 'x' * 200})
        small = admin.ask(coap.GET, '/manage/tag2', extra=[(coap.BLOCK2, b'\x01')])
        self.assertIsNotNone(small.get(coap.BLOCK2))
        self.assertEqual(small.get(coap.ETAG), admin.tag('tag2'))

    def test_members_of_a_deleted_group_are_told_by_post_and_by_observation(self):
        admin = self.admin()
        admin.create({'group_name': 'del2', 'active': True})
        members = {}
        for name, delivery, observes in (('post', 'control', False), ('both', 'control', True), ('observe', 'observe', True)):
            told = []
            m = members[name] = self.member('del2', delivery)
            m.emit, m.told = lambda told=told, **f: told.append(f), told
            m.join()
            if observes:
                m.register()
        admin.patch('del2', {'active': False})
        admin.delete('del2')
        for name, m in members.items():
            m.pump(60.0, lambda: (m.deleted or name == 'observe') and (m.evicted or name == 'post'))
            m.pump(0.3)
            end = [{k: f[k] for k in f if k != 'step'} for f in m.told if f['step'] in ('deleted', 'observation-ended')]
            posted, ended = {'body': bytes.fromhex('a3070108a00a01')}, {'code': '4.04', 'error': 6}
            self.assertEqual(end, [posted, ended] if name == 'both' else [posted] if name == 'post' else [ended])
            m.call(coap.GET, '/ace-group/del2', '4.04')

    def test_deletes_inactive_groups_only(self):
        admin = self.admin()
        admin.create({'group_name': 'del1', 'active': True, 'app_groups': ['a']})
        member = self.member('del1')
        member.join()
        observer = self.member('del1', 'observe')
        observer.join()
        observer.register()
        self.admin(['del1', ALL & ~DELETE]).refused('4.03', None, coap.DELETE, '/manage/del1')
        admin.refused('4.00', 10, coap.DELETE, '/manage/del1')
        admin.patch('del1', {'active': False})
        admin.delete('del1')
        observer.pump(60.0, lambda: observer.evicted)
        self.assertTrue(observer.evicted)
        admin.refused('4.04', None, coap.GET, '/manage/del1')
        admin.refused('4.04', None, coap.DELETE, '/manage/del1')
        self.assertNotIn('del1', admin.list())
        member.call(coap.GET, '/ace-group/del1', '4.04')
        admin.create({'group_name': 'del1'})
        self.assertEqual(admin.get('del1', 'app_groups'), {'app_groups': []})

    def test_a_configuration_survives_a_kill(self):
        daemon = Daemon()
        self.addCleanup(daemon.stop)
        admin = Admin(daemon.gm, [[True, ALL]], daemon.as_key)
        self.addCleanup(admin.endpoint.close)
        admin.create({'group_name': 'kept', 'active': True, 'group_description': 'é' * 100, 'app_groups': ['x', 'y'],
                      'group_policies': {1: 9, 2: 3}, 'max_stale_sets': 7})
        admin.create({'group_name': 'gone', 'group_description': 'x'})
        admin.delete('gone')
        admin.patch('kept', {'app_groups_diff': [['x'], ['z']], 'max_stale_sets': 2})
        before = admin.read('kept')
        daemon.kill()
        daemon.start()
        self.assertEqual(admin.read('kept'), before)
        self.assertEqual(admin.list(), ['kept'])

    def test_no_secret_stands_in_the_log(self):
        admin = self.admin()
        admin.create({'group_name': 'log1', 'active': True})
        member = self.member('log1')
        member.join()
        log = (self.daemon.dir / 'gmd.log').read_text()
        self.assertIn('group=log1', log)
        self.assertNotIn(member.group.ms.hex(), log)


if __name__ == '__main__':
    unittest.main()
