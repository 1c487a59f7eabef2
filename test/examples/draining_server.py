#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""draining_server: SIGTERM under load loses no answer.

Precisely: no client sees a reset or a part of an answer; the answers that a client got belong to its first questions, in
their order; and the server has answered every question that it read, and every answer arrived.
"""

import re
import threading

import harness
from harness import Server, case, check, check_equal


def answer(question):
    return b"done: " + question


def check_counts(server, questions):
    """After its end: the server has read `questions`, and answered them all."""
    check_equal(re.findall(r"^questions: .*$", server.errors, re.M),
                [f"questions: {questions} read, {questions} answered"], "what it counted")


def split(stream):
    """The whole lines; there must be no part of one."""
    check(stream.endswith(b"\n") or not stream, f"truncated: {harness.shorten(stream[-100:])}")
    return stream.splitlines(keepends=True)


@case
def command_line():
    harness.check_command_line("draining_server", "--port", "--work")
    harness.check_port_in_use("draining_server")


@case
def netcat_and_curl_ask():
    server = Server("draining_server", "--work", "0")
    check_equal(harness.run_tool("nc", "-N", "localhost", server.port, data=b"a\nb\n"), b"done: a\ndone: b\n", "nc -N")
    curl = harness.ask_with_curl(server.port, [(b"c\n", b"done: c\n")])
    server.begin_drain()
    curl.finish()
    server.finish_drain(finished=1)
    check_counts(server, 3)


@case
def fifty_clients_under_load():
    server = Server("draining_server")
    under_way = threading.Barrier(51)

    def ask_until_the_end(index):
        answers = 0
        with server.connect() as peer:
            while True:
                question = b"question %d of client %d\n" % (answers, index)
                peer.sendall(question)
                got = b""
                while not got.endswith(b"\n"):
                    part = peer.recv(4096)
                    if not part:  # the FIN, in place of an answer
                        check_equal(got, b"", f"the last answer to client {index}")
                        return answers
                    got += part
                check_equal(got, answer(question), f"an answer to client {index}")
                answers += 1
                if answers == 3:
                    under_way.wait(harness.time_left())

    def stop():
        under_way.wait(harness.time_left())
        server.signal()

    answers = harness.in_parallel(ask_until_the_end, 50, meanwhile=stop)
    server.finish_drain(finished=50)
    check(min(answers) >= 3, f"answers: {answers}")
    check_counts(server, sum(answers))


@case
def questions_that_came_together():
    """A client that asks everything at once gets some of the answers, all of them whole, and does not hold the drain."""
    server = Server("draining_server")
    questions = [b"question %d %s\n" % (number, b"x" * (800 + number % 90)) for number in range(5000)]
    with server.connect() as peer:
        sender = threading.Thread(target=peer.sendall, args=[b"".join(questions)], daemon=True)
        sender.start()
        first = peer.recv(1)
        server.begin_drain()
        sender.join(harness.time_left())
        answers = split(first + harness.read_all(peer))
    server.finish_drain(finished=1)
    check(len(answers) < len(questions), "it went on to the last question")
    check_equal(answers, [answer(question) for question in questions[:len(answers)]], "answers")
    check_counts(server, len(answers))


@case
def clients_that_are_still_queued():
    """What has arrived before SIGTERM is answered, even to a client that nobody has accepted yet."""
    server = Server("draining_server")
    peers = [server.connect() for _ in range(30)]
    for index, peer in enumerate(peers):
        peer.sendall(b"%d\n" % index)
        harness.wait_delivered(peer)
    server.signal()
    for index, peer in enumerate(peers):
        with peer:
            check_equal(harness.read_all(peer), b"done: %d\n" % index, f"what client {index} got")
    server.finish_drain(finished=30)
    check_counts(server, 30)


@case
def clients_that_have_nothing_to_ask():
    server = Server("draining_server")
    with server.connect() as new, server.connect() as old, server.connect() as typing:
        old.sendall(b"a\n")
        check_equal(harness.read_lines(old, 1), [b"done: a"], "answer")
        typing.sendall(b"b")
        harness.wait_delivered(typing)
        server.begin_drain()
        check_equal(harness.read_all(new), b"", "what a client gets that never asked")
        check_equal(harness.read_all(old), b"", "what a client gets that asks no more")
        typing.sendall(b"c\n")
        check_equal(harness.read_all(typing), b"done: bc\n", "what a client gets that had begun")
    server.finish_drain(finished=3)
    check_counts(server, 2)


@case
def clients_that_break_off():
    server = Server("draining_server", "--work", "1")
    for _ in range(20):
        harness.reset(server.connect())
        with server.connect() as peer:
            peer.sendall(b"never read\n" * 10)
        peer = server.connect()
        peer.sendall(b"a\nb\nc")
        harness.read_lines(peer, 1)
        harness.reset(peer)
    harness.wait_until(lambda: server.sessions() == 0, "the end of the broken sessions")
    server.stop()


@case
def second_sigterm_resets_the_rest():
    server = Server("draining_server", "--work", "3600000")
    with server.connect() as peer:
        peer.sendall(b"a\n")
        harness.wait_delivered(peer)
        server.begin_drain()
        server.signal()
        harness.check_reset(peer, "the second SIGTERM")
    server.finish_drain(finished=0, aborted=1)
    check("questions: 1 read, 0 answered" in server.errors, f"it said {server.errors!r}")


@case
def sigterm_without_clients():
    server = Server("draining_server")
    server.signal()
    server.finish_drain(finished=0)
    check_counts(server, 0)


if __name__ == "__main__":
    harness.main()
