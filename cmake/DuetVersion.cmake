# The version is defined in two places, for the preprocessor and for CMake. Check that they agree.

file(STRINGS "${PROJECT_SOURCE_DIR}/include/duet/version.hpp" version_lines REGEX "^#define DUET_VERSION(_STRING)? ")
math(EXPR number "${PROJECT_VERSION_MAJOR} * 10000 + ${PROJECT_VERSION_MINOR} * 100 + ${PROJECT_VERSION_PATCH}")
set(expected_lines "#define DUET_VERSION ${number}" "#define DUET_VERSION_STRING \"${PROJECT_VERSION}\"")
if(NOT version_lines STREQUAL expected_lines)
    list(JOIN expected_lines "\n  " expected_lines)
    message(FATAL_ERROR
        "include/duet/version.hpp does not say what project(VERSION ${PROJECT_VERSION}) says. It should:\n"
        "  ${expected_lines}")
endif()

unset(version_lines)
unset(expected_lines)
unset(number)

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/duet/version.hpp")
