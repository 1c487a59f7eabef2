# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""The C++ in a page of docs is compiled: it stands, but for white space, in a test. A line `...` stands for anything."""

import re

TESTS = {"docs/tracing.md": "test/trace/documented.cpp"}

BLOCK = re.compile(r"^```cpp\n(.*?)^```$", re.M | re.S)


def squeezed(text):
    return re.sub(r"\s+", "", text)


def missing(page, test):
    """The lines of the blocks that the test does not have."""
    test = squeezed(test)
    for block in BLOCK.finditer(page):
        if not all(squeezed(part) in test for part in re.split(r"^\.\.\.$", block.group(1), flags=re.M)):
            yield page.count("\n", 0, block.start()) + 1


def check(tree):
    for page, test in TESTS.items():
        for line in missing(tree.text(tree.root / page), tree.text(tree.root / test)):
            yield tree.root / page, line, f"has C++ that {test} does not compile"
