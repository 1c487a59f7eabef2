# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""The C++ in README.md and docs is compiled: each block stands, but for white space, in one file of test/documented. A line `...`
stands for anything. A page in Chinese has the code of the page in English, to the letter."""

import re

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(page):
    """Pairs of a block's line and its text, which begins with its language."""
    for block in BLOCK.finditer(page):
        yield page.count("\n", 0, block.start()) + 1, block.group(1) + "\n" + block.group(2)


def squeezed(text):
    return re.sub(r"\s+", "", text)


def missing(page, tests):
    """The lines of the blocks that no test has."""
    tests = [squeezed(test) for test in tests]
    for line, block in blocks(page):
        language, text = block.split("\n", 1)
        parts = [squeezed(part) for part in re.split(r"^ *\.\.\.$", text, flags=re.M)]
        if language == "cpp" and not any(all(part in test for part in parts) for test in tests):
            yield line


def translated_otherwise(page, original):
    """The first line of a block that the original has not, or another one there."""
    wanted = [text for _, text in blocks(original)]
    found = list(blocks(page))
    for (line, text), want in zip(found, wanted):
        if text != want:
            return line
    return 1 if len(found) != len(wanted) else None


def check(tree):
    tests = [tree.text(path) for path in tree.files("test/documented", suffixes={".cpp"})]
    for path in [tree.root / "README.md", *tree.files("docs", suffixes={".md"})]:
        for line in missing(tree.text(path), tests):
            yield path, line, "has C++ that no file in test/documented compiles"
    for path in tree.files("docs/zh", suffixes={".md"}):
        original = tree.root / "docs/en" / path.relative_to(tree.root / "docs/zh")
        if original.is_file():
            line = translated_otherwise(tree.text(path), tree.text(original))
            if line:
                yield path, line, f"has other code than {original.relative_to(tree.root)}"
