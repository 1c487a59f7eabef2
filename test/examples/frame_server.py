#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""frame_server: each message comes back whole, however the messages are cut, and none that has begun is lost."""

import random
import socket
import struct

import harness
from harness import Server, case, check_equal


def frame(body):
    return struct.pack(">I", len(body)) + body


def read_exactly(peer, size):
    got = b""
    while len(got) < size:
        part = peer.recv(size - len(got))
        harness.check(part, "the connection goes on")
        got += part
    return got


@case
def command_line():
    harness.check_command_line("frame_server", "--port")
    harness.check_port_in_use("frame_server")


@case
def netcat_half_closes():
    server = Server("frame_server")
    asked = frame(b"hello") + frame(b"") + frame(b"hi")
    check_equal(harness.run_tool("nc", "-N", "localhost", server.port, data=asked), asked, "answer")
    server.stop()


@case
def messages_come_back_however_they_are_cut():
    server = Server("frame_server")
    cut = random.Random(17)
    asked = b"".join(frame(bytes(cut.randrange(256) for _ in range(cut.choice((0, 1, 30, 5000))))) for _ in range(200))
    with server.connect() as peer:
        check_equal(harness.exchange_reluctantly(peer, asked, step=777), asked, "all answers")
    server.stop()


@case
def half_a_message_and_one_that_is_too_large_get_a_reset():
    server = Server("frame_server")
    for wrong, ends in ((frame(b"hello")[:-1], True), (b"\0\0", True), (struct.pack(">I", 1024 * 1024), False)):
        with server.connect() as peer:
            peer.sendall(wrong)
            if ends:
                peer.shutdown(socket.SHUT_WR)
            harness.check_reset(peer, "no message")
    server.stop()


@case
def sigterm_lets_silent_clients_go_and_answers_what_has_begun():
    server = Server("frame_server")
    with server.connect() as silent, server.connect() as half:
        half.sendall(frame(b"one") + frame(b"two")[:5])
        check_equal(read_exactly(half, 7), frame(b"one"), "answer")
        server.begin_drain()
        check_equal(silent.recv(1), b"", "the FIN for who is silent")
        half.sendall(b"wo")
        check_equal(harness.exchange(half, b""), frame(b"two"), "answer after SIGTERM")
    server.finish_drain(finished=2)


if __name__ == "__main__":
    harness.main()
