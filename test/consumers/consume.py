#!/usr/bin/env python3
# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Builds one consumer project outside of the tree and runs what it makes.

What stands behind '--' goes to cmake. The program is README.md's echo server, to the letter; sub_project, fmt,
shared_library and two_variants have a small one of their own, and top_level, which is duet itself, has none.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent


def run(*command, **options):
    command = [str(word) for word in command]
    print("+", shlex.join(command), flush=True)
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **options)


def output_of(*command, **options):
    return run(*command, stdout=subprocess.PIPE, text=True, **options).stdout


def echo_server_of_readme(source):
    page = (source / "README.md").read_text()
    match = re.search(r"<!-- echo_server:begin -->.*?^```cpp\n(.*?)^```$.*?<!-- echo_server:end -->", page, re.M | re.S)
    if not match:
        sys.exit("README.md has no ```cpp block between <!-- echo_server:begin --> and <!-- echo_server:end -->")
    return match.group(1)


def project_of_readme(source):
    """A project around README.md's first CMake lines: those with FetchContent."""
    match = re.search(r"^```cmake\n(.*?^target_link_libraries\(\s*(\S+).*?)^```$", (source / "README.md").read_text(), re.M | re.S)
    if not match:
        sys.exit("README.md has no ```cmake block that links a target to duet")
    lines, target = match.groups()
    if target != "my_server":
        sys.exit(f"README.md links {target} to duet, and test/consumers/strict expects my_server")
    return (f"cmake_minimum_required(VERSION 3.25)\nproject(strict LANGUAGES CXX)\ninclude(warnings.cmake)\n"
            f"add_executable(my_server main.cpp)\n{lines}include(headers.cmake)\n"
            f"set_target_properties(my_server PROPERTIES OUTPUT_NAME program)\n")


class Consumer:
    def __init__(self, arguments, directory):
        self.__dict__.update(vars(arguments))
        self.project_dir, self.build_dir, self.prefix = (directory / name for name in ("project", "build", "prefix"))

    def lay_out(self):
        if (HERE / self.project).is_dir():
            shutil.copytree(HERE / self.project, self.project_dir)
        else:
            self.project_dir.mkdir()
        if self.project == "strict":
            (self.project_dir / "CMakeLists.txt").write_text(project_of_readme(self.source))
        if self.speaks():
            (self.project_dir / "main.cpp").write_text(echo_server_of_readme(self.source))

    def speaks(self):
        return self.project not in ("sub_project", "fmt", "tls", "shared_library", "two_variants")

    def install(self):
        run(self.cmake, "--install", self.build, "--prefix", self.prefix, stdout=subprocess.DEVNULL)

    def configure(self, *more):
        run(self.cmake, "-S", self.project_dir, "-B", self.build_dir, *self.settings, f"-DDUET_SOURCE={self.source}",
            f"-DFETCHCONTENT_SOURCE_DIR_DUET={self.source if self.project == 'strict' else ''}",
            f"-DDUET_TARGET=duet::{self.target}", *more)

    def make(self):
        """The program, built."""
        if self.project in ("find_package", "fmt", "tls", "pkg_config", "two_variants"):
            self.install()
        if self.project == "pkg_config":
            return self.make_by_hand()
        if self.prefix.exists():
            self.configure(f"-Dduet_ROOT={self.prefix}")
        else:
            self.configure()
        run(self.cmake, "--build", self.build_dir)
        return next(path for path in self.build_dir.rglob("program") if path.is_file())

    def check_top_level(self):
        """duet configured by itself for its library alone, where nothing but Boost is installed."""
        hidden = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{package}=ON" for package in ("fmt", "OpenSSL", "Python3")]
        run(self.cmake, "-S", self.source, "-B", self.build_dir, *self.settings, *hidden, "-DFETCHCONTENT_FULLY_DISCONNECTED=ON",
            "-DDUET_BUILD_TESTS=OFF", "-DDUET_BUILD_EXAMPLES=OFF", "-DDUET_BUILD_COMPILED=OFF")
        run(self.cmake, "--install", self.build_dir, "--prefix", self.prefix, stdout=subprocess.DEVNULL)
        if not list(self.prefix.rglob("duetFmtTargets.cmake")):
            sys.exit("duet::fmt was not installed: who has fmt later cannot have it")
        port = json.loads((self.source / "packaging/vcpkg/ports/duet/vcpkg.json").read_text())
        if port["version"] != version_of(self.source):
            sys.exit(f"vcpkg's port says version {port['version']}, and duet says {version_of(self.source)}")

    def make_by_hand(self):
        pc_file, = self.prefix.rglob("duet.pc")
        package = "duet" if self.target == "duet" else "duet-compiled"
        environment = dict(os.environ, PKG_CONFIG_PATH=str(pc_file.parent))
        pkg_config = shutil.which("pkg-config") or shutil.which("pkgconf") or sys.exit("there is no pkg-config")
        flags = output_of(pkg_config, "--cflags", "--libs", package, env=environment).split()
        program = self.project_dir / "program"
        run(self.compiler, "-std=c++20", self.project_dir / "main.cpp", *flags, "-o", program)
        return program

    def check_that_variants_do_not_mix(self):
        self.configure("-DEXCHANGE=ON")
        built = subprocess.run([self.cmake, "--build", self.build_dir], stdout=subprocess.PIPE, text=True)
        if built.returncode == 0:
            sys.exit("a type of the compiled variant was passed to the header-only one")
        if not re.search(r"undefined .*ended_well\(duet::v0_compiled::close_report const&\)", built.stdout):
            sys.exit(f"the linker does not name the variant:\n{built.stdout}")

    def check_nothing_but_the_library(self):
        if list(self.build_dir.rglob("libduet*")):
            sys.exit("duet::compiled was built, and nobody links it")
        run(self.cmake, "--install", self.build_dir, "--prefix", self.prefix)
        if self.prefix.exists():
            sys.exit("a sub-project has installed something")
        self.configure("-DDUET_INSTALL=ON", "-DDUET_BUILD_COMPILED=OFF")
        run(self.cmake, "--install", self.build_dir, "--prefix", self.prefix, stdout=subprocess.DEVNULL)
        if not list(self.prefix.rglob("duetConfig.cmake")):
            sys.exit("DUET_INSTALL has installed nothing")


def version_of(source):
    return re.search(r'DUET_VERSION_STRING "(.*)"', (source / "include/duet/version.hpp").read_text()).group(1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("project")
    parser.add_argument("target")
    for name in ("source", "build", "cmake", "compiler"):
        parser.add_argument(f"--{name}", type=pathlib.Path)
    split = sys.argv.index("--")
    arguments = parser.parse_args(sys.argv[1:split])
    arguments.settings = sys.argv[split + 1:]

    with tempfile.TemporaryDirectory(prefix="duet-consumer-") as directory:
        consumer = Consumer(arguments, pathlib.Path(directory))
        if arguments.project == "top_level":
            consumer.check_top_level()
            return
        consumer.lay_out()
        program = consumer.make()
        if consumer.speaks():
            run(sys.executable, "-B", HERE / "converse.py", program)
        else:
            said, expected = output_of(program), f"duet {version_of(arguments.source)}\n"
            if said != expected:
                sys.exit(f"the program said {said!r}, not {expected!r}")
        if arguments.project == "sub_project":
            consumer.check_nothing_but_the_library()
        if arguments.project == "two_variants":
            consumer.check_that_variants_do_not_mix()


if __name__ == "__main__":
    main()
