// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A session on a stream that lacks one thing. It is not to compile, and the error names what is missing.

#include <duet/session.hpp>
#include <duet/testing/memory_stream.hpp>

namespace {

struct incomplete_stream : duet::testing::memory_stream
{
#if defined(WITHOUT_MEMBER)
    void async_wait() = delete;  // hides the one of memory_stream
#endif
};

}  // namespace

#if !defined(WITHOUT_TRAITS)
template <>
struct duet::stream_traits<incomplete_stream> : duet::stream_traits<duet::testing::memory_stream>
{
#if defined(WITHOUT_FUNCTION)
    static void reset() = delete;
#endif
};
#endif

static_assert(sizeof(duet::basic_session<incomplete_stream>) > 0);
