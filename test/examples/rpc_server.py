#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""rpc_server: clients of other makes, which know the protocol, and those that do not."""

import socket
import struct

import harness
from harness import Server, case, check_equal


def request(number, text):
    return struct.pack("!IQ", 8 + len(text), number) + text


def read_answers(peer, count):
    """The next answers, in their order: [(id, text)]."""
    stream = peer.makefile("rb")
    result = []
    for _ in range(count):
        size, number = struct.unpack("!IQ", stream.read(12))
        result.append((number, stream.read(size - 8)))
    return result


@case
def command_line():
    harness.check_command_line("rpc_server", "--port")
    harness.check_port_in_use("rpc_server")


@case
def answers_come_as_they_are_ready():
    server = Server("rpc_server")
    with server.connect() as peer:
        peer.sendall(request(7, b"sleep 200") + request(5, b"sum 1 2 3") + request(6, b"what?"))
        got = read_answers(peer, 3)
        check_equal(got[:2], [(5, b"6"), (6, b"sum <number>... or sleep <milliseconds>")], "the first answers")
        check_equal(got[2], (7, b"awake"), "the last answer")
    server.stop()


@case
def any_fragmentation():
    server = Server("rpc_server")
    with server.connect() as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(1, b"sum 1") + request(2, b"sum 2"):
            peer.sendall(bytes([byte]))
        check_equal(read_answers(peer, 2), [(1, b"1"), (2, b"2")], "answers")
        peer.sendall(request(3, b"sleep 50") + request(4, b"sum 4"))
        peer.shutdown(socket.SHUT_WR)  # a client that half-closes gets all of its answers
        check_equal(harness.read_all(peer), request(4, b"4") + request(3, b"awake"), "answers after the end")
    server.stop()


@case
def what_is_no_request_gets_a_reset():
    server = Server("rpc_server")
    for what in (struct.pack("!I", 3) + b"abc", struct.pack("!I", 5000)):
        with server.connect() as peer:
            peer.sendall(what)
            harness.check_reset(peer, f"{what!r}")
    with server.connect() as peer:
        peer.sendall(request(1, b"sum 1")[:-1])
        peer.shutdown(socket.SHUT_WR)
        harness.check_reset(peer, "half a request")
    server.stop()


@case
def a_drain_waits_for_answers():
    server = Server("rpc_server")
    with server.connect() as idle, server.connect() as busy:
        busy.sendall(request(1, b"sum 1") + request(2, b"sleep 1500"))
        check_equal(read_answers(busy, 1), [(1, b"1")], "the first answer")
        server.begin_drain()
        check_equal(harness.read_all(idle), b"", "what comes without a request")
        check_equal(harness.read_all(busy), request(2, b"awake"), "the answer to what was under way")
    server.finish_drain(finished=2)


@case
def many_clients_at_once():
    server = Server("rpc_server")

    def converse(index):
        with server.connect() as peer:
            numbers = range(50)
            peer.sendall(b"".join(request(number, b"sum %d %d" % (number, index)) for number in numbers))
            check_equal(sorted(read_answers(peer, 50)), [(number, b"%d" % (number + index)) for number in numbers],
                        "answers")

    harness.in_parallel(converse, 20)
    server.stop()


if __name__ == "__main__":
    harness.main()
