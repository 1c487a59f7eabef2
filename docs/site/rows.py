#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Plays the scenes that the pages show, and fills in their rows and pictures.

A page has rows between `<!-- rows: SCENE -->` and `<!-- /rows -->`: what the example lifecycle has captured of this scene. In a
picture there are times, so it never comes out the same twice; it is drawn anew with the rows of its scene, or when asked for.
Only Linux's kernel makes rows, in a network namespace: where there may be none, it ends with status 77.
"""

import argparse
import concurrent.futures
import difflib
import pathlib
import re
import subprocess
import sys
import tempfile

import pages
import phrases

ROOT = pathlib.Path(__file__).resolve().parents[2]
LANGUAGES = ("en", "zh")
PICTURE = re.compile(r"docs/pictures/([\w.]+?)(?:-\d+)?\.svg$")
SKIPPED = 77
PATIENCE = 120  # seconds, a guard against hanging


class NotPermitted(Exception):
    """No namespace, or no capture: why."""


class Docs:
    def __init__(self, root):
        self.root = root
        self.pages = {path: pages.Page(path.read_text(encoding="utf-8"))
                      for language in LANGUAGES for path in sorted((root / "docs" / language).rglob("*.md"))}
        self.phrases = phrases.Phrases((root / phrases.FILE).read_text(encoding="utf-8"))

    def scenes(self):
        return sorted({rows.scene for page in self.pages.values() for rows in page.rows})

    def pictures(self):
        """The scenes that have pictures in a page, or in README."""
        found = {}
        readme = self.root / "README.md"
        for path, page in [*self.pages.items(), (readme, pages.Page(readme.read_text(encoding="utf-8")))]:
            for link in page.links:
                target = (path.parent / link.target(page.text).split("#")[0]).resolve()
                if match := PICTURE.search(target.as_posix()):
                    found.setdefault(match.group(1), set()).add(target)
        return found

    def filled(self, path, tables):
        """The page with the rows of these scenes."""
        page, parts, done = self.pages[path], [], 0
        for rows in page.rows:
            table = tables[rows.scene]
            if path.relative_to(self.root / "docs").parts[0] == "zh":
                try:
                    table = self.phrases.table(table)
                except phrases.Unknown as word:
                    raise SystemExit(f"docs: {phrases.FILE} has no phrase with '{word}', in the rows of {rows.scene}") from None
            parts += [page.text[done:rows.start], table]
            done = rows.end
        return "".join(parts) + page.text[done:]


def play(lifecycle, scene, suffix, folder):
    """Plays a scene: the files of its connections, in their order."""
    file = pathlib.Path(folder, f"{scene}{suffix}")
    done = subprocess.run([lifecycle, "--scene", scene, "--tap", "--diagram", file], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode == SKIPPED:
        raise NotPermitted(done.stderr.strip())
    if done.returncode or not file.exists():
        raise SystemExit(f"docs: the scene {scene} ended with {done.returncode}: {done.stderr or done.stdout}")
    more = sorted(file.parent.glob(f"{scene}-*{suffix}"), key=lambda path: int(path.stem.rpartition("-")[2]))
    return [file, *more]


def rows_of(lifecycle, scene):
    """The rows of all its connections: a table of each."""
    with tempfile.TemporaryDirectory() as folder:
        tables = [path.read_text(encoding="utf-8").strip() for path in play(lifecycle, scene, ".md", folder)]
    return "\n\n".join(tables) + "\n"


def draw(lifecycle, scene, pictures, folder):
    with tempfile.TemporaryDirectory() as temporary:
        files = {path.name: path for path in play(lifecycle, scene, ".svg", temporary)}
        for wanted in sorted(pictures):
            if wanted.name not in files:
                raise SystemExit(f"docs: a page shows {wanted.name}, but {scene} has {', '.join(files)} only")
            folder.mkdir(exist_ok=True)
            (folder / wanted.name).write_bytes(files[wanted.name].read_bytes())


def all_tables(lifecycle, scenes):
    """Scenes wait for timeouts of TCP's most of the time, so several are played at once."""
    with concurrent.futures.ThreadPoolExecutor(4) as several:
        return dict(zip(scenes, several.map(lambda scene: rows_of(lifecycle, scene), scenes)))


def check(docs, tables):
    differs = 0
    for path, page in docs.pages.items():
        filled = docs.filled(path, tables)
        if filled != page.text:
            differs += 1
            name = path.relative_to(docs.root).as_posix()
            sys.stdout.writelines(difflib.unified_diff(page.text.splitlines(True), filled.splitlines(True), name, "played now"))
    pictured = {scene for scene in docs.pictures() if scene not in tables}
    for scene in sorted(pictured):
        print(f"docs: the picture of {scene} has no rows in any page: nothing would notice that it is outdated")
    return 1 if differs or pictured else 0


def fill(docs, tables, lifecycle, every_picture):
    changed = set()
    for path, page in docs.pages.items():
        filled = docs.filled(path, tables)
        if filled != page.text:
            path.write_text(filled, encoding="utf-8")
            print(f"docs: {path.relative_to(docs.root)} has new rows")
            changed |= {new.scene for new, old in zip(pages.Page(filled).rows, page.rows)
                        if filled[new.start:new.end] != page.text[old.start:old.end]}
    for scene, pictures in sorted(docs.pictures().items()):
        if every_picture or scene in changed or not all(path.exists() for path in pictures):
            draw(lifecycle, scene, pictures, docs.root / "docs/pictures")
            print(f"docs: drew {', '.join(sorted(path.name for path in pictures))}")
    return 0


def main(words):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lifecycle", help="the built example")
    parser.add_argument("--check", action="store_true", help="change nothing, and fail if a row would change")
    parser.add_argument("--pictures", action="store_true", help="draw every picture anew")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT, help="the checkout")
    options = parser.parse_args(words)
    docs = Docs(options.root.resolve())
    try:
        tables = all_tables(options.lifecycle, docs.scenes())
        if options.check:
            return check(docs, tables)
        return fill(docs, tables, options.lifecycle, options.pictures)
    except NotPermitted as reason:
        print(f"docs: no scene can be played here: {reason}")
        return SKIPPED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
