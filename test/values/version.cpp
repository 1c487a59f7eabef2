// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <duet/version.hpp>

#define BOOST_TEST_MODULE values.version
#include <boost/test/unit_test.hpp>

#include <string>

BOOST_AUTO_TEST_CASE(the_forms_of_the_version_agree)
{
    BOOST_TEST(DUET_VERSION == duet::version_major * 10000 + duet::version_minor * 100 + duet::version_patch);
    auto const text = std::to_string(duet::version_major) + '.' + std::to_string(duet::version_minor) + '.' +
                      std::to_string(duet::version_patch);
    BOOST_TEST(text == DUET_VERSION_STRING);
}
