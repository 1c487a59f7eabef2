#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""port_forwarder: between programs that know nothing of it, half-close in either order, resets, nobody there."""

import pathlib
import random
import re
import socket
import tempfile

import harness
from harness import Program, Server, case, check, check_equal

BIG = random.Random(5).randbytes(8 << 20)


def forwarder(target):
    return Server("port_forwarder", "--to-port", target)


@case
def command_line():
    harness.check_command_line("port_forwarder", "--port", "--address", "--to-host", "--to-port", "--idle", "--accept-proxy",
        "--send-proxy", "--quiet")
    harness.check_port_in_use("port_forwarder")


@case
def curl_and_pythons_http_server():
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "big").write_bytes(BIG)
        site = Program(harness.tool("python3"), "-u", "-m", "http.server", "--directory", folder, 0)
        port = site.expect(r"^Serving HTTP on .* port ([0-9]+)").group(1)
        server = forwarder(port)
        url = f"http://localhost:{server.port}/"
        curl = ("curl", "--silent", "--show-error", "--noproxy", "*")
        check_equal(harness.run_tool(*curl, url + "big"), BIG, "what curl has fetched")
        check_equal(harness.run_tool(*curl, "--output", "/dev/null", "--write-out", "%{http_code}", url + "none"),
                    b"404", "the status that curl has got")
        server.stop()
        site.kill()


@case
def netcats_and_socat_half_close_in_turn():
    # The listening one says nothing before its client has finished, and the other way round.
    for first_to_finish in ("client", "target"):
        with harness.reserved_port() as port:
            # A netcat that listens leaves at the FIN when it has not spoken yet; socat stays.
            target = (Program(harness.tool("nc"), "-N", "-l", port) if first_to_finish == "target" else
                Program(harness.tool("socat"), "-t100", "-", f"TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr"))
            harness.wait_until(lambda: harness.tcp_listeners(port), "the listener")
            server = forwarder(port)
            client = Program(harness.tool("nc"), "-N", "localhost", server.port)
            early, late = (client, target) if first_to_finish == "client" else (target, client)
            early.send(b"the first word\n")
            check_equal(late.line(), "the first word\n", "what went over")
            early.end_input()
            late.send(b"the last word\n")
            late.end_input()
            check_equal(early.finish(), b"the last word\n", "what came back after the half-close")
            check_equal(late.finish(), b"the first word\n", "all that went over")
            server.expect_error(r"client clean, target clean")
            server.stop()


@case
def much_both_ways():
    echo = Server("echo_server")
    server = forwarder(echo.port)
    check_equal(harness.run_tool("nc", "-N", "localhost", server.port, data=BIG), BIG, "8 MB there and back")
    with server.connect(receive_buffer=65536) as peer:
        check_equal(harness.exchange_reluctantly(peer, BIG), BIG, "8 MB to a slow reader")
    server.expect_error(rf"{len(BIG)} bytes there, {len(BIG)} back; client clean, target clean\n(.*\n)*.*{len(BIG)} bytes")
    server.stop()
    echo.stop()


@case
def a_reset_is_passed_on_either_way():
    with harness.listener() as (listening, port):
        server = forwarder(port)
        for client_resets in (True, False):
            client = server.connect()
            target, _ = listening.accept()
            target.settimeout(harness.time_left())
            gone, other = (client, target) if client_resets else (target, client)
            gone.sendall(b"half an ans")
            check_equal(other.recv(11), b"half an ans", "what came before")
            harness.reset(gone)
            harness.check_reset(other, "after the other side's reset")
            other.close()
        server.stop()


@case
def nobody_there():
    with harness.reserved_port() as port:
        server = forwarder(port)
        harness.check_refused(server.connect, "with nobody behind the forwarder")
        server.stop()


@case
def on_one_address():
    echo = Server("echo_server")
    server = Server("port_forwarder", "--to-port", echo.port, "--address", "127.0.0.1")
    check_equal(server.endpoint, f"127.0.0.1:{server.port}", "where it listens")
    with socket.create_connection(("127.0.0.1", server.port), harness.time_left()) as peer:
        check_equal(harness.exchange(peer, b"here"), b"here", "what came back")
    server.stop()
    echo.stop()


def writes_of(clients, *options):
    """What a forwarder writes to its standard error, write by write, up to its end: a SEQPACKET keeps them apart."""
    echo = Server("echo_server")
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, its:
        server = Server("port_forwarder", "--to-port", echo.port, *options, errors=its)
        its.close()
        for _ in range(clients):
            with server.connect() as peer:
                check_equal(harness.exchange(peer, b"word"), b"word", "what came back")
        server.signal()
        server.finish()
        ours.settimeout(harness.time_left())
        result = []
        while part := ours.recv(65536):
            result.append(part.decode())
    echo.stop()
    return result


@case
def a_line_of_log_is_one_write():
    writes = writes_of(3)
    lines = [write for write in writes if re.fullmatch(
        r"(127\.0\.0\.1|\[::1\]):\d+: 4 bytes there, 4 back; client clean, target clean\n", write)]
    check_equal(len(lines), 3, f"lines in one write of {writes}")
    check_equal(len(writes), 4, f"writes, with that of the drain, of {writes}")


@case
def quiet_writes_no_line_for_a_connection():
    writes = writes_of(3, "--quiet")
    check(len(writes) == 1 and re.fullmatch(r"duet: drained: \d finished, 0 aborted\n", writes[0]), f"it wrote {writes}")


if __name__ == "__main__":
    harness.main()
