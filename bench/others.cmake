# The peers that have build systems of their own.

find_program(GO_PROGRAM go)
if(GO_PROGRAM)
    add_custom_command(OUTPUT go_echo
        COMMAND ${CMAKE_COMMAND} -E env GO111MODULE=off
            ${GO_PROGRAM} build -o "${CMAKE_CURRENT_BINARY_DIR}/go_echo" "${CMAKE_CURRENT_SOURCE_DIR}/peers/echo.go"
        DEPENDS peers/echo.go
        VERBATIM)
    add_custom_target(bench_go ALL DEPENDS go_echo)
else()
    message(STATUS "duet: bench: no go, so no go_echo")
endif()

# Debian's cargo with Debian's crates: nothing is fetched.
set(crates /usr/share/cargo/registry)
find_program(CARGO_PROGRAM cargo PATHS /usr/bin NO_DEFAULT_PATH)
file(GLOB tokio_crate "${crates}/tokio-1.*")
if(CARGO_PROGRAM AND tokio_crate)
    set(tokio "${CMAKE_CURRENT_BINARY_DIR}/tokio")
    file(WRITE "${tokio}/.cargo/config.toml"
        "[source.crates-io]\nreplace-with = \"debian\"\n[source.debian]\ndirectory = \"${crates}\"\n")
    configure_file(peers/tokio/Cargo.toml "${tokio}/Cargo.toml" COPYONLY)
    configure_file(peers/tokio/src/main.rs "${tokio}/src/main.rs" COPYONLY)
    add_custom_command(OUTPUT tokio_echo
        COMMAND ${CMAKE_COMMAND} -E env RUSTC=/usr/bin/rustc
            ${CARGO_PROGRAM} build --quiet --offline --release
        COMMAND ${CMAKE_COMMAND} -E copy target/release/tokio_echo "${CMAKE_CURRENT_BINARY_DIR}/tokio_echo"
        DEPENDS "${tokio}/src/main.rs" "${tokio}/Cargo.toml"
        WORKING_DIRECTORY "${tokio}"
        VERBATIM)
    add_custom_target(bench_tokio ALL DEPENDS tokio_echo)
else()
    message(STATUS "duet: bench: no cargo or no librust-tokio-dev, so no tokio_echo")
endif()
