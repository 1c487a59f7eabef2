# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Finds co_await where g++ 12 miscompiles it, or where a newer g++ leaks.

Legal C++, wrong code without a word, and users copy the examples: so a co_await is a whole statement or is bound to a
named object, everywhere. test/completion/compiler_probe.cpp shows what happens otherwise and is left out.
"""

import cxx

CLOSING = {"(": ")", "[": "]", "{": "}"}
CONDITIONS = {"if", "while", "for", "switch"}


class Group:
    """A bracketed part of the text: tokens and groups."""

    def __init__(self, opening, parent=None, before=()):
        self.opening, self.parent, self.items = opening, parent, []
        words = [item.text for item in before if isinstance(item, cxx.Token)][-2:]
        if words and words[-1] == "constexpr":
            words.pop()
        self.keyword = words[-1] if words else ""

    def has(self, text):
        return any(isinstance(item, cxx.Token) and item.text == text for item in self.items)

    def segment(self, index):
        """The items around `index`, up to the next separators."""

        def separates(item):
            # A block ends a statement; the body of a lambda ends one too, at the worst one that is searched in vain.
            if isinstance(item, Group):
                return item.opening == "{" and item.has(";")
            return item.text in (",", ";")

        begin = end = index
        while begin > 0 and not separates(self.items[begin - 1]):
            begin -= 1
        while end < len(self.items) and (end == index or not separates(self.items[end])):
            end += 1
        return self.items[begin:end]


def parse(token_list):
    """The root group. Raises SyntaxError where the brackets do not match."""
    root = current = Group("{")
    for token in token_list:
        if token.text in CLOSING:
            # Only what stands right before counts as the keyword of a group.
            before = [] if current.items and isinstance(current.items[-1], Group) else current.items
            group = Group(token.text, current, before)
            current.items.append(group)
            current = group
        elif token.text in CLOSING.values():
            if current.parent is None or CLOSING[current.opening] != token.text:
                raise SyntaxError(f"{token.line}: '{token.text}' closes nothing")
            current = current.parent
        else:
            current.items.append(token)
    if current is not root:
        raise SyntaxError(f"a '{current.opening}' is never closed")
    return root


def texts(items):
    return [item.text if isinstance(item, cxx.Token) else item.opening for item in items]


def complaint(group, index):
    """What is wrong with the co_await at items[index] of the group, or None."""
    following = group.items[index + 1] if index + 1 < len(group.items) else None
    if isinstance(following, Group) and following.opening == "(" and following.has("?"):
        return "awaits a conditional expression"

    first = True
    while True:
        segment = group.segment(index)
        if "?" in texts(segment):
            return "in a conditional expression"
        if first and group.opening == "{" and structured_binding(segment):
            return "bound by a structured binding"
        if group.opening == "(" and group.keyword in CONDITIONS:
            return f"in the condition of '{group.keyword}'"
        if group.opening == "{":
            # Only a block has a semicolon of its own: nothing further out has to do with this statement.
            return None if group.parent is None or group.has(";") else "inside braces"
        group, index, first = group.parent, group.parent.items.index(group), False


def structured_binding(segment):
    words = texts(segment)
    if "auto" not in words:
        return False
    return [word for word in words[words.index("auto") + 1:] if word not in ("&", "const")][:1] == ["["]


def walk(group):
    for index, item in enumerate(group.items):
        if isinstance(item, Group):
            yield from walk(item)
        elif item.text == "co_await":
            wrong = complaint(group, index)
            if wrong:
                yield item.line, f"co_await {wrong}: bind it to a named object first"


def check_text(text, first_line=1):
    """Yields (line, what is wrong)."""
    try:
        root = parse(cxx.tokens(text, first_line))
    except SyntaxError as error:
        yield first_line, f"cannot be read: {error}"
        return
    yield from walk(root)


def check(tree):
    for path in tree.files("include", "src", "examples", "test", suffixes=(".hpp", ".ipp", ".cpp")):
        if path.name != "compiler_probe.cpp":
            for line, wrong in check_text(tree.text(path)):
                yield path, line, wrong
    for path in tree.files(suffixes=(".md",)):
        for first_line, block in cxx.code_blocks(tree.text(path)):
            for line, wrong in check_text(block, first_line):
                yield path, line, wrong
