// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "header_only.hpp"

#include <duet/error.hpp>
#include <duet/version.hpp>

#include <cstdio>

int main()
{
#if defined(EXCHANGE)
    return ended_well({}) ? 0 : 1;
#else
    bool const same = text_of_timeout() == duet::make_error_code(duet::errc::read_timed_out).message();
    std::printf("duet %s\n", same ? DUET_VERSION_STRING : "");
#endif
}
