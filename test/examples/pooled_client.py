#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""pooled_client: how many connections it makes, and servers that end one while it is idle."""

import harness
from harness import Program, Server, case, check, check_equal


def ask(port, *arguments):
    return Program(harness.example("pooled_client"), "--port", port, *arguments)


@case
def command_line():
    harness.check_command_line("pooled_client", "--host", "--port", "--connections", arguments=True)


@case
def few_connections_for_many_questions():
    server = Server("question_answer", "--listen")
    questions = [f"question {number}?" for number in range(100)]
    client = ask(server.port, "--connections", "3", *questions)
    got = sorted(client.finish().decode().splitlines())
    check_equal(got, sorted(f"42 is the answer to {question}" for question in questions), "answers")
    check_equal(client.errors, "connected 3, reused 97\n", "its report")
    check_equal(ask(server.port).finish(), b"", "answers to nothing")
    server.stop()


@case
def one_connection_serves_in_order():
    with harness.listener() as (listener, port):
        client = ask(port, "--connections", "1", "a", "b", "c")
        with listener.accept()[0] as peer:
            for name in (b"a", b"b", b"c"):
                check_equal(harness.read_lines(peer, 1), [name], "question")
                peer.sendall(name.upper() + b"\n")
            check_equal(peer.recv(1), b"", "the client's end")
        check_equal(client.finish(), b"A\nB\nC\n", "answers")
        check_equal(client.errors, "connected 1, reused 2\n", "its report")


@case
def a_connection_that_has_ended_is_replaced():
    with harness.listener() as (listener, port):
        client = ask(port, "--connections", "1", "a", "b", "c")
        with listener.accept()[0] as peer:
            harness.read_lines(peer, 1)
            peer.sendall(b"A\n")
        with listener.accept()[0] as peer:  # whether the end came before or after the second question
            check_equal(harness.read_lines(peer, 1), [b"b"], "the question that was asked again")
            peer.sendall(b"B\nunasked\n")
        with listener.accept()[0] as peer:
            check_equal(harness.read_lines(peer, 1), [b"c"], "the last question")
            peer.sendall(b"C\n")
            check_equal(peer.recv(1), b"", "the client's end")
        check_equal(client.finish(), b"A\nB\nC\n", "answers")


@case
def a_first_answer_that_does_not_come_is_an_error():
    with harness.listener() as (listener, port):
        client = ask(port, "a")
        with listener.accept()[0] as peer:
            harness.read_lines(peer, 1)
        check_equal(client.finish(1), b"", "answers")
        check("the peer has finished" in client.errors, f"it said {client.errors!r}")


@case
def client_without_a_server():
    with harness.reserved_port() as port:
        client = ask(port, "a")
        check_equal(client.finish(1), b"", "what it printed")
    check("refused" in client.errors, f"it said {client.errors!r}")


if __name__ == "__main__":
    harness.main()
