// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "header_only.hpp"

#include <duet/error.hpp>

std::string text_of_timeout()
{
    return duet::make_error_code(duet::errc::read_timed_out).message();
}

bool ended_well(duet::close_report const& report)
{
    return report.clean();
}
