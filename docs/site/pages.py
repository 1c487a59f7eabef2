# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""What a page of Markdown consists of: headings and their anchors, links, blocks of code, rows that are filled in."""

import bisect
import re
from typing import NamedTuple

FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})[ ]*([^\n`]*)\n(.*?)(?:^ {0,3}\2[`~]*[ ]*$|\Z)", re.M | re.S)
CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
COMMENT = re.compile(r"<!--.*?-->", re.S)
HEADING = re.compile(r"^(#{1,6}) +(.*?)[ #]*$", re.M)
ROWS = re.compile(r"^<!-- rows: (\S+) -->\n(.*?)^<!-- /rows -->$", re.M | re.S)
ATTRIBUTE = re.compile(r"<[a-zA-Z][^<>]*>")
TARGET = re.compile(r"\b(href|src|srcset)=\"([^\"]*)\"")


class Block(NamedTuple):
    line: int
    language: str
    text: str


class Heading(NamedTuple):
    line: int
    level: int
    text: str
    anchor: str


class Link(NamedTuple):
    """`start` and `end` enclose all of it, `target_start` and `target_end` its target."""
    start: int
    end: int
    target_start: int
    target_end: int
    kind: str  # link, image, definition; or html: the value of an attribute, without its words

    def target(self, text):
        return text[self.target_start:self.target_end]


class Rows(NamedTuple):
    """The generated table of a scene: `start` and `end` enclose it, without the markers."""
    line: int
    scene: str
    start: int
    end: int


class Page:
    def __init__(self, text):
        self.text = text
        self._ends = [match.end() for match in re.finditer("\n", text)]
        self.blocks = [Block(self.line(match.start()), match.group(3).strip(), match.group(4)) for match in FENCE.finditer(text)]
        unfenced = blank(FENCE, text)
        self.rows = [Rows(self.line(match.start()), match.group(1), match.start(2), match.end(2))
                     for match in ROWS.finditer(unfenced)]
        prose = blank(COMMENT, unfenced)
        self.headings = list(self._headings(prose))
        self.links = sorted(find_links(blank(CODE, prose)))

    def line(self, offset):
        return bisect.bisect_right(self._ends, offset) + 1

    def anchors(self):
        return {heading.anchor for heading in self.headings} | set(
            re.findall(r"<a (?:id|name)=\"([^\"]+)\"", blank(FENCE, self.text)))

    def _headings(self, prose):
        seen = {}
        for match in HEADING.finditer(prose):
            anchor = slug(match.group(2))
            count = seen.get(anchor, 0)
            seen[anchor] = count + 1
            yield Heading(self.line(match.start()), len(match.group(1)), match.group(2),
                          f"{anchor}-{count}" if count else anchor)


def blank(pattern, text):
    """`text` with spaces in the place of what matches, so that everything else stays where it is."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def slug(heading):
    """The anchor of a heading, as GitHub and the site make it."""
    words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def find_links(prose):
    for match in re.finditer(r"\]\(\s*<?([^()\s<>]*(?:\([^()\s]*\)[^()\s<>]*)*)>?(?:\s+\"[^\"]*\")?\s*\)", prose):
        start = opening(prose, match.start())
        if start is not None:
            image = start > 0 and prose[start - 1] == "!"
            yield Link(start - image, match.end(), match.start(1), match.end(1), "image" if image else "link")
    for match in re.finditer(r"^ {0,3}\[[^\]\n]+\]:[ ]*(\S+)", prose, re.M):
        yield Link(match.start(), match.end(), match.start(1), match.end(1), "definition")
    for tag in ATTRIBUTE.finditer(prose):
        for match in TARGET.finditer(tag.group()):
            start, end = (tag.start() + offset for offset in match.span(2))
            yield Link(start, end, start, end, "html")


def opening(prose, closing):
    """Where the bracket opens that is closed here."""
    depth = 0
    for at in range(closing, -1, -1):
        depth += (prose[at] == "]") - (prose[at] == "[")
        if depth == 0:
            return at
    return None


def is_local(target):
    return bool(target) and not re.match(r"[a-z][a-z0-9+.-]*:|//", target, re.I)
