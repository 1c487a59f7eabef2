// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <duet/tls.hpp>

duet::tls_context other_context()
{
    return duet::tls_context::client();
}

boost::asio::awaitable<void> talk(duet::tls_session& peer)
{
    co_await duet::handshake(peer);
    co_await peer.close();
}
