// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef ERRORS_HPP
#define ERRORS_HPP

#include <boost/system/error_code.hpp>
#include <boost/system/error_condition.hpp>

#if defined(errors_EXPORTS)
#define ERRORS_API [[gnu::visibility("default")]]
#else
#define ERRORS_API
#endif

// The library's own categories, codes and conditions.

ERRORS_API boost::system::error_category const* category_of_the_library();
ERRORS_API boost::system::error_code closed_in_the_library();
ERRORS_API boost::system::error_code end_in_the_library();
ERRORS_API boost::system::error_condition condition_of_the_library();

#endif
