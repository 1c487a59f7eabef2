// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_DESCRIPTOR_HPP
#define DUET_TEST_DESCRIPTOR_HPP

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace duet_test {

// The one place that turns errno into an exception.
[[noreturn]] inline void throw_errno(std::string const& what, int const error = errno)
{
    throw std::system_error{error, std::system_category(), what};
}

// The result of a system call that returns -1 for an error.
template <typename Result>
Result checked(Result const result, char const* const what)
{
    if (result == static_cast<Result>(-1))
        throw_errno(what);
    return result;
}

// An owned file descriptor.
class descriptor
{
public:
    descriptor() = default;

    explicit descriptor(int const fd) noexcept : fd_{fd} {}

    descriptor(descriptor&& other) noexcept : fd_{other.release()} {}

    descriptor& operator=(descriptor&& other) noexcept
    {
        if (this != &other)
        {
            close();
            fd_ = other.release();
        }
        return *this;
    }

    ~descriptor() { close(); }

    int get() const noexcept { return fd_; }

    bool is_open() const noexcept { return fd_ >= 0; }

    int release() noexcept { return std::exchange(fd_, -1); }

    void close() noexcept
    {
        if (is_open())
            ::close(release());
    }

private:
    int fd_ = -1;
};

}  // namespace duet_test

#endif
