// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <duet/duet.hpp>

#include <cstdio>

int main()
{
    std::printf("duet %d.%d.%d\n", duet::version_major, duet::version_minor, duet::version_patch);
}
