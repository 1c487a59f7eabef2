// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_INHERITED_IPP
#define DUET_DETAIL_ACCEPT_INHERITED_IPP

#include <string>
#include <string_view>
#include <utility>

#include <duet/detail/socket/environment.hpp>
#include <duet/inherited.hpp>

#include <fcntl.h>
#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {

DUET_DECL std::vector<inherited_descriptor> inherited_descriptors()
{
    constexpr int first = 3;  // SD_LISTEN_FDS_START
    std::vector<inherited_descriptor> result;
    auto const count = detail::number_in_environment("LISTEN_FDS");
    if (count <= 0 || count > 65536 || detail::number_in_environment("LISTEN_PID") != ::getpid())
        return result;
    auto names = detail::in_environment("LISTEN_FDNAMES");
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
