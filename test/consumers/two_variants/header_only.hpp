// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef HEADER_ONLY_HPP
#define HEADER_ONLY_HPP

#include <duet/close_report.hpp>

#include <string>

std::string text_of_timeout();
bool ended_well(duet::close_report const& report);

#endif
