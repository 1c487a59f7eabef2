// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/fd.hpp"

#include "support/descriptor.hpp"

#include <boost/test/test_tools.hpp>

#include <array>
#include <charconv>
#include <cstring>
#include <exception>
#include <memory>

#include <dirent.h>

namespace duet_test {

std::map<int, std::string> open_descriptors()
{
    struct closer
    {
        void operator()(DIR* const open) const noexcept { ::closedir(open); }
    };
    std::unique_ptr<DIR, closer> const directory{::opendir("/proc/self/fd")};
    if (!directory)
        throw_errno("/proc/self/fd");
    std::map<int, std::string> result;
    while (auto const* const entry = ::readdir(directory.get()))
    {
        int fd = -1;
        std::from_chars(entry->d_name, entry->d_name + std::strlen(entry->d_name), fd);
        if (fd < 0 || fd == ::dirfd(directory.get()))
            continue;
        std::array<char, 256> target;
        auto const size = ::readlinkat(::dirfd(directory.get()), entry->d_name, target.data(), target.size());
        result.emplace(fd, std::string{target.data(), static_cast<std::size_t>(size < 0 ? 0 : size)});
    }
    return result;
}

std::size_t count_open_descriptors()
{
    return open_descriptors().size();
}

no_leaked_descriptors::no_leaked_descriptors() : before_{open_descriptors()}, exceptions_{std::uncaught_exceptions()} {}

no_leaked_descriptors::~no_leaked_descriptors()
{
    if (std::uncaught_exceptions() != exceptions_)
        return;
    auto const left = leaked();
    BOOST_CHECK_MESSAGE(left.empty(), "leaked descriptors:\n" << left);
}

// The target as well: a number may be closed and used again for something else.
std::string no_leaked_descriptors::leaked() const
{
    std::string result;
    for (auto const& [fd, target] : open_descriptors())
    {
        auto const found = before_.find(fd);
        if (found == before_.end() || found->second != target)
            result += "  " + std::to_string(fd) + ' ' + target + '\n';
    }
    return result;
}

descriptor_limit::descriptor_limit(rlim_t const limit)
{
    checked(::getrlimit(RLIMIT_NOFILE, &before_), "getrlimit");
    rlimit const lowered{limit, before_.rlim_max};
    checked(::setrlimit(RLIMIT_NOFILE, &lowered), "setrlimit");
}

descriptor_limit descriptor_limit::of(rlim_t const limit)
{
    return descriptor_limit{limit};
}

// The limit is one on numbers, and the kernel gives out the lowest free one: count the holes.
descriptor_limit descriptor_limit::room_for(std::size_t const more)
{
    auto const open = open_descriptors();
    int limit = 0;
    for (std::size_t room = 0; room < more || open.contains(limit); ++limit)
    {
        if (!open.contains(limit))
            ++room;
    }
    return descriptor_limit{static_cast<rlim_t>(limit)};
}

descriptor_limit::~descriptor_limit()
{
    lift();
}

void descriptor_limit::lift() noexcept
{
    ::setrlimit(RLIMIT_NOFILE, &before_);
}

}  // namespace duet_test
