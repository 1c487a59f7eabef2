#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""The lint finds what it is there to find, and nothing else."""

import pathlib
import tempfile
import unittest

import checks
import coroutines
import cxx
import layers
import links
import lint
import listed
import mutations
import picture
import pitfalls
import snippets
import text
import translations


def in_function(statement):
    return "asio::awaitable<void> f()\n{\n    " + statement + "\n}\n"


class Checks(unittest.TestCase):
    BAD = [
        "BOOST_TEST(a == b, words);",
        "BOOST_TEST(f(a, b), \"text \" << x);",
        "for (auto x : y)\n    BOOST_TEST_REQUIRE((a != b), x.message());",
    ]
    GOOD = [
        "BOOST_TEST(f(a, b) == c);",
        "BOOST_TEST(a == b, boost::test_tools::per_element());",
        "BOOST_TEST((std::is_same_v<A, B>));",
        "BOOST_TEST_INFO(a << b);",
        "BOOST_CHECK_MESSAGE(a == b, words);",
        "// BOOST_TEST(a, b)",
    ]

    def test_finds_every_message(self):
        for line in self.BAD:
            with self.subTest(line):
                self.assertEqual(len(list(checks.check_text(in_function(line)))), 1)

    def test_finds_nothing_else(self):
        for line in self.GOOD:
            with self.subTest(line):
                self.assertEqual(list(checks.check_text(in_function(line))), [])


class Coroutines(unittest.TestCase):
    BAD = [
        "if (co_await ready()) go();",
        "if ((co_await ready())) { go(); }",
        "if constexpr (x) { } else if (a && co_await b()) go();",
        "if (auto const n = co_await read(); n == 0) go();",
        "while (co_await more()) { go(); }",
        "while (std::size_t n = co_await s.read_some(b)) go(n);",
        "do { go(); } while (co_await more());",
        "for (; co_await more();) { go(); }",
        "for (auto& each : co_await all()) { go(each); }",
        "for (int i = 0; i < 3; i += co_await step()) go();",
        "switch (co_await kind()) { case 1: go(); break; default: break; }",
        "if (/* a ) comment */ f(\")\", ')', co_await x())) go();",
        "if\n    (co_await\n     ready())\n    go();",
        "T r = c ? co_await a() : co_await b();",
        "T r = co_await c() ? a : b;",
        "T r = c ? a : (co_await b());",
        "f(c ? a : g(co_await b()), d);",
        "co_await (c ? f(T()) : f(T()));",
        "return_value = f(x ? 1 : co_await y());",
        "T r{co_await a()};",
        "T r = {1, co_await a()};",
        "std::vector<int> v{1, f(co_await a()), 3};",
        "f({.x = co_await a()});",
        "co_return T{co_await a()};",
        "co_await f({co_await a()});",
        "auto [error, size] = co_await s.read();",
        "auto const [error, size] = co_await s.read();",
        "auto&& [error, size] = co_await s.read();",
        "co_spawn(e, []() -> awaitable<void> { if (co_await x()) go(); }, detached);",
        "if (a) { if (co_await b()) go(); }",
        "auto r = R\"x( if (co_await )x\"; while (co_await x()) go();",
    ]
    GOOD = [
        "co_await ready();",
        "bool const yes = co_await ready(); if (yes) go();",
        "for (;;) { std::size_t const size = co_await s.read_some(b); if (size == 0) break; }",
        "if (a) co_await b();",
        "if (a) { co_await b(); } else { co_await c(); }",
        "while (a) co_await b();",
        "do { co_await b(); } while (a);",
        "switch (k) { case 1: co_await a(); break; default: co_await b(); }",
        "auto const x = c ? a : b; co_await f(x);",
        "int const n = c ? 1 : 2; auto const m = co_await f(n); int const k = m ? 1 : 2;",
        "f(c ? 1 : 2, co_await g());",
        "// if (co_await x())\n    go();",
        "/* while (co_await x()) */ go();",
        "log(\"if (co_await x())\");",
        "log(R\"(while (co_await x()) {)\");",
        "char const c = '\"'; co_await x(); char const d = '\"';",
        "int const n = 1'000'000; co_await x(); int const m = 1'0;",
        "co_return co_await x();",
        "co_spawn(e, []() -> asio::awaitable<void> { co_await x(); }, detached);",
        "T const t{[]() -> asio::awaitable<void> { co_await x(); }};",
        "run(context, [&]() -> asio::awaitable<void> { co_await x(); co_return; });",
        "if (run([&]() -> asio::awaitable<void> { co_await x(); })) go();",
        "auto const r = c ? run([&]() -> A { co_await x(); }) : 0;",
        "try { co_await x(); } catch (error const& e) { failed = true; }",
        "T const t{1, 2}; co_await x(t);",
        "co_await x(asio::buffer(b), {});",
        "auto [first, last] = range(); co_await x(first);",
        "BOOST_TEST(ok); auto const n = co_await x(); BOOST_TEST(n == 1u);",
        "label: co_await x();",
        "\n#if defined(X) // if (co_await {\n    co_await x();\n#endif\n    go();",
    ]

    def test_bad(self):
        for statement in self.BAD:
            with self.subTest(statement):
                self.assertTrue(list(coroutines.check_text(in_function(statement))))

    def test_good(self):
        for statement in self.GOOD:
            with self.subTest(statement):
                self.assertEqual(list(coroutines.check_text(in_function(statement))), [])

    def test_line(self):
        found = list(coroutines.check_text("/* 1\n2 */ char const* s = R\"(\n)\";\nA f()\n{\n    if (co_await x()) go();\n}"))
        self.assertEqual([line for line, _ in found], [6])

    def test_unbalanced(self):
        self.assertTrue(list(coroutines.check_text("void f() { (; }")))
        self.assertTrue(list(coroutines.check_text("void f() {")))

    def test_markdown(self):
        page = "text\n```cpp\nA f()\n{\n    if (co_await x()) go();\n}\n```\n```sh\nif (co_await\n```\n"
        (first_line, block), = cxx.code_blocks(page)
        self.assertEqual([line for line, _ in coroutines.check_text(block, first_line)], [5])


class Layers(unittest.TestCase):
    SOUND = {
        "duet/duet.hpp": ["duet/session.hpp", "duet/error.hpp"],
        "duet/session.hpp": ["duet/error.hpp", "duet/detail/engine/connection.hpp", "duet/detail/engine/session.ipp"],
        "duet/error.hpp": ["duet/detail/config.hpp", "duet/detail/completion/error.ipp"],
        "duet/detail/config.hpp": [],
        "duet/detail/engine/connection.hpp": ["duet/error.hpp", "duet/stream_traits.hpp"],
        "duet/stream_traits.hpp": ["duet/error.hpp"],
        "duet/detail/engine/session.ipp": ["duet/session.hpp"],
        "duet/detail/completion/error.ipp": ["duet/error.hpp"],
        "duet/acceptor.hpp": ["duet/session.hpp"],
    }

    def found(self, changes):
        includes = {**self.SOUND, **changes}
        numbered = {header: list(enumerate(targets, 1)) for header, targets in includes.items()}
        return list(layers.check_includes(numbered))

    def test_sound(self):
        self.assertEqual(self.found({}), [])

    def test_up(self):
        self.assertTrue(self.found({"duet/stream_traits.hpp": ["duet/acceptor.hpp"]}))
        (header, line, wrong), = self.found({"duet/backoff.hpp": ["duet/stream_traits.hpp"]})
        self.assertEqual((header, line), ("duet/backoff.hpp", 1))

    def test_up_from_the_inside(self):
        self.assertTrue(self.found({"duet/detail/socket/calls.hpp": ["duet/detail/engine/connection.hpp"]}))

    def test_up_in_definitions(self):
        changes = {"duet/detail/engine/session.ipp": ["duet/session.hpp", "duet/acceptor.hpp"], "duet/acceptor.hpp": []}
        self.assertTrue(self.found(changes))

    def test_circle(self):
        changes = {"duet/tcp_info.hpp": ["duet/lifecycle.hpp"], "duet/lifecycle.hpp": ["duet/tcp_info.hpp"]}
        self.assertIn("circle", self.found(changes)[0][2])
        self.assertIn("circle", self.found({"duet/detail/config.hpp": ["duet/error.hpp"]})[0][2])

    def test_without_a_namespace(self):
        (header, _, wrong), = self.found({"duet/version.hpp": []})
        self.assertEqual(header, "duet/version.hpp")
        self.assertIn("DUET_ABI", wrong)

    def test_definitions_of_two(self):
        self.assertTrue(self.found({"duet/backoff.hpp": ["duet/detail/completion/error.ipp"]}))

    def test_no_floor(self):
        self.assertTrue(self.found({"duet/cellar.hpp": []}))
        self.assertTrue(self.found({"duet/detail/cellar/wine.hpp": []}))

    def test_not_there(self):
        self.assertTrue(self.found({"duet/backoff.hpp": ["duet/cellar.hpp"]}))


class Picture(unittest.TestCase):
    INCLUDES = {
        "duet/session.hpp": ["duet/error.hpp", "duet/detail/engine/connection.hpp"],
        "duet/detail/engine/connection.hpp": ["duet/detail/channel/channel.hpp", "duet/error.hpp"],
        "duet/detail/channel/channel.hpp": ["duet/error.hpp"],
        "duet/error.hpp": ["duet/detail/completion/error.ipp"],
        "duet/detail/completion/error.ipp": ["duet/error.hpp"],
    }

    def test_rooms_and_arrows(self):
        drawn = picture.draw({header: list(enumerate(targets, 1)) for header, targets in self.INCLUDES.items()})
        arrows = [line.strip() for line in drawn.split("\n") if "-->" in line]
        self.assertEqual(arrows, ["floor5 --> engine", "engine --> channel", "channel --> floor0"])
        self.assertIn('floor0["error"]:::public\n', drawn)
        self.assertIn('channel["detail/channel/"]\n', drawn)


class Listed(unittest.TestCase):
    def test_unlisted(self):
        examples, headers = (rule for rule in listed.RULES if rule.folder in ("examples", "include/duet"))
        text = "duet_add_example(lifecycle display.cpp)\n"
        self.assertEqual(listed.unlisted(["lifecycle", "display", "echo"], text, examples), ["display", "echo"])
        self.assertEqual(listed.unlisted(["format", "run"], "#include <duet/run.hpp>", headers), [])

    def test_every_folder_of_tests(self):
        with tempfile.TemporaryDirectory() as root:
            for path in ("wire/segments.cpp", "wire/segment.cpp", "wire/part.cpp", "support/selftest/kernel.cpp"):
                file = pathlib.Path(root, "test", path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("" if path == "wire/part.cpp" else "#define BOOST_TEST_MODULE x\n")
            pathlib.Path(root, "test/CMakeLists.txt").write_text("duet_add_test(wire/segments NETNS)\n")
            pathlib.Path(root, "test/support/selftest/CMakeLists.txt").write_text("duet_add_test(kerne)\n")
            rules = list(listed.test_rules(pathlib.Path(root)))
            self.assertEqual([(rule.folder, rule.list_file) for rule in rules],
                [("test/support/selftest", "test/support/selftest/CMakeLists.txt"), ("test/wire", "test/CMakeLists.txt")])
            found = [wrong for rule in rules for _, _, wrong in listed.check_rule(lint.Tree(root), rule)]
            self.assertEqual(found,
                ["does not name test/support/selftest/kernel.cpp", "does not name test/wire/segment.cpp"])


class Text(unittest.TestCase):
    def test_lines(self):
        for bad in ("/hom" + "e/me/x\n", 'f("/wor' + 'k/x");\n', "// TO" + "DO: x\n", "x \n", "\tx\n", "x", "x\n\n", "x\r\n"):
            with self.subTest(bad):
                self.assertTrue(list(text.check_lines(bad)))
        for good in ("", "x\n", "the /home page is at /work\n", "${prefix}/home/x\n", "TODOS\n"):
            with self.subTest(good):
                self.assertEqual(list(text.check_lines(good)), [])

    def test_licence(self):
        self.assertEqual(list(text.check_licence(f"// {text.LICENCE}\n#x\n", "//")), [])
        self.assertEqual(list(text.check_licence(f"#!/usr/bin/env python3\n# {text.LICENCE}\n", "#")), [])
        self.assertTrue(list(text.check_licence("#pragma once\n", "//")))

    def test_guard(self):
        guarded = "// x\n#ifndef DUET_A_B_HPP\n#define DUET_A_B_HPP\n#include <x>\n#endif\n"
        self.assertEqual(list(text.check_guard("duet/a_b.hpp", guarded)), [])
        self.assertTrue(list(text.check_guard("duet/a_c.hpp", guarded)))
        self.assertTrue(list(text.check_guard("duet/a_b.hpp", "#pragma once\n")))


class Pitfalls(unittest.TestCase):
    FILES = {"wire.cpp": "// P01\nBOOST_AUTO_TEST_CASE(p02_no_reset)\n", "examples/echo.py": "# P441 P03\n"}

    def found(self, *lines, rest=True):
        named = {line[:3] for line in lines}
        others = [f"{number}  -  later" for number in pitfalls.NUMBERS if number not in named] if rest else []
        return [wrong for _, wrong in pitfalls.check_list("\n".join([*lines, *others]), self.FILES.get)]

    def test_sound(self):
        self.assertEqual(self.found("P01 wire.cpp", "P02  wire.cpp:p02_no_reset  # x", "P03 examples/echo.py"), [])

    def test_missing(self):
        self.assertEqual(len(self.found("P01 wire.cpp", rest=False)), 43)

    def test_wrong(self):
        for line in ("P03 wire.cpp", "P01 other.cpp", "P01 wire.cpp:other", "P01", "P01 -", "P45 - x", "P44 examples/echo.py"):
            with self.subTest(line):
                self.assertTrue(self.found(line))

    def test_both(self):
        self.assertTrue(self.found("P01 wire.cpp", "P01 - no"))


class Mutations(unittest.TestCase):
    FILES = {"a.hpp": "int a = 1;\nint b = 1;\n    f(a);\n", "b.hpp": "x x\n"}
    SOUND = "rule R  # why\n\nbreak one\ntest a.b\nfile a.hpp\n- int b = 1;\n-     f(a);\n+ int b = 2;\n\n"

    def found(self, text):
        return [wrong for _, wrong in mutations.check_list(text, self.FILES.get, {"a.b"}, ["R"])]

    def test_sound(self):
        self.assertEqual(self.found(self.SOUND), [])
        (one,) = mutations.parse(self.SOUND)
        self.assertEqual((one.rule, one.name, one.test, one.file, one.hangs), ("R", "one", "a.b", "a.hpp", False))
        self.assertEqual((one.old, one.new), ("int b = 1;\n    f(a);", "int b = 2;"))

    def test_wrong(self):
        for old, new in (("a.hpp", "c.hpp"), ("- int b = 1;", "- int c = 1;"), ("test a.b", "test a.c"), ("rule R", "rule S"),
                ("test a.b\n", ""), ("break one", "break"), ("file a.hpp", "files a.hpp"), ("+ int b = 2;", "+ int b = 1;\n+     f(a);"),
                ("rule R  # why\n", "")):
            with self.subTest(new):
                self.assertEqual(len(self.found(self.SOUND.replace(old, new))), 1)

    def test_text_that_is_there_twice(self):
        self.assertEqual(len(self.found(self.SOUND + "break two\ntest a.b\nfile b.hpp\n- x\n")), 1)

    def test_names_are_unique(self):
        self.assertTrue(self.found(self.SOUND + self.SOUND))

    def test_tests(self):
        cmake = "duet_add_test(a/b PURE)\n    duet_add_test(a/c_d NETNS REACTOR TIMEOUT 9)\nfunction(duet_add_test path)\n"
        cmake += "function(duet_add_fuzzer name runs)\nduet_add_fuzzer(x_y 10)\n"
        self.assertEqual(mutations.tests(cmake), {"a.b", "a.c_d", "a.c_d.reactor", "fuzz.x_y"})

    def test_guarantees(self):
        readme = "| x | y |\n## What duet guarantees\n\n| guarantee | test |\n|---|---|\n| A `b` c | [t](u) |\n\n## Z\n| d | e |\n"
        self.assertEqual(mutations.guarantees(readme), ["A `b` c"])


class Snippets(unittest.TestCase):
    PAGE = "# x\n```sh\ny\n```\n```cpp\nf(1);    // one\n...\ng();\n```\n"

    def test_other_white_space(self):
        tests = ["", "void a()\n{\n    f(1);  // one\n    h();\n    g();\n}\n"]
        self.assertEqual(list(snippets.missing(self.PAGE, tests)), [])

    def test_other_words(self):
        self.assertEqual(list(snippets.missing(self.PAGE, ["f(1);  // one\nh();\n", "g();\n"])), [5])

    def test_comments_of_headers(self):
        header = "#pragma once\n/// Does:\n///\n/// ```cpp\n/// f(1);\n/// ```\nvoid f(int);\n"
        self.assertEqual(list(snippets.missing(snippets.comments(header), ["f( 1 );\n"])), [])
        self.assertEqual(list(snippets.missing(snippets.comments(header), ["f(2);\n"])), [4])


class Pages(unittest.TestCase):
    """What docs/site/pages.py sees in Markdown."""

    def links(self, words):
        page = links.pages.Page(words)
        return [(link.kind, link.target(words)) for link in page.links]

    def test_links(self):
        self.assertEqual(self.links("[a](b.md) ![c](d.svg) [![e](f.svg)](g.md \"h\")"),
                         [("link", "b.md"), ("image", "d.svg"), ("link", "g.md"), ("image", "f.svg")])
        self.assertEqual(self.links("[`a[0]`](b.md)\n\n[x]: c.md\n<img src=\"d.svg\" alt=\"\">"),
                         [("link", "b.md"), ("definition", "c.md"), ("html", "d.svg")])

    def test_what_is_no_link(self):
        self.assertEqual(self.links("`[a](b.md)` <!-- [a](b.md) -->\n\n```cpp\nf[a](b);\n```\n\n    f(a)\n"), [])

    def test_anchors(self):
        page = links.pages.Page("# A `b_c`: d, [e](f.md)!\n## 半关闭 half\n## x\n```sh\n# no\n```\n## x\n<a id=\"y\"></a>\n")
        self.assertEqual([heading.anchor for heading in page.headings], ["a-b_c-d-e", "半关闭-half", "x", "x-1"])
        self.assertEqual([heading.level for heading in page.headings], [1, 2, 2, 2])
        self.assertIn("y", page.anchors())

    def test_rows(self):
        (one,) = links.pages.Page("a\n<!-- rows: b -->\n| c |\n<!-- /rows -->\n```\n<!-- rows: d -->\n<!-- /rows -->\n```\n").rows
        self.assertEqual((one.line, one.scene, one.start, one.end), (2, "b", 19, 25))


class Links(unittest.TestCase):
    def found(self, words):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "docs").mkdir()
            (root / "a.hpp").write_text("1\n2\n")
            (root / "docs/b.md").write_text("# One two\n")
            (root / "docs/c.md").write_text(words)
            return [(line, wrong) for _, line, wrong in links.check(lint.Tree(root))]

    def test_good(self):
        for words in ("[x](b.md)", "[x](b.md#one-two)", "# y\n[x](#y)", "[x](../a.hpp#L2)", "[x](../docs)", "[x](https://a.b/c#d)",
                      "[x](mailto:a@b.c)", "`[x](d.md)`"):
            with self.subTest(words):
                self.assertEqual(self.found(words), [])

    def test_bad(self):
        for words in ("[x](d.md)", "[x](b.md#two)", "# y\n\n[x](#z)", "[x](../a.hpp#L3)", "[x](../a.hpp#two)", "[x](../../a)",
                      "![x](d.svg)", "<a href=\"d.md\">x</a>", "[x]: d.md"):
            with self.subTest(words):
                self.assertEqual(len(self.found(words)), 1)

    def test_line(self):
        self.assertEqual(self.found("a\n\n[x](\nd.md)\n")[0][0], 4)


class Translations(unittest.TestCase):
    ENGLISH = "# One\n\nText.\n\n## Two\n\n```sh\ncode\n```\n\n![p](q.svg)\n\n| a | b |\n|---|---|\n| c | d |\n\n" \
        "<!-- rows: s -->\n| call |\n|---|\n| write | 5 bytes<br>FIN |\n<!-- /rows -->\n"
    CHINESE = "# 一\n\n正文。\n\n## 二\n\n```sh\ncode\n```\n\n![图](q.svg)\n\n| 甲 | 乙 |\n|---|---|\n| 丙 | 丁 |\n\n" \
        "<!-- rows: s -->\n| 调用 |\n|---|\n| write | 5 个字节<br>FIN |\n<!-- /rows -->\n"
    WORDS = translations.phrases.Phrases('{"phrases": {"call": "调用", "{} bytes": "{} 个字节"}, "kept": ["write"]}')

    def found(self, english, chinese):
        pair = (translations.pages.Page(words) for words in (english, chinese))
        return [wrong for _, wrong in translations.differences(*pair, self.WORDS)]

    def test_same(self):
        self.assertEqual(self.found(self.ENGLISH, self.CHINESE), [])

    def test_wrong(self):
        for old, new in (("## 二", "### 二"), ("## 二", "二"), ("code", "codes"), ("q.svg", "r.svg"), ("| 丙 | 丁 |\n", ""),
                         ("| 丙 | 丁 |", "| 丙 |"), ("rows: s", "rows: t"), ("5 个字节", "6 个字节"), ("正文", "It says what nobody has translated yet"),
                         ("![图](q.svg)", "")):
            with self.subTest(new):
                self.assertEqual(len(self.found(self.ENGLISH, self.CHINESE.replace(old, new))), 1)

    def test_no_phrase(self):
        (wrong,) = self.found(self.ENGLISH.replace("5 bytes", "5 bytes more"), self.CHINESE)
        self.assertIn("no phrase with 'more'", wrong)

    def test_what_is_no_sentence(self):
        for words in ("`a b c d e f g h`", "SYN, ACK, FIN, RST, PSH, URG, ECE, CWR", "[甲](a b c d e f g h)"):
            with self.subTest(words):
                self.assertEqual(self.found(self.ENGLISH, self.CHINESE.replace("正文", words)), [])

    def test_phrases(self):
        words = translations.phrases.Phrases('{"phrases": {"a b": "甲", "a": "乙", "{} of {}": "{}之{}"}, "kept": ["close"]}')
        self.assertEqual(words.table("a b, a: 7 of 9"), "甲, 乙: 7之9")
        self.assertEqual(words.table("| → SYN, ACK | close read_some 12.5ms |\n|---|"), "| → SYN, ACK | close read_some 12.5ms |\n|---|")
        for unknown in ("ab", "closed", "b"):
            with self.subTest(unknown), self.assertRaises(translations.phrases.Unknown):
                words.table(unknown)

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, words in (("en/a.md", "# a\n"), ("en/b/c.md", "# c\n"), ("zh/a.md", "# 甲\n"), ("zh/d.md", "# 丁\n"),
                                ("zh/phrases.json", '{"phrases": {}, "kept": []}')):
                path = root / "docs" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(words)
            wrong = [wrong for _, _, wrong in translations.check(lint.Tree(root))]
        self.assertEqual(wrong, ["has no translation: docs/zh/b/c.md", "has no translation: docs/en/d.md"])


if __name__ == "__main__":
    unittest.main()
