#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""guarded_server: clients that hold it up are ended, each by the deadline that is meant for it; honest ones are served."""

import pathlib
import re

import harness
from harness import Server, case, check_equal


@case
def command_line():
    harness.check_command_line("guarded_server", "--port", "--unit", "--sessions")
    harness.check_port_in_use("guarded_server")


@case
def lines_have_their_lengths():
    server = Server("guarded_server")
    check_equal(harness.run_tool("nc", "-N", "localhost", server.port, data=b"one\n\nthree\n"), b"3\n0\n5\n", "answer to nc -N")
    server.stop()


@case
def clients_that_hold_it_up_are_ended():
    server = Server("guarded_server", "--unit", "30")
    with server.connect() as silent, server.connect() as stalls, server.connect() as leaves:
        stalls.sendall(b"hal")
        leaves.sendall(b"one\n")
        check_equal(harness.read_lines(leaves, 1), [b"3"], "answer")
        harness.check_reset(silent, "one that says nothing")
        harness.check_reset(stalls, "one that stalls in its first request")
        check_equal(leaves.recv(1), b"", "the FIN for one that is silent between requests")
    server.stop()


@case
def one_client_too_many_is_told_at_once():
    server = Server("guarded_server", "--sessions", "1")
    with server.connect() as first:
        first.sendall(b"one\n")
        check_equal(harness.read_lines(first, 1), [b"3"], "answer to the first")
        harness.check_refused(server.connect, "one too many")
        first.sendall(b"four\n")
        check_equal(harness.read_lines(first, 1), [b"4"], "answer to the first, later")
    server.stop()


@case
def every_example_that_serves_is_guarded():
    examples = pathlib.Path(__file__).parents[2] / "examples"
    servers = [path for path in examples.rglob("*.cpp") if re.search(r"^ +duet::(unix_|tls_)?server (const )?\w+{", path.read_text(), re.M)]
    harness.check(len(servers) >= 8, f"only {len(servers)} examples seem to serve")
    for path in servers:
        text = path.read_text()
        harness.check("for_strangers(" in text or "max_sessions" in text, f"{path.name} serves strangers without limits")


if __name__ == "__main__":
    harness.main()
