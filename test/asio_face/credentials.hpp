// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TEST_CREDENTIALS_HPP
#define DUET_TEST_CREDENTIALS_HPP

#include "support/descriptor.hpp"
#include "support/process.hpp"

#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include <stdlib.h>

namespace duet_test {

// A certificate for localhost that signs itself, in a directory that is gone at the end.
struct credentials
{
    credentials()
    {
        std::string name = (std::filesystem::temp_directory_path() / "duet-tls-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw_errno("mkdtemp");
        directory = name;
        child_process request{
            {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                key(), "-out", certificate(), "-subj", "/CN=localhost", "-days", "2"},
            child_errors::merged};
        request.close_input();
        auto const said = request.read_rest();
        if (!request.wait().success())
            throw std::runtime_error{"openssl req: " + said};
    }

    ~credentials()
    {
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
    }

    credentials(credentials const&) = delete;
    credentials& operator=(credentials const&) = delete;

    static std::string key() { return (directory / "key.pem").string(); }

    static std::string certificate() { return (directory / "certificate.pem").string(); }

    static inline std::filesystem::path directory;
};

}  // namespace duet_test

#endif
