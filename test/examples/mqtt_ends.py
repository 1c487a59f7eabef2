#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""mqtt_broker: what a client has said before its connection ends is passed on, however that ends."""

import contextlib
import signal

import harness
from harness import Server, case, check, check_equal
from mqtt_peer import (CONNACK, DISCONNECT, PINGREQ, PUBCOMP, PUBREC, PUBREL, SUBSCRIBE, Peer, connect, numbered, packet,
                       publish, text)

COUNT = 150  # messages: several reads of the broker, and fewer bytes than the kernel keeps for it
PATIENT = ("--second", "10000")  # no deadline is near


@contextlib.contextmanager
def stopped(server):
    """Meanwhile the server does nothing, so all that comes is there before it looks at any of it."""
    server.signal(signal.SIGSTOP)
    harness.wait_until(lambda: server.state() == "T", "the stop")
    try:
        yield
    finally:
        server.signal(signal.SIGCONT)


def numbers(qos=0, count=COUNT):
    return b"".join(publish("a", b"%d" % one + b" " * 200, qos=qos, number=one + 1) for one in range(count))


def heard(witness, count=COUNT):
    """The witness gets all of them, in their order."""
    check_equal([int(witness.message().payload) for _ in range(count)], list(range(count)), "what is passed on")


def expect_one(witness, topic, payload):
    got = witness.message()
    check_equal((got.topic, got.payload), (topic, payload), "the next message")


@case
def what_came_whole_is_passed_on_before_the_will():
    server = Server("mqtt_broker", *PATIENT)
    part = publish("a", "x" * 1000)[:500]
    ends = {"FIN": (b"", lambda peer: peer.close()), "reset": (b"", harness.reset),
            "FIN in a packet": (part, lambda peer: peer.close()), "reset in a packet": (part, harness.reset),
            "a fault": (publish("a/#", "x"), lambda _: None), "no packet": (b"\xf0\0", lambda _: None),
            "DISCONNECT": (packet(DISCONNECT), lambda _: None)}
    with Peer(server).subscribe("#") as witness:
        for name, (tail, end) in ends.items():
            for qos in (0, 1, 2):
                with Peer(server, "speaker", will=("will", name, 0, 0)) as speaker:
                    with stopped(server):
                        speaker.send(numbers(qos) + tail)
                        harness.wait_delivered(speaker.socket)
                        end(speaker.socket)
                    heard(witness)
                    if name != "DISCONNECT":
                        expect_one(witness, "will", name.encode())
                    witness.expect_nothing()
    server.stop()


@case
def answers_that_cannot_be_written_lose_nothing_that_was_said():
    server = Server("mqtt_broker", *PATIENT, "--output", "100")
    with Peer(server).subscribe("#", qos=1) as witness:
        for qos in (1, 2):
            for end in (lambda peer: peer.close(), harness.reset):
                with Peer(server, "speaker") as speaker:
                    with stopped(server):
                        speaker.send(numbers(qos))
                        harness.wait_delivered(speaker.socket)
                        end(speaker.socket)
                for number in range(COUNT):
                    got = witness.message()
                    check_equal(int(got.payload), number, "what is passed on")
                    witness.acknowledge(got)
                witness.expect_nothing()
    server.stop()


@case
def who_takes_over_waits_for_what_came_before():
    server = Server("mqtt_broker", *PATIENT)
    part = publish("a", "x" * 1000)[:500]
    with Peer(server).subscribe("#") as witness:
        for qos, begun, tail in ((0, b"", b""), (1, b"", b""), (2, b"", b""), (1, b"", part), (1, part, b"")):
            with Peer(server, "x", clean=False, will=("will", "old", 0, 0)) as old, server.connect() as new:
                if begun:
                    old.send(begun)
                    harness.wait_delivered(old.socket)
                    witness.expect_nothing()
                with stopped(server):  # who takes over is looked at first
                    new.sendall(connect("x", clean=False) + publish("a", "new"))
                    harness.wait_delivered(new)
                    old.send(publish("a", "x" * 1000)[500:] * bool(begun) + numbers(qos) + tail)
                    harness.wait_delivered(old.socket)
                check_equal(new.recv(4), packet(CONNACK, b"\1\0"), "CONNACK")
                if begun:
                    expect_one(witness, "a", b"x" * 1000)
                heard(witness)
                expect_one(witness, "will", b"old")
                expect_one(witness, "a", b"new")
                old.expect_reset("who was taken over")
            witness.expect_nothing()
            Peer(server, "x").disconnect()
    server.stop()


@case
def many_take_over_one_after_the_other():
    server = Server("mqtt_broker", *PATIENT)
    with Peer(server).subscribe("will") as witness, contextlib.ExitStack() as all_peers:
        with stopped(server):
            peers = [all_peers.enter_context(server.connect()) for _ in range(20)]
            for number, one in enumerate(peers):
                one.sendall(connect("x", will=("will", str(number), 0, 0)))
        got = [int(witness.message().payload) for _ in range(19)]
        last, = set(range(20)) - set(got)
        check_equal(peers[last].recv(4), packet(CONNACK, b"\0\0"), "CONNACK of the last one")
        witness.expect_nothing()
        peers[last].sendall(packet(DISCONNECT))
        check_equal(peers[last].recv(1), b"", "its end")
    server.stop()


@case
def one_that_does_not_read_its_answers_is_taken_over():
    server = Server("mqtt_broker", *PATIENT, "--output", "10000")
    pings = packet(PINGREQ) * 10000
    said = [pings + publish("a", "%03d" % number) for number in range(800)]
    with Peer(server).subscribe("#") as witness, Peer(server, "x", receive_buffer=4096) as old:
        sent = harness.hold_back(server, old.socket, b"".join(said))
        with Peer(server, "x") as new:
            heard(witness, sent // len(said[0]))
            new.expect_nothing()
            witness.expect_nothing()
    server.stop()


@case
def the_state_of_qos_2_survives_each_end():
    server = Server("mqtt_broker", *PATIENT)
    with Peer(server).subscribe("a") as witness:
        for end in (lambda peer: peer.close(), harness.reset):
            with Peer(server, "x", clean=False) as speaker:
                with stopped(server):
                    speaker.send(numbers(2, 20) + numbered(PUBREL | 2, 1))
                    harness.wait_delivered(speaker.socket)
                    end(speaker.socket)
                heard(witness, 20)
            with Peer(server, "x", clean=False, present=True) as speaker:
                for number in range(2, 21):
                    speaker.send(publish("a", "again", qos=2, number=number, again=True))
                    speaker.expect(PUBREC, b"\0%c" % number, "PUBREC of the repetition")
                    speaker.send(numbered(PUBREL | 2, number))
                    speaker.expect(PUBCOMP, b"\0%c" % number, "PUBCOMP")
                witness.expect_nothing()
                speaker.send(publish("a", "another", qos=2, number=1))  # the first was released before the end
                speaker.expect(PUBREC, b"\0\1", "PUBREC")
                expect_one(witness, "a", b"another")
            Peer(server, "x").disconnect()
    server.stop()


@case
def one_that_the_broker_ends_is_heard_up_to_a_bound():
    server = Server("mqtt_broker", *PATIENT, "--queued", "5", "--packet", "1000")
    flood = b"".join(publish("a", b"%03d" % number + b" " * 897) for number in range(60))
    with Peer(server).subscribe("a") as witness:
        for said, count in ((numbers(1, 100), 100), (flood, 32 * 1000 // len(publish("a", " " * 900)))):
            with Peer(server, "x").subscribe("own", qos=1) as lazy:
                with stopped(server):
                    lazy.send(publish("own", "x", qos=1) * 6 + said)
                heard(witness, count)
                lazy.expect_reset("who does not acknowledge")
                witness.expect_nothing()
    server.expect_error("does not acknowledge what it is sent")
    server.stop()


@case
def those_that_say_much_take_turns():
    server = Server("mqtt_broker", *PATIENT)
    with Peer(server) as one, Peer(server) as two, Peer(server).subscribe("n") as witness:
        for number in range(200):
            one.publish(f"kept/{number}", "x", retain=True)
        for much, count in ((b"", 650), (numbered(SUBSCRIBE | 2, 1, text("+/x") + b"\0"), 50)):  # one read has it all
            with stopped(server):
                for peer, word in ((one, "1"), (two, "2")):
                    peer.send((much + publish("n", word)) * count)
                    harness.wait_delivered(peer.socket)
            got = b"".join(witness.message().payload for _ in range(2 * count))
            check(got.find(b"2") < got.rfind(b"1") and got.find(b"1") < got.rfind(b"2"), "neither was before the other")
    server.stop()


if __name__ == "__main__":
    harness.main()
