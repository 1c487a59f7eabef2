# Every public header. duet/format.hpp where this program has fmt.
file(GLOB headers RELATIVE "${duet_SOURCE_DIR}/include"
    "${duet_SOURCE_DIR}/include/duet/*.hpp" "${duet_SOURCE_DIR}/include/duet/testing/*.hpp")
find_package(fmt 9 QUIET GLOBAL)
if(fmt_FOUND)
    target_link_libraries(my_server PRIVATE duet::fmt)
else()
    list(REMOVE_ITEM headers duet/format.hpp)
endif()
list(TRANSFORM headers REPLACE "(.+)" "#include <\\1>")
list(JOIN headers "\n" text)
file(CONFIGURE OUTPUT headers.cpp CONTENT "${text}\n")
target_sources(my_server PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/headers.cpp")
