# SPDX-License-Identifier: Apache-2.0
"""Chromium without a window, driven over a pipe by its debugging protocol: a page, what is in it, keys, pictures."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


class Browser:
    """One page in a profile of its own. `errors` has what the page's console complained about."""

    def __init__(self, width=1180, height=900, dark=False):
        self.profile = tempfile.TemporaryDirectory(prefix='gmd-chromium.', ignore_cleanup_errors=True)
        to_child, self.to = os.pipe()
        self.back, from_child = os.pipe()

        def pipes():  # it reads 3 and writes 4
            a, b = os.dup(to_child), os.dup(from_child)
            os.dup2(a, 3)
            os.dup2(b, 4)

        root = ['--no-sandbox'] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(
            [shutil.which('chromium'), '--headless=new', '--remote-debugging-pipe', '--disable-gpu', '--no-first-run', '--disable-extensions',
             '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
             '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', '--user-data-dir=' + self.profile.name, *root, 'about:blank'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=pipes)
        os.close(to_child)
        os.close(from_child)
        self.number, self.buffer, self.errors, self.session = 0, b'', [], None
        pages, end = [], time.monotonic() + 60
        while not pages and time.monotonic() < end:  # it may not have made its first one yet
            pages = [t for t in self.call('Target.getTargets')['targetInfos'] if t['type'] == 'page']
        page = pages[0]
        self.session = self.call('Target.attachToTarget', targetId=page['targetId'], flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log'):
            self.call(domain + '.enable')
        self.size(width, height)
        self.call('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])

    def _message(self, end):
        while b'\0' not in self.buffer:
            if not select.select([self.back], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError('the browser says nothing')
            data = os.read(self.back, 1 << 20)
            if not data:
                raise EOFError('the browser has gone')
            self.buffer += data
        text, self.buffer = self.buffer.split(b'\0', 1)
        return json.loads(text)

    def call(self, method, **params):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': params}
        if self.session:
            message['sessionId'] = self.session
        os.write(self.to, json.dumps(message).encode() + b'\0')
        end = time.monotonic() + 60
        while True:
            answer = self._message(end)
            if answer.get('method') in ('Runtime.exceptionThrown', 'Log.entryAdded'):
                self.errors.append(json.dumps(answer['params']))
            if answer.get('id') == self.number:
                if 'error' in answer:
                    raise RuntimeError('%s: %s' % (method, answer['error']))
                return answer['result']

    def size(self, width, height, mobile=False):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def go(self, url):
        self.call('Page.navigate', url=url)

    def run(self, script):
        result = self.call('Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(json.dumps(result['exceptionDetails']))
        return result['result'].get('value')

    def until(self, script, seconds=60):
        """Waits until what the script says is true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > end:
                raise TimeoutError(script)
            time.sleep(0.05)

    def complaints(self, text, seconds=60):
        """What the console complained about with these words, once there is such."""
        end = time.monotonic() + seconds
        while not any(text in e for e in self.errors) and time.monotonic() < end:
            self.run('0')
        return [e for e in self.errors if text in e]

    def key(self, name, code, text=''):
        for kind in ('keyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key=name, code=name, windowsVirtualKeyCode=code, text=text if kind == 'keyDown' else '')

    def picture(self, path):
        with open(path, 'wb') as file:
            file.write(base64.b64decode(self.call('Page.captureScreenshot', format='png', captureBeyondViewport=False)['data']))

    def close(self):
        try:
            self.call('Browser.close')
        except (EOFError, RuntimeError, TimeoutError, OSError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.back)
        self.profile.cleanup()
