# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""C++ text as tokens: no comments, no preprocessor lines, and literals reduced to one token."""

import re
from typing import NamedTuple


class Token(NamedTuple):
    text: str
    line: int


TOKEN = re.compile(
    r"""
    (?P<space>    \s+ | \\\n )
  | (?P<comment>  //(?:[^\n\\]|\\.|\\\n)* | /\*.*?\*/ )
  | (?P<raw>      (?:u8|[uUL])?R"(?P<end>[^()\\\s]{0,16})\(.*?\)(?P=end)" )
  | (?P<string>   (?:u8|[uUL])?"(?:[^"\\\n]|\\.)*" )
  | (?P<char>     (?:u8|[uUL])?'(?:[^'\\\n]|\\.)+' )
  | (?P<number>   \.?\d(?:'?[\w.]|(?<=[eEpP])[+-])* )
  | (?P<word>     [A-Za-z_]\w* )
  | (?P<other>    -> | :: | . )
    """,
    re.VERBOSE | re.DOTALL,
)

# One logical line; a comment may hide a line end.
DIRECTIVE = re.compile(r"\#(?:/\*.*?\*/|\\\n|[^\n])*", re.DOTALL)


def tokens(text: str, first_line: int = 1) -> list[Token]:
    result = []
    line, position, at_line_start = first_line, 0, True
    while position < len(text):
        directive = DIRECTIVE.match(text, position) if at_line_start else None
        match = directive or TOKEN.match(text, position)
        kind = "directive" if directive else match.lastgroup if match.lastgroup != "end" else "raw"
        if kind in ("raw", "string"):
            result.append(Token('""', line))
        elif kind in ("char", "number"):
            result.append(Token("0", line))
        elif kind in ("word", "other"):
            result.append(Token(match.group(), line))
        if kind == "space":
            at_line_start = at_line_start or "\n" in match.group()
        elif kind != "comment":
            at_line_start = False
        line += match.group().count("\n")
        position = match.end()
    return result


def code_blocks(markdown: str):
    """Yields (first line, text) of every C++ block of a Markdown page."""
    for match in re.finditer(r"^(?P<fence>```+)(?:cpp|c\+\+)\b[^\n]*\n(?P<body>.*?)^(?P=fence)", markdown, re.M | re.S):
        yield markdown.count("\n", 0, match.start("body")) + 1, match.group("body")
