// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Linked with two_units_other.cpp. What is inline is also the same object in both.

#include "all_headers.hpp"

#include <cstdio>

boost::system::error_category const& category_of_the_other_unit();

int main()
{
    if (&duet::duet_category() == &category_of_the_other_unit())
        return 0;
    std::puts("each translation unit has an error category of its own");
    return 1;
}
