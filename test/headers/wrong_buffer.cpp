// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A read into what cannot be filled. It is not to compile, and the error says what is wrong.

#include <duet/session.hpp>

#include <string>

#if defined(READS_CONST)
void wrong(duet::session& peer, std::string const& text)
{
    static_cast<void>(peer.read(boost::asio::buffer(text)));
}
#elif defined(READS_STRING)
void wrong(duet::session& peer, std::string& text)
{
    static_cast<void>(peer.read_some(text));
}
#endif
