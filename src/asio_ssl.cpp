// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Asio's definitions for asio::ssl, which duet::compiled does not have, because they need OpenSSL. Link duet::asio_ssl.

#include <boost/asio/ssl/impl/src.hpp>
