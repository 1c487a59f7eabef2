#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""live: frames through a slow link over TCP and UDP; each is accounted for, and the bound for what waits does its work."""

import pathlib
import re
import tempfile
import xml.etree.ElementTree

import harness
from harness import Program, Skip, case, check, check_equal


def run(*arguments):
    """The lines for each transport, in their order, and the picture."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "live.svg")
        program = Program(harness.example("live"), "--out", path, *arguments)
        program.process.wait(harness.time_left())
        if program.process.returncode == harness.SKIPPED or re.search("/dev/net/tun|TUN device", program.errors):
            raise Skip(program.errors.strip())
        said = program.finish().decode()
        picture = xml.etree.ElementTree.fromstring(path.read_text(encoding="utf-8"))
    frames = {name: re.findall(rf"^{name} \d+ (.*)$", said, re.M) for name in ("tcp", "tcp-drop", "udp")}
    return frames, picture, said


def latencies(frames):
    return [float(fate.removesuffix(" ms")) for fate in frames if fate.endswith(" ms")]


@case
def command_line():
    harness.check_command_line("live", "--seconds", "--fps", "--frame", "--rate", "--delay", "--queue", "--loss", "--seed",
                               "--steady", "--out", "--quiet")


@case
def late_frames_are_dropped_instead_of_queued():
    # The link takes about half of the frames.
    frames, picture, said = run("--seconds", 2, "--rate", 60_000, "--frame", 4000, "--loss", 0)
    for name, fates in frames.items():
        check_equal(len(fates), 50, f"frames of {name}")
    check_equal(len(latencies(frames["tcp"])), 50, "frames that TCP delivers")
    check("lost" not in frames["tcp-drop"], "TCP has lost a frame that it was given")
    check(frames["tcp-drop"].count("dropped") >= 5, said)
    check("dropped" not in frames["udp"], "UDP's sender waits for nobody")
    check("lost" in frames["udp"], "UDP loses what the link does not take")
    check(max(latencies(frames["tcp-drop"])) < max(latencies(frames["tcp"])), said)
    circles = len(picture.findall(".//{http://www.w3.org/2000/svg}circle"))
    check_equal(circles, sum(len(latencies(fates)) for fates in frames.values()), "points of the picture")


@case
def a_good_link_loses_nothing():
    frames, picture, _ = run("--steady", "--seconds", 1, "--rate", 100_000_000, "--queue", 1_000_000, "--delay", 1, "--loss", 0,
                             "--fps", 20)
    for name in ("tcp", "udp"):
        check_equal(len(latencies(frames[name])), 20, f"frames that arrive of {frames[name]} over {name}")
    check("lost" not in frames["tcp-drop"], f"over TCP, a frame that was sent is lost: {frames['tcp-drop']}")
    check(not [text for text in picture.itertext() if "nothing arrives" in text], "the picture tells of an outage")


if __name__ == "__main__":
    harness.main()
