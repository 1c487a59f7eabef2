# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""The reference: a page for each public header, in the order of the header, from the XML that Doxygen makes of its comments."""

import collections
import pathlib
import re
import textwrap
import xml.etree.ElementTree as ElementTree

SECTION = re.compile(r"^ *// -{4} (.*?)\.?(?: -+)?$")
CLASSES = ("class", "struct", "union")
PARTS = ("briefdescription", "detaileddescription")  # a comment of one line is brief, and others have no brief part
NAME = re.compile(r"\b(?:[a-z]\w*(?:::~?\w+)+|[A-Za-z]\w*_\w*(?:\.\w+)?|~?[a-z]\w*(?=\(\)))(?:\(\))?")  # in prose, without backquotes


def pages_of(xml_folder, root):
    """The pages by their headers; the index by None."""
    return Reference(xml_folder, root).pages()


def squeeze(words):
    """C++ as the headers have it: `T&`, `T<U>`, and nothing of the inline namespace."""
    words = re.sub(r"\b(?:duet::)?abi::", "", re.sub(r"\s+", " ", words).strip())
    words = re.sub(r"\s+([&*]+)", r"\1", words)
    words = re.sub(r"([&*]+)(?=[A-Za-z_])", r"\1 ", words)
    words = re.sub(r"< | >(?!=)", lambda match: match.group().strip(), words)
    return re.sub(r"(?<=\w)=(?=[\w{\"-])", " = ", words)


def content(element):
    return squeeze("".join(element.itertext())) if element is not None else ""


class Reference:
    def __init__(self, xml_folder, root):
        self.root = root
        self.compounds = {}  # classes and concepts
        self.loose = {}      # members of namespaces, once each
        for path in sorted(pathlib.Path(xml_folder).glob("*.xml")):
            if path.name == "index.xml":
                continue
            for compound in ElementTree.parse(path).getroot().iter("compounddef"):
                if compound.get("kind") in (*CLASSES, "concept"):
                    if compound.get("prot", "public") == "public":
                        self.compounds[compound.get("id")] = compound
                elif compound.get("kind") in ("namespace", "file"):
                    for member in compound.iter("memberdef"):
                        if member.get("kind") != "define":
                            self.loose.setdefault(self.position(member), member)
        self.nested = {inner.get("refid") for compound in self.compounds.values() for inner in compound.iter("innerclass")}
        self.by_file = collections.defaultdict(list)
        for ident, compound in self.compounds.items():
            if ident not in self.nested and (compound.get("kind") == "concept" or self.is_worth_it(compound)):
                self.by_file[self.file_of(compound)].append(compound)
        for member in self.loose.values():
            if described(member):
                self.by_file[self.file_of(member)].append(member)
        self.labels = self.find_labels()

    @staticmethod
    def position(element):
        location = element.find("location")
        return location.get("file"), int(location.get("line")), element.findtext("name") or element.findtext("compoundname")

    def file_of(self, element):
        return "include/" + self.position(element)[0]

    def line_of(self, element):
        return self.position(element)[1]

    @staticmethod
    def is_worth_it(compound):
        return described(compound) or any(described(member) for member in compound.iter("memberdef"))

    def find_labels(self):
        """What can be linked to: label and page of each thing that has a heading."""
        labels = {}
        for header, things in self.by_file.items():
            for thing in things:
                labels[thing.get("id")] = thing.get("id")
                if thing.tag == "compounddef":
                    for inner in self.inner(thing):
                        labels[inner.get("id")] = inner.get("id")
                    first = {}
                    for member in self.members(thing):
                        if member.get("kind") == "function" and described(member):
                            labels[member.get("id")] = first.setdefault(member.findtext("name"), member.get("id"))
        return labels

    def inner(self, compound):
        return [self.compounds[each.get("refid")] for each in compound.iter("innerclass") if each.get("refid") in self.compounds]

    def members(self, compound):
        return sorted((member for member in compound.iter("memberdef") if member.get("prot") == "public"), key=self.line_of)

    # Pages -------------------------------------------------------------------------------------------------------------

    def pages(self):
        result = {header: self.page(header, sorted(things, key=self.line_of)) for header, things in sorted(self.by_file.items())}
        result[None] = self.index(result)
        return result

    def index(self, headers):
        rows = ""
        for header in headers:
            name = header.removeprefix("include/duet/").removesuffix(".hpp").replace("/", "_")
            things = sorted(self.by_file[header], key=self.line_of)
            words = "\n".join(self.description(self.main(header, things)))
            brief = re.split(r"(?<=\.)\s|\n\n|:\s", words.strip())[0].rstrip(".:\n").replace("|", "\\|")
            rows += f"| [{header.removeprefix('include/')}]({name}.md) | {brief} |\n"
        toctree = "\n".join(row.split("](")[1].split(".md)")[0] for row in rows.splitlines())
        return ("# Reference\n\nThe public headers, from their comments. `#include <duet/duet.hpp>` brings most of them.\n\n"
                f"| header | |\n|---|---|\n{rows}\n```{{toctree}}\n:hidden:\n\n{toctree}\n```\n")

    @staticmethod
    def main(header, things):
        """What a header is there for: what has its name, or else the first thing that has words."""
        name = pathlib.PurePath(header).stem
        told = [thing for thing in things if described(thing)] or things
        return next((thing for thing in told if re.search(rf"\b(?:basic_)?{name}$", thing.findtext("compoundname") or
                                                          thing.findtext("name") or "")), told[0])

    def page(self, header, things):
        short = header.removeprefix("include/")
        parts = [f"# {short}\n", f"```cpp\n#include <{short}>\n```\n"]
        source = (self.root / header).read_text(encoding="utf-8").splitlines()
        previous = None
        for thing in things:
            if thing.tag == "compounddef":
                parts += self.compound(thing, source, 2)
                previous = None
            else:
                parts += self.member(thing, 2, previous)
                previous = thing.findtext("name")
        return "\n".join(parts)

    def compound(self, compound, source, level):
        kind = compound.get("kind")
        name = squeeze(compound.findtext("compoundname"))
        yield self.heading(compound, level, f"{kind} {escape(name.removeprefix('duet::'))}")
        yield from self.description(compound)
        declaration = template_of(compound) + f"{kind} {name.rpartition('::')[2] if '<' not in name else name.removeprefix('duet::')}"
        if kind == "concept":
            lines = source[self.line_of(compound) - 1:]
            yield code(textwrap.dedent("\n".join(until_semicolon(self.from_template(source, self.line_of(compound)), lines))))
            return
        bases = ", ".join(content(base) for base in compound.findall("basecompoundref") if base.get("prot") == "public"
                          and "detail::" not in content(base))
        yield code(declaration + (f" : public {bases}" if bases else ""))
        yield from self.body(compound, source, level)

    @staticmethod
    def from_template(source, line):
        return [] if source[line - 1].lstrip().startswith("template") else source[line - 2:line - 1]

    def body(self, compound, source, level):
        location = compound.find("location")
        sections = []
        for number in range(int(location.get("bodystart") or 0), int(location.get("bodyend") or 0)):
            if match := SECTION.match(source[number - 1]):
                sections.append((number, match.group(1)))
        members = [member for member in self.members(compound) if described(member)]
        plain = [member for member in self.members(compound) if not described(member) and is_told(member)]
        things = sorted([*members, *self.inner(compound)], key=self.line_of)
        deeper, previous = level + 1, None
        for thing in things:
            while sections and sections[0][0] < self.line_of(thing):
                title, _, rest = sections.pop(0)[1].partition(". ")
                yield f"{'#' * (level + 1)} {escape(title)}\n"
                if rest:
                    yield prose(rest) + ".\n"
                deeper, previous = level + 2, None
            if thing.tag == "compounddef":
                yield from self.compound(thing, source, deeper)
                previous = None
            else:
                yield from self.member(thing, deeper, previous)
                previous = thing.findtext("name") if thing.get("kind") == "function" else None
        if plain:
            yield f"{'#' * (level + 1)} Also\n" if members else ""
            yield code("\n".join(signature(member) for member in plain))

    def member(self, member, level, previous):
        """Functions have a heading, and data a line: what is short stays together."""
        kind, name = member.get("kind"), member.findtext("name")
        if kind in ("function", "friend"):
            if name != previous:
                yield self.heading(member, level, escape(name))
            yield code(signature(member))
            yield from self.description(member)
        elif kind == "enum":
            yield self.heading(member, level, f"enum {escape(name)}")
            yield from self.description(member)
            yield "\n".join(self.item(content(value.find("name")), value) for value in member.iter("enumvalue"))
        elif level == 2:
            yield self.heading(member, level, escape(name))
            yield code(signature(member))
            yield from self.description(member)
        else:
            yield self.item(signature(member).removesuffix(";"), member)

    def item(self, title, element):
        words = "\n".join(self.description(element))
        return f"- `{title}`\n\n{textwrap.indent(words, '  ')}\n"

    @staticmethod
    def heading(element, level, words):
        return f"({element.get('id')})=\n{'#' * level} {words}\n"

    # Words -------------------------------------------------------------------------------------------------------------

    def description(self, element):
        words = "".join(self.words(element.find(part)) for part in PARTS).strip()
        if words:
            yield words + "\n"

    def words(self, element):
        if element is None:
            return ""
        return re.sub(r"\n{3,}", "\n\n", "".join(self.blocks(element)))

    def blocks(self, element):
        for each in element:
            if each.tag == "para":
                yield self.paragraph(each) + "\n\n"
            elif each.tag in ("sect1", "sect2", "parblock"):
                yield from self.blocks(each)

    def paragraph(self, para):
        words = prose(para.text)
        for each in para:
            if each.tag in ("programlisting", "verbatim", "itemizedlist", "orderedlist", "table"):
                words += f"\n\n{self.block(each)}\n\n"
            else:
                words += self.inline(each)
            words += prose(each.tail)
        words = re.sub(r"(^|(?<=[.:]) +)(Errors|Cancellation|Completes|Precondition|Buffers): ",
                       lambda match: ("\n\n" if match.group(1) else "") + f"**{match.group(2)}:** ", words)
        return words.strip(" ")

    def inline(self, element):
        words = "".join(element.itertext())
        if element.tag == "computeroutput":
            return "`" + squeeze_spaces(words) + "`"
        if element.tag == "ref":
            label = self.labels.get(element.get("refid"))
            return f"[{prose(words)}]({label})" if label else prose(words)
        if element.tag in ("bold", "emphasis"):
            inner = prose(element.text) + "".join(self.inline(each) + prose(each.tail) for each in element)
            return f"**{inner}**" if element.tag == "bold" else f"*{inner}*"
        if element.tag == "sp":
            return " "
        return escape(words) if words else {"ndash": "–", "mdash": "—", "nonbreakablespace": " "}.get(element.tag, "")

    def block(self, element):
        if element.tag == "programlisting":
            for space in element.iter("sp"):
                space.text = " "
            return code("\n".join("".join(line.itertext()) for line in element.iter("codeline")))
        if element.tag == "verbatim":
            return "```text\n" + textwrap.dedent(element.text).strip("\n") + "\n```\n"
        if element.tag == "table":
            rows = [[self.words(entry).strip().replace("\n", " ").replace("|", "\\|") for entry in row.iter("entry")]
                    for row in element.iter("row")]
            lines = ["| " + " | ".join(row) + " |" for row in rows]
            return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
        return "\n".join("- " + textwrap.indent(self.words(each).strip(), "  ").lstrip() for each in element.findall("listitem"))


def described(element):
    return any(content(element.find(part)) for part in PARTS)


def is_told(member):
    """What is without words of its own and yet a user's affair: not copies and moves, nor what only the compiler looks at."""
    name, words = member.findtext("name"), content(member.find("definition")) + content(member.find("argsstring"))
    if member.get("kind") == "friend" or "detail::" in words or "=default" in words or "=delete" in words:
        return False
    return not name.startswith("~") and name not in ("operator=", "get_executor_type")


def template_of(element):
    parameters = element.find("templateparamlist")
    if parameters is None:
        return ""
    words = []
    for each in parameters.findall("param"):
        kind, name, value = (content(each.find(tag)) for tag in ("type", "declname", "defval"))
        words.append(kind + (f" {name}" if name and not kind.endswith(name) else "") + (f" = {value}" if value else ""))
    requires = content(element.find("requiresclause"))
    return f"template <{', '.join(words)}>\n" + (f"    requires {requires}\n" if requires else "")


def signature(member):
    kind, name, of_type = member.get("kind"), member.findtext("name"), content(member.find("type"))
    before = "".join(f"{word} " for word in ("explicit", "static") if member.get(word) == "yes")
    if kind == "typedef":
        return f"{template_of(member)}using {name} = {of_type};"
    if kind == "variable":
        value = content(member.find("initializer"))
        return f"{before}{of_type} {name}" + (f" {value}" if value.startswith("=") else value) + ";"
    if kind == "enum":
        return f"enum class {name};"
    arguments = squeeze(member.findtext("argsstring") or "")
    head = " ".join(f"{before}{of_type} {name}".split())
    whole = re.sub(r"\s*=\s*(default|delete)$", r" = \1", f"{head}{arguments}") + ";"
    if len(whole) > 88 and len(member.findall("param")) > 0:
        whole = broken(head, arguments) + ";"
    return template_of(member) + whole


def broken(head, arguments):
    """Each argument on a line of its own."""
    depth, parts, start = 0, [], 1
    for at, letter in enumerate(arguments):
        depth += (letter in "(<{[") - (letter in ")>}]")
        if (letter == "," and depth == 1) or depth == 0:
            parts.append(arguments[start:at].strip())
            start = at + 1
            if depth == 0:
                return f"{head}(\n    " + ",\n    ".join(parts) + ")" + arguments[start:]
    return head + arguments


def until_semicolon(first, lines):
    yield from first
    for line in lines:
        yield line
        if line.rstrip().endswith(";") and not line.startswith("    "):
            return
        if line.rstrip().endswith(";") and first and "{" not in "".join(lines[:1]):
            return


def code(text):
    return f"```cpp\n{text.strip()}\n```\n"


def squeeze_spaces(words):
    return re.sub(r"\s+", " ", words.replace("abi::", ""))


def prose(words):
    """Names in it become code."""
    result, done = "", 0
    for name in NAME.finditer(words or ""):
        result += escape(words[done:name.start()]) + "`" + name.group().replace("abi::", "") + "`"
        done = name.end()
    return result + escape((words or "")[done:])


def escape(words):
    return re.sub(r"([\\`*_\[\]<>|$#])", r"\\\1", words.replace("duet::abi::", "duet::").replace("abi::", ""))
