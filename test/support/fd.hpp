// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_FD_HPP
#define DUET_TEST_FD_HPP

#include <cstddef>
#include <map>
#include <string>

#include <sys/resource.h>

namespace duet_test {

// The open descriptors of this process with what they are ("socket:[4711]", "anon_inode:[eventpoll]").
std::map<int, std::string> open_descriptors();
std::size_t count_open_descriptors();

// Checks at the end of its scope that no descriptor was left open: construct it before everything it watches, the
// io_context included. Leaving the scope by an exception is not checked: that test has failed already.
class no_leaked_descriptors
{
public:
    no_leaked_descriptors();
    ~no_leaked_descriptors();

    no_leaked_descriptors(no_leaked_descriptors const&) = delete;
    no_leaked_descriptors& operator=(no_leaked_descriptors const&) = delete;

    // The descriptors open now and not at construction, one a line; empty when there are none.
    std::string leaked() const;

private:
    std::map<int, std::string> before_;
    int exceptions_;
};

// Limits the process's descriptors for a scope, so that the next accept or socket fails with EMFILE (P23). UBSan's vptr
// check needs descriptors of its own (it probes memory through a pipe) and reports nonsense without: build with
// -fno-sanitize=vptr.
class descriptor_limit
{
public:
    // The limit itself (RLIMIT_NOFILE): no descriptor number at or above it.
    static descriptor_limit of(rlim_t limit);

    // Exactly so many more descriptors may be opened.
    static descriptor_limit room_for(std::size_t more);

    ~descriptor_limit();

    descriptor_limit(descriptor_limit const&) = delete;
    descriptor_limit& operator=(descriptor_limit const&) = delete;

    // Ends the limit before the end of the scope.
    void lift() noexcept;

private:
    explicit descriptor_limit(rlim_t limit);

    rlimit before_{};
};

}  // namespace duet_test

#endif
