#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Builds the site, build/docs/site, in both languages: it opens from disk, and needs no network.

The pages stay where GitHub shows them. For Sphinx they are copied to build/docs/source/<language>, with links that lead to
where each thing is in the site: a page, a header's reference, or a copy of the file.
"""

import os
import pathlib
import posixpath
import re
import shutil
import subprocess
import sys

import graph
import pages
import reference

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/docs"
SITE = BUILD / "site"
LANGUAGES = ("en", "zh")
# Pages that are not translated, in their order; those of docs/ that are not named here come behind them.
MORE = ("README.md", "docs/tracing.md", "docs/trace_format.md", "docs/performance.md", "docs/architecture.md", "CONTRIBUTING.md",
        "CHANGELOG.md")
CAPTIONS = {
    "en": {"book": "The book", "guide": "Guide", "systems": "Systems", "reference": "Reference", "pages": "More"},
    "zh": {"book": "书", "guide": "指南", "systems": "系统", "reference": "参考手册（英文）", "pages": "其他（英文）"},
}
CODE = {".cpp": "cpp", ".hpp": "cpp", ".ipp": "cpp", ".c": "c", ".h": "c", ".py": "python", ".cmake": "cmake", ".sh": "bash"}


class Site:
    """The pages of one language. Both have the same names, so that one can switch from each to the other."""

    def __init__(self, root, language, headers):
        self.root, self.language = root, language
        self.source = BUILD / "source" / language
        self.headers = {header: "reference/" + header.removeprefix("include/duet/").removesuffix(".hpp").replace("/", "_")
                        for header in headers}
        self.names = dict(self.headers)  # of pages, by their paths in the checkout
        own = root / "docs" / language
        for path in sorted(own.rglob("*.md")):
            self.names[path.relative_to(root).as_posix()] = path.relative_to(own).as_posix().removesuffix(".md")
        for path in (*MORE, *sorted(f"docs/{each.name}" for each in (root / "docs").glob("*.md"))):
            self.names.setdefault(path, f"pages/{posixpath.basename(path).removesuffix('.md').lower()}")
        self.names["include/duet"] = self.names["include/duet/testing"] = "reference/index"
        self.copied = set()

    def stage(self, reference_pages):
        shutil.rmtree(self.source, ignore_errors=True)
        for path, name in self.names.items():
            if path.endswith(".md"):
                self.write(name, self.translate(path, name, (self.root / path).read_text(encoding="utf-8")))
        for header, text in reference_pages.items():
            self.write(self.names[header] if header else "reference/index", text)
        for path in sorted(self.copied):
            self.write(self.name_of_copy(path), self.copy_of(path))
        index = (self.source / "index.md").read_text(encoding="utf-8")
        self.write("index", "---\nhide-toc: true\n---\n" + index + self.contents())

    def write(self, name, text):
        path = self.source / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def translate(self, path, name, text):
        """The text of the page `path` of the checkout, as it is in the site."""
        page, parts, done = pages.Page(text), [], 0
        for link in page.links:
            target = link.target(text)
            if not pages.is_local(target) or target.startswith("#") or link.start < done:
                continue
            parts += [text[done:link.start], self.link(path, name, link, text)]
            done = link.end
        text = "".join(parts) + text[done:]
        return graph.draw_all(text)

    def link(self, path, name, link, text):
        target, hash_sign, anchor = link.target(text).partition("#")
        meant = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        written = text[link.start:link.end]
        before, after = text[link.start:link.target_start], text[link.target_end:link.end]
        if link.kind == "image":
            return before + self.relative(name, self.image(meant)) + after
        other = re.match(r"docs/(en|zh)/(.*)\.md$", meant)
        if other and other.group(1) != self.language:
            url = self.relative(name, f"../{other.group(1)}/{other.group(2)}.html") + hash_sign + anchor
        elif meant.endswith((".svg", ".png")):
            url = self.relative(name, self.extra(meant))
        else:
            page = self.name_of(meant)
            if link.kind != "html":
                return before + self.relative(name, page + ".md") + (hash_sign + anchor if meant in self.names else "") + after
            url = self.relative(name, page + ".html") + hash_sign + anchor
        if link.kind == "html":
            return url
        return re.sub(r"^\[(.*)\]\(.*$", lambda match: f'<a href="{url}">{match.group(1)}</a>', written, flags=re.S)

    @staticmethod
    def relative(name, target):
        return posixpath.relpath(target, posixpath.dirname(name) or ".")

    def name_of(self, path):
        if path in self.names:
            return self.names[path]
        if path.startswith(f"docs/{self.language}/") and (self.root / path).is_dir():
            folder = posixpath.relpath(path, f"docs/{self.language}") + "/"
            names = [name for name in self.names.values() if name.startswith(folder)]
            return min(names, key=lambda name: self.place(folder.rstrip("/"), name))
        if not (self.root / path).exists():
            raise SystemExit(f"docs: a page links to {path}, which is not there; ./dev lint says where")
        self.copied.add(path)
        if (self.root / path).is_dir():
            self.copied.update(self.files_of(path))
        return self.name_of_copy(path)

    def name_of_copy(self, path):
        return f"files/{path}" + ("/index" if (self.root / path).is_dir() else "")

    def files_of(self, path):
        return sorted(each.relative_to(self.root).as_posix() for each in (self.root / path).iterdir()
                      if each.is_file() and not each.name.startswith(".") and each.suffix not in (".svg", ".png", ".pyc"))

    def copy_of(self, path):
        # Not searched: who looks for a word wants the pages.
        head = f"---\norphan: true\nnosearch: true\n---\n# `{path}`\n\n"
        if (self.root / path).is_dir():
            return head + "".join(f"- [`{posixpath.basename(each)}`]({posixpath.basename(each)}.md)\n" for each in self.files_of(path))
        text = (self.root / path).read_text(encoding="utf-8", errors="replace")
        kind = "cmake" if path.endswith("CMakeLists.txt") else CODE.get(posixpath.splitext(path)[1], "text")
        return f"{head}``````{kind}\n{text}``````\n"

    def image(self, path):
        """A place for Sphinx to find it."""
        copy = self.source / "images" / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.root / path, copy)
        return f"images/{path}"

    def extra(self, path):
        """A file of the site that is no page. It is beside the pages of both languages."""
        copy = SITE / "files" / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.root / path, copy)
        return f"../files/{path}"

    def contents(self):
        """Of the whole site, for the side of each page."""
        trees = ""
        for folder, caption in CAPTIONS[self.language].items():
            names = [name for name in self.names.values() if name.startswith(folder + "/")]
            if folder == "reference":
                names = ["reference/index"]
            names.sort(key=lambda name: self.place(folder, name))
            if names:
                lines = [f"README <{name}>" if name == "pages/readme" else name for name in names]
                trees += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n" + "\n".join(lines) + "\n```\n"
        return trees

    def place(self, folder, name):
        """Where a page stands: as the part's index names them, and those that it does not name behind them."""
        index = self.root / "docs" / self.language / folder / "index.md"
        text = index.read_text(encoding="utf-8") if index.exists() else ""
        at = text.find(f"({posixpath.basename(name)}.md")
        return (not name.endswith("/index"), at < 0, at, "" if folder == "pages" else name)


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], cwd=ROOT, check=False, **options)
    if done.returncode:
        raise SystemExit(f"docs: {command[0]} failed")


def mend_theme(static):
    """Debian's theme wants a web server: its style asks for /javascript, and its script is a module, which no browser loads from
    a disk. What they refer to is put beside them, or into them."""
    style = static / "styles/furo.css"
    text = style.read_text(encoding="utf-8")
    for name in set(re.findall(r"@import url\(/javascript/([\w./-]+)\)", text)):
        shutil.copy(pathlib.Path("/usr/share/javascript", name), style.parent)
        text = text.replace(f"url(/javascript/{name})", f"url({posixpath.basename(name)})")
    style.write_text(text, encoding="utf-8")
    script = static / "scripts/furo.js"
    text = script.read_text(encoding="utf-8")
    script.write_text(re.sub(r"^import \w+ from \"\./([\w.-]+)\";$", lambda other: (script.parent / other.group(1)).read_text(
        encoding="utf-8"), text, flags=re.M), encoding="utf-8")


def write_entrance():
    """The page that is opened first."""
    (SITE / "index.html").write_text("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>duet</title>
<style>body { font: 1.5rem sans-serif; text-align: center; margin-top: 20vh } a { margin: 1rem }</style>
<script>location.replace((/^zh/i.test(navigator.language) ? "zh" : "en") + "/index.html")</script>
<p><a href="en/index.html">English</a> <a href="zh/index.html" lang="zh">中文</a></p>
</html>
""", encoding="utf-8")


def build():
    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir(parents=True)
    shutil.rmtree(BUILD / "doxygen", ignore_errors=True)
    run("doxygen", ROOT / "docs/site/Doxyfile", stderr=subprocess.DEVNULL)
    reference_pages = reference.pages_of(BUILD / "doxygen/xml", ROOT)
    for language in LANGUAGES:
        site = Site(ROOT, language, [header for header in reference_pages if header])
        site.stage(reference_pages)
        run("sphinx-build", "-q", "-W", "--keep-going", "-E", "-j", str(os.cpu_count() or 1), "-b", "html", "-t", language,
            "-c", ROOT / "docs/site", "-d", BUILD / "doctrees" / language, site.source, SITE / language)
        mend_theme(SITE / language / "_static")
    write_entrance()
    return SITE / "index.html"


if __name__ == "__main__":
    print(f"docs: {build()}")
    sys.exit(0)
