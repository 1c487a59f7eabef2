# The warnings that a strict user may have on, as errors, for everything below: also for duet, whose headers are not SYSTEM
# when they come by FetchContent.
#
# Without optimization on purpose. Asio's own code then says nothing, while an optimizing g++ prints
# -Wmismatched-new-delete for a coroutine frame, in a program without duet too: Asio gives the frame's promise an operator
# new and an operator delete, g++ inlines one of them and takes the two for a mismatch. No warning of duet's own is lost
# with it: duet's programs are built optimized with the same warnings.

include(CheckCXXCompilerFlag)

add_compile_options(
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual)
foreach(name IN ITEMS useless-cast logical-op)  # g++ alone has these
    check_cxx_compiler_flag(-W${name} knows_${name})
    if(knows_${name})
        add_compile_options(-W${name})
    endif()
endforeach()
set(CMAKE_COMPILE_WARNING_AS_ERROR ON)
