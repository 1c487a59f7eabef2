#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Breaks the rules of the library on purpose, one at a time, and says which breaks no test sees.

The breaks are in test/mutations.txt (its format: test/lint/mutations.py). They are tried in a copy of the source tree, in
build/mutate. A break is seen when the test that it names fails; a copy that does not compile is an error of the list.
"""

import argparse
import fnmatch
import functools
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lint"))
sys.dont_write_bytecode = True
import lint  # noqa: E402
import mutations  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]
COPY = ROOT / "build" / "mutate"
OUTPUT = COPY / "build" / "output"  # of the test that ran last
FAILURE = re.compile(r"\berror: in \"")  # as Boost.Test tells it
SECONDS = 60  # for a test that takes a few: under a break it may wait for what does not come
MEMORY = 8 << 30  # a break may allocate without end


class ListError(Exception):
    pass


def output_of(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def copy_tree():
    """The sources as they are now. What has not changed keeps its time, so that it is not built again."""
    names = output_of("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).split("\n")
    names = {name for name in names if name and (ROOT / name).is_file()}
    for name in names:
        source, copy = ROOT / name, COPY / name
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    for copy in [path for path in COPY.rglob("*") if path.is_file()]:
        name = copy.relative_to(COPY).as_posix()
        if not name.startswith("build/") and name not in names:
            copy.unlink()


class Suite:
    """The tests in the copy, as a configuration builds them, but quicker."""

    def __init__(self, configuration, jobs, *options):
        self.directory = COPY / "build" / configuration
        self.memory = MEMORY if configuration != "fuzz" else resource.RLIM_INFINITY  # the fuzzer has a limit of its own
        self.jobs = jobs
        self.entries = {}
        options = [word for option in options for word in ("-D", option)]
        # A break may leave something unused.
        subprocess.run(["cmake", "--preset", configuration, "--compile-no-warning-as-error", *options], cwd=COPY, check=True,
            stdout=subprocess.DEVNULL)

    def entry(self, test):
        """What ctest knows of it, once its program has been built."""
        if test not in self.entries:
            told = json.loads(output_of("ctest", "--test-dir", str(self.directory), "--show-only=json-v1"))
            self.entries = {entry["name"]: entry for entry in told["tests"] if "command" in entry}
        return self.entries[test]

    def build(self, test):
        """None, or the compiler's words."""
        target = "test_" + re.sub(r"^(\w+\.\w+)\.reactor$", r"\1", test)
        target = re.sub(r"^test_fuzz\.", "fuzz_", target)
        built = subprocess.run(["ninja", "-C", str(self.directory), f"-j{self.jobs}", target], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False)
        return None if built.returncode == 0 else built.stdout

    def run(self, test):
        """passed, failed, hangs or skipped. It is not waited for any longer when it has told a failure: after one, many a
        test waits for what does not come, case by case."""
        entry = self.entry(test)
        properties = {each["name"]: each["value"] for each in entry["properties"]}
        environment = dict(each.split("=", 1) for each in properties.get("ENVIRONMENT", []) if "=" in each)

        def limited():
            os.setsid()
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
            resource.setrlimit(resource.RLIMIT_AS, (self.memory, self.memory))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        with OUTPUT.open("w") as output:
            running = subprocess.Popen(entry["command"], cwd=properties.get("WORKING_DIRECTORY", self.directory),
                env={**os.environ, **environment, "BOOST_TEST_COLOR_OUTPUT": "no"}, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, preexec_fn=limited)
        end = time.monotonic() + SECONDS
        code = None
        try:
            while code is None:
                try:
                    code = running.wait(0.2)
                except subprocess.TimeoutExpired:
                    if FAILURE.search(OUTPUT.read_text(errors="replace")):
                        return "failed"
                    if time.monotonic() > end:
                        return "hangs"
        finally:
            try:
                os.killpg(running.pid, signal.SIGKILL)  # and what it has started
            except ProcessLookupError:
                pass
            running.wait()
        if code == properties.get("SKIP_RETURN_CODE"):
            return "skipped"
        return "passed" if code == 0 else "failed"


class Suites:
    """Those of the tests' programs, and of the fuzzer's targets.

    A program is built from one file, header-only: a break of an .ipp would have the whole of duet::compiled built anew,
    which takes twice as long as the test.
    """

    def __init__(self, jobs):
        self.jobs = jobs
        self.runnable = {}

    @functools.cached_property
    def programs(self):
        return Suite("clang-dev", self.jobs, "CMAKE_CXX_FLAGS_DEBUG=", "DUET_TEST_COMPILED=OFF", "DUET_TEST_PRECOMPILE=OFF",
            "DUET_TEST_PREFIX=")

    @functools.cached_property
    def fuzz(self):
        return Suite("fuzz", self.jobs, "CMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -DNDEBUG", "DUET_TEST_COMPILED=OFF",
            "DUET_TEST_PREFIX=fuzz.")

    def of(self, test):
        return self.fuzz if test.startswith("fuzz.") else self.programs

    def can_run(self, test):
        """A test that fails without a break tells nothing with it."""
        if test not in self.runnable:
            suite = self.of(test)
            wrong = suite.build(test) or suite.run(test)
            if wrong == "skipped":
                print(f"{test} cannot be run here; its breaks are left out")
            elif wrong != "passed":
                raise ListError(f"without a break, {test}: {wrong}\n{OUTPUT.read_text(errors='replace')[-2000:]}")
            self.runnable[test] = wrong == "passed"
        return self.runnable[test]


def attempt(suite, each):
    """seen or unseen, by a test with the break."""
    file = COPY / each.file
    original = file.read_bytes()
    text = original.decode()
    if text.count(each.old) != 1:
        raise ListError(f"{each.name}: its text is {text.count(each.old)} times in {each.file}")
    file.write_text(text.replace(each.old, each.new))
    try:
        wrong = suite.build(each.test)
        if wrong:
            raise ListError(f"{each.name} does not compile:\n{wrong[-3000:]}")
        came = suite.run(each.test)
    finally:
        file.write_bytes(original)
    if came == "hangs" and not each.hangs:
        return f"unseen: {each.test} hangs"
    return "seen" if came in ("failed", "hangs") else f"unseen: {each.test} {came}"


def selected(breaks, names):
    """Those with these names, in their order; all if there are none."""
    result = {}
    for name in names or ["*"]:
        found = {each.name: each for each in breaks if fnmatch.fnmatch(each.name, name)}
        if not found:
            raise ListError(f"there is no break '{name}'")
        result.update(found)
    return list(result.values())


def main():
    parser = argparse.ArgumentParser(prog="./dev mutate", description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help="a break, or a pattern such as 'drain_*'; all if none")
    parser.add_argument("--list", action="store_true", help="print the breaks and their tests, and do nothing")
    parser.add_argument("--check", action="store_true", help="only hold the list against the source")
    parser.add_argument("--jobs", type=int, default=1, help="how many compilers at once (%(default)s)")
    arguments = parser.parse_args()

    wrong = list(mutations.check(lint.Tree(ROOT)))
    for path, line, what in wrong:
        print(f"{path.relative_to(ROOT)}:{line}: {what}")
    if wrong or arguments.check:
        return 1 if wrong else 0
    breaks = selected(mutations.parse((ROOT / mutations.LIST).read_text()), arguments.names)
    if arguments.list:
        for each in breaks:
            print(f"{each.name:44} {each.test:28} {each.rule}")
        return 0

    copy_tree()
    suites = Suites(arguments.jobs)
    errors = []
    unseen = []
    for index, each in enumerate(breaks, 1):
        begin = time.monotonic()
        try:
            came = attempt(suites.of(each.test), each) if suites.can_run(each.test) else "left out"
        except ListError as error:
            errors.append(each.name)
            came = f"ERROR: {error}"
        if came.startswith("unseen"):
            unseen.append(each.name)
        print(f"{index:3}/{len(breaks)} {each.name:44} {came} ({time.monotonic() - begin:.0f} s)", flush=True)
    left_out = sum(not suites.runnable.get(each.test, True) for each in breaks)
    print(f"mutate: {len(breaks) - len(errors) - len(unseen) - left_out} seen, {len(unseen)} unseen, "
          f"{len(errors)} errors, {left_out} left out")
    for name in unseen:
        print(f"unseen: {name}")
    return 1 if unseen or errors or left_out else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a test under way is ended, too
    try:
        sys.exit(main())
    except ListError as error:
        sys.exit(f"mutate: {error}")
