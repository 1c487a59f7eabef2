// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A write of what cannot be sent. It is not to compile, and the error says what is wrong.

#include <duet/session.hpp>

#include <string>

#if defined(WRITES_TEMPORARY)
void wrong(duet::session& peer)
{
    static_cast<void>(peer.write(std::string{"gone before it is sent"}));
}
#elif defined(WRITES_NUMBER)
void wrong(duet::session& peer)
{
    static_cast<void>(peer.write(42));
}
#elif defined(WRITES_STRINGS)
void wrong(duet::session& peer, std::string const (&lines)[2])
{
    static_cast<void>(peer.write(lines));
}
#endif
