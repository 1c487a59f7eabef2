// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_RUN_FIXTURE_HPP
#define DUET_TEST_RUN_FIXTURE_HPP

// How the tests of duet::run() play the clients while it has the thread, what it returned and said, and what can go
// wrong meanwhile.

#include "serve/server_fixture.hpp"

#include <duet/run.hpp>

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace duet_test {

using namespace std::chrono_literals;

using tcp = asio::ip::tcp;

inline duet::server_options patient(std::chrono::steady_clock::duration drain_timeout = 10min)
{
    auto options = on_loopback();
    options.drain_timeout = drain_timeout;
    return options;
}

inline asio::awaitable<void> until_served(duet::server const& serving, std::uint64_t sessions)
{
    co_await until([&] { return serving.counters().active == sessions; }, "the sessions are served");
}

/// What is written to stderr during its life.
class captured_errors
{
public:
    captured_errors()
    {
        std::fflush(stderr);
        checked(::dup2(file_.get(), STDERR_FILENO), "dup2");
    }

    captured_errors(captured_errors const&) = delete;
    captured_errors& operator=(captured_errors const&) = delete;

    ~captured_errors()
    {
        std::fflush(stderr);
        ::dup2(before_.get(), STDERR_FILENO);
    }

    std::string text() const
    {
        std::fflush(stderr);
        std::string result(65536, '\0');
        auto const size = checked(::pread(file_.get(), result.data(), result.size(), 0), "pread");
        result.resize(static_cast<std::size_t>(size));
        return result;
    }

private:
    descriptor before_{checked(::dup(STDERR_FILENO), "dup")};
    descriptor file_{checked(::memfd_create("stderr", MFD_CLOEXEC), "memfd_create")};
};

/// A coroutine that plays the clients while duet::run() has the thread.
class script
{
public:
    script(asio::io_context& context, asio::awaitable<void> body) : context_{context}, guard_{context, run_guard}
    {
        guard_.async_wait(
            [](boost::system::error_code const& error)
            {
                if (!error)
                    throw hang{"duet::run() does not return"};
            });
        asio::co_spawn(context, std::move(body),
            [end = end_](std::exception_ptr failure)
            {
                *end = true;
                if (failure)
                    std::rethrow_exception(failure);
            });
    }

    /// The rest of it, when duet::run() has returned in the middle.
    void finish()
    {
        guard_.cancel();
        detail::run_until(context_, run_guard, [&] { return *end_; });
    }

private:
    asio::io_context& context_;
    asio::steady_timer guard_;
    std::shared_ptr<bool> end_ = std::make_shared<bool>(false);
};

struct run_result
{
    int code = -1;
    std::string errors{};  // what it said on stderr
};

template <class Server>
run_result run_with(asio::io_context& context, Server& serving, asio::awaitable<void> body)
{
    script clients{context, std::move(body)};
    run_result result;
    {
        captured_errors const captured;
        result.code = duet::run(context, {.print = true}, serving);
        result.errors = captured.text();
    }
    clients.finish();
    return result;
}

using signal_handler = void (*)(int);

inline signal_handler handler_of(int number)
{
    struct sigaction now
    {
    };
    checked(::sigaction(number, nullptr, &now), "sigaction");
    return now.sa_handler;
}

/// Neither signal is caught by anybody: it ends the program.
inline bool signals_at_default()
{
    return handler_of(SIGINT) == SIG_DFL && handler_of(SIGTERM) == SIG_DFL;
}

/// A server whose listener the test can break: accept then fails for good, with EINVAL.
struct breakable_server
{
    explicit breakable_server(asio::io_context& context)
        : breakable_server{context, duet::acceptor{context, tcp::endpoint{asio::ip::address_v4::loopback(), 0}}}
    {
    }

    void break_listener() const { checked(::shutdown(listener, SHUT_RDWR), "shutdown"); }

    bool failed() const { return serving.listener_failure() != nullptr; }

    int listener;
    duet::server serving;

private:
    breakable_server(asio::io_context& context, duet::acceptor listening)
        : listener{listening.native_handle()}, serving{context, std::move(listening), patient(), polite<duet::session>}
    {
    }
};

/// Throws after so many turns of the context.
inline void throw_after(asio::io_context& context, int turns)
{
    if (turns == 0)
        throw 42;
    asio::post(context, [&context, turns] { throw_after(context, turns - 1); });
}

/// The client keeps the drain from coming to its end before.
inline void throw_while_signalled(asio::io_context& context, duet::server& serving, raw_socket& client, int turns)
{
    client = client_of(serving);
    while (serving.counters().active == 0)
        context.run_one_for(run_guard);
    auto const signalled = [&]
    {
        ::raise(SIGTERM);
        throw_after(context, turns);
    };
    asio::post(context, signalled);
    BOOST_CHECK_THROW(duet::run(context, serving), int);
}

}  // namespace duet_test

#endif
