#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""echo_client: with our servers, with socat and with servers that misbehave; its output, report and exit status."""

import random
import re
import socket
import subprocess

import harness
from harness import Program, Server, case, check, check_equal

BIG = random.Random(5).randbytes(8 << 20)


def talk(port, *words, data=b""):
    client = Program(harness.example("echo_client"), "--port", port, *words)
    client.send(data)
    client.end_input()
    return client


def check_report(client, reason, sent, received):
    check_equal(client.errors, f"{reason}, {received} bytes received, {sent} sent\n", "its report")


@case
def command_line():
    harness.check_command_line("echo_client", "--host", "--port", arguments=True)


@case
def with_echo_server():
    server = Server("echo_server")
    for data in (b"hello", b"", b"\0\xff\n", BIG):
        client = talk(server.port, data=data)
        check_equal(client.finish(), data, "echo")
        check_report(client, "clean", len(data), len(data))
    client = talk(server.port, "two", "words")  # its standard input is not read
    check_equal(client.finish(), b"two\nwords\n", "echo of the arguments")
    server.stop()


@case
def input_from_a_file():
    server = Server("echo_server")
    for path in (__file__, "/dev/null"):
        with open(path, "rb") as file:
            echoed = subprocess.run(
                [harness.example("echo_client"), "--port", str(server.port)], stdin=file, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, timeout=harness.time_left(), check=True).stdout
        with open(path, "rb") as file:
            check_equal(echoed, file.read(), f"echo of {path}")
    server.stop()


@case
def with_sort_server():
    server = Server("sort_server")
    check_equal(talk(server.port, "b", "a").finish(), b"a\nb\n", "answer")
    server.stop()


@case
def with_socat():
    server = Program(harness.tool("socat"), "-d", "-d", "-t100", "TCP6-LISTEN:0,ipv6-v6only=0", "EXEC:sort")
    port = server.expect_error(r"listening on .*:(\d+)").group(1)
    client = talk(port, data=b"b\na\n")
    check_equal(client.finish(), b"a\nb\n", "answer of sort behind socat")
    check_report(client, "clean", 4, 4)
    server.finish()


@case
def server_that_answers_after_the_fin():
    with harness.listener() as (listener, port):
        client = talk(port, "hello")
        with listener.accept()[0] as peer:
            check_equal(harness.read_all(peer), b"hello\n", "what it sent before its FIN")
            for part in (b"good", b"bye"):
                peer.sendall(part)
        check_equal(client.finish(), b"goodbye", "what it printed")
        check_report(client, "clean", 6, 7)


@case
def server_that_ends_before_it_has_read_all():
    with harness.listener() as (listener, port):
        client = talk(port, data=BIG)
        with listener.accept()[0] as peer:
            peer.recv(1)
            peer.sendall(b"enough")
            harness.wait_delivered(peer)
            peer.shutdown(socket.SHUT_WR)  # and the close with unread input is a reset
        client.finish(1)
        check("clean" not in client.errors and client.errors, f"it said {client.errors!r}")


@case
def server_that_resets():
    with harness.listener() as (listener, port):
        client = talk(port, "hello")
        peer = listener.accept()[0]
        harness.read_all(peer)
        peer.sendall(b"half an ans")
        harness.wait_delivered(peer)
        harness.reset(peer)
        check_equal(client.finish(1), b"half an ans", "what came before the reset")
        check(re.match(r"echo_client: read_some .*reset by peer", client.errors), f"it said {client.errors!r}")


@case
def no_server():
    with harness.reserved_port() as port:
        client = talk(port, "hello")
        check_equal(client.finish(1), b"", "what it printed")
        check(client.errors.startswith(f"echo_client: connect localhost:{port}: "), f"it said {client.errors!r}")


@case
def output_that_fails():
    server = Server("echo_server")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([harness.example("echo_client"), "--port", str(server.port), "hello"], stdout=full,
                              stderr=subprocess.PIPE, timeout=harness.time_left(), check=False)
    check_equal(done.returncode, 1, "status with a full disk")
    check(b"standard output" in done.stderr, f"it said {done.stderr!r}")
    server.stop()


if __name__ == "__main__":
    harness.main()
