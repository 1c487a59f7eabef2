// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A context that is destroyed under sessions on sockets of the kernel: their descriptors go with it.

#define BOOST_TEST_MODULE session.destroyed_context
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <memory>
#include <optional>
#include <string>
#include <tuple>

using namespace duet_test;
using duet::close_reason;

namespace {

// The two streams that the library brings.
using both = std::tuple<duet::session, duet::unix_session>;

}  // namespace

// An io_context that is destroyed under its coroutines destroys them, and with them their sessions and descriptors.
BOOST_AUTO_TEST_CASE_TEMPLATE(context_destroyed_under_every_kind_of_pending_operation, Session, both)
{
    enum class kind
    {
        read,
        read_until,
        write,
        shutdown,
        close,
        delivered,
        gone,
        all,
    };
    for (auto const each : {kind::read, kind::read_until, kind::write, kind::shutdown, kind::close, kind::delivered,
             kind::gone, kind::all})
    {
        BOOST_TEST_CONTEXT("kind " << static_cast<int>(each))
        {
            no_leaked_descriptors const descriptors;
            auto pair = std::optional<conversation_with<Session>>{std::in_place, small_window};
            auto data = pattern(long_write);
            auto witness = std::make_shared<int>();  // lives as long as the coroutine's frame
            {
                asio::io_context context;
                auto coroutine = [](Session s, kind what, std::string const& text,
                                     std::shared_ptr<int>) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    bool const all = what == kind::all;
                    std::string line;
                    std::optional<started<std::size_t>> writing;
                    std::optional<started<void>> finishing;
                    std::optional<started<void>> delivering;
                    std::optional<started<close_reason>> gone;
                    if (all || what == kind::write || what == kind::shutdown || what == kind::delivered)
                        writing.emplace(executor, duet_test::write(s, text));
                    if (all || what == kind::shutdown)
                        finishing.emplace(executor, shutdown_send(s));
                    if (all || what == kind::delivered)
                        delivering.emplace(executor, awaited<void>(s.delivered()));
                    if (all || what == kind::gone)
                        gone.emplace(executor, awaited<close_reason>(s.wait_peer_gone()));
                    co_await settle();
                    if (what == kind::close)
                        co_await s.close();
                    else if (what == kind::write)
                        co_await s.write(asio::buffer(text));
                    else if (what == kind::gone)
                        co_await gone->result();
                    else if (what == kind::shutdown)
                        co_await s.shutdown_send();
                    else if (what == kind::delivered)
                        co_await s.delivered();
                    else if (what == kind::read_until)
                        co_await s.read_until(line, "\n", 100);
                    else
                        co_await duet_test::read(s);
                };
                asio::co_spawn(context,
                    coroutine(
                        adopt<Session>(pair->pair.server, context.get_executor(), stalling()), each, data, witness),
                    [](std::exception_ptr) { BOOST_ERROR("the coroutine has ended"); });
                for (int turn = 0; turn < 100; ++turn)
                    context.poll_one();
            }
            BOOST_TEST(witness.use_count() == 1);
            pair.reset();
            BOOST_TEST(descriptors.leaked() == "");
        }
    }
}
