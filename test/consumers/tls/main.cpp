// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <duet/session.hpp>
#include <duet/tls.hpp>
#include <duet/version.hpp>

#include <boost/asio/ssl.hpp>

#include <iostream>

duet::tls_context other_context();

int main()
{
    boost::asio::ssl::context asios{boost::asio::ssl::context::tls_client};
    asios.set_verify_mode(boost::asio::ssl::verify_peer);
    if (duet::tls_context::client().is_client() && other_context().is_client())
        std::cout << "duet " << DUET_VERSION_STRING << '\n';
}
