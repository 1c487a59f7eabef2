#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Measures duet next to its peers. See ./dev bench, and docs/performance.md for what came out."""

import argparse
import datetime
import json
import pathlib
import sys

import compiling
import counts
import machine
import memory
import processes
import scenarios
import tables

HERE = pathlib.Path(__file__).resolve().parent
CALLGRIND = ("epoll", "libuv", "tokio", "duet", "duet_deadlines", "asio_callbacks", "asio_awaitable", "libevent")
AROUND_LIBC = ("uring", "go")  # their system calls are counted by strace
OWN_ALLOCATOR = ("go", "node")
QUIET = 0.3


def say(text):
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("how", nargs="?", choices=("full", "quick"), default="full", help="quick: under five minutes")
    parser.add_argument("--only", default="", help="names of what is measured, or parts of them, with commas between: "
        "echo_1 echo_64 echo_1000 echo_10000 pipelined large connect faults bulk relay requests client tls two_cores counts idle compile")
    parser.add_argument("--rounds", type=int, help="of each scenario (full: 7, quick: 3)")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md's tables and plots")
    parser.add_argument("--onto", type=pathlib.Path, metavar="FILE", help="begin with the results of an earlier run, of "
        "which what is measured anew takes the place of its like")
    parser.add_argument("--build", default=HERE.parent / "build" / "bench" / "bench", help="where the programs are")
    return parser.parse_args()


def measure_counts(programs, quick):
    rows = {}
    for name in programs.those_there(processes.ECHO):
        row = rows[name] = {}
        for connections in (64,) if quick else (64, 1):
            say(f"counting: {name}, {connections} connections")
            for key, value in count(programs, name, connections):
                row[f"{key}_{connections}"] = value
    return rows


def count(programs, name, connections):
    """Yields what can be counted of this server: what it is, and how much of it an echo takes."""
    command = processes.ECHO[name][1]
    try:
        if name in CALLGRIND:
            yield "instructions", counts.instructions(programs, command, connections=connections)
        allocations, calls = counts.calls(programs, command, connections=connections)
        if name in AROUND_LIBC:
            calls = counts.syscalls(programs, command, lockstep=0, connections=connections)
        yield "syscalls", calls
        if name not in OWN_ALLOCATOR:
            yield "allocations", allocations
    except (processes.Failed, AttributeError, OSError) as problem:
        print(f"\nbench: {name} was not counted: {problem}")


def measure_sessions(programs):
    rows = {}
    for name in programs.those_there(processes.ECHO):
        row = rows[name] = {}
        for key, measure in counts.MEASURES.items():
            if (key == "instructions" and name not in CALLGRIND) or (key == "allocations" and name in OWN_ALLOCATOR):
                continue
            say(f"counting {key} of a session: {name}")
            try:
                row[key] = measure(programs, processes.ECHO[name][1], **counts.SESSION)
            except (processes.Failed, AttributeError, OSError) as problem:
                print(f"\nbench: {key} of a session of {name} were not counted: {problem}")
    return rows


def measure_connections(programs, table, measure):
    """Of those of the table that can be counted: HAProxy brings an allocator of its own."""
    rows = {}
    for name in programs.those_there(table):
        row = rows[name] = {}
        for key in counts.MEASURES if name != "haproxy" else ("syscalls",):
            say(f"counting {key} of a connection: {table[name][0]}")
            try:
                row[key] = measure(programs, table[name][1], key)
            except (processes.Failed, AttributeError, OSError) as problem:
                print(f"\nbench: {key} of a connection of {name} were not counted: {problem}")
    return rows


def measure_requests(programs):
    rows = {}
    for depth in processes.UNDER_WAY:
        of_depth = rows[str(depth)] = {}
        for table, measure in ((processes.ANSWER, counts.of_answers), (processes.ASK, counts.of_questions)):
            of_depth.update(measure_connections(programs, table,
                lambda programs, command, key: measure(programs, command, key, depth)))
    return rows


def measure_idle(programs, sizes, descriptors):
    result = {}
    for connections in sizes:
        for name in programs.those_there(processes.IDLE):
            say(f"idle: {name}, {connections} connections")
            try:
                result.setdefault(name, {})[str(connections)] = memory.per_session(
                    programs, name, connections, descriptors)
            except processes.Failed as problem:
                print(f"\nbench: idle, {name}: {problem}")
    return result


def measure_idle_tls(programs):
    result = {}
    there = [name for name in programs.those_there(processes.TLS) if name != "tls_haproxy"]
    for name in there if programs.find("tls_load") else []:
        say(f"idle: {name}")
        try:
            result[name] = {"2000": memory.per_session(programs, name, 2000, 10_000)}
        except processes.Failed as problem:
            print(f"\nbench: idle, {name}: {problem}")
    return result


def main():
    options = arguments()
    machine.enter_namespace()
    processes.end_on_sigterm()
    quick = options.how == "quick"
    programs = processes.Programs(options.build)
    only = [word for word in options.only.split(",") if word]

    def wanted(key):
        return not only or key in only or any(word in key for word in only if not word[-1].isdigit())

    told = machine.describe()
    date = datetime.datetime.now().isoformat(timespec="seconds")
    run = {"date": date, "command": " ".join(["./dev bench", *sys.argv[1:]]), "load": told["load_at_start"]}
    result = json.loads(options.onto.read_text()) if options.onto else {"runs": [], "scenarios": {}}
    result |= {"machine": told, "left_out": {}}
    result["runs"].append(run)
    for table in (processes.ECHO, processes.FRAMES, processes.BULK, processes.RELAY, processes.CLIENT, processes.TLS):
        for name in programs.missing(table):
            result["left_out"][table[name][0]] = f"{table[name][1][0]} is not there"
            print(f"bench: left out: {table[name][0]}: {table[name][1][0]} is not there")
    if not told["own_network"]:
        print("bench: no network namespace of our own, so under the system's settings: "
            f"congestion control {told['congestion_control']}")
    if told["load_at_start"] > QUIET:
        print(f"bench: the machine is busy (load {told['load_at_start']:.1f}): what the clock says is worth little")

    rounds = options.rounds or (3 if quick else 7)
    every = (scenarios.load_scenarios(programs, quick) + scenarios.bulk_scenarios(programs, quick) +
        scenarios.frame_scenarios(programs, quick) + scenarios.relay_scenarios(programs, quick) +
        scenarios.client_scenarios(programs, quick) + scenarios.request_scenarios(programs, quick) +
        scenarios.tls_scenarios(programs, quick) + scenarios.two_core_scenario(programs, quick))
    for scenario in every:
        if wanted(scenario.key) and scenario.names:
            result["scenarios"][scenario.key] = scenario.measure(rounds, say)
            tables.show(tables.scenario_table(result["scenarios"][scenario.key]))
    if wanted("counts"):
        missing = counts.missing_tools()
        if missing:
            print(f"bench: nothing is counted without {' and '.join(missing)}")
        else:
            result["counts"] = measure_counts(programs, quick)
            tables.show(tables.counts_table(result["counts"]))
            if not quick:
                result["session_counts"] = measure_sessions(programs)
                tables.show(tables.session_counts_table(result["session_counts"]))
            result["relay_counts"] = measure_connections(programs, processes.RELAY, counts.of_relay)
            tables.show(tables.relay_counts_table(result["relay_counts"]))
            result["client_counts"] = measure_connections(programs, processes.CLIENT, counts.of_client)
            tables.show(tables.client_counts_table(result["client_counts"]))
    if wanted("requests_counts") and not quick and not counts.missing_tools():
        result["requests_counts"] = measure_requests(programs)
        tables.show(tables.request_counts_table(result["requests_counts"]))
    if wanted("idle"):
        result["idle"] = measure_idle(programs, (10_000,) if quick else (10_000, 100_000), told["descriptors"])
        tables.show(tables.idle_table(result["idle"]))
        result["idle_tls"] = measure_idle_tls(programs)
        tables.show(tables.idle_tls_table(result["idle_tls"]))
    if wanted("compile"):
        result["compile"] = compiling.measure(1 if quick else min(rounds, 5), say)
        tables.show(tables.compile_table(result["compile"]))

    target = HERE / "results" / f"{date.replace(':', '')}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\n{target.relative_to(HERE.parent)}")
    if options.docs:
        tables.write_docs(result, HERE.parent / "docs")


if __name__ == "__main__":
    main()
