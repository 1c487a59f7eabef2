// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_OWNED_DESCRIPTOR_HPP
#define DUET_DETAIL_SOCKET_OWNED_DESCRIPTOR_HPP

#include <boost/system/system_error.hpp>

#include <cerrno>

#include <duet/detail/config.hpp>

#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

[[noreturn]] inline void throw_errno(char const* operation)
{
    boost::system::error_code const code{errno, boost::system::system_category()};
    throw boost::system::system_error{code, operation};
}

/// A descriptor that is closed at the end.
class owned_descriptor
{
public:
    /// Takes what a system call has returned, or throws its error.
    owned_descriptor(int descriptor, char const* operation) : descriptor_{descriptor}
    {
        if (descriptor < 0)
            throw_errno(operation);
    }

    owned_descriptor(owned_descriptor const&) = delete;
    owned_descriptor& operator=(owned_descriptor const&) = delete;

    ~owned_descriptor() { ::close(descriptor_); }

    int get() const noexcept { return descriptor_; }

private:
    int descriptor_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
