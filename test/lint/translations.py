# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""docs/en and docs/zh are the same pages: no page, heading, row, picture or piece of code lacks its translation."""

import itertools
import pathlib
import re
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "docs/site"))
import pages  # noqa: E402: it is not beside this file
import phrases  # noqa: E402

ENGLISH, CHINESE = "docs/en", "docs/zh"
SENTENCE = re.compile(r"(?:\b[A-Za-z][a-z'-]*[ ,;:]+){5,}[a-z]+")


def tables(page):
    """The first line of each table, and the number of cells in each of its rows; not of generated ones."""
    text = pages.blank(pages.CODE, pages.blank(pages.FENCE, pages.blank(pages.ROWS, page.text)))
    lines = enumerate(text.split("\n"), 1)
    for is_table, group in itertools.groupby(lines, lambda line: line[1].lstrip().startswith("|")):
        if is_table:
            group = list(group)
            yield group[0][0], [len(re.findall(r"(?<!\\)\|", line)) for _, line in group]


def untranslated(page):
    """Lines with a sentence in English. Code and the names of files are no sentences."""
    text = page.text
    for pattern in (pages.FENCE, pages.COMMENT, pages.CODE, re.compile(r"\]\([^)]*\)")):
        text = pages.blank(pattern, text)
    for number, line in enumerate(text.split("\n"), 1):
        if match := SENTENCE.search(line):
            yield number, f"is not translated: {match.group()}"


def differences(english, chinese, words):
    """(line of the Chinese page, what is wrong)"""
    parts = [
        ("heading", [heading.level for heading in english.headings], chinese.headings, lambda heading: heading.level),
        ("piece of code", [block[1:] for block in english.blocks], chinese.blocks, lambda block: block[1:]),
        ("place for rows", [rows.scene for rows in english.rows], chinese.rows, lambda rows: rows.scene),
        ("table", [cells for _, cells in tables(english)], list(tables(chinese)), lambda table: table[1]),
    ]
    for name, wanted, found, what in parts:
        for number, (one, other) in enumerate(itertools.zip_longest(wanted, found), 1):
            if other is None or one != what(other):
                yield (other or (1,))[0], f"has not the {name} number {number} of the English page"
                break
    images = [[page.text[link.target_start:link.target_end] for link in page.links if link.kind == "image"]
              for page in (english, chinese)]
    if images[0] != images[1]:
        yield 1, "has not the pictures of the English page"
    for one, other in zip(english.rows, chinese.rows):
        try:
            wanted = words.table(english.text[one.start:one.end])
        except phrases.Unknown as word:
            yield other.line, f"{phrases.FILE} has no phrase with '{word}'"
        else:
            if chinese.text[other.start:other.end] != wanted:
                yield other.line, "has other rows than the English page: ./dev docs fills them in"
    yield from untranslated(chinese)


def check(tree):
    found = {language: {path.relative_to(tree.root / language).as_posix(): path
                        for path in tree.files(language, suffixes={".md"})} for language in (ENGLISH, CHINESE)}
    words = phrases.Phrases(tree.text(tree.root / phrases.FILE))
    for name in sorted(found[ENGLISH].keys() | found[CHINESE].keys()):
        english, chinese = (found[language].get(name) for language in (ENGLISH, CHINESE))
        if english and chinese:
            for line, wrong in differences(pages.Page(tree.text(english)), pages.Page(tree.text(chinese)), words):
                yield chinese, line, wrong
        else:
            yield english or chinese, 1, f"has no translation: {CHINESE if english else ENGLISH}/{name}"
