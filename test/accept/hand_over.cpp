// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Listeners that go to another program: who serves their clients, and what the other program finds.

#include <duet/hand_over.hpp>

#define BOOST_TEST_MODULE accept.hand_over
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"
#include "support/process.hpp"
#include "support/taken.hpp"

#include <duet/acceptor.hpp>
#include <duet/server.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::errc;
using unix_protocol = asio::local::stream_protocol;

namespace {

asio::ip::tcp::endpoint const loopback{asio::ip::address_v4::loopback(), 0};

asio::awaitable<void> say_old(duet::session peer)
{
    co_await write(peer, "old");
}

asio::awaitable<void> say_new(duet::session peer)
{
    co_await write(peer, "new");
}

std::string heard_from(raw_socket& client)
{
    auto const heard = client.recv_all();
    client.close();
    return heard.error == 0 ? heard.data : "error " + std::to_string(heard.error);
}

/// Accepts and answers one client.
template <class Acceptor>
std::string heard_from(asio::io_context& context, Acceptor& listening, raw_socket& client)
{
    std::string heard;
    run(context,
        [](Acceptor& from, raw_socket& peer, std::string& into) -> asio::awaitable<void>
        {
            auto session = co_await from.accept();
            co_await write(session, "served");
            auto const hear = [&] { return heard_from(peer); };
            co_await session.shutdown_send();
            into = co_await in_thread(hear);
            co_await close(session);
        }(listening, client, heard));
    return heard;
}

/// Waits for a child; its exit code.
int end_of(::pid_t child)
{
    int status = 0;
    eventually([&] { return checked(::waitpid(child, &status, WNOHANG), "waitpid") == child; }, "the child ends");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// What a shell's script prints that is started with these.
std::string printed_by(duet::handed_listeners const& handed, std::string const& script)
{
    auto const path = "/tmp/duet-hand-over-" + std::to_string(::getpid());
    BOOST_TEST(end_of(handed.start("/bin/sh", {"-c", "exec >" + path + "; " + script})) == 0);
    std::ostringstream text;
    text << std::ifstream{path}.rdbuf();
    std::filesystem::remove(path);
    return text.str();
}

}  // namespace

BOOST_AUTO_TEST_CASE(who_connects_before_or_after_the_close_is_served)
{
    asio::io_context context;
    duet::acceptor old{context, loopback};
    auto const at = raw_address::v4(old.local_endpoint().port());
    auto const handed = old.hand_over("web");
    BOOST_TEST(handed.descriptors().size() == 1U);
    BOOST_TEST(handed.descriptors()[0].name == "web");
    BOOST_TEST((::fcntl(handed.descriptors()[0].descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    auto before = raw_socket::connect(at);
    old.close();
    auto after = raw_socket::start_connect(at);
    BOOST_TEST(after.wait_connected() == 0);
    BOOST_TEST(heard_from(context, old, before) == "served");
    duet::acceptor next{context, taken(handed).front()};
    BOOST_TEST(heard_from(context, next, after) == "served");
    BOOST_CHECK_THROW(old.hand_over(), duet::session_error);
}

BOOST_AUTO_TEST_CASE(the_file_of_a_unix_domain_path_stays)
{
    asio::io_context context;
    auto const path = "/tmp/duet-hand-over-" + std::to_string(::getpid());
    std::optional<duet::unix_acceptor> old{std::in_place, context, unix_protocol::endpoint{path}};
    std::optional<duet::unix_acceptor> next{std::in_place, context, taken(old->hand_over()).front()};
    old->close();
    old.reset();
    auto client = raw_socket::connect(raw_address::local(path));
    BOOST_TEST(heard_from(context, *next, client) == "served");
    next.reset();
    duet::unix_acceptor{context, unix_protocol::endpoint{path}}.close();  // replaces the file, and removes its own
    BOOST_TEST(!std::filesystem::exists(path));
}

BOOST_AUTO_TEST_CASE(every_listener_of_a_server_is_handed_over)
{
    for (std::size_t const threads : {1U, 2U, 3U})
    {
        asio::io_context context;
        auto options = on_loopback();
        options.threads = threads;
        std::optional<duet::server> old{std::in_place, context, options, say_old};
        auto const at = raw_address::v4(old->local_endpoint().port());
        auto const handed = old->hand_over();
        BOOST_TEST(handed.descriptors().size() == threads);
        run(context, drain(*old, 20s));
        BOOST_CHECK_THROW(old->hand_over(), duet::session_error);
        old.reset();
        std::vector<raw_socket> clients;
        for (int i = 0; i < 32; ++i)  // in all queues
        {
            clients.push_back(raw_socket::start_connect(at));
            BOOST_TEST(clients.back().wait_connected() == 0);
        }
        // As many threads as listeners, though one thread was asked for.
        duet::server next{context, taken(handed), on_loopback(), say_new};
        BOOST_TEST(next.hand_over().descriptors().size() == threads);
        std::size_t served = 0;
        run(context,
            [](std::vector<raw_socket>& all, std::size_t& count, duet::server& server) -> asio::awaitable<void>
            {
                auto const hear = [&]
                {
                    for (auto& each : all)
                        count += heard_from(each) == "new" ? 1 : 0;
                };
                co_await in_thread(hear);
                co_await drain(server, 20s);
            }(clients, served, next));
        BOOST_TEST(served == 32U);
    }
}

BOOST_AUTO_TEST_CASE(a_server_with_more_threads_than_listeners_opens_further_ones)
{
    asio::io_context context;
    auto options = on_loopback();
    std::optional<duet::server> old{std::in_place, context, options, say_old};
    auto const handed = old->hand_over();
    old.reset();
    options.threads = 3;
    duet::server next{context, taken(handed), options, say_new};
    BOOST_TEST(next.hand_over().descriptors().size() == 3U);
}

BOOST_AUTO_TEST_CASE(a_server_without_inherited_listeners_opens_its_own)
{
    asio::io_context context;
    duet::server const first{context, std::vector<duet::inherited_descriptor>{}, on_loopback(), say_new};
    BOOST_TEST(first.local_endpoint().port() != 0);
    BOOST_CHECK_THROW((duet::unix_server{context, std::vector<duet::inherited_descriptor>{}, {},
                          [](duet::unix_session) -> asio::awaitable<void> { co_return; }}),
        duet::session_error);
}

BOOST_AUTO_TEST_CASE(a_program_finds_the_copies_and_nothing_else)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::acceptor first{context, loopback};
    duet::acceptor second{context, loopback};
    auto handed = first.hand_over("web");
    handed.add(second.hand_over("admin"));
    auto const text = printed_by(handed,
        "echo $LISTEN_FDS $LISTEN_FDNAMES; test $LISTEN_PID = $$ && echo mine; "
        "for each in /proc/$$/fd/*; do echo $(basename $each) $(readlink $each); done | grep -E '^([3-9]|..+) socket'");
    std::istringstream lines{text};
    std::vector<std::string> all;
    for (std::string line; std::getline(lines, line);)
        all.push_back(line);
    auto const open = open_descriptors();
    std::vector<std::string> const wanted{"2 web:admin", "mine", "3 " + open.at(handed.descriptors()[0].descriptor),
        "4 " + open.at(handed.descriptors()[1].descriptor)};
    BOOST_TEST(all == wanted, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_program_finds_no_pipe_of_the_one_that_has_started_it)
{
    auto const before = open_descriptors();  // this program may have inherited some itself
    std::istringstream lines{printed_by({}, "exec ls -l /proc/self/fd")};
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count)
    {
        auto const what = line.substr(std::min(line.find("pipe:"), line.size()));
        bool const known =
            std::any_of(before.begin(), before.end(), [&](auto const& each) { return each.second == what; });
        BOOST_TEST_INFO(line);
        BOOST_TEST((what.empty() || known));
    }
    BOOST_TEST(count > 3);
}

BOOST_AUTO_TEST_CASE(a_program_without_copies_gets_no_variables)
{
    ::setenv("LISTEN_FDS", "1", 1);
    ::setenv("LISTEN_PID", "1", 1);
    BOOST_TEST(printed_by({}, "echo \"<$LISTEN_FDS$LISTEN_PID$LISTEN_FDNAMES>\"") == "<>\n");
    ::unsetenv("LISTEN_FDS");
    ::unsetenv("LISTEN_PID");
}

BOOST_AUTO_TEST_CASE(a_program_begins_with_no_signal_blocked)
{
    auto const text =
        printed_by({}, "while read name value; do case $name in SigBlk:) echo $value;; esac; done </proc/$$/status");
    BOOST_TEST(text == "0000000000000000\n");
}

BOOST_AUTO_TEST_CASE(a_program_that_does_not_start_is_an_error)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    auto const handed = listening.hand_over();
    std::string what;
    duet::error_code code;
    try
    {
        handed.start("/no/such/program");
    }
    catch (duet::session_error const& error)
    {
        what = error.what();
        code = error.code();
    }
    BOOST_TEST(code.value() == ENOENT);
    BOOST_TEST(what.find("execve /no/such/program") != std::string::npos);
    BOOST_TEST(::waitpid(-1, nullptr, WNOHANG) == -1);
    BOOST_TEST(errno == ECHILD);
    auto client = raw_socket::connect(raw_address::v4(listening.local_endpoint().port()));
    BOOST_TEST(heard_from(context, listening, client) == "served");
}
