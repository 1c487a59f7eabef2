// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "errors.hpp"

#include <duet/error.hpp>

#include <boost/asio/error.hpp>

boost::system::error_category const* category_of_the_library()
{
    return &duet::duet_category();
}

boost::system::error_code closed_in_the_library()
{
    return duet::errc::closed;
}

boost::system::error_code end_in_the_library()
{
    return boost::asio::error::eof;
}

boost::system::error_condition condition_of_the_library()
{
    return duet::condition::closed;
}
