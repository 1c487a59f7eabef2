# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""MQTT by hand, for the tests of mqtt_broker: packets as bytes, right ones and others, and a client that sends them."""

import select
import socket
import struct

import harness
from harness import check, check_equal

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, \
    PINGRESP, DISCONNECT = (number << 4 for number in range(1, 15))


def text(words):
    words = words.encode() if isinstance(words, str) else words
    return struct.pack(">H", len(words)) + words


def packet(first, body=b""):
    size, rest = b"", len(body)
    while True:
        size += bytes([rest % 128 | (128 if rest > 127 else 0)])
        rest //= 128
        if not rest:
            return bytes([first]) + size + body


def connect(name="", clean=True, keep_alive=0, will=None, flags=0, level=4, protocol="MQTT"):
    """`will`: (topic, payload, qos, retain)."""
    body = text(name)
    flags |= 2 if clean else 0
    if will:
        flags |= 4 | will[2] << 3 | will[3] << 5
        body += text(will[0]) + text(will[1])
    return packet(CONNECT, text(protocol) + bytes([level, flags]) + struct.pack(">H", keep_alive) + body)


def publish(topic, payload, qos=0, retain=False, number=1, again=False):
    identifier = struct.pack(">H", number) if qos else b""
    payload = payload.encode() if isinstance(payload, str) else payload
    return packet(PUBLISH | again << 3 | qos << 1 | retain, text(topic) + identifier + payload)


def numbered(first, number, rest=b""):
    return packet(first, struct.pack(">H", number) + rest)


def subscribe(*filters, qos=0, number=1):
    return numbered(SUBSCRIBE | 2, number, b"".join(text(one) + bytes([qos]) for one in filters))


class Message:
    """A PUBLISH that has come."""

    def __init__(self, first, body):
        size = struct.unpack(">H", body[:2])[0]
        self.topic = body[2:2 + size].decode()
        self.qos, self.retain, self.again = first >> 1 & 3, bool(first & 1), bool(first & 8)
        body = body[2 + size:]
        self.number = struct.unpack(">H", body[:2])[0] if self.qos else 0
        self.payload = body[2:] if self.qos else body


class Peer:
    """A client. It is connected when made, unless `code` says that it is refused."""

    def __init__(self, server, name="", code=0, present=False, receive_buffer=None, wrap=None, **options):
        self.socket = server.connect(receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small packets wait for no acknowledgement
        if wrap:
            self.socket = wrap(self.socket)
        self._input = b""
        self.send(connect(name, **options))
        self.expect(CONNACK, bytes([present, code]), "CONNACK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _take(self, size):
        while len(self._input) < size:
            part = self.socket.recv(1 << 16)
            check(part, f"the broker ended the connection, after {self._input!r}")
            self._input += part
        taken, self._input = self._input[:size], self._input[size:]
        return taken

    def packet(self):
        """The next packet: its first byte, and what is behind its size."""
        first, size, shift = self._take(1)[0], 0, 0
        while True:
            byte = self._take(1)[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return first, self._take(size)

    def expect(self, first, body, what):
        check_equal(self.packet(), (first, body), what)

    def message(self):
        first, body = self.packet()
        check(first & 0xf0 == PUBLISH, f"a message was expected, not {first:x} {body!r}")
        return Message(first, body)

    def expect_messages(self, *wanted):
        """(topic, payload), ..., in any order, because subscriptions have none."""
        got = [self.message() for _ in wanted]
        check_equal(sorted((one.topic, one.payload) for one in got), sorted(wanted), "messages")
        return got

    def expect_nothing(self):
        """Nothing has come that was sent to this client up to now."""
        self.send(packet(PINGREQ))
        self.expect(PINGRESP, b"", "nothing but the answer to a ping")

    def skip_messages(self, server):
        """Take all that come until the broker sleeps: it does nothing more by itself."""
        def has_all():
            asleep = server.state() == "S"
            if not select.select([self.socket], [], [], 0)[0]:
                return asleep
            self._input += self.socket.recv(1 << 16)
            return False

        harness.wait_until(has_all, "the broker's rest")
        while self._input:
            self.message()

    def subscribe(self, *filters, qos=0, codes=None):
        self.send(subscribe(*filters, qos=qos))
        self.expect(SUBACK, b"\0\1" + (codes or bytes([min(qos, 1)]) * len(filters)), "SUBACK")
        return self

    def publish(self, topic, payload, **options):
        """Returns when the broker has passed it on."""
        self.send(publish(topic, payload, qos=1, **options))
        self.expect(PUBACK, struct.pack(">H", options.get("number", 1)), "PUBACK")

    def acknowledge(self, message):
        self.send(numbered(PUBACK, message.number))

    def disconnect(self):
        self.send(packet(DISCONNECT))
        check_equal(self.socket.recv(1), b"", "the end after DISCONNECT")
        self.socket.close()

    def expect_reset(self, what):
        harness.check_reset(self.socket, what)
        self.socket.close()
