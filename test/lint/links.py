# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""No page leads nowhere: what a link in a page of Markdown names is there, and has the heading or the line that it names."""

import functools
import pathlib
import re
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "docs/site"))
import pages  # noqa: E402: it is not beside this file


def dead(target, page_path, root, page_of):
    """What is wrong with a link to `target`, or None."""
    file, _, anchor = target.partition("#")
    path = (page_path.parent / file).resolve() if file else page_path
    if root not in (path, *path.parents):
        return f"links to {target}, which is outside of the source tree"
    if not path.exists():
        return f"links to {target}, which is not there"
    if anchor and path.suffix == ".md" and anchor not in page_of(path).anchors():
        return f"links to {target}, but there is no such heading"
    if anchor and path.suffix != ".md":
        line = re.fullmatch(r"L(\d+)", anchor)
        if not line or path.is_dir() or int(line.group(1)) > path.read_text(encoding="utf-8").count("\n"):
            return f"links to {target}, but there is no such line"
    return None


def check(tree):
    @functools.lru_cache(maxsize=None)
    def page_of(path):
        return pages.Page(tree.text(path))

    for path in tree.files(suffixes={".md"}):
        page = page_of(path)
        for link in page.links:
            target = link.target(page.text)
            wrong = pages.is_local(target) and dead(target, path, tree.root, page_of)
            if wrong:
                yield path, page.line(link.target_start), wrong
