#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""echo_server: what is sent comes back, to the last byte, whatever the client does with its end."""

import random
import socket

import harness
from harness import Server, case, check, check_equal

BIG = random.Random(1).randbytes(8 << 20)


@case
def command_line():
    harness.check_command_line("echo_server", "--port")
    harness.check_port_in_use("echo_server")


@case
def netcat_half_closes():
    server = Server("echo_server")
    check_equal(harness.run_tool("nc", "-N", "localhost", server.port, data=b"b\na\n"), b"b\na\n", "echo to nc -N")
    check_equal(harness.run_tool("nc", "-N", "localhost", server.port, data=BIG), BIG, "8 MB through nc -N")
    check_equal(harness.run_tool("nc", "-4", "-N", "127.0.0.1", server.port, data=b"four"), b"four", "echo over IPv4")
    server.stop()


@case
def socat_half_closes():
    server = Server("echo_server")
    address = f"TCP:localhost:{server.port}"
    check_equal(harness.run_tool("socat", "-t100", "-", address, data=b"hello"), b"hello", "echo to socat")
    check_equal(harness.run_tool("socat", "-t100", "-", address, data=BIG), BIG, "8 MB through socat")
    server.stop()


@case
def curl_converses():
    server = Server("echo_server")
    curl = harness.ask_with_curl(server.port, [(b"one\n", b"one\n"), (b"two\n", b"two\n")])
    curl.kill()
    server.stop()


@case
def half_close_then_full_reply():
    server = Server("echo_server")
    with server.connect() as peer:
        check_equal(harness.exchange(peer, b"x" * 50_000), b"x" * 50_000, "echo")
    with server.connect() as peer:
        check_equal(harness.exchange(peer, b""), b"", "echo of nothing")
    server.stop()


@case
def slow_reader_loses_nothing():
    server = Server("echo_server")
    with server.connect(receive_buffer=65536) as peer:
        check_equal(harness.exchange_reluctantly(peer, BIG), BIG, "echo of 8 MB")
    server.stop()


@case
def clients_that_break_off():
    server = Server("echo_server")
    for _ in range(20):
        harness.reset(server.connect())  # perhaps before it was accepted
        with server.connect() as peer:
            peer.sendall(b"x" * 100_000)  # unread echo: this close resets, too
        with server.connect() as peer:
            peer.sendall(b"hello")
            check_equal(peer.recv(5, socket.MSG_WAITALL), b"hello", "echo")
            harness.reset(peer)
    harness.wait_until(lambda: server.sessions() == 0, "the end of the broken sessions")
    with server.connect() as peer:
        check_equal(harness.exchange(peer, b"still there"), b"still there", "echo after the breaks")
    server.stop()


@case
def many_clients_at_once():
    server = Server("echo_server")
    connected = harness.in_parallel(lambda _: server.connect(), 100)  # all open before the first one speaks

    def converse(index):
        data = bytes([index]) * 100_000
        with connected[index] as peer:
            check_equal(harness.exchange_reluctantly(peer, data), data, f"echo to client {index}")

    harness.in_parallel(converse, 100)
    harness.wait_until(lambda: server.sessions() == 0, "the end of all sessions")
    server.stop()


@case
def sigterm_without_clients():
    Server("echo_server").stop()
    server = Server("echo_server")
    server.signal(harness.signal.SIGINT)
    server.finish_drain(finished=0)


@case
def sigterm_lets_clients_finish():
    server = Server("echo_server")
    with server.connect() as peer:
        sent = harness.hold_back(server, peer, BIG)
        server.begin_drain()
        check_equal(harness.exchange_reluctantly(peer, BIG, sent=sent), BIG, "echo of 8 MB, after SIGTERM")
    server.finish_drain(finished=1)


@case
def second_sigterm_resets_the_rest():
    server = Server("echo_server")
    with server.connect() as peer:
        harness.hold_back(server, peer, BIG)
        server.begin_drain()
        check(server.process.poll() is None, "it did not wait for its client")
        server.signal()
        harness.check_reset(peer, "the second SIGTERM")
    server.finish_drain(finished=0, aborted=1)


if __name__ == "__main__":
    harness.main()
