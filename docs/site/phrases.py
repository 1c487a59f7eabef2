# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Rows in Chinese: docs/zh/phrases.json has the words that a row is made of, and those that stay as they are.

"phrases" maps English to Chinese. `{}` in a phrase stands for a number or a name, and is where it belongs in the translation. A
longer phrase goes before a shorter one. "kept" lists the names of calls and the like. Numbers, words in capitals (flags, states,
errors) and names with an underscore are kept without being listed; so is what stands in quotes. Any other word needs a phrase.
"""

import functools
import json
import re

FILE = "docs/zh/phrases.json"
WORD = re.compile(r"&#34;.*?&#34;|\"[^\"]*\"|&#\d+;|[A-Za-z0-9][\w'.]*")
SELF_EVIDENT = re.compile(r"&#|\"|[A-Z0-9][A-Z0-9_.]*$|\w*\\?_\w*$|[\d.]+[a-zA-Zµ]*$")


class Unknown(Exception):
    """A word of a row that no phrase has."""


class Phrases:
    def __init__(self, text):
        table = json.loads(text)
        self.kept = set(table["kept"])
        self.phrases = [(pattern_of(english), chinese)
                        for english, chinese in sorted(table["phrases"].items(), key=lambda item: (-len(item[0]), item[0]))]
        self.cell = functools.lru_cache(maxsize=None)(self._cell)

    def table(self, english):
        """All of a table, or Unknown."""
        return "\n".join(line if re.fullmatch(r"[|\- :]*", line) else
                         "|".join("<br>".join(map(self.cell, cell.split("<br>"))) for cell in re.split(r"(?<!\\)\|", line))
                         for line in english.split("\n"))

    def _cell(self, english):
        result, at = "", 0
        while at < len(english):
            for pattern, chinese in self.phrases:
                if match := pattern.match(english, at):
                    words = iter(match.groups())
                    result += re.sub(r"\{\}", lambda _: next(words), chinese)  # pylint: disable=cell-var-from-loop
                    break
            else:
                match = WORD.match(english, at)
                if match and not SELF_EVIDENT.match(match.group()) and match.group().rstrip(".") not in self.kept:
                    raise Unknown(match.group())
                result += match.group() if match else english[at]
            at = match.end() if match else at + 1
        return result


def pattern_of(english):
    words = re.escape(english).replace(re.escape("{}"), r"([\w.,\\-]*\w)")
    return re.compile(r"(?<![\w])" * english[0].isalnum() + words + r"(?![\w])" * english[-1].isalnum())
