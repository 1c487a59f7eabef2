#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""reconnecting_client: its server is killed, stopped and restarted under it, and every line is answered in the end."""

import re
import signal

import harness
from harness import Program, Server, case, check, check_equal


def start(port, *arguments):
    return Program(harness.example("reconnecting_client"), "--port", port, "--interval", "1", *arguments)


def answered(output):
    return [int(number) for number in re.findall(r"answers: .*line (\d+)$", output.decode(), re.M)]


def next_try(client):
    """Its next failure: (what it says, the milliseconds up to the next try)."""
    match = client.expect(r"^(.*); next try in (\d+) ms$")
    return match.group(1), int(match.group(2))


@case
def command_line():
    harness.check_command_line("reconnecting_client", "--host", "--port", "--interval", "--count")


@case
def server_killed_and_restarted():
    with harness.reserved_port() as port:
        server = Server("echo_server", port=port)
        client = start(port)
        for _ in range(3):
            client.expect(r"answers: line \d+$")
            server.kill()
            next_try(client)
            what, _ = next_try(client)
            check(what.startswith(f"connect localhost:{port}: ") and "refused" in what, f"it said {what!r}")
            server = Server("echo_server", port=port)
        client.expect(r"answers: line \d+$")
        client.signal()
        numbers = answered(client.finish(-signal.SIGTERM))
        check_equal(numbers, list(range(1, len(numbers) + 1)), "lines answered")
        server.stop()


@case
def server_drained_and_replaced():
    with harness.reserved_port() as port:
        first = Server("question_answer", "--listen", port=port)
        client = start(port)
        client.expect(r"answers: .*line \d+$")
        first.signal()
        first.finish_drain(finished=1)
        what, _ = next_try(client)
        check_equal(what, "the server has ended the connection", "what it says of a drain")
        second = Server("question_answer", "--listen", port=port)
        client.expect(r"answers: .*line \d+$")
        client.signal()
        numbers = answered(client.finish(-signal.SIGTERM))
        check_equal(numbers, list(range(1, len(numbers) + 1)), "lines answered")
        second.stop()


@case
def a_line_without_an_answer_is_sent_again():
    with harness.listener() as (listener, port):
        client = start(port, "--count", "2")
        with listener.accept()[0] as peer:
            check_equal(harness.read_lines(peer, 1), [b"line 1"], "first connection")  # and no answer
        with listener.accept()[0] as peer:
            check_equal(harness.read_lines(peer, 1), [b"line 1"], "second connection")
            peer.sendall(b"half an ans")
        with listener.accept()[0] as peer:
            check_equal(harness.read_lines(peer, 1), [b"line 1"], "third connection")
            peer.sendall(b"one\n")
            check_equal(harness.read_lines(peer, 1), [b"line 2"], "after the answer")
            harness.reset(peer)
        with listener.accept()[0] as peer:
            check_equal(harness.read_lines(peer, 1), [b"line 2"], "fourth connection")
            peer.sendall(b"two\n")
            check_equal(peer.recv(1), b"", "the end after the last line")
        said = client.finish().decode()
        check_equal(re.findall(r"answers: (.*)$", said, re.M), ["one", "two"], "answers")
        check_equal(said.count("next try in"), 3, "failures")


@case
def waits_longer_and_longer():
    with harness.listener() as (listener, port):
        client = start(port)
        for longest in (50, 100, 200, 400, 800):
            listener.accept()[0].close()  # accepted, and dropped: to connect is no success
            _, delay = next_try(client)
            check(longest // 2 <= delay <= longest, f"it waits {delay} ms, not {longest // 2} to {longest}")
        with listener.accept()[0] as peer:
            harness.read_lines(peer, 1)
            peer.sendall(b"one\n")
            harness.read_lines(peer, 1)
        _, delay = next_try(client)
        check(delay <= 50, f"after an answer it waits {delay} ms, as if nothing had been better")
        client.kill()


@case
def ends_when_it_is_done():
    server = Server("echo_server")
    client = start(server.port, "--count", "5")
    check_equal(answered(client.finish()), [1, 2, 3, 4, 5], "lines answered")
    server.stop()


if __name__ == "__main__":
    harness.main()
