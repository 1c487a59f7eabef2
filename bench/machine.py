# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""The machine: a network of our own, descriptors, cores, and what has to be known to judge the figures."""

import os
import pathlib
import platform
import re
import resource
import shutil
import subprocess
import sys

INSIDE = "BENCH_NAMESPACE"
SETTINGS = {
    "tcp_congestion_control": "reno",  # bbr is paced, even on loopback
    "ip_local_port_range": "2048 65000",
    "tcp_max_tw_buckets": "4096",  # ends of former rounds are not to slow down later ones
}


def raise_descriptor_limit():
    """Before the namespace: only the real root may do it."""
    for wanted in (1 << 20, 250_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def enter_namespace():
    """Runs this program again in a network namespace, where that is allowed. Returns in the one that stays."""
    state = os.environ.get(INSIDE)
    if state is None:
        raise_descriptor_limit()
        works = shutil.which("unshare") and shutil.which("ip") and subprocess.run(
            ["unshare", "-Urn", "ip", "link", "set", "lo", "up"], capture_output=True, check=False).returncode == 0
        os.environ[INSIDE] = "yes" if works else "no"
        if works:
            os.execvp("unshare", ["unshare", "-Urn", sys.executable, "-B", *sys.argv])
        return
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name, value in SETTINGS.items():
        try:
            pathlib.Path("/proc/sys/net/ipv4", name).write_text(value)
        except OSError as error:
            print(f"bench: {name} stays as it is: {error}")


def read(path, fallback=""):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return fallback


def first_match(pattern, text, fallback="unknown"):
    match = re.search(pattern, text, re.M)
    return match.group(1) if match else fallback


def output(*command):
    """What a program says, to either stream."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def version(*command):
    try:
        return output(*command).strip().split("\n")[0]
    except (OSError, subprocess.TimeoutExpired):
        return None


def describe():
    return {
        "cpu": first_match(r"^model name\s*: (.*)", read("/proc/cpuinfo")),
        "cores": os.cpu_count(),
        "memory_mib": int(first_match(r"^MemTotal:\s*(\d+)", read("/proc/meminfo"), "0")) // 1024,
        "kernel": platform.release(),
        "system": first_match(r'^PRETTY_NAME="(.*)"', read("/etc/os-release")),
        "compiler": version("g++", "--version"),
        "boost": first_match(r'define BOOST_LIB_VERSION "(.*)"', read("/usr/include/boost/version.hpp")),
        "go": version("go", "version"),
        "rust": version("/usr/bin/rustc", "--version"),
        "node": version("node", "--version"),
        "haproxy": version("haproxy", "-v"),
        "own_network": os.environ.get(INSIDE) == "yes",
        "congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control"),
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "load_at_start": os.getloadavg()[0],
    }
