#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""balancer: its list is read again while connections go on; what is spelled otherwise, wrong, new or gone."""

import contextlib
import pathlib
import tempfile

import harness
from balancer_peers import Backend, Balancer, balanced
from harness import case, check, check_equal


@contextlib.contextmanager
def listed(text, *options, **more):
    """A balancer whose list says this, and a function that gives it another one."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "backends")
        file.write_text(text, encoding="ascii")
        server = Balancer("--backends", file, *options, **more)

        def list_anew(text):
            file.write_text(text, encoding="latin-1")  # a byte for each character
            server.reload()

        yield server, list_anew
        server.stop()


@case
def a_new_list():
    echo = [Backend(name) for name in (b"one", b"two", b"three")]
    one, two, three = echo
    with listed(f"# two of them\n\n{one.at}\n  {two.at}  # the second\n") as (server, list_anew):
        with server.connect() as old:
            old.sendall(b"begun before, ")
            harness.wait_until(lambda: 1 in (server.column(one, "active"), server.column(two, "active")), "a connection")
            if server.column(two, "active"):
                one, two = two, one
            server.wait_for(one, "bytes_there", 14)
            for text, state in ((f"{two.at}\n{three.at}\n", "removed"), (f"{one.at} drain\n{two.at}\n{three.at}\n", "drain")):
                list_anew(text)
                check_equal(server.column(one, "state"), state, "the state of the first one")
                check_equal(server.column(one, "active"), 1, "connections that go on there")
                check_equal({server.ask() for _ in range(4)}, {two.name + b":x", three.name + b":x"}, "who answers")
            for wrong in ("", f"{two.at}\nrubbish\n", f"{two.at}\n{two.at}\n", "x" * 600 + ":1\n", f"{two.at}\n\0\0\n", "\33[2J\xff:1 up"):
                list_anew(wrong)
            server.expect_error(r"(?s)not reloaded: .*backends: no backend is listed\n.*backends:2: 'rubbish' is no backend.*"
                                r":2: .* is there twice\n.*:1: the line is too long\n.*:2: there is a zero byte.*:1: '\?\[2J\?:1 up' is no backend")
            check_equal({server.ask() for _ in range(4)}, {two.name + b":x", three.name + b":x"}, "who answers still")
            list_anew(one.at)
            check_equal(server.ask(), one.name + b":x", "the one that does not drain any more")
            check_equal(set(server.backends()), {one.at}, "who is listed")
            check_equal(harness.exchange(old, b"ended after"), one.name + b":begun before, ended after", "what came of the old one")
    for each in echo:
        each.stop()


@case
def a_backend_that_is_spelled_otherwise_is_the_same():
    one = Backend(b"one")
    with listed(f"127.0.0.1:{one.port}\n[::1]:1 drain\nnobody.invalid:1 drain\n") as (server, list_anew):
        with server.connect() as old:
            old.sendall(b"begun before, ")
            server.wait_for(one, "bytes_there", 14)
            before = server.backends()
            list_anew(f"NOBODY.invalid:0001\tdrain # a comment\n  [0:0::0:1]:1 drain\r\n127.0.0.1:0{one.port}")
            server.expect_error(r"\nreloaded .*: 3 backends, 2 of them draining; 0 added, 0 removed\n")
            check_equal(server.backends(), before, "what is known of them")
            for twice in ("Nobody.invalid:1\nnobody.invalid:01\n", "[::1]:1\n[::0:1]:1\n"):
                list_anew(twice)
            server.expect_error(r"(?s):2: nobody\.invalid:1 is there twice\n.*:2: \[::1\]:1 is there twice\n")
            check_equal(harness.exchange(old, b"ended after"), b"one:begun before, ended after", "what came of the old connection")
    one.stop()


@case
def no_list_to_reload():
    with balanced(b"one") as (server, _):
        server.reload()
        check_equal(server.ask(), b"one:x", "the answer")
        server.stop()


@case
def a_new_backend_is_checked_and_a_removed_one_is_not():
    one, two = Backend(b"one"), Backend(b"two")
    with listed(one.at, "--unit", "10", interval=1) as (_, list_anew):
        harness.wait_until(lambda: one.accepted >= 2, "checks")
        list_anew(two.at)
        harness.wait_until(lambda: two.accepted >= 2, "checks of the new one")
        before, there = one.accepted, two.accepted
        harness.wait_until(lambda: two.accepted >= there + 5, "more checks of the new one")
        check(one.accepted <= before + 1, "the removed one is checked on")
        list_anew(one.at)
        harness.wait_until(lambda: one.accepted >= before + 5, "checks of the one that is back")
    one.stop()
    two.stop()


if __name__ == "__main__":
    harness.main()
