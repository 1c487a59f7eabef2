# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""What lies in the folders of tests and examples is named in a CMakeLists.txt: no test is forgotten."""

import re

# folder, what lies there, the list, how it is named in it
LISTS = [
    ("test", "*.cpp", "test/CMakeLists.txt", r"duet_add_test\({name}\b"),
    ("test/examples", "*.py", "test/CMakeLists.txt", r"duet_add_example_test\({name}\b"),
    ("examples", "*.cpp", "examples/CMakeLists.txt", r"duet_add_example\((?:\w+ (?:[\w.]+ )*)?{name}\b"),
]


def unlisted(stems, text, pattern):
    return [stem for stem in stems if not re.search(pattern.format(name=re.escape(stem)), text)]


def check(tree):
    for folder, files, list_file, pattern in LISTS:
        text = tree.text(tree.root / list_file)
        # What begins with '_' is a module that the others share.
        stems = sorted(path.stem for path in (tree.root / folder).glob(files) if not path.stem.startswith("_"))
        for stem in unlisted(stems, text, pattern):
            yield tree.root / list_file, 1, f"does not name {folder}/{files.replace('*', stem)}"
