# With DUET_TEST_UNITS, several tests are compiled as one translation unit: what they include is parsed, and
# what they instantiate is compiled, once for all of them. Each test remains an entry of ctest, which runs the test's cases
# alone, in a process of their own. Its own program, test_<name>, can still be built; the target `all` leaves it out.
#
# A unit includes what its tests include, then each test inside a Boost.Test suite named after it. The suite is a namespace, so
# equal names in two tests do not collide. Those in headers of the tests do: a fixture whose names another folder uses, too,
# has a namespace of its own. A test stays alone if it has something that belongs to a whole program.

# The size of a unit's tests in bytes. A larger unit takes less time in total, and more memory: clang with AddressSanitizer
# needs 1.7 GB for this much.
set(duet_unit_size 100000)

set(duet_whole_program
    "^extern \"C\""                         # replaces a function of the C library
    "operator new\\("                       # replaces the allocator
    "^BOOST_TEST_GLOBAL_(FIXTURE|CONFIGURATION)"
    "^namespace (boost|duet|std)[ :{]"
    "^template <>"                          # specializes a template, which no namespace but its own may do
    "^BOOST_TEST_DONT_PRINT_LOG_VALUE")     # does the same
list(JOIN duet_whole_program "|" duet_whole_program)

# duet_test_stands_alone(<result> <file>): whether the file, or a header of the tests that it includes, concerns the whole
# program. A header is included outside of the suites, so it may add to any namespace, and cases of its own would be in none.
function(duet_test_stands_alone result file)
    set(found FALSE)
    set(files "${file}")
    set(seen "")
    while(files AND NOT found)
        list(POP_FRONT files next)
        list(APPEND seen "${next}")
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${next}")
        file(STRINGS "${next}" lines REGEX "^#include \"|^BOOST_AUTO_TEST_CASE|${duet_whole_program}")
        foreach(line IN LISTS lines)
            if(line MATCHES "^#include \"(.*)\"")
                set(header "${CMAKE_CURRENT_SOURCE_DIR}/${CMAKE_MATCH_1}")
                if(NOT header IN_LIST seen AND EXISTS "${header}")
                    list(APPEND files "${header}")
                endif()
            elseif(next STREQUAL file)
                if(NOT line MATCHES "^BOOST_AUTO_TEST_CASE")
                    set(found TRUE)
                endif()
            elseif(NOT line MATCHES "^(namespace|template|BOOST_TEST_DONT)")
                set(found TRUE)
            endif()
        endforeach()
    endwhile()
    set(${result} ${found} PARENT_SCOPE)
endfunction()

# duet_join_unit(<result> <path> <name> <kind>): adds a test to a unit of its kind, and returns the unit's target. Tests of one
# kind are compiled and linked alike. The result is empty if the test has to stay alone.
function(duet_join_unit result path name kind)
    set(${result} "" PARENT_SCOPE)
    cmake_path(GET path PARENT_PATH folder)
    if(NOT DUET_TEST_UNITS OR folder STREQUAL "")
        return()
    endif()
    set(file "${CMAKE_CURRENT_SOURCE_DIR}/${path}.cpp")
    duet_test_stands_alone(alone "${file}")
    if(alone)
        return()
    endif()

    file(SIZE "${file}" size)
    get_property(number GLOBAL PROPERTY duet_unit_number${kind})
    get_property(sum GLOBAL PROPERTY duet_unit_size${kind})
    if(NOT number)
        set(number 1)
        set(sum 0)
    endif()
    math(EXPR sum "${sum} + ${size}")
    if(sum GREATER duet_unit_size AND NOT sum EQUAL size)
        math(EXPR number "${number} + 1")
        set(sum ${size})
    endif()
    set(unit "test_unit${kind}_${number}")
    set_property(GLOBAL PROPERTY duet_unit_number${kind} ${number})
    set_property(GLOBAL PROPERTY duet_unit_size${kind} ${sum})
    get_property(units GLOBAL PROPERTY duet_units)
    if(NOT unit IN_LIST units)
        set_property(GLOBAL APPEND PROPERTY duet_units ${unit})
    endif()
    set_property(GLOBAL APPEND PROPERTY duet_tests_of_${unit} ${name})
    set(${result} ${unit} PARENT_SCOPE)
endfunction()

# duet_suite_of(<result> <name>): the suite that encloses the test inside a unit.
function(duet_suite_of result name)
    string(REPLACE "." "_" suite "${name}")
    set(${result} "${suite}" PARENT_SCOPE)
endfunction()

# Makes the programs of the units, when all tests are known.
function(duet_add_units)
    get_property(units GLOBAL PROPERTY duet_units)
    foreach(unit IN LISTS units)
        get_property(tests GLOBAL PROPERTY duet_tests_of_${unit})
        set(includes "")
        set(bodies "")
        foreach(name IN LISTS tests)
            string(REPLACE "." "/" path "${name}")
            duet_suite_of(suite "${name}")
            # What ends with .inc is a part of the test's text.
            file(STRINGS "${path}.cpp" lines REGEX "^#include .*[^c][>\"]")
            list(APPEND includes ${lines})
            string(APPEND bodies
                "\n#undef BOOST_TEST_MODULE\nBOOST_AUTO_TEST_SUITE(${suite})\n"
                "#include \"${CMAKE_CURRENT_SOURCE_DIR}/${path}.cpp\"\nBOOST_AUTO_TEST_SUITE_END()\n")
        endforeach()
        list(REMOVE_DUPLICATES includes)
        list(JOIN includes "\n" includes)
        file(CONFIGURE OUTPUT "${unit}.cpp" CONTENT "#define BOOST_TEST_MODULE ${unit}\n${includes}\n${bodies}" @ONLY)
        add_executable(${unit} "${CMAKE_CURRENT_BINARY_DIR}/${unit}.cpp")
        list(GET tests 0 first)
        set(libraries "")
        if(unit MATCHES "_ssl_")
            set(libraries duet_test_ssl)
        endif()
        duet_compile_test(${unit} ${first} ${libraries})
        # g++ takes every anonymous namespace outside of the main source file for a header's.
        target_compile_options(${unit} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
    endforeach()
endfunction()
