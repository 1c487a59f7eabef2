# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Every known pitfall of TCP programs, P01 to P44, has a test that carries its number, or a reason why it has none.

test/pitfalls.txt says which. A line is one of
    P01  wire/close.cpp                    the number stands in test/wire/close.cpp
    P01  wire/close.cpp:no_reset_on_close  and so does this name
    P01  -  the reason why no test of ours is about it
A number may have several lines with tests. '#' begins a comment.
"""

import re

LIST = "test/pitfalls.txt"
NUMBERS = [f"P{number:02}" for number in range(1, 45)]


def check_list(text, read):
    """`read` gives the text of a file in test/, or None. Yields (line, what is wrong)."""
    tested, excused = set(), set()
    for line, content in enumerate(text.split("\n"), 1):
        content = content.split("#", 1)[0].strip()
        if not content:
            continue
        match = re.fullmatch(r"(P\d\d)\s+(?:-\s+(?P<reason>\S.*)|(?P<file>[\w./-]+)(?::(?P<case>\w+))?)", content)
        if not match or match.group(1) not in NUMBERS:
            yield line, "is neither 'Pnn  file[:case]' nor 'Pnn  -  reason'"
            continue
        number = match.group(1)
        if match.group("reason"):
            excused.add(number)
            continue
        tested.add(number)
        yield from ((line, wrong) for wrong in check_entry(number, match.group("file"), match.group("case"), read))
    for number in sorted(tested & excused):
        yield 1, f"{number} has both a test and a reason for having none"
    for number in NUMBERS:
        if number not in tested | excused:
            yield 1, f"{number} is missing"


def check_entry(number, file, case, read):
    text = read(file)
    if text is None:
        yield f"test/{file} is not there"
        return
    # The number may be part of a name: p01_no_reset_on_close.
    if not re.search(rf"(?<![A-Za-z0-9]){number}(?!\d)", text, re.I):
        yield f"test/{file} does not name {number}"
    if case and not re.search(rf"\b{case}\b", text):
        yield f"test/{file} has no case {case}"


def check(tree):
    path = tree.root / LIST
    if not path.is_file():
        yield path, 1, "is not there"
        return

    def read(name):
        file = tree.root / "test" / name
        return tree.text(file) if file.is_file() else None

    for line, wrong in check_list(tree.text(path), read):
        yield path, line, wrong
