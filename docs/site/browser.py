# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""A browser without a window: Chromium, told what to do through a pipe (--remote-debugging-pipe), with Python alone."""

import fcntl
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

PATIENCE = 120  # seconds for one answer, a guard against hanging
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class BrowserError(Exception):
    """The browser has ended, does not answer, or refuses."""


def find():
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One tab. `problems` are what pages have complained of: console errors and warnings, exceptions, requests to a network."""

    def __init__(self, program):
        self.problems = []
        self._profile = tempfile.TemporaryDirectory()
        self._count, self._rest, self._loaded, self._session = 0, b"", False, None
        from_us, to_browser = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in os.pipe())
        from_browser, to_us = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in os.pipe())
        options = ["--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--remote-debugging-pipe",
                   "--disable-background-networking", f"--user-data-dir={self._profile.name}"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # it refuses to start otherwise
        self._process = subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn
            [program, *options, "about:blank"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            close_fds=False, preexec_fn=lambda: (os.dup2(from_us, 3), os.dup2(to_us, 4)))
        os.close(from_us)
        os.close(to_us)
        self._to, self._from = to_browser, from_browser
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        for _ in range(50):  # its helpers may still write
            try:
                self._profile.cleanup()
                return
            except OSError:
                time.sleep(0.1)

    def ask(self, method, **parameters):
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def open(self, where, width=1280, height=900):
        self.resize(width, height)
        self._loaded = False
        self.ask("Page.navigate", url=where if "://" in str(where) else pathlib.Path(where).as_uri())
        while not self._loaded:
            self._next()

    def resize(self, width, height=900):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def evaluate(self, script):
        """The value of an expression, or of what it promises."""
        answer = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{script}: {answer['exceptionDetails']['exception'].get('description')}")
        return answer["result"].get("value")

    def _next(self):
        """The next message, of which the events are dealt with."""
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            if not select.select([self._from], [], [], max(0, end - time.monotonic()))[0]:
                raise BrowserError("it does not answer")
            part = os.read(self._from, 1 << 20)
            if not part:
                raise BrowserError("it has ended")
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(text)
        self._event(message.get("method"), message.get("params", {}))
        return message

    def _event(self, method, about):
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.problems.append("console: " + " ".join(str(each.get("value", each.get("description"))) for each in about["args"]))
        elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent" and not about["request"]["url"].startswith(("file:", "data:", "about:", "blob:")):
            self.problems.append(f"asks a network for {about['request']['url']}")
