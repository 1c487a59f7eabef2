// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_ENDS_FIXTURE_HPP
#define DUET_TEST_ENDS_FIXTURE_HPP

// What a server tells of the sessions that have ended.

#include "serve/server_fixture.hpp"

#include <cstddef>
#include <vector>

namespace duet_test {

struct ends_fixture
{
    ends_fixture() { prepare(context); }

    duet::server_options telling(duet::server_options options = {})
    {
        options.on_session_end = [this](duet::session_end const& end) { ends.push_back(end); };
        return options;
    }

    void serve_until_ended(std::size_t count)
    {
        serve(context, [&] { return ends.size() == count; });
    }

    no_leaked_descriptors watched;
    asio::io_context context;
    std::vector<duet::session_end> ends;
};

}  // namespace duet_test

#endif
