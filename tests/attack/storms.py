# SPDX-License-Identifier: Apache-2.0
"""Good messages in bad order or number: operator against members, endless re-joins, long scopes and hints."""

import json
import os
import subprocess
import threading
import time

import cbor2

from rig import Client, ace, coap, decoded, drain, error_of

FINE = {'2.01', '2.02', '2.04', '2.05', '4.00', '4.01', '4.03', '4.04', '4.05', '5.03'}


def tolerant(server, *args):
    """A command that may fail, as gmctl's exit code."""
    return subprocess.run([os.path.join(server.build, 'gmctl'), '-s', server.path('sock'), '--json', *args],
                          capture_output=True,
                          timeout=30, check=False).returncode


def other_as(attack, name):
    """One more Authorization Server; its key as ace.mint() wants it."""
    key = {'kid': os.urandom(4), 'alg': 'AES-CCM-16-64-128', 'key': os.urandom(16), 'iss': name, 'aud': 'gm.test'}
    with open(attack.server.path(name + '.json'), 'w', encoding='utf-8') as file:
        json.dump({k: v.hex() if isinstance(v, bytes) else v for k, v in key.items()}, file)
    attack.server.ctl('as', 'add', name, '--key=' + attack.server.path(name + '.json'))
    return key


def operator_against_members(attack, seconds=8.0):
    """Groups come and go, members are evicted, keys change, an AS is removed, while members join, read and leave."""
    server, dice = attack.server, attack.dice
    kinds = (('s0',), ('s1', '--backward=each'), ('s2', '--backward=window'), ('s3', '--max-members=3'),
             ('s4', '--signature-only'))
    for kind in kinds:
        server.ctl('group', 'create', *kind)
    end, codes, threads = time.monotonic() + seconds, {}, []
    key = other_as(attack, 'as2')

    def member_lives(seed):
        while time.monotonic() < end:
            client, group = Client(server), 's%d' % dice.randrange(5)
            try:
                claims = ace.osc_claims(key, ace.scope([('s%d' % n, 14) for n in range(5)]), client.new_osc())
                answer = client.post(ace.mint(key, claims))
                for _ in range(dice.randrange(1, 8) if client.ctx else 0):
                    port = client.sock.getsockname()[1]
                    step = dice.randrange(5)
                    if step < 2:
                        extra = {26: 'coap://127.0.0.1:%d/c' % port,
                                 4: None} if dice.randrange(2) else {4: [True, [2, 4], []]}
                        answer = client.join(group, dice.choice((2, 4, 6, 8)), extra=extra)
                    elif step == 2:
                        answer = client.ask(coap.GET, '/ace-group/%s' % group, options=[(coap.OBSERVE, b'')])
                    elif step == 3 and client.node:
                        answer = client.ask(coap.DELETE, '/ace-group/%s/nodes/%s' % (group, client.node))
                    else:
                        answer = client.ask(coap.GET, '/ace-group/%s/creds' % group)
                    code = error_of(answer)[0]
                    codes[code] = codes.get(code, 0) + 1
            except Exception as error:
                attack.tally.check(False, 'a client in a storm meets %s' % type(error).__name__, error)
                codes[type(error).__name__] = codes.get(type(error).__name__, 0) + 1
            client.close()

    for seed in range(6):
        threads.append(threading.Thread(target=member_lives, args=(seed,), daemon=True))
        threads[-1].start()
    while time.monotonic() < end:
        group = dice.choice(kinds)
        what = dice.randrange(8)
        if what == 0:
            tolerant(server, 'group', 'delete', group[0], '--yes')
            tolerant(server, 'group', 'create', *group)
        elif what == 1:
            tolerant(server, 'as', 'remove', 'as2', '--yes')
            tolerant(server, 'as', 'add', 'as2', '--key=' + server.path('as2.json'))
        elif what < 4:
            tolerant(server, 'rekey', group[0], *(['--compromised'] if what == 2 else []))
        else:
            rows = [row for row in server.ctl('member', 'list', group[0]) if 'node' in row]
            if rows:
                tolerant(server, 'member', 'evict', group[0], dice.choice(rows)['node'], '--yes',
                         *(['--allow-return'] if what < 6 else []))
    for thread in threads:
        thread.join(120)
    print('               answers: %s' % dict(sorted(codes.items())))
    odd = {k: v for k, v in codes.items() if k not in FINE}
    attack.tally.check(not odd or set(odd) == {'no answer'} and odd['no answer'] < 20,
                       'all requests in a storm are answered', odd)
    attack.tally.check(codes.get('2.01', 0) > 3, 'some Joins in a storm succeed', codes)
    for kind in kinds:
        server.ctl('group', 'delete', kind[0], '--yes')
    server.ctl('as', 'remove', 'as2', '--yes')
    time.sleep(2.0)


def endless_rejoins(attack, count=700):
    """Each re-join takes a Sender ID: they do not run out for the others, and rekeys do not come without end."""
    server = attack.server
    server.ctl('group', 'create', 'tight', '--max-members=4')
    quiet, storm = attack.client([('tight', 6)]), attack.client([('tight', 6)])
    attack.expect(quiet.join('tight'), '2.01', 'a quiet member joins')
    attack.expect(storm.join('tight'), '2.01', 'a restless member joins')
    before = server.ctl('group', 'show', 'tight')[0]['version']
    codes, sids, start = {}, set(), time.monotonic()
    for _ in range(count):
        answer = storm.join('tight')
        code = error_of(answer)[0]
        codes[code] = codes.get(code, 0) + 1
        if code == '2.04':
            reply = cbor2.loads(answer.payload)
            attack.tally.check((reply[9], reply[8][7]) not in sids, 'no Sender ID comes twice under one version')
            sids.add((reply[9], reply[8][7]))
    took = time.monotonic() - start
    rekeys = server.ctl('group', 'show', 'tight')[0]['version'] - before
    print('               %d re-joins in %.1f s: %s, %d rekeys' % (count, took, codes, rekeys))
    attack.tally.check(set(codes) <= {'2.04', '5.03'}, 'a re-join gets 2.04 or 5.03', codes)
    attack.tally.check(rekeys <= 2 + took, 'one restless member does not cause more than a rekey a second',
                       (rekeys, took))
    attack.expect(quiet.ask(coap.GET, '/ace-group/tight'), '2.05', 'the quiet member is served')
    third, fourth, fifth = (attack.client([('tight', 6)]) for _ in range(3))
    for client in (third, fourth):
        answer = client.join('tight')
        for _ in range(300):
            if error_of(answer)[0] != '5.03':
                break
            time.sleep(0.2)
            answer = client.join('tight')
        attack.expect(answer, '2.01', 'there is room for those the group was made for')
    attack.expect(fifth.join('tight'), '5.03', 'a full group says so')
    server.ctl('group', 'delete', 'tight', '--yes')


def long_scopes(attack):
    """A token for more groups than an answer can describe."""
    server = attack.server
    names = ['many%03d' % n for n in range(70)]
    for n, name in enumerate(names):
        server.ctl('group', 'create', name, *(['--signature-only'] if n % 2 else []))
    for use in (names[:10], names[:40], names):
        client = attack.client()
        answer = client.post(ace.mint(server.as_key, client.claims([(name, 6) for name in use])),
                             extra={45: None, 47: None, 48: None})
        code = error_of(answer)[0]
        attack.tally.check(code in ('2.01', '4.13', 'no answer') and (code == '2.01' or len(use) > 40),
                           'a token for %d groups' % len(use), code)
        if code == '2.01':
            attack.tally.check(len(answer.raw) <= 1280, 'an answer fits a datagram', len(answer.raw))
            attack.expect(client.join(use[-1]), '2.01', 'and opens its last group')
    for name in names:
        server.ctl('group', 'delete', name, '--yes')


def short_questions(attack):
    """What a stranger's datagram costs others: no answer is more than three times as long (RFC 9175 section 2.6)."""
    server = attack.server
    with open(server.path('long.json'), 'w', encoding='utf-8') as file:
        json.dump({'kid': '0102', 'alg': 'AES-CCM-16-64-128', 'key': os.urandom(16).hex(), 'iss': 'long',
                   'aud': 'gm.test'}, file)
    server.ctl('as', 'remove', 'as1', '--yes')  # hints name the first; the honest member is out of the game by now
    server.ctl('as', 'add', 'long', '--key=' + server.path('long.json'),
               '--uri=coaps://' + 'a' * 100 + '.example/token')
    stranger, worst = Client(server), (0.0, b'')
    questions = [coap.Message(method, coap.path_options(path), payload, mid=n, type=kind)
                 for n, (method, path, payload, kind) in enumerate(
                     (m, p, b, t) for m in (coap.GET, coap.POST) for p in ('/ace-group', '/authz-info', '/x')
                     for b in (b'', b'\xa0') for t in (coap.CON, coap.NON))]
    questions += [coap.Message(coap.POST, [(coap.OSCORE, v)], b'x', mid=100 + n) for n,
                  v in enumerate((b'', b'\x09\0', b'\x09\0abcd'))]
    for question in questions:
        data = question.encode()
        stranger.send(data)
        for answer in drain(stranger.sock, 0.05):
            worst = max(worst, (len(answer) / len(data), data))
            attack.tally.check(len(answer) <= 3 * len(data), 'a stranger gets at most three times its bytes',
                               '%d for %d: %s' % (len(answer), len(data), coap.dotted(decoded(answer).code)))
    print('               worst amplification %.1f' % worst[0])
