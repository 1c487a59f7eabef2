#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""rpc_client: with its server, and with servers that answer late, wrongly or not at all."""

import struct

import harness
from harness import Program, Server, case, check, check_equal


def ask(port, *arguments):
    return Program(harness.example("rpc_client"), "--port", port, *arguments)


def read_requests(peer, count):
    stream = peer.makefile("rb")
    result = []
    for _ in range(count):
        size, number = struct.unpack("!IQ", stream.read(12))
        result.append((number, stream.read(size - 8)))
    return result


def answer(number, text):
    return struct.pack("!IQ", 8 + len(text), number) + text


@case
def command_line():
    harness.check_command_line("rpc_client", "--host", "--port", "--within", arguments=True)


@case
def client_and_server():
    server = Server("rpc_server")
    client = ask(server.port, "sleep 300", "sum 1 2 3", "sum 4")
    check_equal(client.finish(), b"sum 1 2 3: 6\nsum 4: 4\nsleep 300: awake\n", "answers")
    check_equal(client.errors, "closed: clean\n", "the client's report")
    check_equal(ask(server.port).finish(), b"", "answers to nothing")
    server.stop()


@case
def answers_in_another_order():
    with harness.listener() as (listener, port):
        client = ask(port, "a", "b", "c")
        with listener.accept()[0] as peer:
            check_equal([text for _, text in read_requests(peer, 3)], [b"a", b"b", b"c"], "requests")
            peer.sendall(answer(3, b"C") + answer(1, b"A")[:7])
            client.expect(r"^c: C$")
            peer.sendall(answer(1, b"A")[7:] + answer(2, b"B"))
            check_equal(peer.recv(1), b"", "the client's end")
        check_equal(client.finish(), b"c: C\na: A\nb: B\n", "answers")


@case
def the_connection_ends_before_the_answers():
    with harness.listener() as (listener, port):
        client = ask(port, "a", "b")
        with listener.accept()[0] as peer:
            read_requests(peer, 2)
            peer.sendall(answer(2, b"B"))
            client.expect(r"^b: B$")
        check_equal(client.finish(1), b"b: B\na: no answer: the peer has finished\n", "answers")


@case
def an_answer_to_nothing():
    with harness.listener() as (listener, port):
        client = ask(port, "a")
        with listener.accept()[0] as peer:
            read_requests(peer, 1)
            peer.sendall(answer(9, b"?"))
            harness.check_reset(peer, "an answer to what was not asked")
        check_equal(client.finish(1), b"a: no answer: an answer to what was not asked\n", "answers")


@case
def no_answer_in_time():
    with harness.listener() as (listener, port):
        client = ask(port, "--within", "50", "a")
        with listener.accept()[0] as peer:
            read_requests(peer, 1)
            check_equal(peer.recv(1), b"", "the client's end")
        check_equal(client.finish(1), b"a: no answer: the time given to this call passed\n", "answers")


@case
def client_without_a_server():
    with harness.reserved_port() as port:
        client = ask(port, "a")
        check_equal(client.finish(1), b"", "what it printed")
    check("refused" in client.errors, f"it said {client.errors!r}")


if __name__ == "__main__":
    harness.main()
