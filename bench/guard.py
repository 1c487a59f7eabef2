#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Fails when an echo, a session, a relayed connection or message, a client's connection or a request of duet costs more than
guard.json says:
guard.py <build>/bench [--record [WORD...]] records them anew, or those alone in whose names one of the words is.

Not by the clock, but by what repeats on any machine: instructions, system calls and allocations. And when a trace that
is not attached to a session makes an echo of it dearer at all.
"""

import json
import pathlib
import subprocess
import sys

import counts
import processes

RECORD = pathlib.Path(__file__).with_name("guard.json")
SKIPPED = 77
# How many echoes one wake-up brings depends on what else runs, and with it the share of epoll_wait.
TOLERANCE = {"instructions": 0.05, "syscalls": 0.2, "allocations": 0.05}
LEAST = 0.01  # of a call: less is not told apart from what happens now and then
SERVER, RELAY, CLIENT = processes.ECHO["duet_deadlines"][1], processes.RELAY["duet"][1], processes.CLIENT["duet_client"][1]
TOGETHER = 16  # requests under way on each connection
# Each is called with the programs.
MEASURES = {
    **{f"{key} per echo": lambda programs, measure=measure: measure(programs, SERVER)
        for key, measure in counts.MEASURES.items()},
    **{f"{key} per session": lambda programs, measure=measure: measure(programs, SERVER, **counts.SESSION)
        for key, measure in counts.MEASURES.items()},
    **{f"{key} per relayed connection": lambda programs, key=key: counts.of_relay(programs, RELAY, key)
        for key in counts.MEASURES},
    "instructions per relayed message": lambda programs: counts.of_relay(programs, RELAY, "instructions", mode="echo",
        numbers=counts.ECHOES),
    **{f"{key} per client's connection": lambda programs, key=key: counts.of_client(programs, CLIENT, key)
        for key in counts.MEASURES},
    **{f"{key} per request {what}": lambda programs, key=key, measure=measure, command=command: measure(
            programs, command, key, TOGETHER)
        for what, measure, command in (("answered", counts.of_answers, processes.ANSWER["duet_requests"][1]),
            ("asked", counts.of_questions, processes.ASK["duet_asking"][1]))
        for key in ("instructions", "allocations")},
}


# Of a single connection, where every echo has a wake-up of its own: the least of a few runs then repeats within this. On a
# busy machine it takes more of them.
SAME = 0.01
RUNS, MOST_RUNS = 3, 12


def compiler():
    try:
        return subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def measure(directory, words=()):
    programs = processes.Programs(directory)
    return {name: max(round(run(programs), 3), 0.0) for name, run in MEASURES.items()
        if not words or any(word in name for word in words)}


def compare(expected, found):
    """Yields a line per measure, and whether it is bad."""
    for name, value in found.items():
        if name not in expected:
            yield f"{name}: {value:.3f}: NOT RECORDED", True
            continue
        tolerance = TOLERANCE[name.split()[0]]
        limit = expected[name] * (1 + tolerance) + LEAST
        better = value < expected[name] * (1 - tolerance) - LEAST
        word = "TOO MUCH" if value > limit else "better: record it" if better else "as before"
        yield f"{name}: {value:.3f}, recorded {expected[name]:.3f}: {word}", value > limit


def compare_unattached(directory):
    """The same line, for a program that has a trace, to itself without one."""
    programs = processes.Programs(directory)
    without = unattached = float("inf")
    for run in range(MOST_RUNS):
        without, unattached = (
            min(least, counts.instructions(programs, processes.TRACED[name][1], connections=1))
            for name, least in (("none", without), ("unattached", unattached)))
        bad = unattached > without * (1 + SAME)
        if run + 1 >= RUNS and not bad:
            break
    word = "TOO MUCH" if bad else "the same"
    return f"instructions per echo beside a trace: {unattached:.3f}, without one {without:.3f}: {word}", bad


def main(directory, *options):
    missing = counts.missing_tools()
    if missing:
        print(f"bench_guard: skipped, since {' and '.join(missing)} cannot be run")
        return SKIPPED
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    if "--record" in options:
        words = options[options.index("--record") + 1:]
        if words and compiler() != record.get("compiler"):
            sys.exit(f"bench_guard: the record is of g++ {record.get('compiler')}: record all of it anew")
        known = {**(record if words else {}), **measure(directory, words)}
        known = {name: known[name] for name in MEASURES if name in known}
        RECORD.write_text(json.dumps({"compiler": compiler(), **known}, indent=2) + "\n")
        print(RECORD.read_text(), end="")
        return 0
    if compiler() != record.get("compiler"):
        print(f"bench_guard: skipped: the record is of g++ {record.get('compiler')}, this is {compiler()}")
        return SKIPPED
    failed = False
    for line, bad in (compare_unattached(directory), *compare(record, measure(directory))):
        print(line)
        failed |= bad
    if failed:
        print("If it is worth that: bench/guard.py <build>/bench --record, and say why in the commit.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
