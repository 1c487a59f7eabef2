// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "errors.hpp"

#include <duet/error.hpp>
#include <duet/version.hpp>

#include <cstdio>
#include <cstdlib>

namespace {

void require(bool holds, char const* what)
{
    if (holds)
        return;
    std::printf("%s\n", what);
    std::exit(1);
}

}  // namespace

int main()
{
    require(category_of_the_library() != &duet::duet_category(), "the library has no duet of its own");
    require(closed_in_the_library() == duet::errc::closed, "errc::closed is another one in the library");
    require(closed_in_the_library() != duet::errc::aborted, "the library's errc::closed is errc::aborted");
    require(closed_in_the_library() == duet::condition::closed, "the library's error is not of our condition");
    require(duet::errc::closed == condition_of_the_library(), "our error is not of the library's condition");
    require(closed_in_the_library() == condition_of_the_library(), "the library does not agree with itself");
    require(duet::make_error_condition(duet::condition::closed) == condition_of_the_library(), "two conditions");
    require(end_in_the_library() == duet::condition::ended, "the library's end of file is not ours");
    std::printf("duet %s\n", DUET_VERSION_STRING);
}
