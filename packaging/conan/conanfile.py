# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""duet from the checkout that this file lies in: conan create packaging/conan --build=missing"""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir
from conan.tools.scm import Version

required_conan_version = ">=2.0.9"


class DuetConan(ConanFile):
    name = "duet"
    description = "TCP on Boost.Asio coroutines that owns the end of a connection"
    license = "BSL-1.0"
    topics = ("tcp", "asio", "coroutines", "networking")
    package_type = "static-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"fPIC": [True, False], "with_fmt": [True, False]}
    default_options = {"fPIC": True, "with_fmt": False}
    implements = ["auto_shared_fpic"]

    @property
    def _min_compilers(self):
        return {"gcc": "12", "clang": "14"}

    @property
    def _checkout(self):
        return os.path.join(self.recipe_folder, os.pardir, os.pardir)

    def set_version(self):
        text = load(self, os.path.join(self._checkout, "include", "duet", "version.hpp"))
        self.version = re.search(r'DUET_VERSION_STRING "(.*)"', text).group(1)

    def export_sources(self):
        # What the library is built from; the tests, the examples and the bench stay behind.
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*", "src/*"):
            copy(self, pattern, self._checkout, self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        # duet's headers include Boost's.
        self.requires("boost/[>=1.81.0 <2]", transitive_headers=True)
        if self.options.with_fmt:
            self.requires("fmt/[>=9.1.0]", transitive_headers=True, transitive_libs=True)

    def build_requirements(self):
        self.tool_requires("cmake/[>=3.25]")

    def validate(self):
        check_min_cppstd(self, 20)
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration(f"{self.ref} was not tried on any system but Linux")
        least = self._min_compilers.get(str(self.settings.compiler))
        if least and Version(self.settings.compiler.version) < least:
            raise ConanInvalidConfiguration(f"{self.ref} needs {self.settings.compiler} {least} or newer")

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["DUET_BUILD_EXAMPLES"] = False
        toolchain.cache_variables["DUET_BUILD_TESTS"] = False
        toolchain.cache_variables["FETCHCONTENT_FULLY_DISCONNECTED"] = True
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()
        for made_by_conan in ("lib/cmake", "lib/pkgconfig", "share"):
            rmdir(self, os.path.join(self.package_folder, made_by_conan))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "duet")

        headers = self.cpp_info.components["headers"]
        headers.set_property("cmake_target_name", "duet::duet")
        headers.set_property("pkg_config_name", "duet")
        headers.requires = ["boost::headers"]
        headers.system_libs = ["pthread"]

        compiled = self.cpp_info.components["compiled"]
        compiled.set_property("cmake_target_name", "duet::compiled")
        compiled.set_property("pkg_config_name", "duet-compiled")
        compiled.libs = ["duet"]
        compiled.defines = ["BOOST_ASIO_SEPARATE_COMPILATION", "DUET_SEPARATE_COMPILATION"]
        compiled.requires = ["headers"]

        if self.options.with_fmt:
            fmt = self.cpp_info.components["fmt"]
            fmt.set_property("cmake_target_name", "duet::fmt")
            fmt.requires = ["headers", "fmt::fmt"]
