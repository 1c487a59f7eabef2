#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Reads the whole source tree and says what breaks the rules of the house: lint.py [<source directory>]"""

import os
import pathlib
import sys

import checks
import coroutines
import layers
import links
import listed
import mutations
import picture
import pitfalls
import snippets
import text
import translations


class Tree:
    """The source files: everything but what is hidden or built."""

    SKIPPED = {"build", "__pycache__"}
    HIDDEN = {".ci", ".clang-format", ".clang-tidy", ".editorconfig", ".gitignore"}

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()

    def files(self, *directories, suffixes=None):
        for directory in directories or ("",):
            for parent, folders, names in os.walk(self.root / directory):
                folders[:] = sorted(filter(self.wanted, folders))
                for name in sorted(filter(self.wanted, names)):
                    path = pathlib.Path(parent, name)
                    if not suffixes or path.suffix in suffixes:
                        yield path

    def wanted(self, name):
        return name in self.HIDDEN or not (name.startswith(".") or name in self.SKIPPED)

    @staticmethod
    def text(path):
        return path.read_bytes().decode()


def main(root):
    tree = Tree(root)
    found = 0
    for rule in (checks, coroutines, layers, links, picture, listed, text, translations, pitfalls, snippets, mutations):
        for path, line, wrong in rule.check(tree):
            print(f"{path.relative_to(tree.root)}:{line}: {wrong}")
            found += 1
    print(f"lint: {found} found" if found else "lint: nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]))
