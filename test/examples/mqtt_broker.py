#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""mqtt_broker, by packets of our own: what MQTT 3.1.1 demands of a server, and what clients may not do to it."""

import contextlib
import pathlib
import socket

import harness
from harness import Server, case, check, check_equal
from mqtt_peer import (CONNACK, CONNECT, DISCONNECT, PINGREQ, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK,
                       SUBSCRIBE, UNSUBACK, UNSUBSCRIBE, Peer, connect, numbered, packet, publish, subscribe, text)

QUICK = ("--second", "200")  # a second of a deadline takes so many milliseconds


@case
def command_line():
    harness.check_command_line("mqtt_broker", "--port", "--connections", "--clients", "--packet", "--output", "--queued",
                               "--subscriptions", "--all-subscriptions", "--retained", "--retained-bytes")
    harness.check_port_in_use("mqtt_broker")


@case
def who_may_connect():
    server = Server("mqtt_broker")
    for refused, code in ((connect("a", level=3), 1), (connect("a", level=5), 1), (connect("", clean=False), 2),
                          (connect("x" * 129), 2)):
        with server.connect() as peer:
            peer.sendall(refused)
            check_equal(harness.read_all(peer), packet(CONNACK, bytes([0, code])), "the refusal, and the end")
    with server.connect() as peer:  # a user and a password are read, and asked of nobody
        peer.sendall(packet(CONNECT, text("MQTT") + b"\4\xc2\0\0" + text("") + text("user") + text("word")))
        check_equal(peer.recv(4), packet(CONNACK, b"\0\0"), "CONNACK")
    with Peer(server), Peer(server), Peer(server, "ä") as one:
        one.expect_nothing()
    server.stop()


@case
def malformed_packets_end_the_connection():
    server = Server("mqtt_broker")
    before = [
        packet(PINGREQ), publish("a", "b"), b"\0\0", b"\xf0\0", packet(CONNECT | 1, b""), packet(CONNECT),
        connect(flags=1), connect(flags=0x18), connect(flags=0x20), connect(flags=0x40), connect(protocol="MQIsdp"),
        connect(will=("a/#", "b", 0, 0)), connect(will=("a", "b", 3, 0)), connect("a")[:-1] + b"\xff",
        packet(CONNECT, connect("a")[2:] + b"more"), b"\x10\xff\xff\xff\xff\1"]
    after = [
        connect("a"), packet(CONNACK, b"\0\0"), publish("", "b"), publish("a/+", "b"), publish("#", "b"),
        publish("a\0b", "c"), publish(b"\xc0\x80", "c"), publish(b"\xed\xa0\x80", "c"), publish("a" + "/" * 64, "c"),
        packet(PUBLISH | 6, text("a") + b"\0\1"), packet(PUBLISH | 8, text("a")), publish("a", "b", qos=1, number=0),
        packet(PUBLISH, b"\0\5abc"), packet(PUBACK, b"\0"), packet(PUBACK, b"\0\1\0"), numbered(PUBREC, 1),
        numbered(PUBREL, 1), numbered(PUBCOMP, 1), numbered(SUBSCRIBE, 1, text("a") + b"\0"),
        numbered(SUBSCRIBE | 2, 1), numbered(SUBSCRIBE | 2, 1, text("a")), numbered(SUBSCRIBE | 2, 1, text("a") + b"\3"),
        numbered(SUBSCRIBE | 2, 0, text("a") + b"\0"), subscribe("a#"), subscribe("#/a"), subscribe("a+"), subscribe(""),
        numbered(UNSUBSCRIBE | 2, 1), numbered(UNSUBSCRIBE, 1, text("a")), packet(SUBACK, b"\0\1\0"),
        packet(PINGREQ, b"x"), packet(DISCONNECT, b"x"), packet(DISCONNECT | 1)]
    for wrong in before:
        with server.connect() as peer:
            peer.sendall(wrong)
            harness.check_reset(peer, f"{wrong!r} as the first packet")
    with Peer(server).subscribe("will") as witness:
        for number, wrong in enumerate(after):
            name = f"wrong{number}"
            with Peer(server, name, will=("will", name, 0, 0)) as peer:
                peer.send(wrong)
                peer.expect_reset(f"{wrong!r}")
            witness.expect_messages(("will", name.encode()))
    server.stop()


@case
def packets_come_in_any_pieces():
    server = Server("mqtt_broker")
    with Peer(server) as peer:
        said = subscribe("#") + publish("a/b", b"x" * 200) + publish("a/b", b"", qos=1) + packet(PINGREQ)
        for at in range(len(said)):
            peer.send(said[at:at + 1])
        peer.expect(SUBACK, b"\0\1\0", "SUBACK")
        peer.expect_messages(("a/b", b"x" * 200), ("a/b", b""))
        peer.expect(PUBACK, b"\0\1", "PUBACK")
        peer.expect(0xd0, b"", "PINGRESP")
    server.stop()


@case
def a_packet_has_a_largest_size():
    server = Server("mqtt_broker", "--packet", "1000")
    with Peer(server).subscribe("a") as listener, Peer(server) as speaker:
        speaker.send(publish("a", b"x" * (1000 - 3 - 3)))
        check_equal(len(listener.message().payload), 994, "the size of what fits")
        speaker.send(packet(PUBLISH, b"x" * 998)[:3])  # it is refused as soon as its size is known
        speaker.expect_reset("a packet of 1001 bytes")
    server.stop()


@case
def filters_match_as_the_standard_says():
    server = Server("mqtt_broker")
    topics = ["a", "a/b", "a/b/c", "/a", "/", "b", "a//c", "$SYS/x"]
    table = {"#": topics[:-1], "+": ["a", "b"], "a/#": ["a", "a/b", "a/b/c", "a//c"], "a/+": ["a/b"], "+/+":
             ["a/b", "/a", "/"], "/+": ["/a", "/"], "a/+/c": ["a/b/c", "a//c"], "+/b/#": ["a/b", "a/b/c"], "a/b": ["a/b"],
             "$SYS/x": [], "+/x": [], "a/b/c/#": ["a/b/c"], "+/+/+": ["a/b/c", "a//c"]}
    with Peer(server) as speaker:
        listeners = {pattern: Peer(server).subscribe(pattern) for pattern in table}
        for topic in topics:
            speaker.publish(topic, topic, retain=True)
        for pattern, wanted in table.items():
            listeners[pattern].expect_messages(*((topic, topic.encode()) for topic in wanted))
            listeners[pattern].expect_nothing()
            with Peer(server).subscribe(pattern) as late:  # the same of retained ones
                late.expect_messages(*((topic, topic.encode()) for topic in wanted))
                late.expect_nothing()
        with Peer(server).subscribe("$SYS/#") as curious:
            curious.expect_messages(("$SYS/broker/version", b"duet mqtt_broker"))
            curious.expect_nothing()
        for one in listeners.values():
            one.socket.close()
    server.stop()


@case
def who_subscribes_twice_gets_one_with_the_higher_qos():
    server = Server("mqtt_broker")
    with Peer(server).subscribe("a/#").subscribe("a/+", qos=2).subscribe("#") as listener, Peer(server) as speaker:
        speaker.publish("a/b", "1")
        got = listener.message()
        check_equal((got.qos, got.retain, got.again), (1, False, False), "QoS and flags")
        listener.acknowledge(got)
        listener.send(numbered(UNSUBSCRIBE | 2, 7, text("a/+") + text("a/#")))
        listener.expect(UNSUBACK, b"\0\7", "UNSUBACK")
        speaker.publish("a/b", "2")
        check_equal(listener.message().qos, 0, "QoS of the subscription that is left")
        listener.subscribe(*(f"many/{number}" for number in range(98)))
        listener.subscribe("a", "one/more", codes=b"\0\x80")
    server.stop()


@case
def qos_2_is_received_exactly_once():
    server = Server("mqtt_broker")
    with Peer(server).subscribe("a", qos=2) as listener:
        with Peer(server, "two", clean=False) as speaker:
            speaker.send(publish("a", "once", qos=2, number=9))
            speaker.expect(PUBREC, b"\0\x09", "PUBREC")
        with Peer(server, "two", clean=False, present=True) as speaker:
            speaker.send(publish("a", "once", qos=2, number=9, again=True))
            speaker.expect(PUBREC, b"\0\x09", "PUBREC of the repetition")
            for _ in range(2):
                speaker.send(numbered(PUBREL | 2, 9))
                speaker.expect(PUBCOMP, b"\0\x09", "PUBCOMP")
            speaker.send(publish("a", "twice", qos=2, number=9))
            speaker.expect(PUBREC, b"\0\x09", "PUBREC of another one")
        listener.expect_messages(("a", b"once"), ("a", b"twice"))
        listener.expect_nothing()
    server.stop()


@case
def retained_messages():
    server = Server("mqtt_broker")
    with Peer(server) as speaker, Peer(server).subscribe("#") as listener:
        for payload in ("old", "new"):
            speaker.publish("a/b", payload, retain=True)
            check(not listener.message().retain, "who had subscribed before gets it as any other")
        with Peer(server).subscribe("a/+", qos=1) as late:
            got = late.message()
            check_equal((got.payload, got.retain, got.qos), (b"new", True, 1), "the retained message")
        speaker.publish("a/b", "", retain=True)
        check_equal(listener.message().payload, b"", "the message that clears is one")
        with Peer(server).subscribe("a/+") as later:
            later.expect_nothing()
    server.stop()


@case
def a_will_is_published_unless_the_client_disconnects():
    server = Server("mqtt_broker")
    with Peer(server).subscribe("will/#", qos=1) as witness:
        Peer(server, will=("will/no", "x", 0, 0)).disconnect()
        Peer(server, will=("will/fin", "x", 1, 1)).socket.close()
        witness.acknowledge(witness.expect_messages(("will/fin", b"x"))[0])
        harness.reset(Peer(server, will=("will/rst", "x", 2, 0)).socket)
        witness.acknowledge(witness.expect_messages(("will/rst", b"x"))[0])
        with Peer(server).subscribe("will/#") as late:
            check(late.expect_messages(("will/fin", b"x"))[0].retain, "it was to be retained")
        witness.expect_nothing()
    server.stop()


@case
def who_is_silent_for_longer_than_its_keep_alive_is_gone():
    server = Server("mqtt_broker", *QUICK)
    with Peer(server).subscribe("will/#") as witness, server.connect() as mute:
        with Peer(server, keep_alive=5, will=("will/silent", "x", 0, 0)) as silent, \
                Peer(server, keep_alive=5, will=("will/talks", "x", 0, 0)) as talks:
            witness.socket.setblocking(False)
            while True:
                talks.expect_nothing()
                try:
                    witness._input += witness.socket.recv(1)  # pylint: disable=protected-access
                    break
                except BlockingIOError:
                    pass
            witness.socket.settimeout(harness.time_left())
            witness.expect_messages(("will/silent", b"x"))
            silent.expect_reset("silence")
            talks.disconnect()
        harness.check_reset(mute, "a connection without a packet")
        witness.expect_nothing()
    server.stop()


@case
def a_client_is_remembered_while_it_is_away():
    server = Server("mqtt_broker", "--queued", "30")
    Peer(server, "away", clean=False).subscribe("a/#", qos=1).disconnect()
    with Peer(server) as speaker:
        for number in range(40):
            speaker.publish(f"a/{number}", str(number))
        speaker.send(publish("a/zero", "of QoS 0"))
        speaker.expect_nothing()
    with Peer(server, "away", clean=False, present=True) as back:
        first = [back.message() for _ in range(20)]
        back.expect_nothing()
        check(not any(one.again for one in first), "none was sent before")
        check_equal(sorted({one.number for one in first}), list(range(1, 21)), "packet identifiers")
        for one in first[:5]:
            back.acknowledge(one)
        got = first + [back.message() for _ in range(5)]
    with Peer(server, "away", clean=False, present=True) as back:
        again = [back.message() for _ in range(20)]
        check(all(one.again for one in again), "those are sent again, and marked")
        check_equal([one.number for one in again], [one.number for one in got[5:]], "by their identifiers")
        for one in again:
            back.acknowledge(one)
        rest = [back.message() for _ in range(5)]
        for one in rest:
            back.acknowledge(one)
        back.expect_nothing()
        payloads = [one.payload for one in first[:5] + again + rest]
        check_equal(payloads, [b"%d" % number for number in range(30)], "up to the bound, each in its order")
        back.disconnect()
    Peer(server, "away").disconnect()  # a clean session: what was is forgotten
    with Peer(server, "away", clean=False):
        pass
    server.stop()


@case
def who_has_been_away_longest_is_forgotten_first():
    server = Server("mqtt_broker", "--clients", "3")
    for name in "abc":
        Peer(server, name, clean=False).disconnect()
    with Peer(server, "a", clean=False, present=True), Peer(server, "d"), Peer(server, "c", clean=False, present=True):
        with server.connect() as peer:
            peer.sendall(connect("e"))
            check_equal(harness.read_all(peer), packet(CONNACK, b"\0\3"), "no room: all are connected")
    server.stop()


@case
def one_connection_too_many_is_refused_at_once():
    server = Server("mqtt_broker", "--connections", "2")
    with Peer(server) as one, Peer(server):
        with contextlib.suppress(ConnectionResetError), server.connect() as third:  # perhaps before connect() has returned
            check_equal(harness.read_all(third), b"", "what it gets")
        one.expect_nothing()
    server.stop()


@case
def an_identifier_is_taken_over():
    server = Server("mqtt_broker")
    with Peer(server).subscribe("will") as witness:
        for clean in (True, False):
            with Peer(server, "x", clean=clean, will=("will", "old", 0, 0)).subscribe("a") as old, \
                    Peer(server, "x", clean=clean, present=not clean, will=("will", "new", 0, 0)) as new:
                old.expect_reset("who was there before")
                witness.expect_messages(("will", b"old"))
                witness.publish("a", "still there")
                if not clean:
                    new.expect_messages(("a", b"still there"))
                new.expect_nothing()
                new.disconnect()
        witness.expect_nothing()
    server.stop()


@case
def one_that_reads_slowly_misses_some_of_qos_0_and_holds_up_nobody():
    server = Server("mqtt_broker", "--output", "65536")
    with Peer(server, receive_buffer=4096).subscribe("a") as slow, Peer(server).subscribe("a") as quick, \
            Peer(server) as speaker:
        kernel_keeps = int(pathlib.Path("/proc/sys/net/ipv4/tcp_wmem").read_text(encoding="ascii").split()[2])
        sent = 0
        while sent * 10000 < kernel_keeps + (8 << 20):
            for number in range(sent, sent + 4):
                speaker.send(publish("a", b"%08d" % number + b"x" * 10000))
            for number in range(sent, sent + 4):
                check_equal(int(quick.message().payload[:8]), number, "what the quick one gets")
            sent += 4
        slow.send(packet(PINGREQ))
        got = []
        while (one := slow.packet())[0] == PUBLISH:
            got.append(int(one[1][3:11]))
        check(got == sorted(set(got)), "they keep their order")
        check(0 < len(got) < sent, f"it got {len(got)} of {sent}")
    server.stop()


@case
def one_that_does_not_acknowledge_is_ended():
    server = Server("mqtt_broker", "--queued", "50")
    with Peer(server, "lazy", clean=False).subscribe("a", qos=1) as lazy, Peer(server) as speaker:
        for number in range(50):
            speaker.publish("a", str(number))
        lazy.expect_messages(*(("a", b"%d" % number) for number in range(20)))
        lazy.expect_nothing()
        speaker.publish("a", "one too many")
        lazy.expect_reset("51 messages")
        server.expect_error("does not acknowledge what it is sent")
    with Peer(server, "lazy", clean=False, present=True) as back:
        check(all(back.message().again for _ in range(20)), "what it had is kept")
    server.stop()


@case
def one_that_does_not_read_its_answers_is_not_read_from():
    server = Server("mqtt_broker", "--output", "10000")
    pings = packet(PINGREQ) * 8_000_000
    with Peer(server, receive_buffer=4096) as peer, Peer(server) as other:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sent = harness.hold_back(server, peer.socket, pings)
        other.expect_nothing()
        answers = 0
        while answers < sent // 2 * 2:
            answers += len(peer.socket.recv(1 << 16))
    server.stop()


@case
def one_that_does_not_read_its_answers_holds_up_nobody_who_subscribes_to_it():
    server = Server("mqtt_broker", "--output", "10000")
    with Peer(server, receive_buffer=4096) as peer, Peer(server).subscribe("a") as listener:
        harness.hold_back(server, peer.socket, (packet(PINGREQ) * 500 + publish("a", "")) * 20000)
        listener.skip_messages(server)
        listener.expect_nothing()  # a packet of another client would bring what was held up
    server.stop()


@case
def retained_messages_have_a_bound_in_number_and_size():
    for bound, payloads in ((("--retained", "11"), ["x"] * 12), (("--retained-bytes", "1035"), ["x" * 98] * 12)):
        server = Server("mqtt_broker", *bound, "--queued", "1")  # what may wait for a client is another bound
        with Peer(server).subscribe("#") as listener, Peer(server) as speaker:
            for number, payload in enumerate(payloads):  # one of the bound is the broker's own $SYS/broker/version
                speaker.publish(f"{number:02}", payload, retain=True)
            listener.expect_messages(*((f"{number:02}", payload.encode()) for number, payload in enumerate(payloads)))
            speaker.publish("03", "y" * len(payloads[0]), retain=True)  # in the place of another
            speaker.publish("04", "", retain=True)
            speaker.publish("12", payloads[0], retain=True)  # there is room again
            speaker.publish("13", payloads[0], retain=True)
        with Peer(server).subscribe("#") as late:
            kept = [late.message().topic for _ in range(10)]
            check_equal(kept, ["00", "01", "02", "03", "05", "06", "07", "08", "09", "12"], "what is retained")
            late.expect_nothing()
        server.stop()


@case
def one_subscribe_holds_up_others_for_a_bounded_time():
    server = Server("mqtt_broker")
    with Peer(server) as client:
        deep = "a/" * 63
        client.send(b"".join(publish(deep + str(number), "x", retain=True) for number in range(3200)))
        client.expect_nothing()
        # Each of these is compared with all that is retained: 204,800 levels, of two millions.
        filters = ["+/" + deep[2:] + f"x{number}" for number in range(12)]
        client.subscribe(*filters, codes=bytes(10) + b"\x80\x80")
        client.subscribe(*filters[10:])
    server.stop()


@case
def one_subscribe_has_a_bound():
    for bound in ("--retained", "6"), ("--retained-bytes", "75"):
        server = Server("mqtt_broker", *bound)
        with Peer(server) as speaker, Peer(server) as listener:
            for number in range(5):
                speaker.publish(f"a/{number}", "xxxxx", retain=True)
            listener.subscribe("a/#", "a/+", "+/1", "other", "$SYS/#", codes=b"\0\x80\0\0\x80")
            listener.expect_messages(*((f"a/{number}", b"xxxxx") for number in (0, 1, 1, 2, 3, 4)))
            listener.send(numbered(UNSUBSCRIBE | 2, 7, text("a/#") + text("+/1")))
            listener.expect(UNSUBACK, b"\0\7", "UNSUBACK")
            speaker.publish("a/1", "nobody has subscribed")
            listener.expect_nothing()
            listener.subscribe("a/+")  # in a packet of its own
            listener.expect_messages(*((f"a/{number}", b"xxxxx") for number in range(5)))
        server.stop()


@case
def a_subscription_has_a_bound_in_number_and_size():
    server = Server("mqtt_broker", "--subscriptions", "3")
    with Peer(server) as speaker, Peer(server) as listener:
        speaker.publish("a", "x", retain=True)
        listener.subscribe(*"aaaaa", codes=b"\0\0\0\x80\x80")
        listener.expect_messages(*[("a", b"x")] * 3)
        listener.subscribe("a" * 1025, "b" * 1024, "c", "d", codes=b"\x80\0\0\x80")
        speaker.send(subscribe(*"#" * 60000))  # the most that a packet can ask for
        speaker.expect(SUBACK, b"\0\1\0\0\0" + b"\x80" * 59997, "SUBACK")
        speaker.expect_messages(*[("a", b"x")] * 3)
        speaker.expect_nothing()
    server.stop()


@case
def the_subscriptions_of_all_clients_have_a_bound():
    server = Server("mqtt_broker", "--all-subscriptions", "4")
    with Peer(server).subscribe("a", "b") as one:
        for name in "xy":
            with Peer(server, name).subscribe("a", "b", "a", "c", codes=b"\0\0\0\x80") as two:
                one.subscribe("d", codes=b"\x80")
                for _ in range(2):  # the second has nothing to end
                    two.send(numbered(UNSUBSCRIBE | 2, 7, text("a")))
                    two.expect(UNSUBACK, b"\0\7", "UNSUBACK")
                two.subscribe("c", "d", codes=b"\0\x80").disconnect()
        one.subscribe("c", "d", "e", codes=b"\0\0\x80")  # with the others went theirs
    server.stop()


@case
def a_filter_is_refused_if_what_it_brings_has_no_room_in_the_queue():
    server = Server("mqtt_broker", "--queued", "5")
    with Peer(server) as speaker, Peer(server, "x", clean=False).subscribe("b", qos=1) as listener:
        for number in range(3):
            speaker.publish(f"a/{number}", "x", retain=True)
            speaker.publish("b", "y")
        got = listener.expect_messages(*[("b", b"y")] * 3)
        listener.subscribe("a/0", "a/#", qos=1, codes=b"\1\x80")
        got += listener.expect_messages(("a/0", b"x"))
        listener.subscribe("a/#")  # messages of QoS 0 do not wait for an acknowledgement
        listener.expect_messages(*((f"a/{number}", b"x") for number in range(3)))
        for one in got:
            listener.acknowledge(one)
        listener.subscribe("a/#", qos=1)
        listener.expect_messages(*((f"a/{number}", b"x") for number in range(3)))
    server.stop()


@case
def what_waits_for_a_client_has_a_bound_in_bytes():
    server = Server("mqtt_broker")
    Peer(server, "away", clean=False).subscribe("a", qos=1).disconnect()
    with Peer(server) as speaker:
        for number in range(40):
            speaker.publish("a", bytes([number]) * 250_000)
    with Peer(server, "away", clean=False, present=True) as back:
        for number in range((8 << 20) // 250_001):
            got = back.message()
            check_equal(got.payload[0], number, "what has waited")
            back.acknowledge(got)
        back.expect_nothing()
    server.stop()


@case
def sigterm_ends_all_without_their_wills():
    server = Server("mqtt_broker")
    peers = [Peer(server, str(number), will=("will", "x", 0, 0), clean=number % 2 == 0).subscribe("#", qos=1)
             for number in range(8)]
    server.begin_drain()
    for one in peers:
        check_equal(one.socket.recv(1), b"", "the FIN, and no will")
        one.socket.close()
    server.finish_drain(finished=8)


if __name__ == "__main__":
    harness.main()
