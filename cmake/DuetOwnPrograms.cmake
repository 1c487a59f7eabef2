# How the tests and the examples are built. Nothing here reaches who uses the library.

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
    # Asio has a fence that ThreadSanitizer does not follow; g++ says so 62 times per file.
    list(APPEND DUET_OWN_WARNINGS -Wno-tsan)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Where g++ inlines Asio's operator new for coroutine frames and not the operator delete that goes with it, it takes the
    # two for a mismatch.
    list(APPEND DUET_OWN_WARNINGS $<$<COMPILE_LANGUAGE:CXX>:-Wno-mismatched-new-delete>)
    if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
        # With -O3, g++ 12 sees std::string's concatenation overlap itself (GCC bug 105651).
        list(APPEND DUET_OWN_WARNINGS -Wno-restrict)
    endif()
endif()
target_compile_options(duet_own INTERFACE ${DUET_OWN_WARNINGS})

# What users read and copy, the library and the examples, is held to what the strictest of them may have on.
set(DUET_STRICT_WARNINGS ${DUET_OWN_WARNINGS} -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual
    $<$<CXX_COMPILER_ID:GNU>:-Wuseless-cast>
    $<$<CXX_COMPILER_ID:GNU>:-Wlogical-op>)

# duet_own_program(<target>...): links it to the variant under test and holds it to our rules.
# (cmake --compile-no-warning-as-error lets warnings be warnings.)
function(duet_own_program)
    foreach(target IN LISTS ARGV)
        target_link_libraries(${target} PRIVATE duet_own)
        set_target_properties(${target} PROPERTIES
            CXX_EXTENSIONS OFF
            CXX_SCAN_FOR_MODULES OFF
            COMPILE_WARNING_AS_ERROR ON)
    endforeach()
endfunction()

if(DUET_BUILD_COMPILED)
    target_compile_options(duet_compiled PRIVATE ${DUET_STRICT_WARNINGS})
    set_target_properties(duet_compiled PROPERTIES CXX_SCAN_FOR_MODULES OFF COMPILE_WARNING_AS_ERROR ON)
endif()
