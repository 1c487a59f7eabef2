# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""The results as Markdown, for the terminal and for docs/performance.md."""

import pathlib
import re
import statistics

import plots
import processes

NAMED = (processes.IDLE, processes.FRAMES, processes.ANSWER, processes.ASK, processes.BULK, processes.RELAY, processes.PINNED, processes.APART, processes.CLIENT,
    processes.TLS)
LABELS = {name: label for table in NAMED for name, (label, _) in table.items()}
BOTTLENECK = 0.9


def spread(values, form):
    return " / ".join(form.format(f(values)) for f in (min, statistics.median, max))


def ratios(rows):
    """Of each round to the first server's of the same round."""
    reference = next(iter(rows.values()), [])
    return {name: [own["value"] / first["value"] for own, first in zip(row, reference) if first["value"]]
        for name, row in rows.items()}


def markdown(head, lines):
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def label_in(scenario, name):
    if scenario["unit"] == "GiB/s" and name not in processes.TLS:
        return (processes.RELAY if name in processes.RELAY and "elay" in scenario["title"] else processes.BULK)[name][0]
    return LABELS[name]


def scenario_table(scenario):
    rows = {name: row for name, row in scenario["rows"].items() if row}
    bulk = scenario["unit"] == "GiB/s"
    head = ["", scenario["unit"], "ratio", f"{scenario.get('measured', 'server')} ns per {'KiB' if bulk else 'request'}"]
    head += [] if bulk else ["p50 µs", "p99 µs"]
    told_more = any("more" in r for row in rows.values() for r in row)
    head += ["more than on one core"] if told_more else []
    lines = []
    compared = ratios(rows)
    for name, row in rows.items():
        cells = [label_in(scenario, name), spread([r["value"] for r in row], "{:.2f}" if bulk else "{:,.0f}"),
            spread(compared[name], "{:.2f}"), spread([r["cpu_ns"] for r in row], "{:,.0f}")]
        if not bulk:
            cells += [f"{statistics.median(r[key] for r in row):,.0f}" for key in ("p50_us", "p99_us")]
        if told_more:
            cells.append(spread([r["more"] for r in row], "{:+.0%}"))
        lines.append(cells)
    return "\n\n".join(filter(None, [f"### {scenario['title']}", remarks(scenario, rows), markdown(head, lines)]))


def remarks(scenario, rows):
    said = []
    shares = [r["load_share"] for row in rows.values() for r in row if "load_share" in r]
    if shares:
        said.append(f"The load generator took {min(shares):.0%} to {max(shares):.0%} of its core"
            + (": **it is the bottleneck**." if max(shares) > BOTTLENECK else "."))
    if scenario["note"]:
        said.append(scenario["note"][0].upper() + scenario["note"][1:] + ".")
    if scenario["repeated"]:
        said.append(f"{scenario['repeated']} runs were repeated, since somebody else took the core.")
    for name, row in rows.items():
        resets = sum(r["resets"] for r in row)
        if resets:
            said.append(f"{LABELS[name]} answered {resets} half-closes with a reset.")
    said += [f"{LABELS[name]} failed: {problem}." for name, problem in scenario["failed"].items()]
    return " ".join(said)


def number(value, form):
    return "–" if value is None else form.format(abs(value) if abs(value) < 0.005 else value)


def counts_table(table):
    head = ["", "instructions, 64 connections", "1 connection", "system calls, 64 connections", "1 connection",
        "allocations, 64 connections", "1 connection"]  # as `keys`
    keys = [(f"{key}_{n}", form) for key, form in (("instructions", "{:,.0f}"), ("syscalls", "{:.2f}"),
        ("allocations", "{:.2f}")) for n in (64, 1)]
    there = [any(key in row for row in table.values()) for key, _ in keys]
    head = [head[0], *(words for words, wanted in zip(head[1:], there) if wanted)]
    keys = [key for key, wanted in zip(keys, there) if wanted]
    lines = [[LABELS[name], *(number(row.get(key), form) for key, form in keys)] for name, row in table.items()]
    return ("### What one echo of 64 bytes costs\n\n"
        "Instructions by callgrind. System calls while the server runs on one core with the load, as it does when it "
        "is timed; those of Go and io_uring by strace.\n\n") + markdown(head, lines)


def connection_counts(title, about, table):
    keys = (("instructions", "{:,.0f}"), ("syscalls", "{:.1f}"), ("allocations", "{:.1f}"))
    lines = [[LABELS[name], *(number(row.get(key), form) for key, form in keys)] for name, row in table.items()]
    return f"### {title}\n\n{about} Instructions by callgrind, system calls by strace.\n\n" + markdown(
        ["", "instructions", "system calls", "allocations"], lines)


def session_counts_table(table):
    return connection_counts("What one session costs, from accept to close",
        "Connect, one message of 64 bytes, half-close, end: 64 at once.", table)


def relay_counts_table(table):
    return connection_counts("What a relayed connection costs the relay",
        "The same conversation, through a relay to a raw epoll echo server.", table)


def client_counts_table(table):
    return connection_counts("What a connection costs its client",
        "Connect, ask 64 bytes, read the answer, close: 64 at once.", table)


def request_counts_table(table):
    """`table`: of each depth the rows of those who answer, and of those who ask."""
    keys = (("instructions", "{:,.0f}"), ("syscalls", "{:.2f}"), ("allocations", "{:.2f}"))
    depths = sorted(table, key=int)
    head = ["", *(f"{words}, {depth} under way" for words in ("instructions", "system calls", "allocations")
        for depth in depths)]
    parts = [f"### What a request costs\n\n64 bytes behind a size and an id, {processes.REQUEST_CONNECTIONS} connections. "
        "Instructions by callgrind, system calls by strace."]
    for what, programs in (("answers it", processes.ANSWER), ("asks it", processes.ASK)):
        names = [name for name in programs if any(name in table[depth] for depth in depths)]
        lines = [[LABELS[name], *(number(table[depth].get(name, {}).get(key), form) for key, form in keys for depth in depths)]
            for name in names]
        parts.append(f"Of the program that {what}:\n\n" + markdown(head, lines))
    return "\n\n".join(parts)


def idle_table(table):
    sizes = sorted({size for row in table.values() for size in row}, key=int)
    several = {size: max(row[size]["processes"] for row in table.values() if size in row) for size in sizes}
    together = "".join(f" The {int(size):,} are those of {count} processes of the server together, since none may have as "
        "many descriptors." for size, count in several.items() if count > 1)
    head = ["", *(f"at {int(size):,}" for size in sizes)]
    lines = [[LABELS[name], *(f"{row[size]['bytes']:,.0f}" if size in row else "–" for size in sizes)]
        for name, row in table.items()]
    return ("### Bytes of the server per idle session\n\n"
        "Resident memory, after one echo on each; the kernel's buffers are not in it. Before, 100 sessions were there: "
        f"what is set aside once for all of them (liburing's pool of buffers) spreads over more.{together}\n\n"
        ) + markdown(head, lines)


def idle_tls_table(table):
    lines = [[LABELS[name], f"{row['2000']['bytes']:,.0f}"] for name, row in table.items()]
    return "### Bytes of the server per idle TLS session\n\nAs above.\n\n" + markdown(["", "at 2,000"], lines)


def compile_table(table):
    head = ["g++ -O2", "seconds", "MiB of memory", "KiB of object"]
    lines = [[name, spread([r["seconds"] for r in rows], "{:.1f}"), f"{max(r['memory_mib'] for r in rows):.0f}",
        f"{rows[0]['object_kib']:.0f}"] for name, rows in table.items()]
    return "### Compiling the README's echo server\n\n" + markdown(head, lines)


def show(text):
    print(f"\r\033[K\n{text}" if text else "", flush=True)


def machine_table(result):
    m = result["machine"]
    network = f"a namespace of its own, {m['congestion_control']}" if m["own_network"] else "the system's"
    lines = [["processor", f"{m['cpu']}, {m['cores']} cores, a virtual machine's, {m['memory_mib']:,} MiB"],
        ["system", f"{m['system']}, Linux {m['kernel']}; network: {network}"],
        ["compiler", f"{m['compiler']}; Boost {m['boost'].replace('_', '.')}"],
        ["peers", "; ".join(
        f"{label} {re.search(r'[0-9][0-9.]*', m[key]).group()}" for key, label in
        (("go", "Go"), ("rust", "Rust"), ("node", "Node"), ("haproxy", "HAProxy")) if m[key])],
        *(["measured" if number == 0 else "and then, in the place of its like",
            f"{run['date'][:10]}, `{run['command']}`; load {run['load']:.2f} when it began"]
            for number, run in enumerate(result["runs"]))]
    lines += [["left out", f"{what}: {why}"] for what, why in result["left_out"].items()]
    return "| | |\n| --- | --- |\n" + "\n".join(f"| {a} | {b} |" for a, b in lines)


def plot_of(scenario):
    compared = ratios({n: r for n, r in scenario["rows"].items() if r})
    reference = label_in(scenario, next(iter(compared)))
    bars = [(label_in(scenario, n), min(v), statistics.median(v), max(v)) for n, v in compared.items()]
    about = f"{scenario['unit']}, ratio to {reference}; line: least to most"
    return plots.bars(scenario["title"], about, bars, "{:.2f}")


def write_docs(result, directory):
    directory = pathlib.Path(directory)
    images = directory / "performance"
    images.mkdir(parents=True, exist_ok=True)
    for old in images.glob("*.svg"):
        old.unlink()
    parts = ["## The machine\n\n" + machine_table(result), "## By the clock"]
    if not result["scenarios"]:
        parts.append("Not in this run: it needs a quiet machine.")
    for key, scenario in result["scenarios"].items():
        parts.append(scenario_table(scenario))
        (images / f"{key}.svg").write_text(plot_of(scenario))
        parts.append(f"![{scenario['title']}](performance/{key}.svg)")
    parts.append("## What repeats")
    for key, form, column in (("counts", counts_table, "instructions_64"),
            ("session_counts", session_counts_table, "instructions"),
            ("relay_counts", relay_counts_table, "instructions"), ("client_counts", client_counts_table, "instructions"),
            ("requests_counts", request_counts_table, None),
            ("idle", idle_table, None),
            ("idle_tls", idle_tls_table, None), ("compile", compile_table, None)):
        if key not in result:
            continue
        parts.append(form(result[key]))
        (images / f"{key}.svg").write_text(plot_of_steady(key, result[key], column))
        parts.append(f"![{key}](performance/{key}.svg)")
    page = directory / "performance.md"
    text = re.sub(r"(?<=<!-- tables:begin -->\n).*?(?=<!-- tables:end -->)",
        lambda _: "\n" + "\n\n".join(parts) + "\n\n", page.read_text(), flags=re.S)
    page.write_text(text)


def plot_of_steady(key, table, column):
    if column is not None:
        bars = [(LABELS[n], *[r[column]] * 3) for n, r in table.items() if r.get(column) is not None]
        what, how = {"counts": ("echo", "64 connections"), "session_counts": ("session", "one message, 64 sessions at once"),
            "relay_counts": ("relayed connection", "one message, 64 at once"),
            "client_counts": ("client's connection", "one message, 64 at once")}[key]
        return plots.bars(f"User instructions per {what}", f"64 bytes, {how}, by callgrind", bars, "{:,.0f}")
    if key == "requests_counts":
        depth = str(processes.UNDER_WAY[1])
        bars = [(LABELS[n], *[r["instructions"]] * 3) for n, r in table[depth].items() if "instructions" in r]
        return plots.bars("User instructions per request", f"64 bytes, {depth} under way on each connection, by callgrind", bars,
            "{:,.0f}")
    if key in ("idle", "idle_tls"):
        size = min((size for row in table.values() for size in row), key=int)
        bars = [(LABELS[n], *[r[size]["bytes"]] * 3) for n, r in table.items() if size in r]
        return plots.bars("Bytes per idle session", f"resident memory of the server, at {int(size):,} sessions", bars,
            "{:,.0f}")
    bars = [(n, *(f(r["seconds"] for r in rows) for f in (min, statistics.median, max)))
        for n, rows in table.items()]
    return plots.bars("Compiling an echo server", "processor seconds, g++ -O2; line: least to most", bars, "{:.1f}")
