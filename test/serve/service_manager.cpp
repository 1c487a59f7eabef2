// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a service manager is told, and what becomes of a program whose manager does not listen.

#define BOOST_TEST_MODULE serve.service_manager
#include <duet/service_manager.hpp>

#include <boost/asio/error.hpp>
#include <boost/test/unit_test.hpp>

#include "serve/run_fixture.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

constexpr char const* variables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};

/// A manager at an abstract address, and the environment that it gives to programs.
class manager
{
public:
    explicit manager(std::string name = "duet-manager-" + std::to_string(::getpid())) : name_{std::move(name)}
    {
        ::sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::ranges::copy(name_, address.sun_path + 1);
        auto const size = static_cast<::socklen_t>(offsetof(::sockaddr_un, sun_path) + 1 + name_.size());
        checked(::bind(socket_.get(), reinterpret_cast<::sockaddr const*>(&address), size), "bind");
        set("NOTIFY_SOCKET", '@' + name_);
    }

    manager(manager const&) = delete;
    manager& operator=(manager const&) = delete;

    ~manager()
    {
        for (auto const* const name : variables)
            ::unsetenv(name);
    }

    static void set(char const* name, std::string const& value) { ::setenv(name, value.c_str(), 1); }

    /// What has come since the last call.
    std::vector<std::string> heard()
    {
        std::vector<std::string> result;
        std::string text(4096, '\0');
        for (;;)
        {
            auto const size = ::recv(socket_.get(), text.data(), text.size(), MSG_DONTWAIT);
            if (size < 0)
                return result;
            result.push_back(text.substr(0, static_cast<std::size_t>(size)));
        }
    }

    void leave() { socket_ = {}; }

private:
    std::string name_;
    descriptor socket_{checked(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
};

bool is_error(boost::system::error_code const& got, boost::asio::error::basic_errors wanted)
{
    return got == wanted;
}

std::ptrdiff_t count(std::vector<std::string> const& all, std::string const& wanted)
{
    return std::ranges::count(all, wanted);
}

/// SIGTERM once the server has been served, and what the manager heard before it.
asio::awaitable<void> end_later(duet::server& serving, manager& from, std::vector<std::string>& before)
{
    auto client = client_of(serving);
    co_await until_served(serving, 1);
    before = from.heard();
    ::raise(SIGTERM);
    co_await in_thread([&] { return client.recv_all(); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(without_a_manager_nothing_is_sent)
{
    duet::service_manager const nobody;
    BOOST_TEST(!nobody.present());
    BOOST_TEST((nobody.watchdog() == 0us));
    BOOST_TEST(!nobody.notify("READY=1"));
}

BOOST_AUTO_TEST_CASE(each_call_is_one_datagram)
{
    no_leaked_descriptors const watched;
    manager systemd;
    duet::service_manager const it;
    BOOST_TEST(it.present());
    BOOST_TEST(!it.notify("READY=1\nSTATUS=serving"));
    BOOST_TEST(!it.notify("STOPPING=1"));
    BOOST_TEST(systemd.heard() == (std::vector<std::string>{"READY=1\nSTATUS=serving", "STOPPING=1"}),
        boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_manager_that_is_gone_or_has_no_address_is_an_error)
{
    no_leaked_descriptors const watched;
    manager systemd;
    duet::service_manager const it;
    systemd.leave();
    BOOST_TEST(is_error(it.notify("READY=1"), boost::asio::error::connection_refused));
    for (auto const& wrong : {std::string{"vsock:2:1"}, std::string{"relative"}, '/' + std::string(200, 'x')})
    {
        manager::set("NOTIFY_SOCKET", wrong);
        BOOST_TEST(is_error(duet::service_manager{}.notify("READY=1"), boost::asio::error::invalid_argument));
    }
}

BOOST_AUTO_TEST_CASE(the_watchdog_counts_only_if_it_means_this_process)
{
    manager const systemd;
    auto const period = []
    {
        auto const result = duet::service_manager{}.watchdog();
        return result.count();
    };
    BOOST_TEST(period() == 0);
    for (auto const* const wrong : {"", "x", "-1", "0", "12x"})
    {
        manager::set("WATCHDOG_USEC", wrong);
        BOOST_TEST(period() == 0);
    }
    manager::set("WATCHDOG_USEC", "30000000");
    BOOST_TEST(period() == 30000000);
    manager::set("WATCHDOG_PID", std::to_string(::getpid()));
    BOOST_TEST(period() == 30000000);
    manager::set("WATCHDOG_PID", std::to_string(::getppid()));
    BOOST_TEST(period() == 0);
}

BOOST_AUTO_TEST_CASE(run_tells_that_it_is_ready_and_that_it_ends)
{
    no_leaked_descriptors const watched;
    manager systemd;
    asio::io_context context;
    auto options = patient(20s);
    options.drain_delay = 0s;
    duet::server serving{context, options, polite<duet::session>};
    BOOST_TEST(systemd.heard().empty());
    std::vector<std::string> before;
    script clients{context, end_later(serving, systemd, before)};
    BOOST_TEST(duet::run(context, {.notify = true}, serving) == 0);
    clients.finish();
    BOOST_TEST(before == (std::vector<std::string>{"READY=1"}), boost::test_tools::per_element());
    BOOST_TEST(systemd.heard() == (std::vector<std::string>{"STOPPING=1\nEXTEND_TIMEOUT_USEC=21000000"}),
        boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(run_tells_nobody_unless_it_is_asked_to)
{
    manager systemd;
    asio::io_context context;
    duet::server serving{context, patient(), polite<duet::session>};
    std::vector<std::string> before;
    script clients{context, end_later(serving, systemd, before)};
    BOOST_TEST(duet::run(context, serving) == 0);
    clients.finish();
    BOOST_TEST(before.empty());
    BOOST_TEST(systemd.heard().empty());
}

BOOST_AUTO_TEST_CASE(the_watchdog_hears_it_as_long_as_the_context_runs)
{
    no_leaked_descriptors const watched;
    manager systemd;
    manager::set("WATCHDOG_USEC", "2000");
    asio::io_context context;
    duet::server serving{context, patient(), polite<duet::session>};
    std::vector<std::string> all;
    auto const listen = [&]() -> asio::awaitable<void>
    {
        auto client = client_of(serving);
        auto const often = [&]
        {
            auto const heard = systemd.heard();
            all.insert(all.end(), heard.begin(), heard.end());
            return count(all, "WATCHDOG=1") >= 5;
        };
        co_await until(often, "the watchdog is told again and again");
        ::raise(SIGTERM);
        co_await in_thread([&] { return client.recv_all(); });
    };
    script clients{context, listen()};
    BOOST_TEST(duet::run(context, {.notify = true}, serving) == 0);
    clients.finish();
    BOOST_TEST(count(all, "READY=1") == 1);

    systemd.heard();
    context.restart();
    context.run_for(run_guard);  // returns at once, because nothing of it is left on the context
    BOOST_TEST(systemd.heard().empty());
}

BOOST_AUTO_TEST_CASE(a_manager_that_is_gone_changes_nothing)
{
    no_leaked_descriptors const watched;
    manager systemd;
    manager::set("WATCHDOG_USEC", "2000");
    systemd.leave();
    asio::io_context context;
    duet::server serving{context, patient(), polite<duet::session>};
    std::vector<std::string> before;
    script clients{context, end_later(serving, systemd, before)};
    BOOST_TEST(duet::run(context, {.notify = true}, serving) == 0);
    clients.finish();
}
