# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""What lies in a folder is named where it has to be named: no test is forgotten, and no definition."""

import re
from typing import NamedTuple


class Rule(NamedTuple):
    folder: str
    files: str
    list_file: str
    pattern: str  # how {name}, a file without its suffix, stands in list_file
    exempt: tuple = ()
    containing: str = ""  # only files that contain this


RULES = [
    Rule("test/examples", "*.py", "test/CMakeLists.txt", r"duet_add_example_test\({name}\b"),
    Rule("test/tools", "*.py", "test/CMakeLists.txt", r"duet_add_tool_test\({name}\b"),
    Rule("test/documented/tutorial", "*.cpp", "test/CMakeLists.txt", r"duet_add_documented_program\({name}\b"),
    Rule("examples", "*.cpp", "examples/CMakeLists.txt", r"duet_add_example\({name}\b"),
    Rule("examples/balancer", "*.cpp", "examples/CMakeLists.txt", r"balancer/{name}\.cpp\b"),
    Rule("examples/lifecycle", "*.cpp", "examples/CMakeLists.txt", r"lifecycle/{name}\.cpp\b"),
    Rule("test/docs", "*.py", "test/docs/CMakeLists.txt", r"/{name}\.py"),
    Rule("include/duet/detail", "*/*.ipp", "src/duet.cpp", r"/{name}\.ipp>", containing="DUET_DECL"),
    # format, beast, trace_reader and those of TLS need libraries that not everybody has; the others are for tools, not for every program.
    Rule("include/duet", "*.hpp", "include/duet/duet.hpp", r"<duet/{name}\.hpp>",
        exempt=("duet", "format", "beast", "trace_reader", "trace_segments", "diagram", "diagram_options", "live_diagram", "captured_segment",
            "merge", "pcapng", "tap", "tap_options", "tls", "tls_context", "tls_error", "tls_facts", "tls_options", "tls_stream",
            "over_tls", "tls_acceptor", "tls_connector", "tls_server")),
]


def test_rules(root):
    """One for each folder with test programs: the CMakeLists.txt above names them, by their paths from there."""
    for folder in sorted({path.parent for path in (root / "test").rglob("*.cpp")}):
        above = next(each for each in (folder, *folder.parents) if (each / "CMakeLists.txt").is_file())
        path = "" if folder == above else folder.relative_to(above).as_posix() + "/"
        yield Rule(folder.relative_to(root).as_posix(), "*.cpp", (above / "CMakeLists.txt").relative_to(root).as_posix(),
            rf"duet_add_test\({re.escape(path)}{{name}}\b", containing="BOOST_TEST_MODULE")


def unlisted(names, text, rule):
    return [name for name in names
            if name not in rule.exempt and not re.search(rule.pattern.format(name=re.escape(name)), text)]


def check_rule(tree, rule):
    paths = [path for path in sorted((tree.root / rule.folder).glob(rule.files)) if rule.containing in tree.text(path)]
    # A Python file that others import is no test.
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", "".join(map(tree.text, paths)), re.M))
    list_file = tree.root / rule.list_file
    for name in unlisted([path.stem for path in paths if path.stem not in imported], tree.text(list_file), rule):
        yield list_file, 1, f"does not name {rule.folder}/{rule.files.replace('*', name)}"


def check(tree):
    for rule in (*test_rules(tree.root), *RULES):
        yield from check_rule(tree, rule)
