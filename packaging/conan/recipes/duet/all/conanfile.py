# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, get, rmdir
from conan.tools.scm import Version

required_conan_version = ">=2.0.9"


class DuetConan(ConanFile):
    name = "duet"
    description = "TCP on Boost.Asio coroutines that owns the end of a connection"
    license = "BSL-1.0"
    homepage = "https://github.com/OWNER/duet"
    url = "https://github.com/conan-io/conan-center-index"
    topics = ("tcp", "asio", "coroutines", "networking")
    package_type = "static-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"fPIC": [True, False], "with_fmt": [True, False]}
    default_options = {"fPIC": True, "with_fmt": False}
    implements = ["auto_shared_fpic"]

    @property
    def _min_compilers(self):
        return {"gcc": "12", "clang": "14", "apple-clang": "15"}

    def layout(self):
        cmake_layout(self, src_folder="src")

    def requirements(self):
        # duet's headers include Boost's.
        self.requires("boost/[>=1.81.0 <2]", transitive_headers=True)
        if self.options.with_fmt:
            self.requires("fmt/[>=9.1.0]", transitive_headers=True, transitive_libs=True)

    def build_requirements(self):
        self.tool_requires("cmake/[>=3.25]")

    def validate(self):
        check_min_cppstd(self, 20)
        if self.settings.os == "Windows":
            raise ConanInvalidConfiguration(f"{self.ref} is not available for Windows")
        least = self._min_compilers.get(str(self.settings.compiler))
        if least and Version(self.settings.compiler.version) < least:
            raise ConanInvalidConfiguration(f"{self.ref} needs {self.settings.compiler} {least} or newer")

    def source(self):
        get(self, **self.conan_data["sources"][self.version], strip_root=True)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["DUET_BUILD_EXAMPLES"] = False
        toolchain.cache_variables["DUET_BUILD_TESTS"] = False
        toolchain.cache_variables["DUET_FMT"] = bool(self.options.with_fmt)
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
        if self.settings.os in ("Linux", "FreeBSD"):
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
