#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""What a trace costs a loaded echo server: trace_cost.py <build>/bench [--rounds N] [--only MODE,MODE]

1,000 clients, 64 bytes. The server's processor time for an echo, as a ratio to the server without a trace in the same
round; the modes are interleaved, each with a server of its own, on one core with the load generator. Then instructions.
"""

import argparse
import statistics

import counts
import processes

LOAD = {"connections": 1000, "size": 64}
WARM_UP, SECONDS = 0.3, 0.7


def nanoseconds(programs, command):
    """Of the server, for one echo."""
    with processes.Server(programs, command, processes.ONE_CORE) as server:
        told = processes.run_load(programs, "echo", server, processes.ONE_CORE, **LOAD, warmup=WARM_UP, seconds=SECONDS)
        return told["server_cpu_ns"] / told["requests"]


def shares(times, reference):
    """How much more than the reference, in percent, in each round."""
    return sorted(100 * (one / other - 1) for one, other in zip(times, reference))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(processes.TRACED))
    parser.add_argument("--no-instructions", action="store_true")
    wanted = parser.parse_args()
    programs = processes.Programs(wanted.directory)
    modes = {name: processes.TRACED[name] for name in dict.fromkeys(["none", *wanted.only])}
    times = {name: [] for name in modes}
    for number in range(wanted.rounds):
        # Forward and backward in turns, so that a drift of the machine's speed favours nobody.
        for name, (_, command) in list(modes.items())[::1 if number % 2 == 0 else -1]:
            times[name].append(nanoseconds(programs, command))
    print("| | server ns per echo: least / median | more than without: quartiles of the rounds | of the least | "
        "instructions per echo |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, (shown, command) in modes.items():
        least, median = min(times[name]), statistics.median(times[name])
        by_round = shares(times[name], times["none"])
        quartiles = statistics.quantiles(by_round, n=4) if len(by_round) > 1 else by_round
        instructions = "" if wanted.no_instructions else f"{counts.instructions(programs, command):,.0f}"
        print(f"| {shown} | {least:,.0f} / {median:,.0f} | {' / '.join(f'{one:.1f} %' for one in quartiles)} | "
            f"{100 * (least / min(times['none']) - 1):.1f} % | {instructions} |", flush=True)


if __name__ == "__main__":
    main()
