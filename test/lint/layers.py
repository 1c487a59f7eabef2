# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Every header stands on a floor, and reaches only its own floor and those below; there are no circles.

What is in detail/ has the floor of what it reaches. An impl/ file belongs to the one header that includes it, and the
two count as one.
"""

import re

FLOORS = [
    # ground: no I/O
    "version error lifecycle tcp_info session_options close_report backoff canceller",
    # the seam: what a stream has to supply
    "stream_traits",
    # first: one connection
    "session",
    # second: they yield sessions
    "acceptor_options inherited acceptor connector_options connect_error resolver connector",
    # third: they live on sessions
    "server_options server run relay",
    # the roof
    "format beast duet",
]
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names.split()}
ROOF = len(FLOORS) - 1

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"](duet/[^>"]+)[>"]', re.M)


def floor_of(header):
    """The floor of a public header; None for the inside; KeyError for one that has no floor yet."""
    if header.startswith(("duet/detail/", "duet/impl/")):
        return None
    if header.startswith("duet/testing/"):
        return ROOF
    return FLOOR_OF[header.removeprefix("duet/").removesuffix(".hpp")]


def check_includes(includes):
    """`includes` is {header: [(line, included header)]}. Yields (header, line, what is wrong)."""
    for header in includes:
        try:
            floor_of(header)
        except KeyError:
            yield header, 1, "has no floor: name it in test/lint/layers.py"
            return
        for line, target in includes[header]:
            if target not in includes:
                yield header, line, f"includes {target}, which is not there"
                return

    owner, problems = owners_of_impl(includes)
    yield from problems
    graph = {}
    for header, targets in includes.items():
        node = owner.get(header, header)
        edges = graph.setdefault(node, {})
        for line, target in targets:
            target = owner.get(target, target)
            if target != node:
                edges.setdefault(target, (header, line))

    circle = find_circle(graph)
    if circle:
        yield *graph[circle[0]][circle[1]], "closes a circle: " + " -> ".join(circle)
        return
    for node in graph:
        if floor_of(node) is not None:
            yield from check_floor(graph, node)


def owners_of_impl(includes):
    """impl/src.hpp, which gathers the definitions for the compiled variant, owns nothing."""
    owner, problems = {}, []
    for header in includes:
        if not header.startswith("duet/impl/") or header == "duet/impl/src.hpp":
            continue
        users = [user for user in includes
                 if not user.startswith("duet/impl/") and any(target == header for _, target in includes[user])]
        if len(users) == 1:
            owner[header] = users[0]
        else:
            problems.append((header, 1, f"should belong to one header, but is included by {users or 'none'}"))
    return owner, problems


def find_circle(graph):
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        path.append(node)
        for target in graph.get(node, {}):
            circle = visit(target)
            if circle:
                return circle
        path.pop()
        done.add(node)
        return None

    return next(filter(None, map(visit, graph)), None)


def check_floor(graph, header):
    """Follows the inside to the public headers that it reaches; what those reach is their own affair."""
    seen, waiting = set(), [(header, None)]
    while waiting:
        node, blame = waiting.pop()
        for target, place in graph.get(node, {}).items():
            if floor_of(target) is None:
                if target not in seen:
                    seen.add(target)
                    waiting.append((target, blame or place))
            elif floor_of(target) > floor_of(header):
                through = "" if blame is None else f" (through {node})"
                yield *(blame or place), f"{header} reaches up to {target}{through}"


def check(tree):
    includes = {}
    for path in tree.files("include", suffixes=(".hpp", ".ipp")):
        text = tree.text(path)
        header = path.relative_to(tree.root / "include").as_posix()
        includes[header] = [(text.count("\n", 0, match.start(1)) + 1, match.group(1)) for match in INCLUDE.finditer(text)]
    for header, line, wrong in check_includes(includes):
        yield tree.root / "include" / header, line, wrong
