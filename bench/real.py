#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Measures examples/port_forwarder in front of nginx, redis and iperf3, next to other relays, by clients of others: ab, wrk,
redis-benchmark, iperf3. See ./dev bench real, and docs/performance.md for what came out."""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import counts
import machine
import plots
import processes
import tables

HERE = pathlib.Path(__file__).resolve().parent
PEERS = HERE / "peers"
SMALL, BIG = 612, 2 << 20  # bytes of the files that are fetched
CONNECTIONS = (200, 600)  # of the two runs whose difference is what a connection costs
REFERENCE = "haproxy"
# name: (how it is shown, its program and arguments)
RELAYS = {
    "haproxy": processes.RELAY["haproxy"],
    "duet": ("duet, port_forwarder", ["port_forwarder", "--quiet", "--address", "127.0.0.1", "--port", "{port}",
        "--to-host", "127.0.0.1", "--to-port", "{target}"]),
    "nginx": ("nginx, stream", ["nginx", "-e", "stderr", "-p", "{directory}", "-c", "{directory}/nginx_stream.conf"]),
    "socat": ("socat, fork", ["socat", "-lf{directory}/log", "TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=4096",
        "TCP:127.0.0.1:{target}"]),
    "raw": processes.RELAY["buffers"],
}
DIRECT = "direct"
LABELS = {**{name: label for name, (label, _) in RELAYS.items()}, DIRECT: "no relay"}
BEHIND = {
    "http": ["nginx", "-e", "stderr", "-p", "{directory}", "-c", "{directory}/nginx_http.conf"],
    "redis": ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
        "{directory}"],
    "iperf3": ["iperf3", "-s", "-B", "127.0.0.1", "-p", "{port}"],
}
VERSIONS = {"nginx": ["-v"], "redis-server": ["--version"], "ab": ["-V"], "wrk": ["-v"], "redis-benchmark": ["--version"],
    "iperf3": ["--version"], "haproxy": ["-v"], "socat": ["-V"]}


class Programs(processes.Programs):
    """Those of the system, of the bench, and the example, which is beside those."""

    def find(self, name):
        for ours in (self.directory.parent / "examples" / name, self.directory / name):
            if ours.exists():
                return str(ours)
        return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


class Server(processes.Server):
    """A server with a directory of its own in `root`: {directory}; nginx finds its configuration and its files there."""

    def __init__(self, programs, command, root, **options):
        super().__init__(programs, command, **options)
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=root))
        self.module = stream_module(self.program) if self.name == "nginx" else None

    def words(self):
        places = {"port": self.port, "target": self.target, "directory": self.directory}
        if self.name == "nginx":
            stream = f"load_module {self.module};" if self.module else ""
            for name, load in (("nginx_http.conf", ""), ("nginx_stream.conf", stream)):
                text = (PEERS / name).read_text()
                for key, value in {**places, "load": load}.items():
                    text = text.replace(f"@{key}@", str(value))
                (self.directory / name).write_text(text)
            for name, size in (("small", SMALL), ("big", BIG)):
                (self.directory / name).write_bytes(bytes(size))
        return [word.format(**places) for word in self.command[1:]]


def stream_module(nginx):
    """The file of nginx's stream module, where it is one."""
    built = machine.output(nginx, "-V")
    file = pathlib.Path(machine.first_match(r"--modules-path=(\S+)", built, "/usr/lib/nginx/modules"), "ngx_stream_module.so")
    return file if file.exists() else None


def processor_time(pid):
    """Nanoseconds of a process and of its children, of those that have ended, too."""
    place = pathlib.Path("/proc", str(pid))
    total = sum(int(file.read_text().split()[0]) for file in place.glob("task/*/schedstat"))
    ended = place.joinpath("stat").read_text().rpartition(")")[2].split()[13:15]
    total += sum(map(int, ended)) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    for child in processes.children(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += processor_time(child)
    return total


def time_at_rest(pid, patience=5):
    """The same, when a relay with a process for each connection has ended those that are over; or its patience is."""
    until = time.monotonic() + patience
    while processes.children(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return processor_time(pid)


def first_number(pattern, text, what):
    match = re.search(pattern, text, re.M)
    if not match:
        raise processes.Failed(f"there is no {what} in what it says: {text[-200:]!r}")
    return float(match.group(1))


def none_of(pattern, text, what):
    found = sum(int(number) for number in re.findall(pattern, text, re.M))
    if found:
        raise processes.Failed(f"{found} {what}")


def read_ab(text):
    none_of(r"^Failed requests:\s+(\d+)", text, "requests failed")
    none_of(r"^Non-2xx responses:\s+(\d+)", text, "answers are not 2xx")
    return {"value": first_number(r"^Requests per second:\s+([\d.]+)", text, "rate"),
        "count": first_number(r"^Complete requests:\s+(\d+)", text, "number of requests"),
        "p99_us": 1000 * first_number(r"^\s+99%\s+(\d+)", text, "p99")}


def read_wrk(text):
    none_of(r"(?:connect|read|write|timeout) (\d+)", text, "errors of sockets")
    none_of(r"^\s*Non-2xx or 3xx responses: (\d+)", text, "answers are not 2xx")
    unit = {"us": 1, "ms": 1000, "s": 1_000_000}[machine.first_match(r"^\s+99%\s+[\d.]+(us|ms|s)$", text, "us")]
    return {"value": first_number(r"^Requests/sec:\s+([\d.]+)", text, "rate"),
        "count": first_number(r"^\s*(\d+) requests in", text, "number of requests"),
        "p99_us": unit * first_number(r"^\s+99%\s+([\d.]+)", text, "p99")}


def read_redis(number):
    def read(text):
        row = re.search(r'^"SET","([\d.]+)"(?:,"[\d.]+"){4},"([\d.]+)"', text, re.M)
        if not row:
            raise processes.Failed(f"there is no rate of SET in what it says: {text[-200:]!r}")
        return {"value": float(row.group(1)), "count": number, "p99_us": 1000 * float(row.group(2))}
    return read


def read_iperf3(text):
    """Bytes are counted in KiB."""
    end = json.loads(text)["end"]["sum_received"]
    return {"value": end["bits_per_second"] / 8 / (1 << 30), "count": end["bytes"] / 1024}


class Workload:
    """What one client of others does: `command` has {port}; `read` makes a row of what it prints."""

    def __init__(self, key, title, behind, command, read, unit="requests/s", each="request"):
        self.key, self.title, self.behind, self.command, self.read = key, title, behind, command, read
        self.unit, self.each = unit, each


def ab(path, *options):
    return ["ab", "-q", *options, f"http://127.0.0.1:{{port}}/{path}"]


def workloads(quick):
    seconds = "1" if quick else "3"
    often = ("-t", seconds, "-n", "2000000")  # what comes first: -t alone means 50,000 at most

    def redis(depth, number):
        number //= 5 if quick else 1
        return Workload(f"redis_{depth}", f"redis-benchmark -t set -d 64 -c 50 -P {depth}", "redis", ["redis-benchmark", "-h",
            "127.0.0.1", "-p", "{port}", "-t", "set", "-d", "64", "-c", "50", "-P", str(depth), "-n", str(number), "--csv"],
            read_redis(number))

    return [
        Workload("ab_short", "ab -c 50, a connection for each request", "http", ab("small", *often, "-c", "50"), read_ab,
            each="connection"),
        Workload("ab_keep", "ab -c 50 -k", "http", ab("small", *often, "-c", "50", "-k"), read_ab),
        Workload("ab_big", "ab -c 8 -k, a file of 2 MiB", "http", ab("big", *often, "-c", "8", "-k"), read_ab),
        Workload("wrk", "wrk -t 1 -c 50", "http", ["wrk", "-t", "1", "-c", "50", "-d", seconds, "--latency",
            "http://127.0.0.1:{port}/small"], read_wrk),
        redis(1, 150_000),
        redis(16, 1_000_000),
        Workload("iperf3", "iperf3", "iperf3", ["iperf3", "-c", "127.0.0.1", "-p", "{port}", "-t", seconds, "-J"], read_iperf3,
            "GiB/s", "KiB"),
    ]


class Bench:
    """`relay_cores` and `other_cores`: where the relay runs, and where its client and the server behind it do."""

    def __init__(self, programs, root, relay_cores, other_cores, patience=120, say=lambda text: None):
        self.programs, self.root, self.relay_cores, self.other_cores = programs, root, relay_cores, other_cores
        self.patience, self.say = patience, say

    def relays_there(self):
        return self.programs.those_there(RELAYS)

    def left_out(self, works):
        """What is not measured, and which program it lacks."""
        lacking = {LABELS[name]: RELAYS[name][1][0] for name in self.programs.missing(RELAYS)}
        for work in works:
            for program in (BEHIND[work.behind][0], work.command[0]):
                if not self.programs.find(program):
                    lacking.setdefault(work.title, program)
        return lacking

    def behind(self, work):
        return Server(self.programs, BEHIND[work.behind], self.root, cores=self.other_cores)

    def relay(self, name, target, **options):
        return Server(self.programs, RELAYS[name][1], self.root, cores=self.relay_cores, target=target, **options)

    def client(self, command, port):
        program = self.programs.find(command[0])
        words = [program, *(word.format(port=port) for word in command[1:])]
        process = processes.start(words, self.other_cores, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return processes.output(process, self.patience, command[0])

    def once(self, work, name, target):
        if name == DIRECT:
            return work.read(self.client(work.command, target.port))
        with self.relay(name, target.port) as relay:
            before = processor_time(relay.pid)
            row = work.read(self.client(work.command, relay.port))
            row["cpu_ns"] = (time_at_rest(relay.pid) - before) / max(row["count"], 1)
            return row

    def measure(self, work, rounds):
        """In rounds A B A B ..., so that a machine that slows down slows them all."""
        names = [*self.relays_there(), DIRECT]
        rows, failed = {name: [] for name in names}, {}
        try:
            with self.behind(work) as target:
                for number in range(rounds):
                    for name in [name for name in names if name not in failed]:
                        self.say(f"{work.title}: round {number + 1} of {rounds}: {LABELS[name]}")
                        try:
                            rows[name].append(self.once(work, name, target))
                        except (processes.Failed, ValueError, KeyError, OSError) as problem:
                            failed[name] = str(problem)
        except processes.Failed as problem:
            failed = {name: str(problem) for name in names}
        return {"title": work.title, "unit": work.unit, "each": work.each, "failed": failed,
            "rows": {name: row for name, row in rows.items() if name not in failed}}

    def calls(self, work):
        """System calls of each relay for a connection, by name, in runs of their own: the difference of two."""
        result = {}
        for name in self.relays_there():
            self.say(f"counting: {LABELS[name]}")
            try:
                with self.behind(work) as target:
                    few, many = (self.calls_of(name, target, number) for number in CONNECTIONS)
                result[name] = {call: (count - few.get(call, 0)) / (CONNECTIONS[1] - CONNECTIONS[0])
                    for call, count in many.items()}
            except (processes.Failed, OSError) as problem:
                print(f"\nbench: the system calls of {LABELS[name]} were not counted: {problem}")
        return result

    def calls_of(self, name, target, number):
        with tempfile.NamedTemporaryFile(dir=self.root) as summary:
            with self.relay(name, target.port, before=["strace", "-f", "-c", "-o", summary.name, "--"]) as relay:
                read_ab(self.client(ab("small", "-n", str(number), "-c", "50"), relay.port))
                time_at_rest(relay.own_pid())
                relay.stop(relay.own_pid())
            return counts.by_name(pathlib.Path(summary.name).read_text())


def ratios(rows, key):
    """Of each round to the reference's of the same round."""
    return {name: [own[key] / first[key] for own, first in zip(row, rows.get(REFERENCE, ())) if first.get(key) and key in own]
        for name, row in rows.items()}


def cell(values, form):
    return tables.spread(values, form) if values else "–"


def table(real):
    """All of it in one."""
    lines = []
    for key, scenario in real["scenarios"].items():
        rows = {name: row for name, row in scenario["rows"].items() if row}
        rates, times = ratios(rows, "value"), ratios(rows, "cpu_ns")
        form = "{:.2f}" if scenario["unit"] == "GiB/s" else "{:,.0f}"
        for number, (name, row) in enumerate(rows.items()):
            calls = real["calls"].get(key, {}).get(name)
            lines.append([scenario["title"] if number == 0 else "", LABELS[name],
                f"{cell([r['value'] for r in row], form)} {scenario['unit']}", cell(rates[name], "{:.2f}"),
                cell([r["cpu_ns"] for r in row if "cpu_ns" in r], "{:,.0f}") + (
                    f" per {scenario['each']}" if "cpu_ns" in row[0] else ""),
                cell(times[name], "{:.2f}"),
                f"{statistics.median(r['p99_us'] for r in row):,.0f}" if "p99_us" in row[0] else "–",
                f"{calls['total']:.1f}" if calls else "–"])
    return tables.markdown(["", "", "rate", "ratio to HAProxy", "relay's processor time, ns", "ratio to HAProxy", "p99 µs",
        "system calls per connection"], lines)


def remarks(real):
    """What the table does not tell, line by line."""
    for what, program in real["left_out"].items():
        yield f"Left out: {what}: {program} is not there."
    for scenario in real["scenarios"].values():
        for name, problem in scenario["failed"].items():
            yield f"{scenario['title']}: {LABELS[name]} failed: {problem}."
    for calls in real["calls"].values():
        for name, row in calls.items():
            told = sorted(((count, call) for call, count in row.items() if call != "total" and count >= 0.05), reverse=True)
            yield f"System calls of {LABELS[name]} for a connection: " + ", ".join(f"{c} {n:.1f}" for n, c in told) + "."


def pictures(real):
    """Yields a name, and the picture of one ratio, of all workloads."""
    for name, key, title in (("rate", "value", "What real clients get through a relay"),
            ("cpu", "cpu_ns", "The relay's processor time for it")):
        bars = []
        for scenario in real["scenarios"].values():
            for relay, values in ratios(scenario["rows"], key).items():
                if values and relay not in (REFERENCE, DIRECT):
                    work = re.sub(r" -t set -d 64 -c 50|, a connection for each request|, a file", "", scenario["title"])
                    bars.append((f"{work}: {relay}", min(values), statistics.median(values), max(values)))
        if bars:
            yield name, plots.bars(title, "ratio to HAProxy; line: least to most", bars, "{:.2f}")


def text_of(real):
    return table(real) + "\n\n" + "\n".join(f"- {line}" for line in remarks(real)) + "\n"


def write_docs(real, told, directory):
    images = pathlib.Path(directory, "performance", "real")
    images.mkdir(parents=True, exist_ok=True)
    parts = [f"{told['cpu']}, {told['cores']} cores, Linux {told['kernel']}; " + ", ".join(
        f"{name} {version}" for name, version in real["versions"].items() if version) +
        f". Measured on {real['date'][:10]} with `{real['command']}`; load {told['load_at_start']:.2f} when it began.",
        text_of(real).rstrip()]
    for name, picture in pictures(real):
        (images / f"{name}.svg").write_text(picture)
        parts.append(f"![{name}](performance/real/{name}.svg)")
    page = pathlib.Path(directory, "performance.md")
    page.write_text(re.sub(r"(?<=<!-- real:begin -->\n).*?(?=<!-- real:end -->)",
        lambda _: "\n" + "\n\n".join(parts) + "\n\n", page.read_text(), flags=re.S))


def versions(programs):
    found = {name: programs.find(name) for name in VERSIONS}
    return {name: machine.first_match(r"(\d+(?:\.\d+)+)", machine.output(path, *VERSIONS[name]), "")
        for name, path in found.items() if path}


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench real", description=__doc__)
    parser.add_argument("how", nargs="?", choices=("full", "quick"), default="full", help="quick: short rounds, three of them")
    parser.add_argument("--only", default="", help="with commas between: " + " ".join(work.key for work in workloads(True)))
    parser.add_argument("--rounds", type=int, help="of each workload (full: 5, quick: 3)")
    parser.add_argument("--apart", action="store_true", help="the relay on a core of its own, all others on another; without "
        "it, all share one core")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md's table and pictures of this")
    parser.add_argument("--build", default=HERE.parent / "build" / "bench" / "bench", help="where the programs are")
    return parser.parse_args()


def main():
    options = arguments()
    machine.enter_namespace()
    processes.end_on_sigterm()
    quick = options.how == "quick"
    only = [word for word in options.only.split(",") if word]
    works = [work for work in workloads(quick) if not only or work.key in only]
    if not works or (options.apart and len(processes.CORES) < 2):
        sys.exit("bench: " + ("there is only one core" if works else f"nothing is called {options.only}"))
    programs = Programs(options.build)
    told = machine.describe()
    date = datetime.datetime.now().isoformat(timespec="seconds")
    real = {"date": date, "command": " ".join(["./dev bench real", *sys.argv[1:]]), "apart": options.apart,
        "versions": versions(programs), "scenarios": {}, "calls": {}}
    with tempfile.TemporaryDirectory(prefix="duet-bench-") as root:
        cores = set(processes.CORES[1:2]) if options.apart else processes.ONE_CORE
        bench = Bench(programs, root, processes.ONE_CORE, cores, say=say)
        real["left_out"] = bench.left_out(works)
        for work in works:
            if work.title in real["left_out"]:
                continue
            real["scenarios"][work.key] = bench.measure(work, options.rounds or (3 if quick else 5))
            if work.key == "ab_short" and not counts.missing_tools():
                real["calls"][work.key] = bench.calls(work)
    tables.show(text_of(real))
    target = HERE / "results" / f"real-{date.replace(':', '')}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"machine": told, "real": real}, indent=1) + "\n")
    print(target.relative_to(HERE.parent))
    if options.docs:
        write_docs(real, told, HERE.parent / "docs")


def say(text):
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)


if __name__ == "__main__":
    main()
