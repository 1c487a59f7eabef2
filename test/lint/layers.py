# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Every header stands on a floor, and includes only what stands on its own floor or below; there are no circles. Every header
reaches the one that says how the namespace is called.

A folder of detail/ has a floor, and so has each public header. An .ipp file has the definitions of the one header that
includes it, and the two count as one.
"""

import re

FLOORS = [
    # ground: no I/O
    "config version endpoint error frame_layout lifecycle tcp_info trace/ trace_log trace_file trace_segments diagram diagram_options"
    " live_diagram close_report post_mortem backoff"
    " proxy/ proxy_header proxy_options frame_layout"
    " whole_or_end session_options acceptor_options connector_options pool_options relay_options server_options"
    " request_codec request_options session_handler"
    " metrics/ histogram server_metrics prometheus",
    # handlers and how they are called; system calls on descriptors
    "completion/ socket/ time/ service_manager",
    # ways to wait, and what a stream has to supply
    "stream_traits session_stream connect_error tasks channel/ tls/ tls_options tls_error tls_context tls_stream tls_facts",
    # one connection
    "engine/",
    # what sees what happens to one
    "trace_options recording/",
    "session_state session line_reader canceller release remote tls proxy_protocol framing requests/ request_stream"
    " serve_requests",
    # they yield sessions
    "accept/ resolve/ inherited hand_over acceptor resolver over_tls tls_acceptor",
    "connect/ connector kept_connection connection_pool tls_connector",
    # they live on sessions
    "serve/ relay/ server run relay tls_server",
    # what is seen of them, and told
    "wire/ captured_segment pcapng tap_options tap merge",
    # the roof
    "trace format beast trace_reader testing/ duet",
]
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names.split()}

CONFIG = "duet/detail/config.hpp"
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"](duet/[^>"]+)[>"]', re.M)


def floor_of(header):
    """KeyError: it has none yet."""
    inside = header.removeprefix("duet/").removeprefix("detail/")
    folder, slash, _ = inside.partition("/")
    return FLOOR_OF[folder + slash if slash else inside.removesuffix(".hpp")]


def check_includes(includes):
    """`includes` is {header: [(line, included header)]}. Yields (header, line, what is wrong)."""
    owner, problems = owners_of_definitions(includes)
    yield from problems
    graph = {}
    for header, targets in includes.items():
        node = owner.get(header, header)
        try:
            floor = floor_of(node)
        except KeyError:
            yield header, 1, "has no floor: name it in test/lint/layers.py"
            return
        edges = graph.setdefault(node, {})
        for line, target in targets:
            if target not in includes:
                yield header, line, f"includes {target}, which is not there"
                return
            target = owner.get(target, target)
            if target == node:
                continue
            edges.setdefault(target, (header, line))
            if floor_of(target) > floor:
                yield header, line, f"reaches up to {target}"

    circle = find_circle(graph)
    if circle:
        yield *graph[circle[0]][circle[1]], "closes a circle: " + " -> ".join(circle)

    for node in graph:
        if CONFIG in graph and CONFIG not in reached_from(node, graph):
            yield node, 1, f"does not include {CONFIG}, which defines the namespace DUET_ABI"


def owners_of_definitions(includes):
    owner, problems = {}, []
    for header in includes:
        if not header.endswith(".ipp"):
            continue
        users = [user for user in includes if any(target == header for _, target in includes[user])]
        if len(users) == 1:
            owner[header] = users[0]
        else:
            problems.append((header, 1, f"should belong to one header, but is included by {users or 'none'}"))
    return owner, problems


def reached_from(node, graph):
    reached, pending = set(), [node]
    while pending:
        node = pending.pop()
        if node not in reached:
            reached.add(node)
            pending.extend(graph.get(node, {}))
    return reached


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


def read_includes(tree):
    includes = {}
    for path in tree.files("include", suffixes=(".hpp", ".ipp")):
        text = tree.text(path)
        header = path.relative_to(tree.root / "include").as_posix()
        includes[header] = [(text.count("\n", 0, match.start(1)) + 1, match.group(1)) for match in INCLUDE.finditer(text)]
    return includes


def check(tree):
    includes = read_includes(tree)
    for header, line, wrong in check_includes(includes):
        yield tree.root / "include" / header, line, wrong
