// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "all_headers.hpp"

boost::system::error_category const& category_of_the_other_unit();

boost::system::error_category const& category_of_the_other_unit()
{
    return duet::duet_category();
}
