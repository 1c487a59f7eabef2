# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""How Sphinx makes the site in one language, which `-t zh` chooses. build.py prepares its pages."""

import re

from sphinx.search import SearchLanguage, languages

chinese = tags.has("zh")  # noqa: F821: Sphinx gives `tags` to this file

project = "duet"
language = "zh_CN" if chinese else "en"
html_title = "duet 文档" if chinese else "duet"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 6
# Levels of headings may be skipped, and a highlighter need not know all of a language.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

html_theme = "furo"
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["duet.css"]
html_js_files = ["zh.js"] if chinese else []
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_use_index = False
html_search_language = "zh" if chinese else "en"
# The summaries of search results would be fetched, which no browser does for files on a disk.
html_show_search_summary = False
html_context = {
    "other_language": "en" if chinese else "zh",
    "other_language_name": "English" if chinese else "中文",
}
pygments_style = "tango"
pygments_dark_style = "monokai"
highlight_language = "text"
fonts = '-apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", "Liberation Sans", "PingFang SC", ' \
    '"Microsoft YaHei", "Noto Sans CJK SC", sans-serif'
html_theme_options = {
    "light_css_variables": {"font-stack": fonts},
    "dark_css_variables": {"font-stack": fonts},
}


class SearchPairs(SearchLanguage):
    """Chinese has no spaces between words. The index has each pair of neighbours, and a question is cut in the same way:
    what is found has all pairs of the question, whatever words it consists of. So no dictionary has to know these words."""

    lang = "zh"
    language_name = "Chinese"
    latin = re.compile(r"\w+", re.A)
    run = re.compile(r"[\u3400-\u9fff]+")
    js_splitter_code = r"""
function splitQuery(query) {
  const parts = query.toLowerCase().match(/[\u3400-\u9fff]+|[\p{Letter}\p{Number}_]+/gu) || [];
  return parts.flatMap((part) => {
    if (!/[\u3400-\u9fff]/.test(part) || part.length < 2) return [part];
    return Array.from({length: part.length - 1}, (_, at) => part.substr(at, 2));
  });
}
"""

    def split(self, input):  # the name is Sphinx's
        parts = self.latin.findall(input)
        for run in self.run.findall(input):
            parts += [run] if len(run) == 1 else [run[at:at + 2] for at in range(len(run) - 1)]
        return parts

    def stem(self, word):
        return word.lower()

    def word_filter(self, word):
        return len(word) > 1 or bool(self.run.match(word))


languages["zh"] = SearchPairs


# The theme has no Chinese of its own.
WORDS = {"On this page": "本页内容", "Back to top": "回到顶部", "Made with ": "主题："}


def translate_theme(app, pagename, templatename, context, doctree):  # the names are Sphinx's
    known = app.builder.templates.environment.globals["gettext"]
    context["_"] = context["gettext"] = lambda text, *rest, **more: WORDS.get(text) or known(text, *rest, **more)


def setup(app):
    if chinese:
        app.connect("html-page-context", translate_theme)
