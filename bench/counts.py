# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""What an echo and a whole session cost that does not depend on the clock: instructions, system calls, allocations.

Each is the difference of two runs with different numbers of them, so that beginning and ending cancel out.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import processes

ECHOES = (6400, 19200)
SESSIONS = (640, 1920)
SIZE = {"connections": 64, "size": 64}
ONE_CORE = processes.ONE_CORE


def per_one(run, numbers=ECHOES):
    few, many = (run(number) for number in numbers)
    return (many - few) / (numbers[1] - numbers[0])


def instructions(programs, command, mode="echo", numbers=ECHOES, **options):
    """User instructions, by callgrind."""
    def run(echoes):
        before = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        with processes.Server(programs, command, before=before) as server:
            processes.run_load(programs, mode, server, **{**SIZE, **options}, lockstep=1, echoes=echoes)
        return int(re.search(rb"Collected : (\d+)", server.told).group(1))
    return per_one(run, numbers)


def syscalls(programs, command, lockstep=1, mode="echo", numbers=ECHOES, **options):
    """Every system call, by strace. It slows the server down, so there may be fewer echoes to a wake-up, or more."""
    def run(echoes):
        with tempfile.NamedTemporaryFile() as summary:
            before = ["strace", "-f", "-c", "-o", summary.name, "--"]
            with processes.Server(programs, command, ONE_CORE, before=before) as server:
                processes.run_load(programs, mode, server, ONE_CORE, **{**SIZE, **options}, lockstep=lockstep,
                    echoes=echoes)
                server.stop(server.own_pid())
            return by_name(pathlib.Path(summary.name).read_text())["total"]
    return per_one(run, numbers)


def by_name(summary):
    """What `strace -c` has counted: of each system call, and the `total`."""
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", summary, re.M)
    return {"total": 0, **{name: int(count) for count, name in rows}}


def calls(programs, command, lockstep=0, mode="echo", numbers=ECHOES, **options):
    """Allocations and system calls, by count_calls.c: the server runs as it does when it is timed."""
    with tempfile.NamedTemporaryFile() as count:
        environment = {"LD_PRELOAD": str(programs.directory / "libcount_calls.so"), "BENCH_COUNT": count.name}
        with processes.Server(programs, command, ONE_CORE, environment=environment) as server:
            def run(echoes):
                begin = read_counts(count.name)
                processes.run_load(programs, mode, server, ONE_CORE, **{**SIZE, **options}, lockstep=lockstep,
                    echoes=echoes)
                return [now - then for now, then in zip(read_counts(count.name), begin)]
            run(numbers[0])  # what is only allocated once
            few, many = (run(number) for number in numbers)
            return [(b - a) / (numbers[1] - numbers[0]) for a, b in zip(few, many)]


def read_counts(name):
    both = pathlib.Path(name).read_bytes()
    return [int.from_bytes(both[i:i + 8], "little") for i in (0, 8)]


def allocations(programs, command, **options):
    """Calls of malloc and its like; of no meaning for what brings an allocator of its own."""
    return calls(programs, command, lockstep=1, **options)[0]


MEASURES = {"instructions": instructions, "syscalls": syscalls, "allocations": allocations}
# Options of a measure that make it one of whole sessions: connect, one message, half-close, end; 64 at once.
SESSION = {"mode": "connect", "numbers": SESSIONS}


def missing_tools():
    """Those that are not there, or may not do their work here."""
    return [name for name, command in (("valgrind", ["valgrind", "-q", "true"]),
        ("strace", ["strace", "-o", os.devnull, "true"])) if not works(command)]


def works(command):
    return shutil.which(command[0]) and subprocess.run(command, capture_output=True, check=False).returncode == 0
