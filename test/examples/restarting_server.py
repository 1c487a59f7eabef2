#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""restarting_server: no client notices a restart.

Precisely: clients connect all the time, and not one of them is refused, reset, or left without an answer.
"""

import os
import pathlib
import re
import shutil
import signal
import tempfile
import threading
import time

import harness
from harness import Server, case, check, check_equal


class Hammer:
    """Clients that connect, read to the end, and do it again; on threads of their own."""

    def __init__(self, port, count=8):
        self.port, self.answers, self.failures, self.slowest = port, [], [], 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        while not self._over.is_set():
            before = time.monotonic()
            try:
                with harness.connect(self.port) as peer:
                    self.answers.append(harness.read_all(peer))
            except (OSError, harness.Failure) as error:
                self.failures.append(error)
            self.slowest = max(self.slowest, time.monotonic() - before)

    def finish(self):
        self._over.set()
        for thread in self._threads:
            thread.join(harness.time_left())
        check_equal(self.failures, [], "what clients met")
        wrong = [answer for answer in self.answers if not re.fullmatch(rb"served by \d+\n", answer)]
        check_equal(wrong, [], "answers")


def serving_process(port):
    with harness.connect(port) as peer:
        return int(re.fullmatch(rb"served by (\d+)\n", harness.read_all(peer)).group(1))


def has_ended(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return True
    return re.search(r"^State:\s*Z", status, re.M) is not None  # perhaps nobody waits for it


def restart(server, pid):
    """Returns the successor's number when it serves alone."""
    os.kill(pid, signal.SIGUSR2)
    server.expect(r"^listening on ")
    harness.wait_until(lambda: has_ended(pid), "the end of the predecessor")
    successor = serving_process(server.port)
    check(successor != pid, "the old process answers")
    return successor


def restart_under_load(*options, restarts=6):
    server = Server("restarting_server", *options)
    pid = serving_process(server.port)
    check_equal(pid, server.pid, "who serves first")
    hammer = Hammer(server.port)
    for _ in range(restarts):
        seen = len(hammer.answers)
        pid = restart(server, pid)
        harness.wait_until(lambda: len(hammer.answers) > seen + 100, "clients after the restart")
    hammer.finish()
    os.kill(pid, signal.SIGTERM)
    server.finish()  # its successors have its output, so this waits for the last of them
    reports = re.findall(r"^duet: drained: \d+ finished, (\d+) aborted$", server.errors, re.M)
    check_equal(reports, ["0"] * (restarts + 1), "aborted sessions")
    check(harness.tcp_listeners(server.port) == 0, "a listener is left")
    return hammer


@case
def command_line():
    harness.check_command_line("restarting_server", "--port", "--threads", "--share", "--replaces")
    harness.check_port_in_use("restarting_server")
    harness.check_port_in_use("restarting_server", "--threads", "2")


@case
def the_listener_is_handed_over():
    hammer = restart_under_load()
    check(hammer.slowest < 10, f"a client waited for {hammer.slowest} s")


@case
def the_listeners_of_two_threads_are_handed_over():
    restart_under_load("--threads", "2")


@case
def the_port_is_shared():
    restart_under_load("--share=1")


@case
def the_port_is_shared_by_two_threads_each():
    restart_under_load("--share=1", "--threads", "2")


@case
def a_successor_that_does_not_start_changes_nothing():
    """The program is gone when the signal comes."""
    with tempfile.TemporaryDirectory() as directory:
        copy = shutil.copy(harness.example("restarting_server"), directory)
        server = Server(copy)
    server.signal(signal.SIGUSR2)
    server.expect_error(r"restarting_server: .*No such file or directory")
    check_equal(serving_process(server.port), server.pid, "who serves")
    server.stop()


if __name__ == "__main__":
    harness.main()
