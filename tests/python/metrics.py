#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What gmd exports, read by Prometheus' own client library. Used by tests/status.sh.

    metrics.py FILE CHECK [ARGUMENT ...]          exit 0: as it should be
"""
import json
import math
import re
import sys

from prometheus_client import openmetrics, parser
from prometheus_client.openmetrics import parser as open_parser

ROOT = __file__.rsplit('/tests/', 1)[0] if '/tests/' in __file__ else '.'


def expect(condition, what):
    if not condition:
        raise SystemExit(what)


def read(path, how=parser.text_string_to_metric_families):
    with open(path, encoding='utf-8') as file:
        return list(how(file.read()))


def samples(path):
    return [s for family in read(path) for s in family.samples]


def value(all_samples, text):
    """Of "name" or "name label=value ...": the sum of all samples that fit."""
    name, *labels = text.split()
    labels = dict(label.split('=', 1) for label in labels)
    fit = [s.value for s in all_samples if s.name == name and all(s.labels.get(k) == v for k, v in labels.items())]
    expect(fit or text.startswith('gmd_tokens') or 'code=' in text, 'no sample of %s' % text)
    return sum(fit)


def check_format(path):
    """It parses, each family has help, a type and its own samples; histograms count up to their count."""
    families = read(path)
    expect(len(families) > 50, 'only %d families' % len(families))
    for family in families:
        expect(family.name.startswith('gmd_') and family.documentation and family.type in ('counter', 'gauge', 'histogram'), family)
        expect(family.samples, '%s has no sample' % family.name)
        keys = [(s.name, tuple(sorted(s.labels.items()))) for s in family.samples]
        expect(len(keys) == len(set(keys)), '%s has a sample twice' % family.name)
        expect(all(math.isfinite(s.value) and s.value >= 0 for s in family.samples), family)
        if family.type == 'histogram':
            check_histogram(family)
    expect(len({f.name for f in families}) == len(families), 'a family stands in two places')


def check_histogram(family):
    series = {}
    for s in family.samples:
        series.setdefault(tuple(sorted((k, v) for k, v in s.labels.items() if k != 'le')), []).append(s)
    for labels, own in series.items():
        buckets = [(float(s.labels['le']), s.value) for s in own if s.name.endswith('_bucket')]
        count = [s.value for s in own if s.name.endswith('_count')]
        expect(buckets == sorted(buckets) and [n for _, n in buckets] == sorted(n for _, n in buckets), (family.name, labels, 'does not rise'))
        expect(buckets[-1] == (math.inf, count[0]), (family.name, labels, 'ends elsewhere'))
        total = next(s.value for s in own if s.name.endswith('_sum'))
        expect((total == 0) <= (count[0] == 0 or buckets[0][1] == count[0]), (family.name, labels, 'has no sum'))


def check_open(path):
    """OpenMetrics, by its own and stricter parser."""
    families = read(path, open_parser.text_string_to_metric_families)
    expect(len(families) > 50 and openmetrics, 'only %d families' % len(families))


def check_values(path, *wanted):
    """"name label=value ...:number", and with + before the number: at least."""
    have = samples(path)
    for text in wanted:
        what, number = text.rsplit(':', 1)
        is_ = value(have, what)
        expect(is_ >= float(number) if number.startswith('+') else is_ == float(number), '%s is %s, not %s' % (what, is_, number))


def names_in(text):
    return set(re.findall(r'\bgmd_[a-z0-9_]+', text))


def expressions(node):
    if isinstance(node, dict):
        for key, child in node.items():
            if key in ('expr', 'query') and isinstance(child, str):
                yield child
            yield from expressions(child)
    elif isinstance(node, list):
        for child in node:
            yield from expressions(child)


def check_names(path, dashboard, rules, page):
    """Whatever the dashboard, the rules and the page name is exported, label by label."""
    have = samples(path)
    exported = {s.name for s in have}
    labels = {label for s in have for label in s.labels} | {'instance', 'job', 'le', '__name__'}
    with open(dashboard, encoding='utf-8') as file:
        texts = list(expressions(json.load(file)))
    with open(rules, encoding='utf-8') as file:
        texts += re.findall(r'^ +expr: (.*)$', file.read(), re.M)
    expect(len(texts) > 40, 'only %d expressions' % len(texts))
    used = set().union(*(names_in(text) for text in texts))
    expect(len(used) > 35, 'only %d names' % len(used))
    expect(used <= exported, 'not exported: %s' % sorted(used - exported))
    for text in texts:
        for group in re.findall(r'(?:by|,) ?\(([a-z_, ]+)\)', text) + [','.join(re.findall(r'[{,]([a-z_]+)=', text))]:
            expect(set(filter(None, re.split('[, ]+', group))) <= labels, '%s: no such label: %s' % (text, group))
    with open(page, encoding='utf-8') as file:
        families = {f.name for f in read(path)} | {f.name + '_total' for f in read(path)}
        expect(names_in(file.read()) <= families, 'the page names %s' % sorted(names_in(file.read()) - families))


def main(path, check, *arguments):
    globals()['check_' + check](path, *arguments)


if __name__ == '__main__':
    main(*sys.argv[1:])
