#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""The picture of the house in docs/architecture.md is that of the code: picture.py draws it anew.

A room is a folder of detail/, or the public headers of one floor. An arrow says "includes"; one that follows from others
is left out.
"""

import pathlib
import re
import sys
import textwrap

import layers

PAGE = "docs/architecture.md"
PICTURE = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.S)


def room_of(header):
    inside = header.removeprefix("duet/").removeprefix("detail/")
    folder, slash, _ = inside.partition("/")
    return folder + slash if slash else f"floor{layers.floor_of(header)}"


def floor_of_room(room):
    return layers.FLOOR_OF[room] if room.endswith("/") else int(room.removeprefix("floor"))


def edges_of(includes):
    owner, _ = layers.owners_of_definitions(includes)
    edges = {}
    for header, targets in includes.items():
        room = room_of(owner.get(header, header))
        reached = edges.setdefault(room, set())
        for _, target in targets:
            other = room_of(owner.get(target, target))
            if other != room:
                reached.add(other)
    return edges


def reduced(edges):
    """Without the edges that a longer way implies. There are no circles of rooms, or they stay."""
    def reach(start, seen):
        for target in edges.get(start, ()):
            if target not in seen:
                seen.add(target)
                reach(target, seen)
        return seen

    result = {}
    for room, targets in edges.items():
        result[room] = {target for target in targets
                        if not any(target in reach(other, set()) for other in targets
                                   if other != target and room not in reach(other, set()))}
    return result


def draw(includes):
    names = {}
    for header in includes:
        room = room_of(header)
        if room.startswith("floor") and header.endswith(".hpp"):
            names.setdefault(room, []).append(header.rpartition("/")[2].removesuffix(".hpp"))
    edges = reduced(edges_of(includes))
    lines = ["graph TD", "    classDef public fill:#d5f0d5,stroke:#3a7d3a,color:#000"]
    rooms = sorted(edges, key=lambda room: (-floor_of_room(room), room))  # from the roof: the order decides what lies where
    for room in rooms:
        # Broad rather than high. A line of more characters would be broken again when it is drawn.
        label = "<br>".join(textwrap.wrap(", ".join(sorted(names[room])), 24)) if room in names else f"detail/{room}"
        if room == "testing/":
            label = room
        public = ":::public" if room in names or room == "testing/" else ""
        lines.append(f'    {identifier(room)}["{label}"]{public}')
    lines += [f"    {identifier(room)} --> {identifier(target)}" for room in rooms for target in sorted(edges[room])]
    return "\n".join(lines) + "\n"


def identifier(room):
    return room.rstrip("/")


def check(tree):
    page = tree.root / PAGE
    found = PICTURE.search(tree.text(page)) if page.exists() else None
    if not found:
        yield page, 1, "has no picture of the house"
    elif found.group() != draw(layers.read_includes(tree)):
        yield page, 1, "shows another house: ./dev format draws it anew"


def main():
    from lint import Tree
    tree = Tree(pathlib.Path(__file__).parents[2])
    page = tree.root / PAGE
    page.write_text(PICTURE.sub(lambda _: draw(layers.read_includes(tree)), tree.text(page)))


if __name__ == "__main__":
    sys.exit(main())
