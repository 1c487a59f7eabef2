#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""sort_server: the client's FIN asks, and the answer comes after it; anything less than a FIN gets no answer."""

import random

import harness
from harness import Server, case, check, check_equal

_random = random.Random(2)
LINES = [_random.randbytes(_random.randrange(60)).replace(b"\n", b"") for _ in range(250_000)]
BIG = b"".join(line + b"\n" for line in LINES)  # over 7 MB
BIG_SORTED = b"".join(line + b"\n" for line in sorted(LINES))


@case
def command_line():
    harness.check_command_line("sort_server", "--port", "--limit")
    harness.check_port_in_use("sort_server")


@case
def netcat_half_closes():
    server = Server("sort_server")
    check_equal(harness.run_tool("nc", "-N", "localhost", server.port, data=b"b\na\n"), b"a\nb\n", "answer to nc -N")
    check_equal(harness.run_tool("nc", "-N", "localhost", server.port, data=BIG), BIG_SORTED, "big answer to nc -N")
    server.stop()


@case
def socat_half_closes():
    server = Server("sort_server")
    address = f"TCP:localhost:{server.port}"
    check_equal(harness.run_tool("socat", "-t100", "-", address, data=b"2\n10\n1\n"), b"1\n10\n2\n", "answer to socat")
    server.stop()


@case
def what_counts_as_a_line():
    server = Server("sort_server")
    for lines, answer in (
            (b"", b""),
            (b"\n", b"\n"),
            (b"no end", b"no end\n"),
            (b"b\na", b"a\nb\n"),
            (b"b\n\na\n", b"\na\nb\n"),
            (b"a b\na\n", b"a\na b\n"),
            (b"a\tb\na\n", b"a\na\tb\n"),
            (b"\xff\n\0\nz\n", b"\0\nz\n\xff\n"),
            (b"same\nsame\n", b"same\nsame\n")):
        with server.connect() as peer:
            check_equal(harness.exchange(peer, lines), answer, f"answer to {lines!r}")
    server.stop()


@case
def no_answer_before_the_fin():
    server = Server("sort_server")
    with server.connect() as peer:
        peer.sendall(b"b\na\n")
        peer.setblocking(False)
        try:
            check(False, f"it answered {peer.recv(100)!r} to an input that was still open")
        except BlockingIOError:
            pass
        peer.settimeout(harness.time_left())
        check_equal(harness.exchange(peer, b"0\n"), b"0\na\nb\n", "answer after the FIN")
    server.stop()


@case
def slow_reader_loses_nothing():
    server = Server("sort_server")
    with server.connect(receive_buffer=65536) as peer:
        check_equal(harness.exchange_reluctantly(peer, BIG), BIG_SORTED, "answer")
    server.stop()


@case
def a_reset_gets_no_answer():
    server = Server("sort_server")
    with server.connect() as peer:
        peer.sendall(b"b\na\n")
        harness.reset(peer)
    harness.wait_until(lambda: server.complained, "the report of the reset")
    with server.connect() as peer:
        check_equal(harness.exchange(peer, b"still\nhere\n"), b"here\nstill\n", "answer after the reset")
    server.stop()
    check("read_all 127.0.0.1" in server.errors or "read_all [::1]" in server.errors, f"it said {server.errors!r}")


@case
def a_byte_too_much_gets_a_reset():
    server = Server("sort_server", "--limit", "1000")
    with server.connect() as peer:
        check_equal(harness.exchange(peer, b"x" * 1000), b"x" * 1000 + b"\n", "answer at the limit")
    with server.connect() as peer:
        peer.sendall(b"x" * 1001)
        harness.check_reset(peer, "over the limit")
    with server.connect() as peer:
        try:
            got = harness.exchange(peer, BIG)
            check(False, f"far over the limit: it answered {harness.shorten(got)}")
        except (ConnectionResetError, BrokenPipeError):
            pass
    server.stop()
    check("more bytes than the limit allows" in server.errors, f"it said {server.errors!r}")


@case
def clients_that_vanish():
    server = Server("sort_server")
    for _ in range(20):
        server.connect().close()
        with server.connect() as peer:
            peer.sendall(b"b\na\n")  # and a plain close: the whole input, and nobody to read the answer
    harness.wait_until(lambda: server.sessions() == 0, "the end of the sessions")
    server.stop()


@case
def many_clients_at_once():
    server = Server("sort_server")

    def converse(index):  # more than it serves at once: the others wait for their turn
        lines = [b"%d" % (number * 7919 % 1009 + index) for number in range(5000)]
        with server.connect() as peer:
            answer = harness.exchange(peer, b"\n".join(lines))
        check_equal(answer, b"".join(line + b"\n" for line in sorted(lines)), f"answer to client {index}")

    harness.in_parallel(converse, 100)
    harness.wait_until(lambda: server.sessions() == 0, "the end of all sessions")
    server.stop()


@case
def sigterm_lets_clients_finish():
    server = Server("sort_server")
    with server.connect() as early, server.connect() as late:
        check_equal(harness.exchange(early, b"b\na\n"), b"a\nb\n", "answer")
        late.sendall(b"b\n")
        server.begin_drain()
        check_equal(harness.exchange(late, b"a\n"), b"a\nb\n", "answer after SIGTERM")
    server.finish_drain()


@case
def second_sigterm_resets_the_rest():
    server = Server("sort_server")
    with server.connect() as peer:
        peer.sendall(b"b\n")
        server.begin_drain()
        server.signal()
        harness.check_reset(peer, "the second SIGTERM")
    server.finish_drain(finished=0, aborted=1)


@case
def sigterm_without_clients():
    server = Server("sort_server")
    server.signal()
    server.finish_drain(finished=0)


if __name__ == "__main__":
    harness.main()
