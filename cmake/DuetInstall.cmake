include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(duet_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/duet")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/duet" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")

install(TARGETS duet EXPORT duetTargets INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
if(DUET_BUILD_COMPILED)
    install(TARGETS duet_compiled EXPORT duetTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()
install(EXPORT duetTargets NAMESPACE duet:: DESTINATION "${duet_cmake_dir}")

# A separate file, so that only programs that request this component need fmt. Installing it does not need fmt, either.
install(TARGETS duet_fmt EXPORT duetFmtTargets)
install(EXPORT duetFmtTargets NAMESPACE duet:: DESTINATION "${duet_cmake_dir}")

# The same for OpenSSL.
install(TARGETS duet_tls EXPORT duetTlsTargets)
if(TARGET duet_asio_ssl)
    install(TARGETS duet_asio_ssl EXPORT duetTlsTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()
install(EXPORT duetTlsTargets NAMESPACE duet:: DESTINATION "${duet_cmake_dir}")

configure_package_config_file(cmake/duetConfig.cmake.in duetConfig.cmake INSTALL_DESTINATION "${duet_cmake_dir}")
# Before 1.0 a minor version may change the interface. Without the static library the package fits any architecture.
set(duet_architecture "")
if(NOT DUET_BUILD_COMPILED)
    set(duet_architecture ARCH_INDEPENDENT)
endif()
write_basic_package_version_file(duetConfigVersion.cmake COMPATIBILITY SameMinorVersion ${duet_architecture})
install(
    FILES "${CMAKE_CURRENT_BINARY_DIR}/duetConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/duetConfigVersion.cmake"
    DESTINATION "${duet_cmake_dir}")

# pkg-config. The prefix in the files is relative to their own location, so an installed tree can be moved.
file(RELATIVE_PATH DUET_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" DUET_PC_PREFIX "${DUET_PC_PREFIX}")
set(duet_pc_files duet)
if(DUET_BUILD_COMPILED)
    list(APPEND duet_pc_files duet-compiled)
endif()
foreach(name IN LISTS duet_pc_files)
    configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endforeach()
