#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""word_server: each request has its answer, however requests are cut, and whoever is silent keeps nobody waiting."""

import random
import socket

import harness
from harness import Server, case, check_equal


@case
def command_line():
    harness.check_command_line("word_server", "--port", "--words")
    harness.check_port_in_use("word_server")


@case
def it_keeps_no_more_words_than_it_may():
    server = Server("word_server", "--words", "2")
    asked = b"put a 1\nput b 2\nput c 3\nput a 4\nget a\nget c\n"
    answered = b"kept\nkept\nfull\nkept\n4\nunknown\n"
    check_equal(harness.run_tool("nc", "-N", "localhost", server.port, data=asked), answered, "answers")
    server.stop()


@case
def netcat_and_socat_half_close():
    server = Server("word_server")
    asked, answered = b"get color\nput color blue\nget color\n", b"unknown\nkept\nblue\n"
    check_equal(harness.run_tool("nc", "-N", "localhost", server.port, data=asked), answered, "answer to nc -N")
    address = f"TCP:localhost:{server.port}"
    check_equal(harness.run_tool("socat", "-t100", "-", address, data=b"get color\n"), b"blue\n", "answer to socat")
    server.stop()


@case
def what_counts_as_a_request():
    server = Server("word_server")
    usage = b"put <name> <value> or get <name>\n"
    for line, answer in ((b"\n", usage), (b"put a\n", usage), (b"get\n", usage), (b"delete a\n", usage),
            (b"  put  a  b  \n", b"kept\n"), (b"get a\r\n", b"b\n"), (b"put a \xff\n", b"kept\n"),
            (b"get a\n", b"\xff\n")):
        with server.connect() as peer:
            check_equal(harness.exchange(peer, line), answer, f"answer to {line!r}")
    server.stop()


@case
def requests_are_answered_however_they_are_cut():
    server = Server("word_server")
    requests = b"".join(b"put name%d value%d\nget name%d\n" % (i, i, i) for i in range(200))
    answers = [answer for i in range(200) for answer in (b"kept", b"value%d" % i)]
    cut = random.Random(6)
    with server.connect() as peer:
        got, asked = [], b""
        while requests:
            size = cut.randrange(1, 100)
            peer.sendall(requests[:size])
            asked, requests = asked + requests[:size], requests[size:]
            if cut.randrange(3) == 0:  # until nothing whole is left to be answered
                got += harness.read_lines(peer, asked.count(b"\n") - len(got))
        got += harness.exchange(peer, b"").splitlines()
        check_equal(got, answers, "all answers")
    server.stop()


@case
def silent_clients_hold_nobody_up():
    server = Server("word_server")
    silent = [server.connect() for _ in range(300)]
    with server.connect() as peer:
        check_equal(harness.exchange(peer, b"put a b\nget a\n"), b"kept\nb\n", "answer")
    for peer in silent:
        check_equal(harness.exchange(peer, b"get a\n"), b"b\n", "answer to one that was silent")
        peer.close()
    server.stop()


@case
def half_a_request_gets_a_reset():
    server = Server("word_server")
    for half in (b"put a", b"x" * 4097):
        with server.connect() as peer:
            peer.sendall(half)
            if len(half) < 4096:
                peer.shutdown(socket.SHUT_WR)
            harness.check_reset(peer, "half a request")
    with server.connect() as peer:
        check_equal(harness.exchange(peer, b"get a\n"), b"unknown\n", "answer to the next")
    server.stop()


@case
def sigterm_lets_silent_clients_go_and_answers_what_has_arrived():
    server = Server("word_server")
    with server.connect() as silent, server.connect() as half:
        half.sendall(b"put a b\nget")
        check_equal(harness.read_lines(half, 1), [b"kept"], "answer")
        server.begin_drain()
        check_equal(silent.recv(1), b"", "the FIN for who is silent")
        check_equal(harness.exchange(half, b" a\n"), b"b\n", "answer after SIGTERM")
    server.finish_drain(finished=2)


@case
def second_sigterm_resets_the_rest():
    server = Server("word_server")
    with server.connect() as peer:
        peer.sendall(b"put a b\nget")
        check_equal(harness.read_lines(peer, 1), [b"kept"], "answer")
        server.begin_drain()
        server.signal()
        harness.check_reset(peer, "the second SIGTERM")
    server.finish_drain(finished=0, aborted=1)


if __name__ == "__main__":
    harness.main()
