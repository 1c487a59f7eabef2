#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""balancer: backends that are stopped, killed, black-holed or drained while clients come; what its page tells of it."""

import contextlib
import pathlib
import random
import resource
import socket
import struct
import tempfile
import threading

import harness
from balancer_peers import Backend, Balancer, ask_page, balanced, fill_queue
from harness import case, check, check_equal

BIG = random.Random(7).randbytes(4 << 20)


@case
def command_line():
    harness.check_command_line("balancer", "--port", "--address", "--backends", "--policy", "--tries", "--send-proxy", "--max-clients",
        "--stats-port", "--stats-address", "--unit", "--connect", "--interval", "--rise", "--fall", "--idle", "--half-closed", "--drain",
        "--quiet", arguments=True)
    for words, problem in (
            ([], "no backend is given; see --help"),
            (["--policy", "random", "a:1"], "--policy cannot be 'random'"),
            (["--send-proxy", "v3", "a:1"], "--send-proxy cannot be 'v3'"),
            (["--stats-port", "x", "a:1"], "--stats-port cannot be 'x'"),
            (["--backends", "/nowhere", "a:1"], "backends are given both by --backends and as arguments"),
            (["--backends", "/nowhere"], "/nowhere: cannot be opened"),
            (["a:1", "a:1"], "a:1 is there twice"),
            *(([word], f"'{word}' is no backend: HOST:PORT, or HOST:PORT drain")
                for word in ("a", "a:", ":1", "a:0", "a:65536", "a:+1", "::1:1", "[::1]", "[a]:1", "[a:b]:1", "a:1 up", "a:1 drain x", "[[::1]]:1"))):
        wrong = harness.Program(harness.example("balancer"), *words)
        wrong.finish(1)
        check_equal(wrong.errors, f"balancer: {problem}\n", f"what it said of {words}")


@case
def round_robin():
    with balanced(b"one", b"two", b"three") as (server, _):
        answers = [server.ask(b"hi") for _ in range(6)]
        check_equal(sorted(answers[:3]), [b"one:hi", b"three:hi", b"two:hi"], "the first answers")
        check_equal(answers[:3], answers[3:], "the next answers")
        server.stop()


@case
def least_connections():
    with balanced(b"one", b"two", options=["--policy", "least-connections"]) as (server, (one, two)):
        with server.connect(), server.connect():
            server.wait_for(one, "active", 1)
            server.wait_for(two, "active", 1)
            with server.connect() as third:
                third.sendall(b"x")
                harness.wait_until(lambda: 2 in (server.column(one, "active"), server.column(two, "active")), "the third")
                idle = b"one" if server.column(one, "active") == 1 else b"two"
                for _ in range(4):
                    check_equal(server.ask(), idle + b":x", "the answer of the one with fewer connections")
                    harness.wait_until(lambda: server.clients()["active"] == 3, "the end of the fourth")
        server.stop()


@case
def half_close_goes_through_in_either_order():
    def goodbye_first(conn, _):
        conn.sendall(b"the answer before the question")
        conn.shutdown(socket.SHUT_WR)
        received.append(harness.read_all(conn))

    with balanced(b"one") as (server, _):
        check_equal(server.ask(BIG), b"one:" + BIG, "the answer to a client that had finished")
        server.stop()
    received = []
    with balanced(b"two", serve=goodbye_first) as (server, _):
        with server.connect() as peer:
            check_equal(harness.read_all(peer), b"the answer before the question", "what came to the backend's FIN")
            peer.sendall(b"the question")
        harness.wait_until(lambda: b"the question" in received, "what the client has sent behind the backend's FIN")
        server.stop()


@case
def a_stopped_backend_is_passed_over():
    with balanced(b"one", b"two", options=["--fall", "3"]) as (server, (one, two)):
        one.stop()
        for tries in (1, 2, 3):
            check_equal(server.column(one, "state"), "up", f"its state before failure {tries}")
            while server.column(one, "failures") != tries:
                check_equal(server.ask(BIG[:65536]), b"two:" + BIG[:65536], "the answer of the other one")
        check_equal(server.column(one, "state"), "down", "its state")
        server.expect_error(rf"(?m)^{one.at} is down: connect .*Connection refused")
        for _ in range(4):
            check_equal(server.ask(), b"two:x", "the answer when one is down")
        check_equal(server.column(one, "failures"), 3, "failures of one that is down")
        two.stop()
        for _ in range(3):
            harness.check_refused(server.connect, "with nobody there")
        check_equal(server.column(two, "state"), "down", "the state of the other one")
        harness.check_refused(server.connect, "with nobody up")
        harness.wait_until(lambda: server.clients()["without"] == 4, "the count of clients without a backend")
        server.expect_error("no backend could be reached")
        server.expect_error("no backend is up")
        server.stop()


@case
def a_black_hole_is_passed_over():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        listening.settimeout(harness.time_left())
        two = Backend(b"two")
        hole = f"127.0.0.1:{listening.getsockname()[1]}"
        server = Balancer("--unit", "20", hole, two.at)
        listening.accept()[0].close()  # the first check, and it is up
        held = fill_queue(listening)
        while server.backends()[hole]["failures"] == 0:
            check_equal(server.ask(BIG), b"two:" + BIG, "what has come, though one has let the client wait")
        check_equal(server.backends()[hole]["state"], "up", "its state after a single failure")
        for peer in held:
            peer.close()
        server.stop()
        two.stop()


@case
def checks_take_a_backend_out_and_in():
    with balanced(b"one", b"two", options=["--unit", "20", "--fall", "2", "--rise", "3"], interval=1) as (server, (one, _)):
        one.stop()
        server.wait_for(one, "state", "down")
        check(server.column(one, "failed_checks") >= 2, "down before two checks had failed")
        check_equal([server.ask(), server.ask()], [b"two:x"] * 2, "answers while one is down")
        check_equal(server.column(one, "failures"), 0, "clients that have met it")
        again = Backend(b"one again", port=one.port, accepts=False)
        server.expect_error(rf"\n{one.at} is up\n")
        check(again.queued() >= 3, "up before three checks had succeeded")
        again.accept()
        check_equal({server.ask(), server.ask()}, {b"one again:x", b"two:x"}, "answers when it is up again")
        again.stop()
        server.stop()


@case
def a_backend_that_breaks_off():
    def half_an_answer(conn, name):
        if conn.recv(1):
            conn.sendall(b"half")
            (harness.reset if name == b"resets" else socket.socket.close)(conn)

    for name in (b"resets", b"finishes"):
        with balanced(name, serve=half_an_answer) as (server, (one,)):
            with server.connect() as peer:
                peer.sendall(b"x")
                check_equal(peer.recv(4), b"half", "what came before")
                if name == b"resets":
                    harness.check_reset(peer, "after the backend's reset")
                else:
                    check_equal(harness.read_all(peer), b"", "the rest to the backend's FIN")
            server.wait_for(one, "active", 0)
            check_equal(server.column(one, "broken"), int(name == b"resets"), f"broken connections of one that {name}")
            server.stop()


@case
def a_clients_reset_reaches_the_backend():
    seen = []

    def note_reset(conn, _):
        try:
            while conn.recv(100):
                pass
        except ConnectionResetError:
            seen.append(True)

    with balanced(b"one", serve=note_reset) as (server, (one,)):
        peer = server.connect()
        peer.sendall(b"x")
        server.wait_for(one, "bytes_there", 1)
        harness.reset(peer)
        harness.wait_until(lambda: seen, "the reset")
        server.wait_for(one, "active", 0)
        check_equal(server.column(one, "broken"), 0, "what the backend is blamed for")
        server.stop()


@case
def the_proxy_protocol():
    heads = []

    def note_head(conn, _):
        data = harness.read_all(conn)
        heads.append(data)
        conn.sendall(b"ok")

    signature = b"\r\n\r\n\0\r\nQUIT\n"
    for version in ("v1", "v2"):
        heads.clear()
        with balanced(b"one", serve=note_head, options=["--send-proxy", version]) as (server, _):
            harness.wait_until(lambda: heads, "the header of the check")
            check_equal(heads.pop(), b"PROXY UNKNOWN\r\n" if version == "v1" else signature + b"\x20\0\0\0", "that of a check")
            with socket.create_connection(("127.0.0.1", server.port), harness.time_left()) as peer:
                port = peer.getsockname()[1]
                check_equal(harness.exchange(peer, b"data"), b"ok", "the answer")
            address = bytes((127, 0, 0, 1))
            check_equal(heads, [
                b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\ndata" % (port, server.port) if version == "v1" else
                signature + b"\x21\x11\0\x0c" + address * 2 + struct.pack("!HH", port, server.port) + b"data"], "what it was sent")
            server.stop()


@case
def haproxy_behind_is_told_of_the_client():
    haproxy = harness.tool("haproxy")
    with tempfile.TemporaryDirectory() as folder, harness.reserved_port() as port:
        file = pathlib.Path(folder, "haproxy.cfg")
        file.write_text("global\n    nbthread 1\n    maxconn 100\ndefaults\n    timeout connect 50s\n    timeout client 50s\n"
                        f"    timeout server 50s\nlisten tested\n    bind 127.0.0.1:{port} accept-proxy\n    mode http\n"
                        '    http-request return status 200 content-type text/plain lf-string "%[src] to %[dst]:%[dst_port]"\n',
                        encoding="ascii")
        behind = harness.Program(haproxy, "-db", "-f", file)
        harness.wait_until(lambda: harness.tcp_listeners(port) or behind.process.poll() is not None, "HAProxy's listener")
        for version in ("v1", "v2"):
            server = Balancer("--send-proxy", version, f"127.0.0.1:{port}")
            told = harness.run_tool("curl", "--silent", "--show-error", "--noproxy", "*", "--interface", "127.0.0.77",
                                    f"http://127.0.0.1:{server.port}/")
            check_equal(told, b"127.0.0.77 to 127.0.0.1:%d" % server.port, version)
            server.stop()
        behind.kill()


@case
def its_page():
    with balanced(b"one", b"two") as (server, (one, two)):
        url = f"http://127.0.0.1:{server.page_port}/"
        curl = ("curl", "--silent", "--show-error", "--noproxy", "*")
        first = harness.run_tool(*curl, url).decode().splitlines()
        check_equal(first[0], "clients: 0 active, 0 accepted, 0 shed, 0 without a backend", "the first line for curl")
        check_equal([line.split()[:2] for line in first[3:]], [[one.at, "up"], [two.at, "up"]], "the rows")
        for words, status in (((url + "x",), b"404"), (("-X", "POST", "-d", "x" * 100_000, url), b"405"), (("-I", url), b"405")):
            check_equal(harness.run_tool(*curl, "-o", "/dev/null", "-w", "%{http_code}", *words), status, f"the status for {words[0]}")
        for data, status in ((b"rubbish\r\n\r\n", b"400"), (b"GET /\r\n\r\n", b"400"), (b"GET HTTP/1.1\r\n\r\n", b"400"),
                             (b"\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, b"431")):
            check(ask_page(server.page_port, data).startswith(b"HTTP/1.1 " + status + b" "), f"not {status} for {harness.shorten(data)}")
        with server.connect() as peer:
            peer.sendall(b"12345")
            harness.wait_until(lambda: 5 in (server.column(one, "bytes_there"), server.column(two, "bytes_there")),
                               "the bytes of a connection that goes on")
            peer.shutdown(socket.SHUT_WR)
            harness.read_all(peer)
        harness.wait_until(lambda: server.clients()["active"] == 0, "its end")
        rows = server.backends().values()
        check_equal(sorted((row["total"], row["active"], row["bytes_there"], row["bytes_back"]) for row in rows)[1][:3], (1, 0, 5), "its row")
        server.stop()


@case
def clients_that_hold_up_the_page():
    with balanced(b"one", options=["--unit", "10", "--connect", "1000"]) as (server, _):
        with socket.create_connection(("127.0.0.1", server.page_port), harness.time_left()) as silent:
            harness.check_reset(silent, "one that asks for nothing")
        server.stop()


@case
def one_client_too_many():
    with balanced(b"one", options=["--max-clients", "1"]) as (server, (one,)):
        with server.connect() as first:
            server.wait_for(one, "active", 1)
            harness.check_refused(server.connect, "one too many")
            check_equal(harness.exchange(first, b"x"), b"one:x", "the answer to the first")
        check_equal(server.clients()["shed"], 1, "the count")
        server.stop()


@case
def one_that_fails_is_not_the_first_choice_of_all():
    with balanced(b"one", b"two", options=["--fall", "100"]) as (server, (one, _)):
        one.stop()
        for _ in range(6):
            check_equal(server.ask(), b"two:x", "the answer of the other one")
        check_equal(server.column(one, "failures"), 3, "how many clients have met it")
        server.stop()


@contextlib.contextmanager
def one_descriptor_left(server):
    """Meanwhile, the process gets no descriptor but the lowest one that is free."""
    if not hasattr(resource, "prlimit"):
        raise harness.Skip("no prlimit(2)")
    harness.wait_until(lambda: server.sessions() == 1, "no connection but the listener of the page")
    taken = {int(entry.name) for entry in pathlib.Path(f"/proc/{server.pid}/fd").iterdir()}
    second = [number for number in range(len(taken) + 2) if number not in taken][1]
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (second, before[1]))
    yield
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)


@case
def a_lack_of_descriptors_is_no_failure_of_a_backend():
    with balanced(b"one", options=["--fall", "1"]) as (server, (one,)):
        check_equal(server.ask(), b"one:x", "the answer")
        with one_descriptor_left(server):
            harness.check_refused(server.connect, "without a descriptor for a backend")
            server.expect_error("Too many open files")
        check_equal(server.ask(), b"one:x", "the answer when there are descriptors again")
        row = server.backends()[one.at]
        check_equal((row["state"], row["failures"], row["failed_checks"]), ("up", 0, 0), "what the backend is blamed for")
        server.stop()


@case
def a_thousand_clients_while_nobody_is_there():
    with harness.reserved_port() as nobody:
        server = Balancer("--quiet", "--fall", "1000000", f"127.0.0.1:{nobody}")

        def come(_):
            for _ in range(50):
                harness.check_refused(server.connect, "with nobody there")

        harness.in_parallel(come, 20)
        harness.wait_until(lambda: server.clients() == {"active": 0, "accepted": 1000, "shed": 0, "without": 1000}, "their counts")
        harness.wait_until(lambda: server.sessions() <= 1, "the end of their sessions")
        check("no backend" not in server.errors, f"it is not quiet: {harness.shorten(server.errors)}")
        server.stop()


@case
def silence_has_an_end():
    with balanced(b"one", options=["--unit", "10", "--connect", "1000", "--idle", "20"]) as (server, (one,)):
        harness.check_refused(server.connect, "a client that says nothing")
        server.wait_for(one, "active", 0)
        check_equal(server.column(one, "broken"), 0, "what the backend is blamed for")
        server.stop()


@case
def silence_behind_a_fin_has_an_end():
    def finish(conn, _):
        conn.shutdown(socket.SHUT_WR)
        harness.read_all(conn)

    for serve in (lambda conn, _: ended.wait(harness.time_left()), finish):
        ended = threading.Event()
        with balanced(b"one", serve=serve, options=["--unit", "10", "--connect", "1000", "--half-closed", "20"]) as (server, (one,)):
            with server.connect() as peer:
                if serve is not finish:
                    peer.shutdown(socket.SHUT_WR)
                    harness.check_reset(peer, "the answer that never comes")
                else:
                    check_equal(harness.read_all(peer), b"", "what comes before the backend's FIN")
                server.wait_for(one, "active", 0)
            check_equal(server.column(one, "broken"), 0, "what the backend is blamed for")
            server.expect_error("timed_out")  # which of both sides is first, is nobody's promise: the other is aborted
            ended.set()
            server.stop()


@case
def a_reset_behind_a_fin_breaks_nothing():
    def answer_and_leave(conn, _):
        if conn.recv(1):
            conn.sendall(b"all")
            conn.shutdown(socket.SHUT_WR)
            read.wait(harness.time_left())
            harness.reset(conn)

    read = threading.Event()
    with balanced(b"one", serve=answer_and_leave) as (server, (one,)):
        with server.connect() as peer:
            peer.sendall(b"x")
            check_equal(harness.read_all(peer), b"all", "the answer")
            read.set()
            server.wait_for(one, "active", 0)
        check_equal(server.column(one, "broken"), 0, "what the backend is blamed for")
        server.expect_error("backend peer_reset")
        server.stop()


@case
def a_drain_lets_clients_finish():
    with balanced(b"one") as (server, (one,)):
        with server.connect() as busy, server.connect() as silent:
            busy.sendall(b"begun, ")
            server.wait_for(one, "bytes_there", 7)
            server.wait_for(one, "active", 2)
            server.begin_drain()
            check_equal(harness.read_all(silent), b"", "the end of one that has said nothing")
            silent.close()
            check_equal(harness.exchange(busy, b"ended"), b"one:begun, ended", "the answer to one that was under way")
        server.finish_drain()


@case
def chaos():
    rng = random.Random(11)
    data = BIG[:300_000]
    kept, silent = [], []

    def misbehave(server, number):
        with contextlib.suppress(OSError):
            peer = server.connect(receive_buffer=4096)
            kind = number % 6
            if kind in (0, 1):  # silent, or garbage, and reset at any moment
                peer.sendall(bytes(rng.randbytes(kind * rng.randrange(1, 20000))))
                harness.reset(peer)
            elif kind == 2:  # a byte now and then
                for _ in range(20):
                    peer.sendall(b"d")
            elif kind == 3:  # asks for much, and reads nothing of it
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)
                kept.append(peer)
                return
            elif kind == 4:  # half-closes, and leaves at once
                peer.shutdown(socket.SHUT_WR)
            else:  # silent in the middle of a question
                peer.sendall(data)
                silent.append(peer)
                return
            peer.close()

    with balanced(b"one", b"two") as (server, _):
        def honest(number):
            for step in range(3):
                if number % 2:
                    misbehave(server, number // 2 + step)
                else:
                    check_equal(server.ask(data)[4:], data, "the answer to an honest client")

        def on_the_page():
            for number in range(10):
                with contextlib.suppress(OSError):
                    peer = socket.create_connection(("127.0.0.1", server.page_port), harness.time_left())
                    peer.sendall((b"GET / HT", b"\0" * 9000, b"GET / HTTP/1.1\r\n\r\n")[number % 3])
                    (harness.reset if number % 2 else socket.socket.close)(peer)
            server.page()

        harness.in_parallel(honest, 24, on_the_page)
        harness.wait_until(lambda: silent and server.clients()["active"] >= len(silent), "those that are silent")
        for peer in kept + silent:
            peer.close()
        harness.wait_until(lambda: server.clients()["active"] == 0 and server.sessions() <= 1, "the end of all sessions")
        check(all(row["state"] == "up" and row["active"] == 0 for row in server.backends().values()), f"then: {server.page()}")
        server.stop()


if __name__ == "__main__":
    harness.main()
