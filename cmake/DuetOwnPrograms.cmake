# How the tests and the examples are built. Nothing here affects users of the library.

option(DUET_TEST_COMPILED "Link the tests and the examples to duet::compiled, not to duet::duet" OFF)

# The variant under test, with our warnings.
add_library(duet_own INTERFACE)
if(DUET_TEST_COMPILED)
    target_link_libraries(duet_own INTERFACE duet::compiled)
else()
    target_link_libraries(duet_own INTERFACE duet::duet)
endif()

set(DUET_OWN_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_FLAGS MATCHES "fsanitize=thread")
    # Asio uses a fence, which ThreadSanitizer does not support; g++ warns of it 62 times per file.
    list(APPEND DUET_OWN_WARNINGS -Wno-tsan)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # If g++ inlines Asio's operator new for coroutine frames but not the matching operator delete, it reports a mismatch.
    list(APPEND DUET_OWN_WARNINGS $<$<COMPILE_LANGUAGE:CXX>:-Wno-mismatched-new-delete>)
    if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
        # With -O3, g++ 12 sees std::string's concatenation overlap itself (GCC bug 105651).
        list(APPEND DUET_OWN_WARNINGS -Wno-restrict)
    endif()
endif()
target_compile_options(duet_own INTERFACE ${DUET_OWN_WARNINGS})

# Users read and copy the library and the examples, so these must compile with the strictest warnings that users may enable.
set(DUET_STRICT_WARNINGS ${DUET_OWN_WARNINGS} -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual
    $<$<CXX_COMPILER_ID:GNU>:-Wuseless-cast>
    $<$<CXX_COMPILER_ID:GNU>:-Wlogical-op>)

# duet_own_program(<target>...): links each target to the variant under test and treats warnings as errors.
# (cmake --compile-no-warning-as-error turns that off.)
function(duet_own_program)
    foreach(target IN LISTS ARGV)
        target_link_libraries(${target} PRIVATE duet_own)
        set_target_properties(${target} PROPERTIES
            CXX_EXTENSIONS OFF
            CXX_SCAN_FOR_MODULES OFF
            COMPILE_WARNING_AS_ERROR ON)
    endforeach()
endfunction()

# Boost.JSON, for what reads a trace. An installed Boost has it as headers, which one file of a program has to compile.
add_library(duet_json STATIC EXCLUDE_FROM_ALL)
file(CONFIGURE OUTPUT boost_json.cpp CONTENT "#if !defined(DUET_BOOST_HAS_JSON)\n#include <boost/json/src.hpp>\n#endif\n")
target_sources(duet_json PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/boost_json.cpp")
target_compile_features(duet_json PUBLIC cxx_std_20)
set_target_properties(duet_json PROPERTIES CXX_EXTENSIONS OFF CXX_SCAN_FOR_MODULES OFF)
if(TARGET Boost::json)
    target_link_libraries(duet_json PUBLIC Boost::json)
    target_compile_definitions(duet_json PRIVATE DUET_BOOST_HAS_JSON)
else()
    target_link_libraries(duet_json PUBLIC ${DUET_BOOST_ASIO})
endif()

if(DUET_BUILD_COMPILED)
    target_compile_options(duet_compiled PRIVATE ${DUET_STRICT_WARNINGS})
    set_target_properties(duet_compiled PROPERTIES CXX_SCAN_FOR_MODULES OFF COMPILE_WARNING_AS_ERROR ON)
endif()
