# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""test/mutations.txt says how to break each rule of the library on purpose, and which test has to see it.

'./dev mutate' tries them all. The lint holds that the list fits the source: each text to replace is there exactly once, each
test exists, and each guarantee of README.md has a break. A list looks like this; '#' begins a comment:

    rule   A FIN never overtakes an accepted write

    break  fin_before_writes                 how to select it
    test   session.write                     an entry of ctest, that has to fail; fuzz.NAME is a target of the fuzzer
    file   include/duet/lifecycle.hpp
    - the text to replace, of one or more lines
    + what replaces it; nothing if there is no such line

A break may say 'hangs' in a line of its own: the test does not end, and its time limit is the failure.
"""

import re
from typing import NamedTuple

LIST = "test/mutations.txt"
GUARANTEES = "## What duet guarantees"


class Break(NamedTuple):
    line: int
    rule: str
    name: str
    test: str
    file: str
    old: str
    new: str
    hangs: bool


class Malformed(Exception):
    def __init__(self, line, wrong):
        super().__init__(f"{LIST}:{line}: {wrong}")
        self.line, self.wrong = line, wrong


def parse(text):
    """All breaks of a list."""
    result, rule, current = [], None, None

    def end():
        if current is None:
            return
        for word in ("test", "file", "old"):
            if not current.get(word):
                raise Malformed(current["line"], f"{current['name']}: there is no '{word if word != 'old' else '-'}' line")
        result.append(Break(current["line"], rule, current["name"], current["test"], current["file"],
            "\n".join(current["old"]), "\n".join(current["new"]), current["hangs"]))

    for line, content in enumerate(text.split("\n"), 1):
        if content.startswith(("- ", "+ ")) or content in ("-", "+"):
            if current is None:
                raise Malformed(line, "is text of no break")
            current["old" if content[0] == "-" else "new"].append(content[2:])
            continue
        word, _, rest = content.split("#", 1)[0].strip().partition(" ")
        rest = rest.strip()
        if not word:
            continue
        if word in ("rule", "break") and rest:
            end()
            current = None
            if word == "rule":
                rule = rest
                continue
            if rule is None:
                raise Malformed(line, "is a break of no rule")
            if any(each.name == rest for each in result):
                raise Malformed(line, f"there are two breaks named {rest}")
            current = {"line": line, "name": rest, "old": [], "new": [], "hangs": False}
        elif word in ("test", "file") and rest and current is not None and word not in current:
            current[word] = rest
        elif word == "hangs" and not rest and current is not None:
            current["hangs"] = True
        else:
            raise Malformed(line, f"'{content}' is not understood here")
    end()
    return result


def tests(cmake):
    """The entries of ctest that test/CMakeLists.txt makes of its programs."""
    result = set()
    for path, options in re.findall(r"^\s*duet_add_test\(([\w/]+)([^)]*)\)", cmake, re.M):
        name = path.replace("/", ".")
        result.add(name)
        if re.search(r"\bREACTOR\b", options):
            result.add(name + ".reactor")
    return result | {"fuzz." + name for name in re.findall(r"^duet_add_fuzzer\((\w+)", cmake, re.M)}


def guarantees(readme):
    """The first column of README's table."""
    table = readme.partition(GUARANTEES)[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0][2:] for line in table.split("\n") if line.startswith("| ")]
    return [row for row in rows if row != "guarantee"]


def check_list(text, read, known_tests, promised):
    """`read` gives the text of a file, or None. Yields (line, what is wrong)."""
    try:
        breaks = parse(text)
    except Malformed as error:
        yield error.line, error.wrong
        return
    for each in breaks:
        source = read(each.file)
        if source is None:
            yield each.line, f"{each.name}: {each.file} is not there"
        elif source.count(each.old) != 1:
            yield each.line, f"{each.name}: its text is {source.count(each.old)} times in {each.file}"
        if each.old == each.new:
            yield each.line, f"{each.name} changes nothing"
        if each.test not in known_tests:
            yield each.line, f"{each.name}: there is no test {each.test}"
    rules = {each.rule for each in breaks}
    for guarantee in promised:
        if guarantee not in rules:
            yield 1, f"no rule is '{guarantee}', as README.md guarantees"


def check(tree):
    path = tree.root / LIST
    if not path.is_file():
        yield path, 1, "is not there"
        return

    def read(name):
        file = tree.root / name
        return tree.text(file) if file.is_file() else None

    known_tests = tests(read("test/CMakeLists.txt") + read("test/fuzz/CMakeLists.txt"))
    for line, wrong in check_list(tree.text(path), read, known_tests, guarantees(read("README.md"))):
        yield path, line, wrong
