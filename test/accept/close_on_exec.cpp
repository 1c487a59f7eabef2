// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A program that a handler starts inherits nothing: every descriptor is close-on-exec from its birth.

#include <duet/acceptor.hpp>

#define BOOST_TEST_MODULE accept.close_on_exec
#include <boost/test/unit_test.hpp>

#include "relay/relay_fixture.hpp"
#include "serve/server_fixture.hpp"
#include "support/process.hpp"

#include <duet/connector.hpp>
#include <duet/relay.hpp>
#include <duet/server.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;
using tcp = asio::ip::tcp;

namespace {

std::atomic<int> sockets_made{0};
std::atomic<int> made_without{0};

bool closes_on_exec(int fd)
{
    return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

/// Everything that was opened since, one a line, if a program would inherit it.
class opened
{
public:
    std::string inheritable() const
    {
        std::string result;
        for (auto const& [fd, what] : open_descriptors())
            if (before_.count(fd) == 0 && !closes_on_exec(fd))
                result += std::to_string(fd) + ' ' + what + '\n';
        return result;
    }

    /// The sockets and epolls of a program's list that were not open before. Up to 2 it has its own.
    std::string newly(std::string const& list) const
    {
        std::string result;
        std::istringstream lines{list};
        int fd = 0;
        for (std::string what; lines >> fd && std::getline(lines >> std::ws, what);)
        {
            bool const old =
                std::any_of(before_.begin(), before_.end(), [&](auto const& each) { return each.second == what; });
            if (fd > STDERR_FILENO && !old && (what.rfind("socket", 0) == 0 || what.rfind("anon_inode", 0) == 0))
                result += what + '\n';
        }
        return result;
    }

    bool has(std::string const& prefix) const
    {
        for (auto const& [fd, what] : open_descriptors())
            if (before_.count(fd) == 0 && what.rfind(prefix, 0) == 0)
                return true;
        return false;
    }

private:
    std::map<int, std::string> before_ = open_descriptors();
};

/// Hears a word, and then what a program sees that it starts.
template <class Session>
asio::awaitable<void> list_of_program(Session peer)
{
    auto const word = co_await read(peer);
    child_process program{{"sh", "-c", "for each in /proc/self/fd/*; do echo ${each##*/} $(readlink $each); done"}};
    program.close_input();
    auto const list = program.read_rest();
    program.wait();
    co_await write(peer, list);
}

std::string list_from(raw_socket client)
{
    client.send_all("list");
    client.shutdown_write();
    return client.recv_all().data;
}

}  // namespace

// The test program's own, found before libc's: a flag that is set later leaves another thread's fork() time in between.
extern "C" int socket(int family, int type, int protocol) noexcept
{
    ++sockets_made;
    if ((type & SOCK_CLOEXEC) == 0)
        ++made_without;
    return static_cast<int>(::syscall(SYS_socket, family, type, protocol));
}

BOOST_AUTO_TEST_CASE(of_a_server_with_clients_connects_and_lookups)
{
    for (std::size_t const threads : {1U, 2U})
    {
        opened const since;
        sockets_made = 0;
        made_without = 0;
        asio::io_context context;
        auto options = on_loopback();
        options.threads = threads;
        std::string seen;
        duet::server serving{context, options, list_of_program<duet::session>};
        run(context,
            [](opened const& all, duet::server& server, std::string& list) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                auto const port = std::to_string(server.local_endpoint().port());
                duet::connector connecting{executor};
                started<duet::session> by_name{executor, connecting.connect("localhost", port)};
                started<duet::session> by_address{executor, connecting.connect("127.0.0.1", port)};
                co_await settle();  // one looks up, the other connects
                BOOST_TEST(all.inheritable() == "");
                duet::session first = co_await by_name.result();
                duet::session second = co_await by_address.result();
                BOOST_TEST(all.inheritable() == "");
                co_await write(first, "list");
                list = co_await read(first);
                duet::error_code ignored;
                first.lowest_layer().set_option(tcp::no_delay{true}, ignored);  // it leaves the reactor
                BOOST_TEST(all.inheritable() == "");
                auto const end = co_await close(first);
                auto const other_end = co_await close(second);
                BOOST_TEST(end.clean());
                BOOST_TEST(other_end.clean());
                co_await drain(server, 20s);
            }(since, serving, seen));
        BOOST_TEST(seen.find("pipe") != std::string::npos);  // of the shell
        BOOST_TEST(since.newly(seen) == "");
        BOOST_TEST(sockets_made > 2);
        BOOST_TEST(made_without == 0);
    }
}

BOOST_AUTO_TEST_CASE(of_a_server_on_a_unix_domain_path)
{
    opened const since;
    made_without = 0;
    asio::io_context context;
    auto const path = "/tmp/duet-close-on-exec-" + std::to_string(::getpid());
    duet::unix_acceptor listening{context, asio::local::stream_protocol::endpoint{path}};
    duet::unix_server serving{context, std::move(listening), {}, list_of_program<duet::unix_session>};
    BOOST_TEST(since.inheritable() == "");
    std::string list;
    run(context,
        [](std::string const& at, duet::unix_server& server, std::string& into) -> asio::awaitable<void>
        {
            auto const ask = [&] { return list_from(raw_socket::connect(raw_address::local(at))); };
            into = co_await in_thread(ask);
            co_await server.drain(20s);
        }(path, serving, list));
    BOOST_TEST(since.newly(list) == "");
    BOOST_TEST(made_without == 0);
}

BOOST_AUTO_TEST_CASE(of_a_relay_with_its_pipes)
{
    opened const since;
    std::string inheritable = "not looked at";
    play({},
        [&](raw_socket& left, raw_socket& right)
        {
            // More than the sockets hold, so that the relay is in the middle of it.
            std::jthread const sender{[&]
                {
                    for (int i = 0; i < 64; ++i)
                        left.send_all(std::string(256 * 1024, 'x'));
                    left.shutdown_write();
                }};
            auto size = right.recv_exactly(8 * 1024 * 1024).size();
            // A context keeps pipes for its relays.
            eventually([&] { return since.has("pipe:"); }, "the relay uses a pipe");
            inheritable = since.inheritable();
            size += right.recv_all().data.size();
            require(size == 64 * 256 * 1024, "something is missing");
            right.shutdown_write();
            require(left.recv_all().eof(), "the end is not the expected one");
        });
    BOOST_TEST(inheritable == "");
}

BOOST_AUTO_TEST_CASE(of_a_listener_that_was_handed_in)
{
    asio::io_context context;
    raw_listener const source;
    int const copy = ::fcntl(source.fd(), F_DUPFD, 0);
    BOOST_REQUIRE(!closes_on_exec(copy));
    duet::acceptor const listening{context, duet::inherited_descriptor{copy, {}}};
    BOOST_TEST(closes_on_exec(copy));
}
