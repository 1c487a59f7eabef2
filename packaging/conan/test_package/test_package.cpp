// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <duet/duet.hpp>

#include <cstdio>

int main()
{
    duet::error_code const error = duet::errc::truncated;
    std::printf("duet %s: %s\n", DUET_VERSION_STRING, error.message().c_str());
}
