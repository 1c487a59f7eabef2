// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a client meets before it has a connection.

#include "scenes.hpp"
#include "stage.hpp"

namespace example {
namespace {

asio::awaitable<void> be_refused(duet::connector& connecting, stage::endpoint to)
{
    try
    {
        co_await connecting.connect(to);
    }
    catch (duet::session_error const&)  // connection_refused
    {
    }
}

}  // namespace

void refused(stage& on)
{
    auto const reserved = on.reserve();
    auto connecting = on.connector();
    on.begin(be_refused(connecting, reserved.local_endpoint()));
    on.run();
}

}  // namespace example
