# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""The C++ in README.md, in docs and in the comments of the public headers is compiled: each block stands, but for white space, in one
file of test/documented. A line `...` stands for anything. What docs/zh has of it, translations.py holds against docs/en."""

import re

BLOCK = re.compile(r"^ *```cpp\n(.*?)^ *```$", re.M | re.S)


def squeezed(text):
    return re.sub(r"\s+", "", text)


def comments(header):
    """The header's comments, each line in its place."""
    return re.sub(r"^(?!\s*///).*$", "", header, flags=re.M).replace("/// ", "").replace("///", "")


def missing(page, tests):
    """The lines of the blocks that no test has."""
    tests = [squeezed(test) for test in tests]
    for block in BLOCK.finditer(page):
        parts = [squeezed(part) for part in re.split(r"^ *\.\.\.$", block.group(1), flags=re.M)]
        if not any(all(part in test for part in parts) for test in tests):
            yield page.count("\n", 0, block.start()) + 1


def check(tree):
    tests = [tree.text(path) for path in tree.files("test/documented", suffixes={".cpp"})]
    pages = [(path, tree.text(path)) for path in [tree.root / "README.md", *tree.files("docs", suffixes={".md"})]]
    pages += [(path, comments(tree.text(path))) for path in tree.files("include/duet", suffixes={".hpp"})]
    for path, text in pages:
        for line in missing(text, tests):
            yield path, line, "has C++ that no file in test/documented compiles"
