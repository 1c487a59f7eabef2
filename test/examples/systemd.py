#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""line_service: what systemd is told, sockets from systemd-socket-activate, and unit files that systemd accepts."""

import os
import pathlib
import select
import signal
import socket
import tempfile

import harness
from harness import Program, Server, Skip, case, check, check_equal, wait_until

FOLDER = pathlib.Path(__file__).parents[2] / "examples" / "systemd"


class Manager:
    """Plays systemd: listens at NOTIFY_SOCKET."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.address = f"{self.folder.name}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.socket.settimeout(harness.time_left())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.folder.cleanup()

    def hear(self):
        self.socket.settimeout(harness.time_left())
        return self.socket.recv(4096).decode()

    def hear_all(self):
        """What has come by now."""
        heard = []
        while select.select([self.socket], [], [], 0)[0]:
            heard.append(self.hear())
        return heard


def start(environment, *arguments):
    """(program, port)"""
    program = Program(harness.tool("env"), *(f"{name}={value}" for name, value in environment.items()),
        harness.example("line_service"), "--port", 0, *arguments)
    endpoint = program.expect(r"^listening on (.*)$").group(1)
    return program, int(endpoint.rpartition(":")[2])


@case
def command_line():
    harness.check_command_line("line_service", "--port", "--may-hang")
    harness.check_port_in_use("line_service")


@case
def by_hand_it_is_a_server_like_any_other():
    server = Server("line_service")
    check_equal(harness.run_tool("nc", "-N", "localhost", server.port, data=b"one\n\nthree\n"), b"3\n0\n5\n", "answer")
    server.stop()


@case
def systemd_is_told_when_it_is_ready_and_when_it_ends():
    with Manager() as systemd:
        program, port = start({"NOTIFY_SOCKET": systemd.address})
        check_equal(systemd.hear(), f"STATUS=listening on [::]:{port}", "the status")
        check_equal(systemd.hear(), "READY=1", "the next")
        with harness.connect(port) as peer:
            peer.sendall(b"one\n")
            check_equal(harness.read_lines(peer, 1), [b"3"], "answer")
            check_equal(systemd.hear_all(), [], "meanwhile")
            program.signal()
            check_equal(systemd.hear(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=11000000", "at SIGTERM")
            check_equal(harness.read_all(peer), b"", "its FIN")
        program.finish(0)
        check_equal(systemd.hear_all(), [], "at the end")


@case
def a_manager_that_is_gone_stops_nobody():
    program, port = start({"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "2000"})
    with harness.connect(port) as peer:
        check_equal(harness.exchange(peer, b"one\n"), b"3\n", "answer")
    program.signal()
    program.finish(0)
    check("NOTIFY_SOCKET: No such file or directory" in program.errors, f"it said {program.errors!r}")


@case
def the_watchdog_hears_a_service_that_runs_and_not_one_that_hangs():
    with Manager() as systemd:
        program, port = start({"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": 20000}, "--may-hang")
        for _ in range(5):
            wait_until(lambda: systemd.hear() == "WATCHDOG=1", "a sign of life")
        with harness.connect(port) as peer:
            peer.sendall(b"hang\n")
            stack = pathlib.Path(f"/proc/{program.pid}/syscall")
            nanosleep = ("230 ", "35 ") if os.uname().machine == "x86_64" else ("115 ", "101 ")
            try:
                wait_until(lambda: stack.read_text("ascii").startswith(nanosleep), "its sleep")
            except PermissionError as error:
                raise Skip("its system calls cannot be seen here") from error
            systemd.hear_all()
            check(not select.select([systemd.socket], [], [], 0.2)[0], "it hangs, and says that it runs")
            program.process.send_signal(signal.SIGABRT)  # what systemd does after WatchdogSec=
            program.finish(-signal.SIGABRT)


@case
def clients_wait_in_a_socket_of_systemd_until_the_service_runs():
    activate = harness.tool("systemd-socket-activate")
    with Manager() as systemd, harness.reserved_port() as port:
        program = Program(activate, "-l", f"[::]:{port}", f"--setenv=NOTIFY_SOCKET={systemd.address}",
            harness.example("line_service"))
        wait_until(lambda: harness.tcp_listeners(port), "the socket")
        with harness.connect(port) as peer:  # nobody serves yet
            peer.sendall(b"one\n")
            check_equal(systemd.hear(), f"STATUS=listening on [::]:{port}", "the status")
            check_equal(systemd.hear(), "READY=1", "the next")
            check_equal(harness.read_lines(peer, 1), [b"3"], "answer")
        program.signal()
        program.finish(0)


@case
def systemd_accepts_the_units():
    analyze = harness.tool("systemd-analyze")
    with tempfile.TemporaryDirectory() as folder:
        for path in FOLDER.glob("line_service.*"):
            text = path.read_text(encoding="ascii").replace("/usr/local/bin/line_service", harness.example("line_service"))
            if path.suffix in (".socket", ".service"):
                pathlib.Path(folder, path.name).write_text(text, encoding="ascii")
        check_equal(len(os.listdir(folder)), 2, "units")
        run = Program(analyze, "verify", "--man=no", f"{folder}/line_service.service", f"{folder}/line_service.socket")
        run.finish(0)
        check("line_service" not in run.errors, f"it says {run.errors!r}")


if __name__ == "__main__":
    harness.main()
