// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What most tests include, parsed once for all of them (DUET_TEST_PRECOMPILE). No test may rely on it: the
// configurations that do not precompile would not build. <boost/test/unit_test.hpp> is missing: with BOOST_TEST_MODULE,
// which each test defines for itself, it defines main().

#include <boost/test/framework.hpp>
#include <boost/test/test_tools.hpp>
#include <boost/test/tree/auto_registration.hpp>
#include <boost/test/tree/global_fixture.hpp>
#include <boost/test/tree/test_case_template.hpp>

#include <duet/server.hpp>

#include "session/memory_fixture.hpp"
#include "session/session_fixture.hpp"
