#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""question_answer: the server with other clients, the client with other servers, and both with each other."""

import random
import socket

import harness
from harness import Program, Server, case, check, check_equal

_random = random.Random(3)
BIG = b"".join(_random.randbytes(_random.randrange(100)).hex().encode() + b"?\n" for _ in range(40_000))  # 4 MB


def answers(questions):
    return b"".join(b"42 is the answer to " + line for line in questions.splitlines(keepends=True))


def listen():
    return Server("question_answer", "--listen")


def ask(port, *questions):
    return Program(harness.example("question_answer"), "--port", port, *questions)


@case
def command_line():
    harness.check_command_line("question_answer", "--listen", "--host", "--port", arguments=True)
    harness.check_port_in_use("question_answer", "--listen")


@case
def client_and_server():
    server = listen()
    for questions in (["who?", "what is it?", ""], []):
        client = ask(server.port, *questions)
        wanted = answers("".join(question + "\n" for question in questions).encode())
        check_equal(client.finish(), wanted, f"answers to {questions}")
        check_equal(client.errors, "closed: clean\n", "the client's report")
    server.stop()


@case
def netcat_socat_and_curl_ask():
    server = listen()
    for questions in (b"who?\nwhat?\n", b"", b"\n\n", BIG):
        check_equal(harness.run_tool("nc", "-N", "localhost", server.port, data=questions), answers(questions), "nc")
        check_equal(harness.run_tool("socat", "-t100", "-", f"TCP:localhost:{server.port}", data=questions),
                    answers(questions), "socat")
    curl = harness.ask_with_curl(server.port, [(b"who?\n", answers(b"who?\n")), (b"why?\n", answers(b"why?\n"))])
    server.begin_drain()  # ends a conversation that is between two questions
    curl.finish()
    server.finish_drain(finished=1)


@case
def any_fragmentation():
    server = listen()
    with server.connect() as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"who?\nwhat?\n":
            peer.sendall(bytes([byte]))
        check_equal(harness.read_lines(peer, 2), answers(b"who?\nwhat?\n").splitlines(), "answers")
        peer.sendall(b"a\nb\nc")  # the third one waits in the server's buffer for its end
        check_equal(harness.read_lines(peer, 2), answers(b"a\nb\n").splitlines(), "answers")
        check_equal(harness.exchange(peer, b"d\n"), answers(b"cd\n"), "the last answer")
    server.stop()


@case
def slow_reader_loses_nothing():
    server = listen()
    with server.connect(receive_buffer=65536) as peer:
        check_equal(harness.exchange_reluctantly(peer, BIG), answers(BIG), "answers")
    server.stop()


@case
def half_a_question_gets_a_reset():
    server = listen()
    for rest in (b"who", b"x" * 5000):
        with server.connect() as peer:
            peer.sendall(b"who?\n")
            check_equal(harness.read_lines(peer, 1), [b"42 is the answer to who?"], "answer")
            peer.sendall(rest)
            if len(rest) < 4096:  # else it is too long, whatever follows
                peer.shutdown(socket.SHUT_WR)
            harness.check_reset(peer, f"after {len(rest)} bytes without an end")
    server.stop()


@case
def clients_that_break_off():
    server = listen()
    for _ in range(20):
        harness.reset(server.connect())
        with server.connect() as peer:
            peer.sendall(b"who?\n" * 1000)  # nobody reads the answers
        with server.connect() as peer:
            peer.sendall(b"who?\nwh")
            harness.read_lines(peer, 1)
            harness.reset(peer)
    harness.wait_until(lambda: server.sessions() == 0, "the end of the broken sessions")
    server.stop()


@case
def many_clients_at_once():
    server = listen()

    def converse(index):
        with server.connect() as peer:
            for number in range(50):
                question = b"%d of %d?\n" % (number, index)
                peer.sendall(question)
                check_equal(harness.read_lines(peer, 1), answers(question).splitlines(), "answer")
            check_equal(harness.exchange(peer, b"the last\n"), answers(b"the last\n"), "the last answer")

    harness.in_parallel(converse, 50)
    harness.wait_until(lambda: server.sessions() == 0, "the end of all sessions")
    server.stop()


@case
def sigterm_ends_between_questions():
    server = listen()
    with server.connect() as idle, server.connect() as busy:
        busy.sendall(b"wh")
        harness.wait_delivered(busy)
        server.begin_drain()
        check_equal(harness.read_all(idle), b"", "what comes without a question")
        busy.sendall(b"o?\n")
        check_equal(harness.read_all(busy), answers(b"who?\n"), "the answer to a question that had begun")
    server.finish_drain(finished=2)


@case
def second_sigterm_resets_the_rest():
    server = listen()
    with server.connect() as peer:
        peer.sendall(b"wh")
        harness.wait_delivered(peer)
        server.begin_drain()
        server.signal()
        harness.check_reset(peer, "the second SIGTERM")
    server.finish_drain(finished=0, aborted=1)


@case
def sigterm_without_clients():
    server = listen()
    server.signal()
    server.finish_drain(finished=0)


@case
def client_without_a_server():
    with harness.reserved_port() as port:
        client = ask(port, "who?")
        check_equal(client.finish(1), b"", "what it printed")
    check(client.errors.startswith(f"question_answer: connect localhost:{port}: "), f"it said {client.errors!r}")
    check("refused" in client.errors, f"it said {client.errors!r}")
    client = Program(harness.example("question_answer"), "--host", "no-such-host.invalid", "who?")
    client.finish(1)
    check("connect no-such-host.invalid:7777: " in client.errors, f"it said {client.errors!r}")


@case
def client_with_other_servers():
    with harness.listener() as (listener, port):
        client = ask(port, "who?", "why?")  # answers in pieces, and together with more than was asked for
        with listener.accept()[0] as peer:
            check_equal(harness.read_lines(peer, 1), [b"who?"], "first question")
            for part in (b"m", b"e\nbeca"):
                peer.sendall(part)
            check_equal(harness.read_lines(peer, 1), [b"why?"], "second question")
            peer.sendall(b"use\n")
            check_equal(peer.recv(1), b"", "the client's end")
        check_equal(client.finish(), b"me\nbecause\n", "what it printed")
        check_equal(client.errors, "closed: clean\n", "its report")

        client = ask(port, "who?", "why?")  # ends too early
        with listener.accept()[0] as peer:
            harness.read_lines(peer, 1)
            peer.sendall(b"me\n")
            harness.read_lines(peer, 1)
        check_equal(client.finish(1), b"me\n", "what it printed")
        check("'why?'" in client.errors, f"it said {client.errors!r}")

        # Resets every attempt: the client goes on to the next address of localhost when one fails early enough.
        client = ask(port, "who?")
        with harness.reset_all(listener):
            client.finish(1)
        check("reset by peer" in client.errors or "Broken pipe" in client.errors, f"it said {client.errors!r}")


if __name__ == "__main__":
    harness.main()
