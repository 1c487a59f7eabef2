# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Finds BOOST_TEST(expression, message): newer g++ and Boost warn inside of that form. BOOST_TEST_INFO tells the message.

A second argument that says how to compare, such as boost::test_tools::per_element(), is another form.
"""

import coroutines
import cxx

MACROS = {"BOOST_TEST", "BOOST_TEST_REQUIRE", "BOOST_TEST_CHECK", "BOOST_TEST_WARN"}
COMPARISONS = {"boost", "tt"}


def walk(group):
    for index, item in enumerate(group.items):
        if not isinstance(item, coroutines.Group):
            continue
        yield from walk(item)
        macro = group.items[index - 1] if index else None
        if item.opening != "(" or not isinstance(macro, cxx.Token) or macro.text not in MACROS:
            continue
        words = coroutines.texts(item.items)
        if "," in words and words[words.index(",") + 1] not in COMPARISONS:
            yield macro.line, f"{macro.text} with a message: tell it by BOOST_TEST_INFO before"


def check_text(text):
    """Yields (line, what is wrong). What cannot be read is for the lint of coroutines to say."""
    try:
        yield from walk(coroutines.parse(cxx.tokens(text)))
    except SyntaxError:
        return


def check(tree):
    for path in tree.files("test", suffixes=(".hpp", ".cpp")):
        for line, wrong in check_text(tree.text(path)):
            yield path, line, wrong
