# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""What every file owes its reader: a licence line, include guards, no loose ends, nothing of anybody's machine."""

import re

LICENCE = "Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0."
CXX = (".hpp", ".ipp", ".cpp")

# Each pattern is written so that it does not find itself.
FORBIDDEN = [
    (re.compile(r"(?<![\w.$}])/(?:home|root|Users|work|mnt)[/]\w"), "a path of somebody's machine"),
    (re.compile(r"\b[A-Z]:\\\\?Users"), "a path of somebody's machine"),
    (re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b"), "a loose end"),
    (re.compile(r"[ \t]+$"), "white space at the end of the line"),
    (re.compile(r"\t"), "a tab"),
    (re.compile(r"\r"), "a carriage return"),
]

# Lines that a reader can keep in mind.
LONGEST = {"include": 400, "test": 500}


def check_length(folder, text):
    longest = LONGEST.get(folder)
    if longest and text.count("\n") > longest:
        yield longest + 1, f"has more than {longest} lines: split it along its concepts"


def check_lines(text):
    for number, line in enumerate(text.split("\n"), 1):
        for pattern, wrong in FORBIDDEN:
            if pattern.search(line):
                yield number, wrong
    if text and (not text.endswith("\n") or text.endswith("\n\n")):
        yield text.count("\n") or 1, "does not end with one newline"


def check_licence(text, comment):
    lines = text.split("\n", 2)
    if f"{comment} {LICENCE}" not in lines[:2]:
        yield 1, f"does not begin with '{comment} {LICENCE}'"


def check_guard(header, text):
    """`header` is the path as it is included."""
    guard = re.sub(r"\W", "_", header).upper()
    directives = [line.strip() for line in text.split("\n") if line.lstrip().startswith("#")]
    if directives[:2] != [f"#ifndef {guard}", f"#define {guard}"] or directives[-1:] != ["#endif"]:
        yield 1, f"has no include guard {guard} around it"


def check(tree):
    for path in tree.files():
        text = tree.text(path)
        found = list(check_lines(text))
        if path.suffix in CXX:
            found += check_licence(text, "//")
            found += check_length(path.relative_to(tree.root).parts[0], text)
        elif path.suffix == ".py":
            found += check_licence(text, "#")
        if path.suffix in (".hpp", ".ipp") and (tree.root / "include") in path.parents:
            found += check_guard(path.relative_to(tree.root / "include").as_posix(), text)
        for line, wrong in found:
            yield path, line, wrong
