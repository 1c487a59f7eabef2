# Sets DUET_BOOST_ASIO, the target that has Boost.Asio's headers. Defines Threads::Threads, and fmt::fmt
# with DUET_FMT and for the examples.
#
# Uses installed packages, and downloads those that are not installed. Packages are found with GLOBAL, because a program that
# adds duet as a sub-directory links duet::duet from outside of it, and inside functions, so that no variable leaks out.

include(FetchContent)

# duet_require(<package> VERSION <least> TARGET <target> DEBIAN <its package> URL <archive> SHA256 <of the archive>)
function(duet_require package)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "VERSION;TARGET;DEBIAN;URL;SHA256" "")
    string(TOUPPER ${package} PACKAGE)

    # As in FetchContent, a source directory that the user names takes precedence over an installed package.
    if(NOT FETCHCONTENT_SOURCE_DIR_${PACKAGE})
        find_package(${package} ${arg_VERSION} QUIET GLOBAL)
        if(${package}_FOUND)
            return()
        endif()
        message(NOTICE
            "duet: ${package} ${arg_VERSION} or newer is not installed, so it will be downloaded from\n"
            "  ${arg_URL}\n"
            "Without a network, one of these helps:\n"
            "  Debian:           apt-get install ${arg_DEBIAN}\n"
            "  found elsewhere:  -DCMAKE_PREFIX_PATH=<where ${package} is installed>\n"
            "  its source tree:  -DFETCHCONTENT_SOURCE_DIR_${PACKAGE}=<its CMake release, unpacked>")
    endif()

    # SYSTEM comes first: CMake 3.25 passes it to ExternalProject, which would treat it as a value of the last keyword.
    FetchContent_Declare(${package} SYSTEM URL ${arg_URL} URL_HASH SHA256=${arg_SHA256} DOWNLOAD_EXTRACT_TIMESTAMP OFF)
    FetchContent_MakeAvailable(${package})
    if(NOT TARGET ${arg_TARGET})
        message(FATAL_ERROR "duet: ${package} is neither installed nor could it be fetched; see above for what helps.")
    endif()

    # Build only the targets that are linked.
    FetchContent_GetProperties(${package} SOURCE_DIR directory)
    set_property(DIRECTORY "${directory}" PROPERTY EXCLUDE_FROM_ALL ON)
endfunction()

function(duet_require_boost)
    # Options for Boost's own CMake files, if Boost is downloaded.
    list(APPEND BOOST_INCLUDE_LIBRARIES asio)
    if(DUET_BUILD_TOOLS OR DUET_BUILD_TESTS)
        list(APPEND BOOST_INCLUDE_LIBRARIES json)
    endif()
    if(DUET_BUILD_TESTS)
        list(APPEND BOOST_INCLUDE_LIBRARIES beast test)
    endif()
    set(BOOST_SKIP_INSTALL_RULES ON)
    set(BUILD_TESTING OFF)

    duet_require(Boost
        VERSION 1.81
        TARGET Boost::asio
        DEBIAN libboost1.81-dev
        URL https://github.com/boostorg/boost/releases/download/boost-1.81.0/boost-1.81.0.tar.xz
        SHA256 06bc525a392650eb6248f40a13f40112b6c485eec7103b6dcde7196f2a3570e0)
endfunction()

function(duet_require_fmt)
    duet_require(fmt
        VERSION 9
        TARGET fmt::fmt
        DEBIAN libfmt-dev
        URL https://github.com/fmtlib/fmt/releases/download/9.1.0/fmt-9.1.0.zip
        SHA256 cceb4cb9366e18a5742128cb3524ce5f50e88b476f1e54737a47ffdf4df4c996)
endfunction()

function(duet_require_threads)
    find_package(Threads REQUIRED GLOBAL)
endfunction()

# If the program has already built Boost or fmt itself, the target exists.
if(NOT TARGET Boost::asio)
    duet_require_boost()
endif()
if((DUET_FMT OR DUET_BUILD_EXAMPLES) AND NOT TARGET fmt::fmt)
    duet_require_fmt()
endif()
if(DUET_TLS AND NOT TARGET OpenSSL::SSL)
    find_package(OpenSSL 3 REQUIRED GLOBAL)
endif()
duet_require_threads()

# Boost's CMake build has a target per library; an installed Boost has one for all headers.
if(TARGET Boost::asio)
    set(DUET_BOOST_ASIO Boost::asio)
else()
    set(DUET_BOOST_ASIO Boost::headers)
endif()
