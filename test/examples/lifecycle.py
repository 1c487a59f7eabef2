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

# What a picture says, in this order; "#" stands for a number. Bare acknowledgements are left out.
HANDSHAKE = ["SYN", "SYN, ACK"]
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
    "refused": [["connect failed: Connection refused", "SYN", "RST, ACK"]],
}


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


def tap_or_skip(*words):
    """Run with --tap, where that is allowed."""
    program = Program(harness.example("lifecycle"), "--tap", *words)
    program.process.wait(harness.time_left())
    if program.process.returncode == NO_PERMISSION:
        program.finish(NO_PERMISSION)
        check("unshare" in program.errors and not program.said, f"it said {program.errors!r}")
        raise Skip(program.errors.strip())
    return program.finish().decode()


def check_scene(name, said, segments):
    about, drawn = pictures(said)
    check(2 <= len(about.splitlines()) <= 3, f"it explains itself with {about!r}")
    check_equal(len(drawn), len(SCENES[name]), f"pictures of {name}")
    for picture, words in zip(drawn, SCENES[name]):
        in_order(picture, words)
    check_equal(said.count(segments), len(drawn), f"pictures of {name} that say '{segments}'")


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
    for name in SCENES:
        said, errors = run("--scene", name)
        check_equal(errors, "", f"errors of {name}")
        check_scene(name, said, "╌▶ inferred")


@case
def every_scene_captured():
    for name in SCENES:
        check_scene(name, tap_or_skip("--scene", name), "━▶ captured")


@case
def every_format():
    with folder() as here:
        for ending in ("svg", "html", "mmd", "txt"):
            said, _ = run("--scene", "half_close", "--diagram", here / f"out.{ending}")
            check_equal(said, f"{here}/out.{ending}\n", "it names what it writes")
            text = (here / f"out.{ending}").read_text(encoding="utf-8")
            in_order(text, ["FIN is its whole protocol", "FIN, ACK"])
        xml.etree.ElementTree.parse(here / "out.svg")
        said, _ = run("--scene", "half_close", "--diagram", here / "a.txt", "--pcap", here / "a.pcapng", "--trace",
                      here / "a.jsonl")
        check_equal(said.split(), [f"{here}/a.{ending}" for ending in ("txt", "pcapng", "jsonl")], "it names all of them")
        check((here / "a.pcapng").read_bytes().startswith(MAGIC), "packets")
        kinds = [(event["kind"], event.get("name", "")) for event in events(here / "a.jsonl")]
        check(("call", "shutdown_send") in kinds and ("transfer", "peer_fin") in kinds, f"the trace has {kinds}")


@case
def captured_files():
    with folder() as here:
        tap_or_skip("--scene", "abort", "--pcap", here / "a.pcapng", "--trace", here / "a.jsonl")
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
