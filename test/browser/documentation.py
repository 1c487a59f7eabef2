#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Opens the pages of the built site from disk in a browser, and says what is wrong with it.

None complains on the console or asks a network for anything; none is broader than its window, on a phone and on a desk; every
link and anchor leads somewhere; the search finds words of both languages.
"""

import html.parser
import pathlib
import sys
import urllib.parse

from cdp import Browser, BrowserError

SITE = pathlib.Path(__file__).resolve().parents[2] / "build/docs/site"
PHONE, DESK, HEIGHT = 390, 1280, 900  # pixels
BROADER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# What is found: a word, and a page that has it; None: no page has it.
SEARCHES = [
    ("en", "shutdown_send", "reference/session"), ("en", "truncated answers", "pages/readme"), ("en", "zyxwvu", None),
    ("zh", "握手", "index"), ("zh", "彼此独立", "index"), ("zh", "shutdown_send", "reference/session"), ("zh", "龘龘", None),
]
RESULTS = """new Promise((done) => {
    const look = () => document.querySelector("#search-results .search-summary, #search-results p")
        && !Search._pulse_status.toString().match(/^[0-9]/)
        ? done([...document.querySelectorAll("#search-results li a")].map((link) => link.getAttribute("href")))
        : setTimeout(look, 20);
    look();
})"""


class Names(html.parser.HTMLParser):
    """What a page links to, and what in it can be linked to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name"):
                self.ids.add(value)
            elif name in ("href", "src") and value is not None:
                self.links.append(value)


def dead_links(site):
    found = {path: Names(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, names in found.items():
        for link in sorted(set(names.links)):
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / urllib.parse.unquote(url.path)).resolve() if url.path else path
            anchor = urllib.parse.unquote(url.fragment)
            if not target.is_file():
                yield path, f"links to {link}, which is not there"
            elif anchor and target in found and anchor not in found[target].ids:
                yield path, f"links to {link}, but there is no such anchor"


def problems(tab):
    """What a page has said or asked for since it was opened."""
    return [*tab.complaints, *(f"asks for {url}" for url in tab.requests if not url.startswith(("file:", "data:")))]


def look(site, tab):
    """At every page; not at the copies of files, which are all alike."""
    for path in sorted(site.glob("*/**/*.html")):
        if path.relative_to(site).parts[1] == "files":
            continue
        tab.open(path)
        for width in (PHONE, DESK):
            tab.window(width, HEIGHT, touch=width == PHONE)
            broader = tab.run(BROADER)
            if broader > 0:
                yield path, f"is {broader} pixels broader than a window of {width}"
        yield from ((path, problem) for problem in problems(tab))


def search(site, tab):
    for language, words, wanted in SEARCHES:
        path = site / language / "search.html"
        tab.open(path, "?q=" + urllib.parse.quote(words))
        found = [urllib.parse.urlsplit(link).path.removesuffix(".html") for link in tab.run(RESULTS)]
        if wanted is None and found:
            yield path, f"finds '{words}' in {found[0]}"
        elif wanted is not None and wanted not in found:
            yield path, f"does not find '{words}' in {wanted}, but in: {', '.join(found)}"
        yield from ((path, f"searching '{words}': {problem}") for problem in problems(tab))


def entrance(site, tab):
    tab.open(site / "index.html")
    yield from ((site / "index.html", problem) for problem in problems(tab))


def main(site):
    wrong = list(dead_links(site))
    try:
        with Browser() as tab:
            wrong += [*entrance(site, tab), *look(site, tab), *search(site, tab)]
    except BrowserError as error:
        print(f"docs: not all pages were looked at: {error}")
        return 1
    for path, words in wrong:
        print(f"{path.relative_to(site)}: {words}")
    print(f"docs: {len(wrong)} found" if wrong else "docs: nothing found")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else SITE))
