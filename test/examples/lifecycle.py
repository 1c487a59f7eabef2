#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""lifecycle: each scene happens, its picture shows what it is there for, and it is written in each format."""

import contextlib
import json
import pathlib
import re
import subprocess
import tempfile
import xml.etree.ElementTree

import harness
from harness import Program, Skip, case, check, check_equal

NO_PERMISSION = 77
MAGIC = bytes.fromhex("0a0d0d0a")  # how pcapng begins

# What the pictures of a scene say, one for each connection, in this order. Bare acknowledgements are left out.
HANDSHAKE = ["SYN", "SYN, ACK"]
GREETING = [*HANDSHAKE, "write 6 bytes", "FIN, ACK", "close", "FIN, ACK"]
SCENES = {
    "whole_flow": [["both ends finished, the client first", *HANDSHAKE, "write 5 bytes", "read_until: 5 bytes", "write 9 bytes",
                    "shutdown_send", "FIN, ACK", "read_until: end", "CLOSE_WAIT", "PSH, ACK 11 bytes", "TIME_WAIT", "FIN, ACK",
                    "close", "LAST_ACK", "read_all: 11 bytes", "read_all: end"]],
    "question_answer": [["both ends finished, the client first", *HANDSHAKE, "write 5 bytes", "read_until: 5 bytes",
                         "write 9 bytes", "write 5 bytes", "read_until: 5 bytes", "write 9 bytes", "close", "FIN, ACK",
                         "read_until: end", "FIN, ACK"]],
    "half_close": [["both ends finished, the client first", *HANDSHAKE, "write 3 bytes", "write 3 bytes", "shutdown_send",
                    "FIN, ACK", "read_all: 6 bytes", "read_all: end", "write 6 bytes", "FIN, ACK", "read_all: 6 bytes"]],
    "full_duplex": [["both ends finished", *HANDSHAKE, "FIN, ACK", "FIN, ACK"]],
    "abort": [["aborted by the server", "receive: Connection reset by peer", *HANDSHAKE, "write 21 bytes", "RST, ACK", "abort"]],
    "unread_input_by_hand": [["reset by the server", "received 0, sent 1007 bytes", *HANDSHAKE, "PSH, ACK 1007 bytes",
                              "by hand: send()", "22; close() with 1000", "RST"]],
    "unread_input": [["both ends finished, the server first", "received 22, sent 1007 bytes", "discarded 1000", *HANDSHAKE,
                      "PSH, ACK 1007 bytes", "write 22 bytes", "FIN, ACK", "read_all: 22 bytes", "read_all: end", "FIN, ACK"]],
    "simultaneous_close": [["both ends finished", *HANDSHAKE, "FIN, ACK", "FIN, ACK"]],
    "peer_vanishes": [["the server no longer answered", "unacknowledged 1", *HANDSHAKE, "read: 1 byte", "PSH, ACK 1 byte",
                       "nobody", "read: the peer"]],
    "keep_alive": [["the server no longer answered", "Connection timed out", *HANDSHAKE, "machine is off", "read: the peer"]],
    "zero_window": [["both ends finished, the server first", "received 32000, sent 0 bytes", *HANDSHAKE, "write 32 kB",
                     "is busy", "read_all: end", "FIN, ACK"]],
    "backlog_overflow": [["both ends finished, the server first", "SYN", "the queue has 2 of 1", "ListenOverflows",
                          *GREETING[1:]]],
    "syn_flood": [["connect failed: connect deadline passed", "SYN", "SYNs dropped: ", "SYN", "connect: connect deadline"]],
    "syn_cookies": [["both ends finished, the server first", *GREETING[:4], "SYN cookies: ", "sent, 1 came", *GREETING[5:]]],
    "refused": [["connect failed: Connection refused", "SYN", "RST, ACK"]],
    "happy_eyeballs": [["connect failed: Operation canceled", "SYN"], ["both ends finished, the server first", *GREETING]],
    "time_wait": [["both ends finished, the server first", *HANDSHAKE, "FIN, ACK", "FIN, ACK", "TIME_WAIT"],
                  ["both ends finished, the server first", *HANDSHAKE, "Address", "already in use", "it listens"]],
    "reset_in_queue": [["aborted by the client", "receive: Connection reset by peer", *HANDSHAKE, "abort", "RST, ACK", "accept",
                        "read_all: 11 bytes", "read_all: Connection reset"]],
}

# What only a capture shows.
CAPTURED = {
    "unread_input_by_hand": [["PSH, ACK 22 bytes", "RST, ACK", "the network"]],
    "unread_input": [["22 bytes lost", "FIN, ACK", "22 bytes", "read_all: 22 bytes"]],
    "simultaneous_close": [["FIN, ACK lost", "FIN, ACK lost", "lost both", "FIN, ACK", "CLOSING", "FIN, ACK", "TIME_WAIT"]],
    "peer_vanishes": [["1 byte lost"] * 3 + ["RST, ACK"]],
    "keep_alive": [["read ", "keep-alive probe", "answers probe", "machine is off", "keep-alive probe", "RST, ACK"]],
    "backlog_overflow": [["SYN", "accepts again", "━ SYN", "SYN, ACK"]],
    "zero_window": [["is busy", "zero window", "zero-window probe", "answers probe", "read_all: "]],
}
PRIVILEGED = ("syn_flood", "syn_cookies")


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory() as path:
        yield pathlib.Path(path)


def run(*words, status=0):
    """Returns (standard output, standard error)."""
    program = Program(harness.example("lifecycle"), *words)
    said = program.finish(status).decode()
    return said, program.errors


def in_order(text, words):
    """Each of the words is in the text, behind the one before."""
    at = 0
    for word in words:
        found = text.find(word, at)
        check(found >= 0, f"{word!r} is not there, or not in its place, in\n{text}")
        at = found + len(word)


def pictures(said):
    """What a scene has printed: what it is about, and the picture of each connection."""
    about, *rest = said.split("\n\n")
    drawn, title = [], ""
    for part in rest:
        if "│" in part:
            drawn.append(title + "\n" + part)
        title = part
    return about, drawn


def events(path):
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    check_equal(lines[0]["line"], "duet_trace", "the first line of the trace")
    return [line for line in lines if line["line"] == "event"]


def check_scene(name, said, segments, expected):
    about, drawn = pictures(said)
    check(2 <= len(about.splitlines()) <= 3, f"it explains itself with {about!r}")
    check_equal(len(drawn), len(SCENES[name]), f"pictures of {name}")
    for picture, words in zip(drawn, expected):
        in_order(picture, words)
    check_equal(said.count(segments), len(drawn), f"pictures of {name} that say '{segments}'")


def play_all(*words):
    """All scenes at once, as most of their time is spent waiting: (name, program)."""
    return [(name, Program(harness.example("lifecycle"), "--scene", name, *words)) for name in SCENES]


def was_allowed(program):
    program.process.wait(harness.time_left())
    if program.process.returncode != NO_PERMISSION:
        return True
    program.finish(NO_PERMISSION)
    check("namespace" in program.errors and "try 'unshare" in program.errors, f"it said {program.errors!r}")
    check(not program.said, f"it printed {program.said!r}")
    return False


@case
def command_line():
    harness.check_command_line("lifecycle", "--scene", "--scenes", "--diagram", "--pcap", "--trace", "--tap")
    for words in (["--scene", "nothing"], ["--scene", ""], ["--diagram", "picture.gif"], ["--diagram=svg"]):
        said, errors = run(*words, status=2)
        check_equal(said, "", f"what it says to {words}")
        check(errors.startswith("lifecycle: ") and "--" in errors and errors.count("\n") == 1, f"{words}: {errors!r}")


@case
def files_that_cannot_be_written():
    for option, name in (("--diagram", "out.svg"), ("--pcap", "out.pcapng"), ("--trace", "out.jsonl")):
        _, errors = run(option, f"/nonexistent/{name}", status=1)
        check(errors.startswith(f"lifecycle: /nonexistent/{name}: ") and errors.count("\n") == 1, f"it said {errors!r}")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([harness.example("lifecycle")], stdout=full, stderr=subprocess.PIPE, check=False)
    check_equal(done.returncode, 1, "status, if standard output is full")
    check(b"cannot be written" in done.stderr, f"it said {done.stderr!r}")


@case
def all_are_listed():
    said, _ = run("--scenes")
    listed = [line.split(None, 1) for line in said.splitlines()]
    check_equal([name for name, _ in listed], list(SCENES), "the list of the scenes")
    check(all(title.strip() for _, title in listed), "each has a line about it")


@case
def every_scene():
    refused = []
    for name, program in play_all():
        if name in PRIVILEGED and not was_allowed(program):
            refused.append(program)
            continue
        said = program.finish().decode()
        check_equal(program.errors, "", f"errors of {name}")
        check_scene(name, said, "╌▶ inferred", SCENES[name])
    if refused:
        raise Skip(refused[0].errors.strip())


@case
def every_scene_captured():
    for name, program in play_all("--tap"):
        if not was_allowed(program):
            raise Skip(program.errors.strip())
        said = program.finish().decode()
        check_scene(name, said, "━▶ captured", SCENES[name])
        check_scene(name, said, "━▶ captured", CAPTURED.get(name, []))


@case
def every_format():
    with folder() as here:
        for ending in ("svg", "html", "mmd", "md", "txt"):
            said, _ = run("--scene", "half_close", "--diagram", here / f"out.{ending}")
            check_equal(said, f"{here}/out.{ending}\n", "it names what it writes")
            text = (here / f"out.{ending}").read_text(encoding="utf-8")
            in_order(text, ["FIN is its whole protocol", "FIN, ACK"] if ending != "md" else ["| call |", "shutdown_send", "FIN"])
        xml.etree.ElementTree.parse(here / "out.svg")
        said, _ = run("--scene", "half_close", "--diagram", here / "a.txt", "--pcap", here / "a.pcapng", "--trace",
                      here / "a.jsonl")
        check_equal(said.split(), [f"{here}/a.{ending}" for ending in ("txt", "pcapng", "jsonl")], "it names all of them")
        check((here / "a.pcapng").read_bytes().startswith(MAGIC), "packets")
        kinds = [(event["kind"], event.get("name", "")) for event in events(here / "a.jsonl")]
        check(("call", "shutdown_send") in kinds and ("transfer", "peer_fin") in kinds, f"the trace has {kinds}")


@case
def a_file_for_each_connection():
    with folder() as here:
        said, _ = run("--scene", "happy_eyeballs", "--diagram", here / "out.svg", "--pcap", here / "out.pcapng")
        names = [f"{here}/{name}" for name in ("out.svg", "out-2.svg", "out.pcapng", "out-2.pcapng")]
        check_equal(said.split(), names, "what it has written")
        for number in (1, 2):
            text = pathlib.Path(names[number - 1]).read_text(encoding="utf-8")
            check(f", connection {number}" in text, f"{names[number - 1]} is not that of connection {number}")


@case
def captured_files():
    with folder() as here:
        program = Program(harness.example("lifecycle"), "--tap", "--scene", "abort", "--pcap", here / "a.pcapng", "--trace",
                          here / "a.jsonl")
        if not was_allowed(program):
            raise Skip(program.errors.strip())
        program.finish()
        check((here / "a.pcapng").read_bytes().startswith(MAGIC), "packets")
        segments = [event for event in events(here / "a.jsonl") if event["kind"] == "segment"]
        flags = [event["segment"]["flags"] for event in segments]
        check(flags[:3] == [["SYN"], ["SYN", "ACK"], ["ACK"]] and flags[-1] == ["RST", "ACK"], f"it has captured {flags}")
        check(["FIN", "ACK"] not in flags, f"abort() sends no FIN: {flags}")


@case
def colours_for_a_terminal_alone():
    said, _ = run()
    check("\033" not in said, "colours in a pipe")
    check(re.search(r"^whole_flow|From handshake", said, re.M), f"it plays the whole flow: {said!r}")


harness.main()
