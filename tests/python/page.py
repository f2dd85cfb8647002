#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The status page in a real browser. Used by tests/status.sh, and by tests/long.sh for pictures.

    page.py check URL GMCTL SOCKET HOSTILE      exit 0: it shows what gmd says, lives, and runs nothing that it is told
    page.py picture URL FILE [dark] [phone]
"""
import json
import subprocess
import sys

from browser import Browser


def expect(condition, what):
    if not condition:
        raise SystemExit(what)


def gmctl(program, socket, *words):
    return subprocess.run([program, '-s', socket, *words], check=True, capture_output=True, text=True).stdout


def check(url, program, socket, hostile):
    """hostile: the name of an authorization server that would set window.owned if it became markup."""
    browser = Browser()
    browser.go(url)
    browser.until('document.querySelectorAll("#groups tr").length > 0 && document.title.includes("gmd")')
    groups = [json.loads(line) for line in gmctl(program, socket, '--json', 'group', 'list').splitlines()]
    shown = browser.run('[...document.querySelectorAll("#groups tr")].map(r => [...r.children].map(c => c.textContent))')
    expect({row[0]: row[3] for row in shown} == {g['group']: str(g['members']) for g in groups}, shown)
    browser.until('document.getElementById("ases").textContent.includes(%s)' % json.dumps(hostile))
    expect(browser.run('document.querySelectorAll("#ases img, #ases script").length') == 0 and not browser.run('window.owned'),
           'a name became markup')
    late = [json.loads(line) for line in gmctl(program, socket, '--json', 'member', 'list', 'g1', '--late').splitlines()]
    expect(late, 'nobody is late')
    browser.until('document.querySelectorAll("#late tr").length === %d' % len(late))
    expect(browser.run('[...document.querySelectorAll("#late tr")].map(r => r.children[1].textContent)') == [m['node'] for m in late], 'others are late')
    browser.until('document.getElementById("state").className === "degraded"')
    # lives: a group that is made appears without a reload, and the event that tells of it
    gmctl(program, socket, 'group', 'create', 'appears')
    browser.until('[...document.querySelectorAll("#groups td.name")].some(c => c.textContent === "appears")')
    browser.until('document.getElementById("events").textContent.includes("group-created")')
    gmctl(program, socket, 'group', 'delete', 'appears', '--yes')
    browser.until('![...document.querySelectorAll("#groups td.name")].some(c => c.textContent === "appears")')
    # by keyboard: the filter, then a heading sorts and says so
    browser.key('Tab', 9)
    expect(browser.run('document.activeElement.id') == 'filter', 'Tab goes elsewhere')
    browser.run('document.querySelector("#heads button").focus()')
    browser.key('Enter', 13, '\r')
    expect(browser.run('document.querySelector("#heads th").getAttribute("aria-sort")') == 'ascending', 'Enter does not sort')
    # nothing else may run: the policy refuses what is not in the page
    browser.run('document.body.append(Object.assign(document.createElement("script"), {textContent: "window.owned = 1"})), 0')
    expect(not browser.run('window.owned'), 'a script that is not ours ran')
    refused = browser.complaints('Content Security Policy')
    expect(len(refused) == 1 and len(browser.errors) == 1, browser.errors)
    # a phone
    browser.size(390, 800, True)
    expect(browser.run('document.documentElement.scrollWidth <= 390'), 'it is wider than a phone')
    browser.close()


def picture(url, path, *how):
    browser = Browser(height=990, dark='dark' in how)
    if 'phone' in how:
        browser.size(390, 1600, True)
    browser.go(url)
    browser.until('document.querySelectorAll("#groups tr").length > 0')
    browser.run('new Promise(done => setTimeout(done, 4500))')  # rates need two looks
    browser.picture(path)
    browser.close()


if __name__ == '__main__':
    {'check': check, 'picture': picture}[sys.argv[1]](*sys.argv[2:])
