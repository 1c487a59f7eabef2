// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_NETNS_MAIN_HPP
#define DUET_TEST_NETNS_MAIN_HPP

// The main of a Boost.Test program whose every test needs a private network namespace. Where one is refused, the
// program says why and exits with 77, which CTest counts as skipped (SKIP_RETURN_CODE 77). Include it first, once:
//
//     #define BOOST_TEST_MODULE wire_support
//     #include "support/netns_main.hpp"

#ifndef BOOST_TEST_MODULE
#error "define BOOST_TEST_MODULE before including support/netns_main.hpp"
#endif
#ifdef BOOST_TEST_DYN_LINK
#define BOOST_TEST_NO_MAIN
#endif
#include <boost/test/unit_test.hpp>

#include "support/netns.hpp"

#include <cstdio>
#include <cstdlib>

namespace duet_test {

inline constexpr int skipped_exit_code = 77;

// True, or the program has ended. _Exit: nothing has run yet, so there is nothing to tidy up.
inline bool enter_private_network_or_skip()
{
    auto const network = enter_private_network();
    if (!network.entered())
    {
        std::printf("SKIPPED: %s\n", network.refusal.c_str());
        std::fflush(stdout);
        std::_Exit(skipped_exit_code);
    }
    return true;
}

}  // namespace duet_test

#ifdef BOOST_TEST_DYN_LINK
int main(int argc, char* argv[])
{
    duet_test::enter_private_network_or_skip();
    return boost::unit_test::unit_test_main(&init_unit_test, argc, argv);
}
#else
// The static Boost.Test library brings its own main, so the step before main has to do.
static bool const duet_test_inside_private_network = duet_test::enter_private_network_or_skip();
#endif

#endif
