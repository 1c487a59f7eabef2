// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_OBSERVED_HPP
#define DUET_TEST_OBSERVED_HPP

#include "support/fd.hpp"
#include "support/kernel.hpp"
#include "support/mib.hpp"
#include "support/raw_peer.hpp"
#include "support/wait.hpp"
#include "support/wire.hpp"

#include <boost/test/test_tools.hpp>

#include <optional>
#include <string>

namespace duet_test {

// A connection under observation: client c, accepted socket a.
struct observed
{
    explicit observed(raw_address const& at = raw_address::v4(0)) : pair{connected_pair(at)} {}

    conversation said() { return capture.between(pair.client.local_port(), pair.server.local_port()); }

    // What was said after the handshake, without acknowledgements.
    std::string spoken()
    {
        static std::string const opening = "c>s S, s>c S.";
        auto const text = said().text_without_acks();
        BOOST_TEST_INFO(said());
        BOOST_TEST(text.starts_with(opening));
        return text.size() == opening.size() ? "" : text.substr(opening.size() + 2);
    }

    // With acknowledgements: that of a FIN may come with the delayed acknowledgement's timer, up to 40 ms later.
    void wait_said(std::string const& expected)
    {
        eventually([&] { return said().text_without_repetitions() == expected; }, expected);
    }

    long long counted(char const* const name) const { return mib::since(before)[name]; }

    std::optional<kernel_state> state_of_client() const
    {
        return state_of(pair.client.local_port(), pair.client.remote_port());
    }

    no_leaked_descriptors descriptors;
    mib before = mib::now();
    wire capture;
    raw_pair pair;
    raw_socket& c = pair.client;
    raw_socket& a = pair.server;
};

}  // namespace duet_test

#endif
