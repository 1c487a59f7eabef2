// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_BALANCER_CHECKS_HPP
#define EXAMPLES_BALANCER_CHECKS_HPP

#include <boost/asio/io_context.hpp>

#include "backend_list.hpp"
#include "settings.hpp"

namespace example {

/// Begin to check each listed backend that is not checked yet: connect, and close. It ends by itself when the backend
/// is not listed any more. `with` has to outlive the context.
void start_checks(boost::asio::io_context& context, backend_list const& all, settings const& with);

}  // namespace example

#endif
