#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Measures again what the book (docs/en/book) calls measured, and says where this kernel does otherwise.

    measured.py            all that take less than ten seconds each
    measured.py NAME...    these
    measured.py --list     their names; those with a * take a minute or two

It needs no privilege, but a user namespace: without, it ends with status 77. Two network namespaces are two hosts, joined by a
link: "here" has 10.5.0.1 and 10.5.0.3, "there" has 10.5.0.2.
"""

import ctypes
import errno
import os
import socket
import struct
import subprocess
import sys
import threading
import time

SKIPPED = 77
LIBC = ctypes.CDLL(None, use_errno=True)
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
TCP_LINGER2, TCP_REPAIR, TCP_USER_TIMEOUT = 8, 19, 18
STATES = ("", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN",
          "CLOSING")
FIN, SYN, RST, ACK = 1, 2, 4, 16

HERE, THERE, SECOND = "10.5.0.1", "10.5.0.2", "10.5.0.3"
MEASUREMENTS, SLOW = {}, set()
differences = []


def measurement(function):
    MEASUREMENTS[function.__name__] = function
    return function


def slow(function):
    SLOW.add(function.__name__)
    return measurement(function)


def expect(what, seen, wanted):
    """`wanted` is a value, or says of one whether it is right."""
    right = wanted(seen) if callable(wanted) else seen == wanted
    print(f"  {what}: {seen}" + ("" if right else "   <- the book says otherwise"))
    if not right:
        differences.append(what)


# ---- Two hosts ------------------------------------------------------------------------------------------------------------------

def shell(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout


class Namespace:
    """The calling thread makes its sockets in this network while it is entered."""

    def __init__(self, file, back=None):
        self.file, self.back = file, back

    def __enter__(self):
        LIBC.setns(self.file, 0)

    def __exit__(self, *_):
        LIBC.setns(self.back, 0)


class Hosts:
    def __init__(self):
        here = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.other = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE)  # pylint: disable=consider-using-with
        name = f"/proc/{self.other.pid}/ns/net"
        while os.readlink(name) == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        self.there = Namespace(os.open(name, os.O_RDONLY), here)
        shell(f"ip link set lo up; ip link add v0 type veth peer name v1; ip link set v1 netns {self.other.pid};"
              f"ip addr add {HERE}/24 dev v0; ip addr add {SECOND}/24 dev v0; ip link set v0 up")
        with self.there:
            shell(f"ip link set lo up; ip addr add {THERE}/24 dev v1; ip link set v1 up")

    def end(self):
        self.other.stdin.close()
        self.other.wait()

    def listen(self, backlog=8):
        with self.there:
            result = socket.socket()
            result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            result.bind((THERE, 0))
            result.listen(backlog)
        return result

    def pair(self, source=HERE):
        """A listener and its client there and here."""
        listener = self.listen()
        client = socket.socket()
        client.bind((source, 0))
        client.connect(listener.getsockname())
        return listener, client, listener.accept()[0]


hosts = None


class Capture:
    """The segments that pass the link while it is entered: (seconds, from the server, flags, bytes)."""

    def __init__(self, port):
        self.port, self.seen, self.ended = port, [], threading.Event()

    def __enter__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind(("v0", 0))
        self.socket.settimeout(0.1)
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.socket.close()

    def run(self):
        while not self.ended.is_set():
            try:
                frame = self.socket.recv(70000)
            except TimeoutError:
                continue
            packet = frame[14:]
            if frame[12:14] != b"\x08\0" or packet[9] != socket.IPPROTO_TCP:
                continue
            header = (packet[0] & 15) * 4
            source, target = struct.unpack_from("!HH", packet, header)
            if self.port in (source, target):
                size = struct.unpack_from("!H", packet, 2)[0] - header - (packet[header + 12] >> 4) * 4
                self.seen.append((round(time.monotonic() - self.began, 1), source == self.port, packet[header + 13], size))

    def flags(self, from_server):
        return [flags & (FIN | SYN | RST) for _, server, flags, _ in self.seen if server == from_server]


def state(one):
    return STATES[one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[0]]


def states_there(port):
    with hosts.there:
        return sorted(line.split()[0] for line in shell(f"ss -tanH sport = :{port}").splitlines() if "LISTEN" not in line)


def counters(*names):
    found = {}
    with hosts.there:
        for file in ("/proc/self/net/netstat", "/proc/thread-self/net/netstat"):
            with open(file, encoding="ascii") as lines:
                rows = [line.split()[1:] for line in lines if line.startswith("TcpExt")]
            found = dict(zip(*rows))
    return tuple(int(found[name]) for name in names)


def result_of(call, *arguments):
    """What a call returns, or its errno."""
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def timed(call, *arguments):
    began = time.monotonic()
    return result_of(call, *arguments), round(time.monotonic() - began, 1)


def about(wanted):
    return lambda seen: abs(seen - wanted) <= max(0.5, wanted * 0.1)


def until(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise RuntimeError("it does not come")


def settle():
    """Segments of a link without delay have arrived."""
    time.sleep(0.1)


def deaf(one, instructions=((6, 0, 0, 0),)):
    """It gets no segments any more: nothing passes a filter that returns 0."""
    code = b"".join(struct.pack("HBBI", *each) for each in instructions)
    memory = ctypes.create_string_buffer(code, len(code))
    one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(instructions), ctypes.addressof(memory)))


def hear(one):
    one.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def reset(one):
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def fill(one):
    one.setblocking(False)
    written = 0
    try:
        while True:
            written += one.send(bytes(65536))
    except BlockingIOError:
        return written


def begin_connect(address):
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(address)
    return client


# ---- The server's start ---------------------------------------------------------------------------------------------------------

@measurement
def backlog():
    listener = hosts.listen(2)
    clients = [begin_connect(listener.getsockname()) for _ in range(6)]
    settle()
    expect("six clients, a backlog of 2", [state(each) for each in clients], ["ESTABLISHED"] * 3 + ["SYN_SENT"] * 3)


@measurement
def last_ack_meets_a_full_queue():
    listener = hosts.listen(0)
    deaf(listener, ((0x30, 0, 0, 13), (0x45, 1, 0, SYN), (6, 0, 0, 0), (6, 0, 0, 65535)))  # it hears SYN only
    clients = []
    for _ in range(2):
        clients.append(socket.create_connection(listener.getsockname()))
    hear(listener)
    time.sleep(1.6)  # the SYN, ACK is repeated, and the first connection gets the only place
    port = listener.getsockname()[1]
    expect("clients", [state(each) for each in clients], ["ESTABLISHED"] * 2)
    expect("server", states_there(port), ["ESTAB"])
    clients[1].send(b"hi")
    settle()
    expect("server, when the second client has sent", states_there(port), ["ESTAB"])
    _first = listener.accept()[0]
    second = listener.accept()[0]
    expect("when the server has accepted the first one, it receives from the second", second.recv(9), b"hi")


@measurement
def closed_listener():
    listener = hosts.listen(0)
    clients = [begin_connect(listener.getsockname()) for _ in range(2)]
    settle()
    listener.close()
    settle()
    expect("a queued client reads", result_of(clients[0].recv, 1), "ECONNRESET")
    time.sleep(1.5)
    expect("one in SYN_SENT gets", errno.errorcode.get(clients[1].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)), "ECONNREFUSED")


# ---- The handshake --------------------------------------------------------------------------------------------------------------

@slow
def unanswered_syn():
    listener = hosts.listen()
    deaf(listener)
    with Capture(listener.getsockname()[1]) as link:
        how, seconds = timed(socket.create_connection, listener.getsockname())
    expect("connect fails with", how, "ETIMEDOUT")
    expect("after", seconds, about(134))
    expect("SYNs at", [int(each[0]) for each in link.seen], [0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 68])


# ---- Ends -----------------------------------------------------------------------------------------------------------------------

@measurement
def write_to_closed():
    listener, client, server = hosts.pair()
    with Capture(listener.getsockname()[1]) as link:
        server.close()
        settle()
        expect("the first send", result_of(client.send, b"x"), 1)
        settle()
        expect("the next send", result_of(client.send, b"x"), "EPIPE")
        expect("a read", result_of(client.recv, 1), b"")
    expect("server's flags", link.flags(True), [FIN, RST])


@measurement
def unread_input():
    listener, client, server = hosts.pair()
    client.send(b"req")
    settle()
    written = fill(server)
    server.close()
    settle()
    received, how = 0, b"x"
    while isinstance(how, bytes) and how:
        how = result_of(client.recv, 65536)
        received += len(how) if isinstance(how, bytes) else 0
    expect("the client's reads end with", how, "ECONNRESET")
    expect(f"bytes it has read, of {written}", received, lambda seen: seen < written)

    listener, client, server = hosts.pair()
    client.send(b"req")
    settle()
    with Capture(listener.getsockname()[1]) as link:
        server.shutdown(socket.SHUT_WR)
        settle()
        server.close()
        settle()
    expect("shutdown, then close", [each for each in link.flags(True) if each], [FIN, RST])


@measurement
def copied_descriptor():
    listener, client, _server = hosts.pair()
    copy = client.dup()
    with Capture(listener.getsockname()[1]) as link:
        client.close()
        settle()
        expect("segments of close", len(link.seen), 0)
        copy.close()
        settle()
    expect("flags when the copy is closed, too", [each for each in link.flags(False) if each], [FIN])


@measurement
def half_closed_for_long():
    _listener, client, server = hosts.pair()
    client.setsockopt(socket.IPPROTO_TCP, TCP_LINGER2, 1)
    client.shutdown(socket.SHUT_WR)
    time.sleep(2.5)
    expect("after 2.5 s with TCP_LINGER2 = 1 s", (state(client), state(server)), ("FIN_WAIT2", "CLOSE_WAIT"))


@measurement
def shut_rd():
    listener, client, server = hosts.pair()
    with Capture(listener.getsockname()[1]) as link:
        server.shutdown(socket.SHUT_RD)
        settle()
        expect("segments of SHUT_RD", len(link.seen), 0)
        client.send(b"abc")
        settle()
    expect("acknowledged", [flags for _, from_server, flags, _ in link.seen if from_server], [ACK])
    expect("a read", server.recv(9), b"abc")


@measurement
def reset_is_told_once():
    def after_reset(*calls, unread=b"", finished=False):
        _listener, client, server = hosts.pair()
        if unread:
            server.send(unread)
        if finished:
            server.shutdown(socket.SHUT_WR)
        settle()
        reset(server)
        settle()
        actions = {"read": lambda: client.recv(9), "write": lambda: client.send(b"x"),
                   "SO_ERROR": lambda: errno.errorcode[client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]}
        return [result_of(actions[each]) for each in calls]

    expect("read, read, write", after_reset("read", "read", "write"), ["ECONNRESET", b"", "EPIPE"])
    expect("write, read, write", after_reset("write", "read", "write"), ["ECONNRESET", b"", "EPIPE"])
    expect("SO_ERROR, read", after_reset("SO_ERROR", "read"), ["ECONNRESET", b""])
    expect("with bytes unread: read, read, read", after_reset("read", "read", "read", unread=b"abc"), [b"abc", "ECONNRESET", b""])
    expect("after FIN: read, write", after_reset("read", "write", finished=True), [b"", "EPIPE"])


# ---- TIME_WAIT ------------------------------------------------------------------------------------------------------------------

def in_time_wait(reuse):
    """An address of which a connection is in TIME_WAIT, and the client's; the listener is closed."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    listener.bind((HERE, 0))
    listener.listen()
    client = socket.create_connection(listener.getsockname())
    server = listener.accept()[0]
    addresses = listener.getsockname(), client.getsockname()
    server.close()
    settle()
    client.close()
    settle()
    return listener, *addresses


def bind_again(address, reuse):
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    return result_of(one.bind, address)


@measurement
def port_in_time_wait():
    for old, new, wanted in ((1, 0, "EADDRINUSE"), (1, 1, None), (0, 1, "EADDRINUSE")):
        listener, address, _client = in_time_wait(old)
        listener.close()
        expect(f"SO_REUSEADDR on the old listener {old}, on the new socket {new}: bind", bind_again(address, new), wanted)
    listener, address, _client = in_time_wait(1)
    expect("somebody listens: bind", bind_again(address, 1), "EADDRINUSE")


@measurement
def syn_in_time_wait():
    _listener, address, before = in_time_wait(1)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(before)
    how, seconds = timed(client.connect, address)
    expect("connect from the same port", how, None)
    expect("after", seconds, 0.0)


@measurement
def no_local_port():
    before = shell("sysctl -n net.ipv4.ip_local_port_range").split()
    shell('sysctl -w net.ipv4.ip_local_port_range="50000 50009"')
    listener, other = hosts.listen(20), hosts.listen()
    clients = [socket.create_connection(listener.getsockname()) for _ in range(10)]
    expect("the eleventh connect", result_of(socket.create_connection, listener.getsockname()), "EADDRNOTAVAIL")
    servers = [listener.accept()[0] for _ in clients]
    for each in (*clients, *servers):
        each.close()
    settle()
    expect("when the ten are in TIME_WAIT", result_of(socket.create_connection, listener.getsockname()), "EADDRNOTAVAIL")
    expect("to another port", type(result_of(socket.create_connection, other.getsockname())).__name__, "socket")
    shell(f'sysctl -w net.ipv4.ip_local_port_range="{" ".join(before)}"')


@slow
def end_of_time_wait():
    _listener, address, _client = in_time_wait(1)
    began = time.monotonic()
    while "TIME-WAIT" in shell(f"ss -tanH sport = :{address[1]}"):
        time.sleep(0.2)
    expect("gone after", round(time.monotonic() - began), about(62))


# ---- Keep-alive and dead peers --------------------------------------------------------------------------------------------------

@measurement
def keep_alive_half_closed():
    for how in ("FIN_WAIT2", "CLOSE_WAIT"):
        _listener, client, server = hosts.pair()
        (client if how == "FIN_WAIT2" else server).shutdown(socket.SHUT_WR)
        settle()
        expect("state", state(client), how)
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
            client.setsockopt(socket.IPPROTO_TCP, option, value)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        deaf(server)
        time.sleep(4)
        expect("4 s later", state(client), "CLOSE")
        expect("a read", result_of(client.recv, 1), "ETIMEDOUT" if how == "FIN_WAIT2" else b"")


@measurement
def retransmissions():
    listener, client, server = hosts.pair()
    client.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 7000)
    deaf(server)
    with Capture(listener.getsockname()[1]) as link:
        client.send(b"x")
        how, seconds = timed(client.recv, 1)
    expect("the read ends with", how, "ETIMEDOUT")
    expect("after", seconds, about(7.4))
    times = [each[0] for each in link.seen]
    expect("sent at", times, lambda seen: len(seen) == 7 and all(b >= 1.7 * a for a, b in zip(seen[2:], seen[3:])))


@measurement
def neighbour_gone():
    _listener, client, _server = hosts.pair()
    client.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 7000)
    with hosts.there:
        shell("ip link set v1 down")
    client.send(b"x")
    expect("the read ends with", result_of(client.recv, 1), "EHOSTUNREACH")
    with hosts.there:
        shell("ip link set v1 up")


@measurement
def no_neighbour():
    how, seconds = timed(socket.create_connection, ("10.5.0.77", 1))
    expect("connect fails with", how, "EHOSTUNREACH")
    expect("after", seconds, about(3))


@measurement
def restarted_peer():
    _listener, client, server = hosts.pair()
    server.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    server.close()  # without a segment
    expect("the client", state(client), "ESTABLISHED")
    expect("send", client.send(b"x"), 1)
    settle()
    expect("read", result_of(client.recv, 1), "ECONNRESET")


@measurement
def user_timeout_with_a_closed_window():
    listener, client, server = hosts.pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    fill(client)
    time.sleep(1)
    client.setblocking(True)
    client.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 3000)
    with Capture(listener.getsockname()[1]) as link:
        how = result_of(client.recv, 1)
    expect("the read ends with", how, "ETIMEDOUT")
    probes, answers = (sum(1 for each in link.seen if each[1] == server_sent and not each[2] & RST) for server_sent in (False, True))
    expect("probes and answers", (probes, answers), lambda seen: seen[0] >= 1 and seen[0] == seen[1])


# ---- Unstable networks ----------------------------------------------------------------------------------------------------------

@measurement
def outage():
    _listener, client, server = hosts.pair()
    with hosts.there:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind((THERE, 0))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sent, late, arrived = {}, {}, set()
    began = time.monotonic()

    def read_stream():
        while len(frame := server.recv(100, socket.MSG_WAITALL)) == 100:
            number = struct.unpack_from("!I", frame)[0]
            late[number] = time.monotonic() - sent[number]

    def read_datagrams():
        while (number := struct.unpack_from("!I", datagrams.recv(100))[0]) != 80:
            arrived.add(number)

    readers = [threading.Thread(target=each) for each in (read_stream, read_datagrams)]
    for each in readers:
        each.start()
    for number in range(81):
        for each in (server, datagrams):
            if number == 20:
                deaf(each)
            if number == 35:
                hear(each)
        sent[number] = time.monotonic()
        frame = struct.pack("!I", number) + bytes(96)
        client.send(frame)
        sender.sendto(frame, datagrams.getsockname())
        time.sleep(max(0.0, began + (number + 1) * 0.02 - time.monotonic()))
    client.close()
    for each in readers:
        each.join()
    delayed = [number for number, seconds in late.items() if seconds > 0.01]
    expect("datagrams lost", 80 - len(arrived), 15)
    expect("messages of TCP", len(late), 81)
    expect("late by 10 ms or more", len(delayed), lambda seen: seen > 20)
    expect("the first late one, in ms", round(late[20] * 1000), lambda seen: 300 < seen < 1000)


@measurement
def changed_address():
    listener, client, server = hosts.pair(SECOND)
    for each in (client, server):
        each.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 4000)
    shell(f"ip addr del {SECOND}/24 dev v0")
    with Capture(listener.getsockname()[1]) as link:
        expect("sends", (client.send(b"x"), server.send(b"y")), (1, 1))
        expect("reads", (result_of(client.recv, 1), result_of(server.recv, 1)), ("ETIMEDOUT", "ETIMEDOUT"))
    expect("segments that left the client's host", sum(1 for each in link.seen if not each[1]), 0)
    shell(f"ip addr add {SECOND}/24 dev v0")


# ---- SYN floods -----------------------------------------------------------------------------------------------------------------

def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def false_syn(source, target, ports):
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    parts = [*ports, 1, 0, 5 << 4, SYN, 64240, 0, 0]
    form = "!HHIIBBHHH"
    parts[7] = checksum(addresses + struct.pack("!HH", socket.IPPROTO_TCP, 20) + struct.pack(form, *parts))
    return struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses + struct.pack(form, *parts)


def flood(cookies):
    with hosts.there:
        shell(f"sysctl -w net.ipv4.tcp_syncookies={cookies}; sysctl -w net.ipv4.conf.all.rp_filter=0;"
              f"sysctl -w net.ipv4.conf.v1.rp_filter=0; ip route replace 10.9.0.0/16 via {HERE}")
    shell("ip route replace blackhole 10.9.0.0/16")
    listener = hosts.listen(16)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for each in range(1, 101):
        raw.sendto(false_syn(f"10.9.1.{each}", THERE, (1000 + each, listener.getsockname()[1])), (THERE, 0))
    settle()
    return listener


@measurement
def syn_flood():
    before = counters("TCPReqQFullDrop")
    listener = flood(0)
    expect("half-open connections", states_there(listener.getsockname()[1]).count("SYN-RECV"), 17)
    expect("SYNs dropped", counters("TCPReqQFullDrop")[0] - before[0], 83)
    client = begin_connect(listener.getsockname())
    settle()
    expect("an honest client", state(client), "SYN_SENT")


@slow
def end_of_a_flood():
    listener = flood(0)
    began = time.monotonic()
    while "SYN-RECV" in states_there(listener.getsockname()[1]):
        time.sleep(0.5)
    expect("half-open connections are gone after", round(time.monotonic() - began), about(62))


@measurement
def syn_cookies():
    names = ("SyncookiesSent", "SyncookiesRecv")
    before = counters(*names)
    listener = flood(1)
    client = socket.create_connection(listener.getsockname(), 1)
    server = listener.accept()[0]
    expect("an honest client", (state(client), state(server)), ("ESTABLISHED", "ESTABLISHED"))
    expect("cookies sent and received", tuple(b - a for a, b in zip(before, counters(*names))), (84, 1))
    scales = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[6]
    expect("window scales", (scales & 15, scales >> 4), lambda seen: min(seen) > 0)


def main(names):
    global hosts
    if "--list" in names:
        print("\n".join(name + ("  *" if name in SLOW else "") for name in MEASUREMENTS))
        return 0
    if unknown := [name for name in names if name not in MEASUREMENTS]:
        print(f"measured.py: no such measurement: {', '.join(unknown)}", file=sys.stderr)
        return 2
    if os.environ.get("DUET_MEASURED") != "inside":
        os.environ["DUET_MEASURED"] = "inside"
        if subprocess.run(["unshare", "-Urn", "true"], capture_output=True, check=False).returncode:
            print("measured.py: this system refuses a user and network namespace")
            return SKIPPED
        os.execvp("unshare", ["unshare", "-Urn", sys.executable, __file__, *names])
    hosts = Hosts()
    try:
        for name in names or [each for each in MEASUREMENTS if each not in SLOW]:
            print(name, flush=True)
            MEASUREMENTS[name]()
    finally:
        hosts.end()
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
