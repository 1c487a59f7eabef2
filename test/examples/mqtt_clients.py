#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""mqtt_broker with clients that others wrote (mosquitto_pub, mosquitto_sub, paho), with many, and with bad ones."""

import contextlib
import os
import pathlib
import random
import resource
import selectors
import socket
import sys
import threading

import harness
import tls_files
from harness import Program, Server, case, check, check_equal, run_tool
from mqtt_peer import CONNACK, PINGREQ, SUBACK, Peer, connect, packet, publish, subscribe

MANY = int(os.environ.get("MQTT_SUBSCRIBERS", "2000"))  # the page tells of 10,000, which take half a minute with a sanitizer


def sub(server, *arguments, port=None):
    """mosquitto_sub, when it has subscribed: a message to it alone has come back."""
    tool = harness.tool("mosquitto_sub")
    program = Program(tool, "-p", port or server.port, "-h", "localhost", "-t", "ready", *arguments)
    while not program.says_something():
        pub(server, "-t", "ready", "-m", "ready")
    program.line()
    return program


def pub(server, *arguments, port=None, data=b""):
    run_tool("mosquitto_pub", "-h", "localhost", "-p", port or server.port, *arguments, data=data)


def said(program, count):
    """Its lines, without those that told that it is ready."""
    lines = []
    while len(lines) < count:
        line = program.line()
        check(line is not None, f"{program.command} ended: {program.errors}")
        if line not in ("ready\n", "ready ready\n"):
            lines.append(line.rstrip("\n"))
    return lines


@case
def mosquitto_publishes_and_subscribes():
    server = Server("mqtt_broker")
    for qos in "012":
        listener = sub(server, "-q", qos, "-t", f"house/{qos}/#", "-v")
        pub(server, "-q", qos, "-t", f"house/{qos}/hall", "-m", "21")
        pub(server, "-q", qos, "-t", f"house/{qos}", "-l", data=b"one\ntwo\nthree\n")
        check_equal(said(listener, 4), [f"house/{qos}/hall 21", *(f"house/{qos} {word}" for word in ("one", "two", "three"))],
                    "what mosquitto_sub says")
        listener.signal()
        listener.finish()
    server.stop()


@case
def mosquitto_gets_retained_messages_wills_and_what_it_missed():
    server = Server("mqtt_broker")
    pub(server, "-t", "state/door", "-m", "open", "-r")
    check_equal(run_tool("mosquitto_sub", "-h", "localhost", "-p", server.port, "-t", "state/+", "-C", "1"), b"open\n", "retained")
    pub(server, "-t", "state/door", "-n", "-r")

    witness = sub(server, "-t", "will")
    dying = sub(server, "--will-topic", "will", "--will-payload", "died")
    dying.kill()
    check_equal(said(witness, 1), ["died"], "the will")

    away = ("mosquitto_sub", "-h", "localhost", "-p", server.port, "-i", "away", "-c", "-q", "1", "-t", "mail")
    run_tool(*away, "-E")
    pub(server, "-q", "1", "-t", "mail", "-l", data=b"first\nsecond\n")
    check_equal(run_tool(*away, "-C", "2"), b"first\nsecond\n", "what has waited")
    server.stop()


@case
def mosquitto_speaks_tls_and_is_told_what_it_may_not():
    server = Server("mqtt_broker")
    pub_5 = Program(harness.tool("mosquitto_pub"), "-h", "localhost", "-p", server.port, "-V", "mqttv5", "-t", "a", "-m", "b")
    pub_5.process.wait(harness.time_left())
    check(pub_5.process.returncode != 0, "MQTT 5 is refused")
    server.stop()

    if "--tls-port" not in Program(harness.example("mqtt_broker"), "--help").finish().decode():
        raise harness.Skip("built without OpenSSL")
    with tls_files.files() as files:
        server = Server("mqtt_broker", "--tls-cert", files.server[0], "--tls-key", files.server[1], "--tls-port", "0")
        secret = int(server.said[0].rpartition(b":")[2])
        trusting = ("--cafile", files.authority[0])
        listener = sub(server, "-q", "1", "-t", "a", *trusting, port=secret)
        pub(server, "-q", "1", "-t", "a", "-m", "from plain")
        pub(server, "-q", "2", "-t", "a", "-m", "over TLS", *trusting, port=secret)
        check_equal(said(listener, 2), ["from plain", "over TLS"], "over TLS")
        listener.signal()
        listener.finish()
        server.signal()
        server.finish_drain()


def paho():
    try:
        import paho.mqtt.client as module  # pylint: disable=import-outside-toplevel
    except ImportError:
        sys.path.append("/usr/lib/python3/dist-packages")  # Debian's, for a python3 that is not Debian's
        try:
            import paho.mqtt.client as module  # pylint: disable=import-outside-toplevel
        except ImportError:
            raise harness.Skip("python3-paho-mqtt is not installed") from None
    if hasattr(module, "CallbackAPIVersion"):
        return lambda *words, **more: module.Client(module.CallbackAPIVersion.VERSION1, *words, **more)
    return module.Client


@case
def paho_comes_back_and_misses_nothing():
    make = paho()
    server = Server("mqtt_broker")
    total, got, connected = 300, [], threading.Semaphore(0)
    done = threading.Event()

    def on_message(_, __, message):
        got.append(int(message.payload))
        if len(set(got)) == total:
            done.set()

    def on_connect(client, _, flags, code):
        check_equal(code, 0, "the return code")
        if not flags["session present"]:
            client.subscribe("numbers", qos=1)
        else:
            connected.release()

    listener, speaker = make("listener", clean_session=False), make("speaker")
    listener.on_message, listener.on_connect = on_message, on_connect
    listener.on_subscribe = lambda *_: connected.release()
    listener.reconnect_delay_set(1, 1)
    listener.connect("localhost", server.port, keepalive=30)
    listener.loop_start()
    check(connected.acquire(timeout=harness.time_left()), "paho has subscribed")
    speaker.connect("localhost", server.port)
    speaker.loop_start()
    last = None
    for number in range(total):
        last = speaker.publish("numbers", str(number), qos=1 + number % 2)
        if number == total // 2:
            last.wait_for_publish(harness.time_left())
            listener.socket().shutdown(socket.SHUT_RDWR)  # it reconnects by itself
    last.wait_for_publish(harness.time_left())
    check(done.wait(harness.time_left()), f"only {len(set(got))} of {total} came")
    check(set(got) == set(range(total)), "all came")
    for client in (listener, speaker):
        client.disconnect()
        client.loop_stop()
    server.stop()


def raise_descriptor_limit(wanted):
    """Returns how many clients the limit allows, here and in the broker."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    soft = wanted + 200 if hard == resource.RLIM_INFINITY else min(wanted + 200, hard)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)


def resident(server):
    status = pathlib.Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@case
def one_message_reaches_thousands_of_subscribers():
    many = raise_descriptor_limit(MANY)
    server = Server("mqtt_broker", "--connections", many + 10)
    before = resident(server)
    hello = connect("") + subscribe("news/#", "mine", qos=1)
    answers = packet(CONNACK, b"\0\0") + packet(SUBACK, b"\0\1\1\1")
    with contextlib.ExitStack() as peers, Peer(server) as speaker:
        all_peers = []
        for _ in range(many):
            one = socket.create_connection(("127.0.0.1", server.port))
            peers.callback(harness.reset, one)  # no port stays in TIME_WAIT: another run soon needs as many
            one.sendall(hello)
            all_peers.append(one)
        for one in all_peers:
            check_equal(one.recv(len(answers), socket.MSG_WAITALL), answers, "CONNACK and SUBACK")
        print(f"{many} subscribers, {(resident(server) - before) // many} bytes each", flush=True)
        news = publish("news/today", "x" * 100)
        speaker.send(news)
        speaker.expect_nothing()
        waiting = set(all_peers)
        with selectors.DefaultSelector() as ready:
            for one in all_peers:
                ready.register(one, selectors.EVENT_READ)
            while waiting:
                for key, _ in ready.select(harness.time_left()):
                    check_equal(key.fileobj.recv(len(news), socket.MSG_WAITALL), news, "the news")
                    waiting.remove(key.fileobj)
                    ready.unregister(key.fileobj)
    harness.wait_until(lambda: server.sessions() == 0, "the end of all sessions")
    server.stop()


def misbehave(server, seed, stop):
    """One bad client after the other, until `stop`."""
    chance = random.Random(seed)
    kinds = ["silent", "drip", "reset", "deaf", "half", "garbage", "flood"]
    while not stop.is_set():
        kind = kinds[seed % len(kinds)]
        with contextlib.suppress(OSError), server.connect(4096 if kind == "deaf" else None) as peer:
            peer.settimeout(0.2)
            if kind not in ("silent", "garbage"):
                peer.sendall(connect(f"bad{seed % 3}", will=("chaos", "x", 1, 0)) + subscribe("#", qos=1))
            if kind == "drip":
                for byte in publish("chaos", "x" * 50):
                    peer.sendall(bytes([byte]))
            elif kind == "reset":
                peer.sendall(publish("chaos", "x" * 500)[:chance.randrange(500)])
                harness.reset(peer)
                continue
            elif kind == "half":
                peer.sendall(packet(PINGREQ)[:chance.randrange(3)])
                peer.shutdown(socket.SHUT_WR)
            elif kind == "garbage":
                peer.sendall(bytes(chance.randrange(256) for _ in range(100)))
            elif kind == "flood":
                peer.sendall(publish("chaos", "y" * 1000) * 50)
            if kind != "deaf":
                harness.read_all(peer)
            else:
                stop.wait(0.5)


@case
def bad_clients_disturb_nobody():
    server = Server("mqtt_broker", "--second", "200", "--output", "20000", "--queued", "100")
    stop = threading.Event()
    bad = [threading.Thread(target=misbehave, args=(server, seed, stop), daemon=True) for seed in range(14)]
    try:
        with Peer(server).subscribe("honest/#", qos=1) as listener, Peer(server) as speaker:
            for one in bad:
                one.start()
            for number in range(400):
                speaker.publish("honest/work", str(number))
                got = listener.message()
                check_equal((got.payload, got.again), (b"%d" % number, False), "what an honest one gets")
                listener.acknowledge(got)
            listener.expect_nothing()
            stop.set()
            for one in bad:
                one.join(harness.time_left())
            harness.wait_until(lambda: server.sessions() == 2, "the end of the bad ones")
            listener.expect_nothing()
    finally:
        stop.set()
    harness.wait_until(lambda: server.sessions() == 0, "the end of all sessions")
    server.stop()


if __name__ == "__main__":
    harness.main()
