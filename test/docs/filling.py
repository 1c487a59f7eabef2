#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""docs/site/rows.py fills in what was played, in both languages, and its check changes nothing: with a stand-in for lifecycle."""

import contextlib
import io
import os
import pathlib
import stat
import sys
import tempfile
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "docs/site"))
import rows  # noqa: E402: it is not beside this file

# Draws into the file named behind --diagram. The scene `two` has two connections; `none` may not be played.
STAND_IN = """#!{python}
import pathlib, sys
scene, file = sys.argv[2], pathlib.Path(sys.argv[5])
if sys.argv[1] != "--scene" or sys.argv[3:5] != ["--tap", "--diagram"]:
    sys.exit("not so: " + repr(sys.argv))
if scene == "none":
    print("no namespace", file=sys.stderr)
    sys.exit(77)
with open({log!r}, "a") as log:
    log.write(scene + file.suffix + chr(10))
for number in range(2 if scene == "two" else 1):
    each = file.with_stem(file.stem + "-2") if number else file
    each.write_text("<svg/>" if file.suffix == ".svg" else
                    "| call | states |\\n|---|---|\\n| connect | {told} |\\n".replace("connect", "connect" + str(number + 1)))
"""
TABLE = "| call | states |\n|---|---|\n| connect1 | it waits |\n"
CHINESE = "| 调用 | 状态 |\n|---|---|\n| connect1 | 它在等 |\n"


class Rows(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.write("README.md", "# r\n")
        self.write("docs/zh/phrases.json",
                   '{"phrases": {"call": "调用", "states": "状态", "it waits": "它在等"}, "kept": ["connect1", "connect2"]}')
        self.stand_in("it waits")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def read(self, name):
        return (self.root / name).read_text(encoding="utf-8")

    def stand_in(self, told):
        self.write("lifecycle", STAND_IN.format(python=sys.executable, log=str(self.root / "log"), told=told))
        os.chmod(self.root / "lifecycle", stat.S_IRWXU)

    def pages(self, scene, body="", picture=""):
        for language in ("en", "zh"):
            self.write(f"docs/{language}/book/a.md", f"# a\n\n{picture}<!-- rows: {scene} -->\n{body}<!-- /rows -->\n\nend\n")

    def run_it(self, *options):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            status = rows.main([str(self.root / "lifecycle"), "--root", str(self.root), *options])
        return status, said.getvalue()

    def played(self):
        return sorted(self.read("log").split())

    def test_rows_are_filled_in_in_both_languages(self):
        self.pages("one", "old\n")
        self.assertEqual(self.run_it()[0], 0)
        self.assertIn(f"<!-- rows: one -->\n{TABLE}<!-- /rows -->\n\nend", self.read("docs/en/book/a.md"))
        self.assertIn(f"<!-- rows: one -->\n{CHINESE}<!-- /rows -->\n\nend", self.read("docs/zh/book/a.md"))

    def test_each_connection_has_a_table(self):
        self.pages("two")
        self.run_it()
        self.assertIn(f"{TABLE}\n{TABLE.replace('connect1', 'connect2')}<!--", self.read("docs/en/book/a.md"))

    def test_the_check_changes_nothing_and_finds_a_difference(self):
        self.pages("one")
        self.run_it()
        self.assertEqual(self.run_it("--check"), (0, ""))
        self.stand_in("it waits, it waits")
        before = self.read("docs/en/book/a.md")
        status, said = self.run_it("--check")
        self.assertEqual(status, 1)
        self.assertIn("+| connect1 | it waits, it waits |", said)
        self.assertEqual(self.read("docs/en/book/a.md"), before)

    def test_each_scene_is_played_once(self):
        self.pages("one")
        self.write("docs/en/b.md", "<!-- rows: one -->\n<!-- /rows -->\n")
        self.run_it()
        self.assertEqual(self.played(), ["one.md"])

    def test_a_word_without_a_translation_is_an_error(self):
        self.pages("one")
        self.stand_in("it sleeps")
        with self.assertRaisesRegex(SystemExit, "no phrase with 'it'"):
            self.run_it()

    def test_where_there_may_be_no_namespace_it_says_so(self):
        self.pages("none")
        self.assertEqual(self.run_it("--check"), (rows.SKIPPED, "docs: no scene can be played here: no namespace\n"))

    def test_a_picture_is_drawn_with_new_rows_or_when_asked_for(self):
        self.pages("one", picture="![x](../../pictures/one.svg)\n")
        self.run_it()
        self.assertEqual(self.played(), ["one.md", "one.svg"])
        self.assertTrue((self.root / "docs/pictures/one.svg").exists())
        self.run_it()
        self.assertEqual(self.played(), ["one.md", "one.md", "one.svg"])
        self.run_it("--pictures")
        self.assertEqual(self.played().count("one.svg"), 2)
        self.stand_in("it waits, it waits")
        self.run_it()
        self.assertEqual(self.played().count("one.svg"), 3)

    def test_a_picture_of_the_second_connection(self):
        self.pages("two", picture="![x](../../pictures/two-2.svg)\n")
        self.run_it()
        self.assertEqual([path.name for path in (self.root / "docs/pictures").iterdir()], ["two-2.svg"])

    def test_a_picture_needs_rows(self):
        self.pages("one", picture="![x](../../pictures/two.svg)\n")
        self.run_it()
        status, said = self.run_it("--check")
        self.assertEqual(status, 1)
        self.assertIn("the picture of two has no rows", said)


if __name__ == "__main__":
    unittest.main()
