// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_INHERITED_IPP
#define DUET_DETAIL_ACCEPT_INHERITED_IPP

#include <charconv>
#include <cstdlib>
#include <string_view>

#include <duet/inherited.hpp>

#include <fcntl.h>
#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The value of an environment variable as an integer; -1 if it is not one.
inline long number_in_environment(char const* name) noexcept
{
    char const* const text = std::getenv(name);
    if (!text)
        return -1;
    std::string_view const all{text};
    long value = -1;
    auto const result = std::from_chars(all.data(), all.data() + all.size(), value);
    return result.ec == std::errc{} && result.ptr == all.data() + all.size() ? value : -1;
}

}  // namespace detail

DUET_DECL std::vector<inherited_descriptor> inherited_descriptors()
{
    constexpr int first = 3;  // SD_LISTEN_FDS_START
    std::vector<inherited_descriptor> result;
    auto const count = detail::number_in_environment("LISTEN_FDS");
    if (count <= 0 || count > 65536 || detail::number_in_environment("LISTEN_PID") != ::getpid())
        return result;
    char const* const names_text = std::getenv("LISTEN_FDNAMES");
    std::string_view names{names_text ? names_text : ""};
    for (int descriptor = first; descriptor < first + static_cast<int>(count); ++descriptor)
    {
        auto const colon = names.find(':');
        std::string name{names.substr(0, colon)};
        names = colon == std::string_view::npos ? std::string_view{} : names.substr(colon + 1);
        int const flags = ::fcntl(descriptor, F_GETFD);
        if (flags < 0)
            continue;  // the service manager announced a descriptor that is not open
        ::fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC);
        result.push_back({descriptor, std::move(name)});
    }
    return result;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
