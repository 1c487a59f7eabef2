// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <duet/format.hpp>
#include <duet/version.hpp>

#include <fmt/format.h>

int main()
{
    fmt::print("duet {}\n", DUET_VERSION_STRING);
}
