// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef BENCH_LOAD_MODES_HPP
#define BENCH_LOAD_MODES_HPP

#include "options.hpp"
#include "report.hpp"

namespace load {

report run_echo(options const& o);  ///< echo and faults
report run_connect(options const& o);
report run_idle(options const& o);
report run_bulk(options const& o);  ///< up and down

}  // namespace load

#endif
