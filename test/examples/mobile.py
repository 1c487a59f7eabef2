#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""mobile: a thousand faults of the network, and each message is answered once, in order. A client in Python plays what the
network would have to be lucky to play: old connections, hellos that come late, and peers that are wrong."""

import contextlib
import itertools
import os
import random
import re
import select
import socket
import struct
import threading
import time
import zlib

import harness
from harness import Program, Server, case, check, check_equal

BEGIN, RESUME, WELCOME, REFUSED, DATA, BEAT, BYE = range(1, 8)
FAULTS = 1000
WINDOW = 64
UNIT = 10  # milliseconds, for programs that meet faults
PATIENT = 10_000  # for those that do not


def answers(count):
    return [f"{number}: message {number}" for number in range(1, count + 1)]


def frame(kind, number=0, acknowledged=0, text=b""):
    body = struct.pack(">BQQ", kind, number, acknowledged) + text
    body += struct.pack(">I", zlib.crc32(body))
    return struct.pack(">I", len(body)) + body


class Client:
    """A client of one connection."""

    def __init__(self, port, id_=None, receive_buffer=None):
        self.id = id_ or os.urandom(16)
        self.peer = harness.connect(port, receive_buffer)

    def send(self, *args, **kwargs):
        self.peer.sendall(frame(*args, **kwargs))

    def receive(self):
        """(kind, number, acknowledged, text); None at the end. A reset is an exception."""
        size = self.peer.recv(4, socket.MSG_WAITALL)
        if not size:
            return None
        body = self.peer.recv(struct.unpack(">I", size)[0], socket.MSG_WAITALL)
        check_equal(zlib.crc32(body[:-4]), struct.unpack(">I", body[-4:])[0], "checksum")
        return *struct.unpack(">BQQ", body[:17]), body[17:-4]

    def say_hello(self, kind, attempt, heard=0):
        self.send(kind, attempt, heard, self.id)
        return self.receive()

    def expect(self, kind):
        while (got := self.receive())[0] != kind:
            check_equal(got[0], BEAT, "kind of frame")
        return got

    def wait_acknowledged(self, number):
        while self.receive()[2] < number:
            pass

    def close(self):
        self.peer.close()


def begin(server, attempt=1):
    client = Client(server.port)
    check_equal(client.say_hello(BEGIN, attempt)[0], WELCOME, "answer to a begin")
    return client


def serve(*arguments, unit=PATIENT):
    return Server("mobile_server", "--unit", unit, *arguments)


def start_client(port, *arguments, unit=PATIENT):
    return Program(harness.example("mobile_client"), "--port", port, "--unit", unit, *arguments)


@case
def command_lines():
    harness.check_command_line("mobile_server", "--port", "--quiet", "--most", "--keep", "--unit")
    harness.check_command_line("mobile_client", "--host", "--port", "--count", "--interval", "--unit")
    harness.check_command_line("unstable_link", "--port", "--to-port", "--faults", "--bytes", "--seed", "--unit")
    harness.check_port_in_use("mobile_server")


@case
def without_faults():
    server = serve()
    check_equal(start_client(server.port, "--count", 1000).finish().decode().splitlines(), answers(1000), "answers")
    server.expect("said bye, heard 1000")
    server.stop()


@case
def a_thousand_faults():
    server = serve("--quiet", unit=UNIT)
    seed = random.randrange(1, 1 << 31)
    print(f"seed {seed}")
    link = Server("unstable_link", "--to-port", server.port, "--faults", FAULTS, "--bytes", 1500, "--seed", seed, "--unit",
                  UNIT)
    struck = threading.Event()

    def talk(_):
        for count in itertools.count(300):
            client = start_client(link.port, "--count", count, unit=UNIT)
            check_equal(client.finish().decode().splitlines(), answers(count), "answers")
            if struck.is_set():
                return

    def wait():
        link.expect(rf"^{FAULTS} faults")
        struck.set()

    harness.in_parallel(talk, 16, wait)
    link.kill()
    harness.wait_until(lambda: server.sessions() == 0, "the end of the last connection")
    server.stop()


@case
def strangers_do_not_disturb():
    server = serve("--quiet", unit=100)
    ended = threading.Event()

    def misbehave(number):
        noise = random.Random(number)
        while not ended.is_set():
            client = Client(server.port)
            if number % 5 == 0:
                client.peer.sendall(noise.randbytes(200))
            elif number % 5 == 1:
                client.send(BEGIN, 1, 0, client.id)
                client.send(DATA, 2, 0, b"not the first")
            elif number % 5 == 2:
                client.peer.sendall(frame(BEGIN, 1, 0, client.id)[:noise.randrange(45)])
            elif number % 5 == 3:
                client.say_hello(BEGIN, 1)
                harness.reset(client.peer)
                continue
            else:
                client.send(BEGIN, 1, 0, client.id)
                for message in range(1, WINDOW + 1):
                    client.send(DATA, message, 0, b"x" * 1000)  # and never reads
            client.close()

    def honest():
        for _ in range(2):
            client = start_client(server.port, "--count", 1000)
            check_equal(client.finish().decode().splitlines(), answers(1000), "answers")
        ended.set()

    harness.in_parallel(misbehave, 10, honest)
    harness.wait_until(lambda: server.sessions() == 0, "the end of the last connection")
    server.stop()


# A client in Python ---------------------------------------------------------------------------------------------------


@case
def a_message_is_answered_once_however_often_it_is_sent():
    server = serve()
    client = begin(server)
    client.send(DATA, 1, 0, b"one")
    check_equal(client.expect(DATA), (DATA, 1, 1, b"1: one"), "the answer")
    client.close()  # it is lost, for all that the server knows
    client = Client(server.port, client.id)
    check_equal(client.say_hello(RESUME, 2, 0), (WELCOME, 0, 1, b""), "the server has heard it")
    check_equal(client.expect(DATA), (DATA, 1, 1, b"1: one"), "the answer comes again")
    client.send(DATA, 1, 1, b"one")  # as if it had not been told
    harness.check_reset(client.peer, "a message that came before")
    client = Client(server.port, client.id)
    check_equal(client.say_hello(RESUME, 3, 1), (WELCOME, 0, 1, b""), "nothing has happened")
    client.send(DATA, 2, 1, b"two")
    check_equal(client.expect(DATA), (DATA, 2, 2, b"2: two"), "the next answer")
    client.close()
    server.stop()


@case
def a_new_connection_takes_over():
    server = serve()
    old = begin(server)
    new = Client(server.port, old.id)
    check_equal(new.say_hello(RESUME, 2)[0], WELCOME, "the new connection")
    harness.check_reset(old.peer, "the old connection")
    new.send(DATA, 1, 0, b"here")
    check_equal(new.expect(DATA)[3], b"1: here", "the answer on the new one")
    new.close()
    server.stop()


@case
def a_hello_that_comes_late_takes_nothing():
    server = serve()
    new = begin(server, attempt=5)
    late = Client(server.port, new.id)
    check_equal(late.say_hello(RESUME, 4), None, "the late one ends")
    late.close()
    new.send(DATA, 1, 0, b"still here")
    check_equal(new.expect(DATA)[3], b"1: still here", "the answer")
    new.close()
    server.stop()


@case
def a_silent_peer_is_dead():
    server = serve(unit=20)
    client = begin(server)
    try:
        while client.receive():
            pass
        raise harness.Failure("a clean end")
    except ConnectionResetError:
        pass
    server.stop()

    with harness.listener() as (listener, port):
        program = start_client(port, unit=20)
        for attempt in (1, 2, 3):
            with listener.accept()[0] as peer:
                size = struct.unpack(">I", peer.recv(4, socket.MSG_WAITALL))[0]
                hello = peer.recv(size, socket.MSG_WAITALL)
                check_equal(struct.unpack(">BQ", hello[:9]), (BEGIN, attempt), "hello")
                harness.check_reset(peer, "a server that says nothing")
        program.kill()


def drip(peer, data, what):
    """A byte at a time, each long before silence would be the end, until the server ends it."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        for byte in data:
            peer.sendall(bytes([byte]))
            if select.select([peer], [], [], 0.01)[0]:
                check(peer.recv(1000), f"an end without a reset: {what}")
        raise harness.Failure(f"it was not ended: {what}")


@case
def a_hello_has_its_time():
    server = serve(unit=100)
    long_one = frame(BEGIN, 1, 0, b"x" * 1024)
    for begun in (b"", b"\0", long_one[:-1]):
        harness.check_refused(lambda: harness.connect(server.port), f"silence behind {len(begun)} bytes", begun)
    with harness.connect(server.port) as peer:
        drip(peer, long_one[:-1], "a hello that drips")
    client = begin(server)
    drip(client.peer, frame(DATA, 1, 0, b"x" * 1024)[:-1], "a frame that drips behind a hello")
    harness.wait_until(lambda: server.sessions() == 0, "the end of all of them")
    server.stop()


@case
def who_takes_nothing_is_ended():
    server = serve(unit=100)
    client = Client(server.port, receive_buffer=4096)
    client.say_hello(BEGIN, 1)
    for number in range(1, WINDOW + 1):
        client.send(DATA, number, number - 1, b"x")
        client.expect(DATA)
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        for number in range(WINDOW + 1, 2 * WINDOW + 1):
            client.send(DATA, number, WINDOW, b"x" * 1024)
        while harness.time_left() > 1:
            client.send(BEAT, 0, WINDOW)  # alive, and reads no answer
            time.sleep(0.05)
        raise harness.Failure("it was not ended")
    harness.wait_until(lambda: server.sessions() == 0, "the end of its session")
    server.stop()


@case
def both_queues_have_a_bound():
    server = serve()
    client = begin(server)
    # Answers that are not acknowledged fill one window; then messages are not heard, and fill the other.
    for number in range(1, WINDOW + 1):
        client.send(DATA, number, number - 1, b"x")
        client.wait_acknowledged(number)
    for number in range(WINDOW + 1, 2 * WINDOW):
        client.send(DATA, number, WINDOW - 1, b"x")
    client.wait_acknowledged(2 * WINDOW - 1)
    for number in range(2 * WINDOW, 3 * WINDOW):
        client.send(DATA, number, WINDOW - 1, b"x")
    client.send(BEAT, 0, WINDOW)  # one answer: one more is heard
    client.wait_acknowledged(2 * WINDOW)
    client.send(DATA, 3 * WINDOW, WINDOW, b"x")
    client.send(DATA, 3 * WINDOW + 1, WINDOW, b"one too many")
    harness.check_reset(client.peer, "one that sends beyond the window")
    server.stop()


@case
def who_never_acknowledges_is_told_little():
    server = serve()
    client = begin(server)
    for number in range(1, WINDOW + 5):
        client.send(DATA, number, 0, b"x")
    client.wait_acknowledged(4)
    client.send(BEAT, 0, 1)  # one answer of four: there is room for five, so two more are heard
    client.wait_acknowledged(6)
    client.close()
    client = Client(server.port, client.id)
    check_equal(client.say_hello(RESUME, 2, 1), (WELCOME, 0, 6, b""), "what the server has heard")
    for number in range(2, 7):
        check_equal(client.expect(DATA)[:3], (DATA, number, 6), "what it has kept")
    client.send(DATA, 7, 1, b"x")  # what has arrived and was not heard is not there any more
    client.send(BEAT, 0, 6)
    client.wait_acknowledged(7)
    client.close()
    server.stop()


@case
def what_is_wrong_is_reset():
    server = serve()
    damaged = bytearray(frame(BEGIN, 1, 0, os.urandom(16)))
    damaged[-1] ^= 1
    alone = [damaged, frame(DATA, 1), frame(BEGIN, 1, 0, b"short"), frame(99), struct.pack(">I", 5) + b"12345",
             struct.pack(">I", 1 << 30), frame(BEGIN, 1, 7, os.urandom(16))]
    behind_a_hello = [frame(WELCOME), frame(BEAT, 0, 1), frame(DATA, 2)]
    for what in alone + [frame(BEGIN, 1, 0, os.urandom(16)) + wrong for wrong in behind_a_hello]:
        peer = harness.connect(server.port)
        peer.sendall(what)
        harness.check_reset(peer, repr(bytes(what)))
    server.stop()


@case
def a_conversation_that_is_not_known_is_refused():
    server = serve("--most", 1, "--keep", 1, unit=20)
    stranger = Client(server.port)
    check_equal(stranger.say_hello(RESUME, 2, 1), (REFUSED, 0, 0, b"unknown"), "one that nobody began")
    first = begin(server)
    second = Client(server.port)
    check_equal(second.say_hello(BEGIN, 1), (REFUSED, 0, 0, b"full"), "one too many")
    first.close()

    def is_forgotten():
        again = Client(server.port)
        return again.say_hello(BEGIN, 1)[0] == WELCOME

    harness.wait_until(is_forgotten, "a place: the first one has no connection any more")
    first = Client(server.port, first.id)
    check_equal(first.say_hello(RESUME, 2), (REFUSED, 0, 0, b"unknown"), "one that was forgotten")
    server.kill()


@case
def a_client_says_when_messages_are_lost():
    with harness.reserved_port() as port:
        server = Server("mobile_server", "--unit", 20, port=port)
        client = start_client(port, "--interval", 1, unit=20)
        client.expect("^10: message 10$")
        server.kill()
        server = Server("mobile_server", "--unit", 20, port=port)
        client.finish(1)
        check(re.search(r"^mobile_client: the server has forgotten this conversation$", client.errors, re.M), client.errors)
        server.kill()


if __name__ == "__main__":
    harness.main()
