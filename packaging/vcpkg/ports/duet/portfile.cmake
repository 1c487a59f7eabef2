# An overlay port, which builds the checkout that it lies in.
cmake_path(ABSOLUTE_PATH CMAKE_CURRENT_LIST_DIR NORMALIZE OUTPUT_VARIABLE SOURCE_PATH)
foreach(folder IN ITEMS duet ports vcpkg packaging)  # what lies between
    cmake_path(GET SOURCE_PATH PARENT_PATH SOURCE_PATH)
endforeach()
if(NOT EXISTS "${SOURCE_PATH}/include/duet/version.hpp")
    message(FATAL_ERROR "This port was copied out of the checkout that it builds. Name it with --overlay-ports instead.")
endif()

vcpkg_cmake_configure(
    SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS
        -DDUET_BUILD_EXAMPLES=OFF
        -DDUET_BUILD_TESTS=OFF
        -DDUET_INSTALL=ON
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/duet)
vcpkg_fixup_pkgconfig()

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
