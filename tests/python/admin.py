#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An administrator of groups (draft-ietf-ace-oscore-gm-admin-17), independent of the Group Manager's code.

    admin.py --gm 127.0.0.1:5683 --as-key as.json [--entry TOID:PERMISSIONS]... COMMAND [NAME] [PARAMETERS]

TOID is * for every group, /PATTERN for an I-Regexp, else a name; PERMISSIONS a number, 31 for all. Commands: list, fetch,
create, read, get, overwrite, patch, ipatch, delete. PARAMETERS is JSON: an object of parameters by name, for get an array.
"""

import argparse
import json
import os

import cbor2

import ace
import coap
from member import Member, check, fields_of, host_port

LABELS = {
    'hkdf': -1, 'cred_fmt': -2, 'group_mode': -3, 'gp_enc_alg': -4, 'sign_alg': -5, 'sign_params': -6,
    'pairwise_mode': -7, 'alg': -8, 'ecdh_alg': -9, 'ecdh_params': -10, 'rt': -11, 'active': -12, 'group_name': -13,
    'group_description': -14, 'max_stale_sets': -15, 'gid_reuse': -16, 'app_groups': -17, 'joining_uri': -18,
    'as_uri': -19, 'det_req': -25, 'det_hash_alg': -26, 'conf_filter': -27, 'app_groups_diff': -28,
    'ace_groupcomm_profile': 10, 'exp': 11, 'group_policies': 16}
NAMES = {label: name for name, label in LABELS.items()}
LIST, CREATE, READ, WRITE, DELETE, ALL = 1, 2, 4, 8, 16, 31
CF_LINK = 40


def pattern(text):
    return cbor2.CBORTag(21065, text)


def labelled(parameters):
    """{'hkdf': 5} -> {-1: 5}; labels pass as they are."""
    return {LABELS.get(k, k): v for k, v in parameters.items()}


def named(fields):
    return {NAMES.get(k, k): v for k, v in fields.items()}


class Admin(Member):
    """A client whose token has entries [Toid, permissions]; those without bit 0 are a user's."""

    def __init__(self, gm, entries, as_key, **rest):
        super().__init__(gm, 'none', 0, **{'emit': lambda **_: None, 'timeout': 60.0, **rest})
        self.osc = {0: os.urandom(4), 2: os.urandom(16), 5: os.urandom(8)}
        self.token = ace.mint(as_key, ace.osc_claims(as_key, ace.scope(entries), self.osc))
        self.authz_info()

    def _choose_keys(self, reply):
        pass

    def ask(self, method, path, fields=None, content_format=ace.CF_GROUPCOMM, extra=()):
        payload = b'' if fields is None else fields if isinstance(fields, bytes) else cbor2.dumps(labelled(fields))
        return self.request(method, path, payload, content_format if payload else None, extra)

    def done(self, code, *request):
        """The answer's map, by names."""
        answer = self.ask(*request)
        check(coap.dotted(answer.code) == code, '%s %s' % (coap.dotted(answer.code), answer.payload))
        return named(fields_of(answer))

    def refused(self, code, error, *request, **rest):
        """An error: with this id in problem details, or without any. Its text."""
        answer = self.ask(*request, **rest)
        check(coap.dotted(answer.code) == code, '%s %s instead of %s' % (coap.dotted(answer.code), answer.payload, code))
        if error is None:
            check(answer.get(coap.CONTENT_FORMAT) is None, 'an error without id has a Content-Format')
            return answer.payload.decode()
        check(answer.uint(coap.CONTENT_FORMAT) == ace.CF_PROBLEM, 'no problem details')
        check(ace.problem_id(answer.payload) == error, 'error %s' % ace.problem_id(answer.payload))
        return cbor2.loads(answer.payload).get(-2, '')

    def list(self, criteria=None):
        """Names in the links; with criteria by FETCH."""
        answer = self.ask(coap.GET if criteria is None else coap.FETCH, '/manage', criteria)
        check(coap.dotted(answer.code) == '2.05', coap.dotted(answer.code))
        check(answer.uint(coap.CONTENT_FORMAT) == CF_LINK, 'a list is no link-format')
        links = answer.payload.decode().split(',') if answer.payload else []
        names = []
        for link in links:
            check(link.startswith('</manage/') and link.endswith('>;rt="core.osc.gconf"'), 'link ' + link)
            names.append(link[len('</manage/'):link.index('>')])
        return names

    def create(self, parameters):
        """The answer's map; its Location-Path is checked."""
        answer = self.ask(coap.POST, '/manage', parameters)
        check(coap.dotted(answer.code) == '2.01', '%s %s' % (coap.dotted(answer.code), answer.payload))
        fields = named(fields_of(answer))
        location = [value.decode() for value in answer.all(coap.LOCATION_PATH)]
        check(location == ['manage', fields['group_name']], 'Location-Path %s' % location)
        check(not answer.all(20), 'a Location-Query')
        return fields

    def tag(self, name):
        """The ETag of a configuration."""
        answer = self.ask(coap.GET, '/manage/' + name)
        check(coap.dotted(answer.code) == '2.05' and answer.get(coap.ETAG), 'no ETag')
        return answer.get(coap.ETAG)

    def read(self, name):
        return self.done('2.05', coap.GET, '/manage/' + name)

    def get(self, name, *wanted):
        return self.done('2.05', coap.FETCH, '/manage/' + name, {'conf_filter': [LABELS.get(w, w) for w in wanted]})

    def overwrite(self, name, parameters):
        return self.done('2.04', coap.POST, '/manage/' + name, parameters)

    def patch(self, name, parameters, method=coap.PATCH):
        return self.done('2.04', method, '/manage/' + name, parameters)

    def delete(self, name):
        answer = self.ask(coap.DELETE, '/manage/' + name)
        check(coap.dotted(answer.code) == '2.02', coap.dotted(answer.code))


def entry(text):
    toid, _, permissions = text.rpartition(':')
    return [True if toid == '*' else pattern(toid[1:]) if toid.startswith('/') else toid, int(permissions)]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--gm', type=host_port, default=('127.0.0.1', 5683))
    parser.add_argument('--as-key', required=True)
    parser.add_argument('--entry', type=entry, action='append', help='TOID:PERMISSIONS')
    parser.add_argument('command', choices='list fetch create read get overwrite patch ipatch delete'.split())
    parser.add_argument('name', nargs='?')
    parser.add_argument('parameters', nargs='?', type=json.loads)
    args = parser.parse_args(argv)
    admin = Admin(args.gm, args.entry or [[True, ALL]], ace.load_as_key(args.as_key))
    alone = json.loads(args.name) if args.command in ('fetch', 'create') else None
    result = {'list': admin.list, 'fetch': lambda: admin.list(alone), 'create': lambda: admin.create(alone),
              'read': lambda: admin.read(args.name), 'get': lambda: admin.get(args.name, *args.parameters),
              'overwrite': lambda: admin.overwrite(args.name, args.parameters),
              'patch': lambda: admin.patch(args.name, args.parameters),
              'ipatch': lambda: admin.patch(args.name, args.parameters, coap.IPATCH),
              'delete': lambda: admin.delete(args.name)}[args.command]()
    print(json.dumps(result, default=str))


if __name__ == '__main__':
    main()
