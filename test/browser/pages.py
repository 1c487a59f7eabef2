#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""The pages that duet-trace writes, in Chromium without a window: pointing, stepping, zooming, filtering, by keyboard alone, light
and dark, on a screen and on a phone. No page asks for anything, complains, or has text that overlaps or is cut.

Run as pages.py <path of duet-trace> [<folder for pictures>]. It is no part of ./dev test: Chromium is large.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

from cdp import Browser, BrowserError

EVIL = "</script><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)> ]]> --> \"' onload='x 你好"

SCREENS = [(1280, 900), (390, 800)]

# In the page: what is wrong with its picture.
FAULTS = r"""(() => {
  const faults = [], seen = [...document.querySelectorAll('.picture svg')].filter(p => p.getClientRects().length);
  if (seen.length !== 1) faults.push(seen.length + ' pictures are seen');
  if (document.documentElement.scrollWidth > innerWidth) faults.push('the page is wider than the window');
  for (const b of document.querySelectorAll('button, h1, header p'))
    if (b.scrollWidth > b.clientWidth + 1) faults.push('cut: ' + b.textContent);
  const buttons = [...document.querySelectorAll('button')].map(b => b.getBoundingClientRect());
  buttons.forEach((a, i) => buttons.slice(i + 1).forEach(b => { if (a.left < b.right && b.left < a.right && a.top < b.bottom &&
      b.top < a.bottom) faults.push('two buttons overlap'); }));
  const frame = seen[0].getBoundingClientRect();
  const texts = [...seen[0].querySelectorAll('text')].map(e => [e, e.getBoundingClientRect()]);
  texts.sort((a, b) => a[1].top - b[1].top);
  texts.forEach(([e, r], i) => {
    if (r.left < frame.left - 1 || r.right > frame.right + 1 || r.top < frame.top || r.bottom > frame.bottom)
      faults.push('out of the picture: ' + e.textContent);
    for (const [f, s] of texts.slice(i + 1)) {
      if (s.top > r.bottom) break;
      if (Math.min(r.right, s.right) - Math.max(r.left, s.left) > 1 && Math.min(r.bottom, s.bottom) - Math.max(r.top, s.top) > 4)
        faults.push('overlap: ' + e.textContent + ' / ' + f.textContent);
    }
  });
  return faults;
})()"""

# The least contrast of any text with the background, WCAG 2 1.4.3.
CONTRAST = r"""(() => {
  const parts = c => c.match(/[\d.]+/g).slice(0, 3).map(Number);
  const light = c => { const [r, g, b] = parts(c).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const back = getComputedStyle(document.body).backgroundColor;
  let least = [21, ''];
  for (const e of document.querySelectorAll('text, h1, p, dt, dd, summary, td, button')) {
    if (!e.getClientRects().length) continue;
    const style = getComputedStyle(e), own = style.backgroundColor;
    const chip = e.parentElement.querySelector(':scope > .chip');
    const behind = chip ? getComputedStyle(chip).fill : e.tagName === 'BUTTON' && own !== 'rgba(0, 0, 0, 0)' ? own : back;
    const now = ratio(e.tagName === 'text' ? style.fill : style.color, behind);
    if (now < least[0]) least = [now, e.textContent];
  }
  return least;
})()"""

HERE = "(document.querySelector('.picture svg.%s .here') || {dataset: {}}).dataset.i || null"
FOCUS = r"""(() => { const e = document.activeElement; if (e === document.body) return null;
  const r = e.getBoundingClientRect(), hit = e.querySelector('.hit, .chip, .arrow, rect.paper');
  const visible = e.matches(':focus-visible') && (getComputedStyle(e).outlineStyle !== 'none' ||
      (hit && getComputedStyle(hit).stroke !== 'none'));
  return {what: e.matches('.item') ? 'item ' + e.dataset.i : (e.textContent.trim() || e.tagName), visible,
          inside: r.bottom > 0 && r.top < innerHeight}; })()"""

failures = []


def check_equal(got, wanted, what):
    if got != wanted:
        failures.append(f"{what}: {got!r}, not {wanted!r}")
        print("FAILED  ", failures[-1], flush=True)


def check(condition, what):
    check_equal(bool(condition), True, what)


# Traces ---------------------------------------------------------------------------------------------------------------


class Trace:
    """A client and a server that are both traced."""

    def __init__(self, client="", server=""):
        self.lines = [{"line": "duet_trace", "version": 1, "program": "pages", "began_ns": 0}]
        for number, (local, remote, name) in enumerate((("127.0.0.1:40312", "127.0.0.1:7777", client),
                                                        ("127.0.0.1:7777", "127.0.0.1:40312", server)), 1):
            self.lines.append({"line": "session", "number": number, "client": number == 1, "local": local, "remote": remote,
                               "name": name})
        self.events, self.time = 0, 0

    def add(self, session, kind, name="", micros=10, **more):
        self.events += 1
        self.time += micros * 1000
        event = {"line": "event", "number": self.events, "time_ns": self.time, "session": session, "kind": kind, **more}
        self.lines.append({**event, "name": name} if name else event)
        return self.events

    def connect(self):
        call = self.add(1, "call", "connect")
        self.add(1, "result", "connect", 100, call=call)
        self.add(2, "begin", "accept")

    def say(self, sender, size, micros=10):
        call = self.add(sender, "call", "write", micros, bytes=size)
        self.add(sender, "transfer", "send", bytes=size)
        self.add(sender, "result", "write", call=call, bytes=size)
        call = self.add(3 - sender, "call", "read_some", bytes=4096)
        self.add(3 - sender, "transfer", "receive", 30, bytes=size)
        self.add(3 - sender, "result", "read_some", call=call, bytes=size)

    def finish(self, sender, name):
        call = self.add(sender, "call", name)
        self.add(sender, "transfer", "fin")
        self.add(sender, "result", name, call=call)
        call = self.add(3 - sender, "call", "read_some", bytes=4096)
        self.add(3 - sender, "transfer", "peer_fin", 30)
        self.add(3 - sender, "result", "read_some", call=call, receive="ended")

    def end(self, text):
        for session in (1, 2):
            self.add(session, "end", reason="clean", receive="ended", send="finished", text=text)

    def write(self, path):
        path.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")


def few():
    trace = Trace()
    trace.connect()
    return trace


def some(client="", server="", text="clean"):
    trace = Trace(client, server)
    trace.connect()
    trace.say(1, 5)
    trace.finish(1, "shutdown_send")
    trace.say(2, 12, 250_000)
    trace.add(2, "note", text=text)
    trace.finish(2, "close")
    trace.end(text)
    return trace


def many():
    trace = Trace()
    trace.connect()
    for number in range(50):
        trace.say(1 + number % 2, 100 + number * 137 % 5000, 120_000 if number % 10 == 9 else 300)
        if number % 4 == 0:
            trace.add(1, "note", text=f"number {number} of many things that the program has to say")
    trace.finish(1, "shutdown_send")
    trace.finish(2, "close")
    trace.end("clean")
    return trace


def evil():
    return some(EVIL, EVIL, EVIL)


# What a page can do ---------------------------------------------------------------------------------------------------


class Page:
    def __init__(self, browser, path, width, height, dark):
        browser.window(width, height, dark)
        browser.open(path)
        self.browser = browser
        self.kind = "narrow" if width <= 700 else "wide"
        self.name = f"{path.stem} {width}{' dark' if dark else ''}"
        self.path = path

    def say(self, what):
        return f"{self.name}: {what}"

    def run(self, script):
        return self.browser.run(script.replace("SVG", f"document.querySelector('.picture svg.{self.kind}')"))

    def here(self):
        return self.run("(SVG.querySelector('.here') || {dataset: {}}).dataset.i || null")

    def facts(self):
        return self.run("[...document.querySelectorAll('#facts dt')].map(e => e.textContent)")

    def check_looks(self, when):
        check_equal(self.run(FAULTS), [], self.say(f"faults {when}"))
        least, text = self.run(CONTRAST)
        check(least >= 4.5, self.say(f"contrast {least:.1f} of {text!r} {when}"))

    def check_quiet(self):
        check_equal(self.browser.requests, [self.path.absolute().as_uri()], self.say("requests"))
        check_equal(self.browser.complaints, [], self.say("complaints"))

    def check_steps(self):
        """The arrow keys reach every item in order, each with facts, and each can be seen."""
        count = self.run("SVG.querySelectorAll('.item').length")
        for number in range(count):
            self.browser.key("ArrowDown")
            check_equal(self.here(), str(number), self.say("item after a step down"))
            check(self.facts(), self.say(f"facts of item {number}"))
            focus = self.run(FOCUS)
            check_equal(focus, {"what": f"item {number}", "visible": True, "inside": True}, self.say("focus after a step"))
        self.browser.key("ArrowRight")
        check_equal(self.here(), str(count - 1), self.say("item beyond the last"))
        self.browser.key("ArrowUp")
        check_equal(self.here(), str(count - 2), self.say("item after a step up"))
        self.browser.key("Home")
        check_equal(self.here(), "0", self.say("item after Home"))
        self.browser.key("End")
        check_equal(self.here(), str(count - 1), self.say("item after End"))
        self.browser.key("Escape")
        check_equal((self.here(), self.facts(), self.run(FOCUS)), (None, [], None), self.say("after Escape"))
        self.browser.key("ArrowUp")
        check_equal(self.here(), str(count - 1), self.say("item after a step up from none"))
        self.browser.key("Escape")

    def check_filter(self):
        shown = "['client', 'server'].map(k => SVG.querySelectorAll('.segment.item.' + k + ':not(.away)').length)"
        both = self.run(shown)
        for key, wanted in (("c", [both[0], 0]), ("s", [0, both[1]]), ("a", both)):
            self.browser.key(key)
            check_equal(self.run(shown), wanted, self.say(f"segments after {key}"))
            pressed = self.run("[...document.querySelectorAll('[aria-pressed=true]')].map(e => e.title)")
            check_equal(pressed, [key], self.say(f"button after {key}"))
            self.browser.key("Home")
            for _ in range(8):
                self.browser.key("ArrowDown")
                check(self.run("!SVG.querySelector('.here').matches('.away')"), self.say(f"a step after {key} is to what is seen"))
        self.browser.key("Escape")

    def check_zoom(self):
        width = "SVG.getBoundingClientRect().width"
        normal = self.run(width)
        self.browser.key("+")
        larger = self.run(width)
        check(larger > normal * 1.1, self.say(f"larger after +: {larger} than {normal}"))
        check(self.run("document.documentElement.scrollWidth <= innerWidth"), self.say("the page is no wider when it is larger"))
        self.browser.key("0")
        check_equal(self.run(width), normal, self.say("width after 0"))
        self.browser.key("-")
        check(self.run(width) < normal, self.say("smaller after -"))
        self.browser.key("0")

    def check_mouse(self):
        self.run("scrollTo(0, 0)")
        script = r"""(i => { const r = SVG.querySelector('.item[data-i="' + i + '"]').getBoundingClientRect();
                      return [r.left + r.width / 2, r.top + r.height / 2]; })"""
        check_equal(self.facts(), [], self.say("facts before pointing"))
        for number in (2, 3):
            self.browser.mouse(*self.run(f"{script}({number})"))
            check_equal(self.here(), str(number), self.say("item pointed at"))
            check(self.facts(), self.say("facts of what is pointed at"))
        self.browser.mouse(*self.run(f"{script}(2)"), click=True)
        self.browser.mouse(2, 2)
        check_equal(self.here(), "2", self.say("item clicked, when the mouse has gone"))
        self.browser.key("Escape")

    def check_tabs(self):
        """Every button, the picture, and the table, in the order in which they are seen; Enter presses a button."""
        buttons = self.run("[...document.querySelectorAll('.tools button')].map(e => e.textContent.trim())")
        self.run("(document.activeElement.blur(), scrollTo(0, 0), 0)")
        self.browser.mouse(2, 2, click=True)
        reached = []
        for _ in range(len(buttons) + 2):
            self.browser.key("Tab")
            focus = self.run(FOCUS)
            check(focus and focus["visible"] and focus["inside"], self.say(f"focus can be seen: {focus}"))
            reached.append(focus and focus["what"])
        last = self.run("document.querySelector('summary').textContent")
        first = reached[len(buttons)] or ""
        check_equal(reached, [*buttons, first if first.startswith("item ") else "item", last], self.say("order of Tab"))
        self.browser.key("Enter")
        check(self.run("document.querySelector('details').open"), self.say("Enter opens the table"))
        self.check_looks("with its table")
        self.browser.key("Enter")
        self.browser.key("Tab", shift=True)
        self.browser.key("ArrowDown")
        here = self.here()
        self.browser.key("Tab")
        self.browser.key("Tab", shift=True)
        check_equal(self.run(FOCUS)["what"], f"item {here}", self.say("Tab comes back to the item"))
        self.browser.key("Escape")


def check_page(browser, path, pictures):
    for width, height in SCREENS:
        for dark in (False, True):
            page = Page(browser, path, width, height, dark)
            page.check_looks("at first")
            if not dark:
                page.check_mouse()
                page.check_tabs()
                page.check_steps()
                page.check_filter()
                page.check_zoom()
            for _ in range(4):
                browser.key("ArrowDown")
            page.check_looks("after steps")
            page.check_quiet()
            if pictures:
                browser.picture(pictures / (page.name.replace(" ", "-") + ".png"))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    pictures = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else None
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        for make in (few, some, many, evil):
            trace, page = (pathlib.Path(folder, make.__name__ + ending) for ending in (".jsonl", ".html"))
            make().write(trace)
            subprocess.run([sys.argv[1], "view", trace, "--session", "1", "--out", page], check=True)
            before = len(failures)
            check_page(browser, page, pictures)
            print("passed  " if len(failures) == before else "FAILED  ", make.__name__, flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    try:
        main()
    except BrowserError as error:
        sys.exit(f"pages.py: {error}")
