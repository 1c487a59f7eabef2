// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "support/processors.hpp"

namespace duet_test {

std::vector<int> processors_of_this_thread()
{
    std::vector<int> numbers;
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return numbers;
    for (int number = 0; number < CPU_SETSIZE; ++number)
        if (CPU_ISSET(static_cast<std::size_t>(number), &allowed))
            numbers.push_back(number);
    return numbers;
}

on_processor::on_processor(int number)
{
    CPU_ZERO(&before_);
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(number), &one);
    ::sched_setaffinity(0, sizeof one, &one);
}

on_processor::~on_processor()
{
    ::sched_setaffinity(0, sizeof before_, &before_);
}

}  // namespace duet_test
