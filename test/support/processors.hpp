// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_PROCESSORS_HPP
#define DUET_TEST_PROCESSORS_HPP

#include <vector>

#include <sched.h>

namespace duet_test {

// The numbers of the processors that the calling thread may use; empty where the system does not tell.
std::vector<int> processors_of_this_thread();

// Keeps the calling thread on one processor for a scope, and lets it go where it was allowed before.
class on_processor
{
public:
    explicit on_processor(int number);
    ~on_processor();

    on_processor(on_processor const&) = delete;
    on_processor& operator=(on_processor const&) = delete;

private:
    cpu_set_t before_;
};

}  // namespace duet_test

#endif
