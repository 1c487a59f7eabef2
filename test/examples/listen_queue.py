#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""queue: each act shows what it is there for, in the numbers of the kernel and in what the clients see."""

import re
import subprocess

import harness
from harness import Program, Skip, case, check, check_equal

NO_PERMISSION = 77
ACTS = ["half_open", "overflow", "lost_ack", "syn_flood", "syn_cookies", "shed"]


class Line:
    """A line of the table."""

    def __init__(self, text):
        self.text = text
        words = re.split(r"\s{2,}", text.strip())
        check_equal(len(words), 8, f"columns of {text!r}")
        self.step, self.clients = words[0], words[7]
        self.half_open, self.overflows, self.drops = (int(words[column]) for column in (1, 3, 4))
        self.length, self.limit = (int(number) for number in words[2].split("/"))
        self.full_drops, self.full_cookies = (int(number) for number in words[5].split("/"))
        self.sent, self.received, self.failed = (int(number) for number in words[6].split("/"))

    def count(self, fate):
        """How many clients have seen this."""
        found = re.search(rf"(\d+) {fate}", self.clients)
        return int(found[1]) if found else 0


def play(act, *arguments):
    """The lines of the act, and what the program says about it in the end."""
    program = Program(harness.example("queue"), "--act", act, *arguments)
    program.process.wait(harness.time_left())
    if program.process.returncode == NO_PERMISSION:
        check("namespace" in program.errors or "parameter" in program.errors, f"it said {program.errors!r}")
        raise Skip(program.errors.strip())
    said = program.finish().decode()
    table, ending = said.split("SYN_RECV   handshakes")
    lines = [Line(line) for line in table.splitlines() if re.search(r"\d+/\d+/\d+", line)]
    summary = re.search(rf"^- {act}: (.*)\.$", ending, re.M)
    check(summary, f"it says nothing about {act}: {said}")
    return lines, summary[1]


@case
def command_line():
    harness.check_command_line("queue", "--act", "--acts", "--patience")
    listed = Program(harness.example("queue"), "--acts").finish().decode()
    check_equal([line.split()[0] for line in listed.splitlines()], ACTS, "the list of the acts")
    unknown = Program(harness.example("queue"), "--act", "nothing")
    unknown.finish(2)
    check(unknown.errors.startswith("queue: ") and "--acts" in unknown.errors, f"it said {unknown.errors!r}")


@case
def without_namespaces_it_says_so():
    # As root, without the capability; as somebody else, where user namespaces are not allowed, as in a chroot.
    def play(*words):
        return subprocess.run([harness.tool("setpriv"), "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", *words,
                               harness.example("queue")], capture_output=True, check=False, timeout=harness.time_left())

    done = play("unshare", "--user", "sh", "-c", 'echo 0 > /proc/sys/user/max_net_namespaces; exec "$0"')
    if b"unshare failed" in done.stderr:
        done = play()
    if b"namespace is refused" not in done.stderr:
        raise Skip(f"namespaces cannot be forbidden here: {done.stderr.decode().strip()}")
    check_equal(done.returncode, NO_PERMISSION, "status")
    check_equal(done.stdout, b"", "it prints nothing else")


@case
def half_open_handshakes_are_beside_the_accept_queue():
    lines, _ = play("half_open")
    check_equal([line.half_open for line in lines], [0, 5, 5], "handshakes")
    check_equal([line.length for line in lines], [0, 0, 0], "the accept queue")
    check_equal(lines[-1].count("served"), 1, "clients that are served")


@case
def a_full_accept_queue_drops_syns():
    lines, summary = play("overflow", "--patience", 100)
    first, full, dropped, patient, last = lines
    check_equal((first.count("served"), first.length), (2, 0), "clients up to max_sessions")
    check_equal((full.count("connected"), full.length, full.limit, full.overflows), (5, 5, 4, 0), "a full queue")
    check_equal((dropped.count("timed out"), dropped.overflows >= 3, dropped.drops >= 3), (3, True, True), dropped.text)
    check(patient.overflows > dropped.overflows and patient.count("without an answer") == 1, patient.text)
    check_equal((last.count("served"), last.length), (2, 5), "once a session has ended")
    waited = int(re.search(r"waited (\d+) ms", summary)[1])
    check(waited >= 900, f"the SYN is sent again after a second, not after {waited} ms")


@case
def a_last_ack_is_dropped_too():
    lines, _ = play("lost_ack")
    begun, *_, dropped, reset = lines
    check_equal((begun.half_open, begun.length), (1, 0), "a handshake that is not complete")
    check_equal((dropped.half_open, dropped.length, dropped.count("connected, which the server does not know")), (1, 5, 1),
                "a client alone knows of the connection")
    check(dropped.overflows >= 1, dropped.text)
    check_equal((reset.half_open, reset.count("reset")), (0, 1), "with tcp_abort_on_overflow")


@case
def a_flood_without_cookies():
    lines, _ = play("syn_flood", "--patience", 100)
    first, flooded, last = lines
    check_equal(first.count("served"), 1, "clients before")
    check(flooded.half_open in (16, 17), flooded.text)  # the limit has moved by one between versions of Linux
    check_equal(flooded.half_open + flooded.full_drops, 100, "false SYNs")
    check_equal((last.count("served"), last.count("timed out"), last.length, last.sent), (1, 2, 0, 0), "clients meanwhile")


@case
def a_flood_with_cookies():
    lines, _ = play("syn_cookies")
    _, flooded, served, false = lines
    check_equal(flooded.half_open + flooded.full_cookies, 100, "false SYNs")
    check_equal((flooded.sent, flooded.received), (flooded.full_cookies, 0), "cookies")
    check_equal((served.count("served"), served.received - flooded.received), (3, 2), "clients that come with a cookie")
    check_equal((served.failed, false.failed), (0, 10), "false cookies")


@case
def shed_tells_clients_at_once():
    lines, _ = play("shed")
    _, more, all_, flooded, last = lines
    check_equal((more.count("reset"), all_.count("reset")), (5, 8), "clients that are told")
    for line in lines:
        check_equal((line.length, line.overflows, line.count("connected"), line.count("timed out")), (0, 0, 0, 0), line.text)
    check(flooded.half_open in (4, 5) and flooded.sent > 0, flooded.text)
    check_equal((last.count("served"), last.received), (2, 1), "a client, once a session has ended")


if __name__ == "__main__":
    harness.main()
