# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""The graphs that GitHub draws from Mermaid, as test/lint/picture.py writes them, drawn by Graphviz without a network."""

import re
import subprocess

BLOCK = re.compile(r"^```mermaid\n(graph TD\n.*?)^```$", re.M | re.S)
NODE = re.compile(r"\s*(\w+)\[\"(.*)\"\](:::public)?$")
EDGE = re.compile(r"\s*(\w+) --> (\w+)$")


def dot_of(mermaid):
    lines = ["digraph {", 'bgcolor="transparent"', 'node [shape=box fontname="sans-serif" fontsize=11]']
    for line in mermaid.splitlines()[1:]:
        if node := NODE.match(line):
            name, label, public = node.groups()
            words = label.replace("<br>", "\\n")
            lines.append(f'"{name}" [label="{words}"' + (' class="public"]' if public else "]"))
        elif edge := EDGE.match(line):
            lines.append('"{}" -> "{}"'.format(*edge.groups()))
        elif not line.strip().startswith("classDef"):
            raise SystemExit(f"docs: a graph has a line that is not understood: {line.strip()}")
    return "\n".join(lines + ["}"])


def draw(mermaid):
    svg = subprocess.run(["dot", "-Tsvg"], input=dot_of(mermaid), capture_output=True, text=True, check=True).stdout
    svg = svg[svg.index("<svg"):].replace("<svg", '<svg class="graph" role="img"', 1)
    return re.sub(r"<!--.*?-->|<title>.*?</title>|\n\s*(?=\n)", "", svg, flags=re.S)


def draw_all(text):
    return BLOCK.sub(lambda block: '````{raw} html\n<div class="picture">\n' + draw(block.group(1)) + "</div>\n````", text)
