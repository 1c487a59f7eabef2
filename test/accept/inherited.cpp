// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Sockets that a service manager hands over (systemd's socket activation): which are found, which are refused, and that
// they serve.

#define BOOST_TEST_MODULE accept.inherited
#include <duet/inherited.hpp>

#include <boost/test/unit_test.hpp>

#include "accept/activated_program.hpp"
#include "session/session_fixture.hpp"

#include <duet/server.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

/// "3 web, 4": what was found. In the child.
std::string found()
{
    std::string result;
    for (auto const& each : duet::inherited_descriptors())
    {
        result += result.empty() ? "" : ", ";
        result += std::to_string(each.descriptor);
        result += each.name.empty() ? "" : ' ' + each.name;
    }
    return result.empty() ? "nothing" : result;
}

std::string found_with(activation const& given)
{
    return activated_program{given, found}.report();
}

bool closes_on_exec(int fd)
{
    return (checked(::fcntl(fd, F_GETFD), "fcntl") & FD_CLOEXEC) != 0;
}

bool is_open(int fd)
{
    return ::fcntl(fd, F_GETFD) >= 0;
}

/// Answer one client in full, and say what it said.
template <class Acceptor>
std::string serve_one(duet::inherited_descriptor const& inherited)
{
    asio::io_context context;
    Acceptor listening{context, inherited};
    std::string result;
    auto const serve = [](Acceptor& from, std::string& into) -> asio::awaitable<void>
    {
        auto session = co_await from.accept();
        auto const heard = co_await read_to_end(session);
        co_await write(session, "you said " + heard.data);
        auto const report = co_await close(session);
        into = heard.data + (report.clean() ? "" : ", but it did not end cleanly");
    };
    run(context, serve(listening, result));
    return result;
}

/// The one with this name. In the child.
duet::inherited_descriptor named(std::string_view name)
{
    for (auto const& each : duet::inherited_descriptors())
        if (each.name == name)
            return each;
    throw std::runtime_error{"there is none with this name"};
}

void talk_to(raw_address const& address, std::string const& text)
{
    auto client = raw_socket::connect(address);
    client.send_all(text);
    client.shutdown_write();
    auto const heard = client.recv_all();
    BOOST_TEST(heard.data == "you said " + text);
    BOOST_TEST(heard.error == 0);
}

/// What comes of an acceptor for `given`: the error, and whether the descriptor is still the caller's.
template <class Acceptor>
std::string refusal_of(int given)
{
    auto const body = []() -> std::string
    {
        auto const all = duet::inherited_descriptors();
        if (all.size() != 1)
            return "it was not found";
        asio::io_context context;
        try
        {
            Acceptor const listening{context, all[0]};
            return "it was taken";
        }
        catch (duet::session_error const& error)
        {
            return std::string{error.operation()} + ": " + std::to_string(error.code().value()) +
                   (is_open(all[0].descriptor) ? "" : ", and closed");
        }
    };
    return activated_program{{.handed = {given}}, body}.report();
}

std::string refused_with(int error)
{
    return "listen: " + std::to_string(error);
}

descriptor make_socket(int family, int type)
{
    return descriptor{checked(::socket(family, type | SOCK_CLOEXEC, 0), "socket")};
}

raw_address abstract_address(std::string const& name)
{
    return raw_address::local(std::string(1, '\0') + "duet-inherited-" + name + '-' + std::to_string(::getpid()));
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_the_manager_hands_over_is_found_from_3_on_with_its_names)
{
    raw_listener const one;
    raw_listener const other;
    BOOST_TEST(found_with({.handed = {one.fd()}, .names = "web"}) == "3 web");
    BOOST_TEST(found_with({.handed = {one.fd(), other.fd()}, .names = "web:admin"}) == "3 web, 4 admin");
    BOOST_TEST(found_with({.handed = {one.fd(), other.fd(), one.fd()}, .names = "web::admin"}) == "3 web, 4, 5 admin");
}

BOOST_AUTO_TEST_CASE(names_may_be_absent_or_too_few_or_too_many)
{
    raw_listener const one;
    std::vector<int> const two{one.fd(), one.fd()};
    BOOST_TEST(found_with({.handed = two}) == "3, 4");
    BOOST_TEST(found_with({.handed = two, .names = ""}) == "3, 4");
    BOOST_TEST(found_with({.handed = two, .names = "web"}) == "3 web, 4");
    BOOST_TEST(found_with({.handed = two, .names = ":admin"}) == "3, 4 admin");
    BOOST_TEST(found_with({.handed = two, .names = "web:"}) == "3 web, 4");
    BOOST_TEST(found_with({.handed = two, .names = "web:admin:more"}) == "3 web, 4 admin");
}

BOOST_AUTO_TEST_CASE(one_that_is_promised_but_not_there_is_left_out_and_the_others_keep_their_names)
{
    raw_listener const one;
    BOOST_TEST(found_with({.handed = {one.fd(), -1, one.fd()}, .names = "a:b:c"}) == "3 a, 5 c");
    BOOST_TEST(found_with({.handed = {one.fd()}, .count = "3"}) == "3");
    BOOST_TEST(found_with({.handed = {-1}}) == "nothing");
}

BOOST_AUTO_TEST_CASE(no_more_are_taken_than_were_promised)
{
    raw_listener const one;
    BOOST_TEST(found_with({.handed = {one.fd(), one.fd()}, .count = "1"}) == "3");
}

BOOST_AUTO_TEST_CASE(those_of_another_process_are_not_ours)
{
    raw_listener const one;
    BOOST_TEST(found_with({.handed = {one.fd()}, .pid = std::to_string(::getpid())}) == "nothing");  // the parent's
    BOOST_TEST(found_with({.handed = {one.fd()}, .pid = "1"}) == "nothing");
    BOOST_TEST(found_with({.handed = {one.fd()}, .pid = std::nullopt}) == "nothing");
    for (auto const* const pid : {"", "self ", "x", "-1", "0", "99999999999999999999999"})
    {
        BOOST_TEST_INFO("LISTEN_PID='" << pid << '\'');
        BOOST_TEST(found_with({.handed = {one.fd()}, .pid = pid}) == "nothing");
    }
}

BOOST_AUTO_TEST_CASE(those_of_another_process_are_not_touched)
{
    raw_listener const one;
    auto const body = []
    {
        auto const result = found();
        return result + (closes_on_exec(3) ? ", closes on exec" : ", stays");
    };
    activated_program program{{.handed = {one.fd()}, .pid = "1"}, body};
    BOOST_TEST(program.report() == "nothing, stays");
}

BOOST_AUTO_TEST_CASE(a_count_that_is_none_gives_nothing)
{
    raw_listener const one;
    BOOST_TEST(found_with({.handed = {one.fd()}, .without_count = true}) == "nothing");
    for (auto const* const count : {"", "0", "-1", "1x", "x1", " 1", "1 ", "+1", "0x1", "1.0", "65537", "2147483647",
             "2147483648", "4294967297", "9223372036854775807", "18446744073709551617"})
    {
        BOOST_TEST_INFO("LISTEN_FDS='" << count << '\'');
        BOOST_TEST(found_with({.handed = {one.fd()}, .count = count}) == "nothing");
    }
}

BOOST_AUTO_TEST_CASE(they_are_marked_close_on_exec)
{
    raw_listener const one;
    auto const body = []
    {
        std::string result = closes_on_exec(3) || closes_on_exec(4) ? "before, " : "";
        result += found();
        return result + (closes_on_exec(3) && closes_on_exec(4) ? ", marked" : ", not marked");
    };
    activated_program program{{.handed = {one.fd(), one.fd()}}, body};
    BOOST_TEST(program.report() == "3, 4, marked");
}

BOOST_AUTO_TEST_CASE(a_client_of_the_one_that_is_asked_for_by_name_is_served)
{
    raw_listener const web;
    raw_listener const admin;
    activated_program program{{.handed = {web.fd(), admin.fd()}, .names = "web:admin"},
        [] { return serve_one<duet::acceptor>(named("admin")); }};
    talk_to(admin.address(), "who are you?");
    BOOST_TEST(program.report() == "who are you?");
}

BOOST_AUTO_TEST_CASE(a_client_over_ipv6_is_served)
{
    raw_listener const listener{raw_address::v6(0)};
    activated_program program{
        {.handed = {listener.fd()}, .names = "six"}, [] { return serve_one<duet::acceptor>(named("six")); }};
    talk_to(listener.address(), "over IPv6");
    BOOST_TEST(program.report() == "over IPv6");
}

BOOST_AUTO_TEST_CASE(a_client_over_a_unix_domain_socket_is_served)
{
    raw_listener const listener{abstract_address("served")};
    activated_program program{
        {.handed = {listener.fd()}, .names = "local"}, [] { return serve_one<duet::unix_acceptor>(named("local")); }};
    talk_to(listener.address(), "over a path");
    BOOST_TEST(program.report() == "over a path");
}

// The manager opens a socket before anybody can serve it: who comes early waits.
BOOST_AUTO_TEST_CASE(a_client_that_was_there_before_the_program_is_served)
{
    raw_listener const listener;
    auto early = raw_socket::connect(listener.address());
    early.send_all("early");
    early.shutdown_write();
    activated_program program{
        {.handed = {listener.fd()}, .names = "web"}, [] { return serve_one<duet::acceptor>(named("web")); }};
    BOOST_TEST(early.recv_all().data == "you said early");
    early.close();
    BOOST_TEST(program.report() == "early");
}

BOOST_AUTO_TEST_CASE(a_server_with_several_threads_shares_an_inherited_listener)
{
    raw_listener const listener;
    auto const body = []
    {
        asio::io_context context;
        duet::server_options options;
        options.threads = 2;
        auto const handler = [](duet::session peer) -> asio::awaitable<void>
        {
            auto const heard = co_await read_to_end(peer);
            co_await write(peer, "you said " + heard.data);
        };
        duet::server serving{context, duet::acceptor{context, named("web")}, options, handler};
        auto const wait = [](duet::server& s) -> asio::awaitable<void>
        {
            co_await until([&] { return s.counters().completed == 20; }, "all clients are served");
            co_await s.drain(20s);
        };
        run(context, wait(serving));
        return std::to_string(serving.counters().accepted) + " served";
    };
    activated_program program{{.handed = {listener.fd()}, .names = "web"}, body};
    for (int i = 0; i < 20; ++i)
        talk_to(listener.address(), std::to_string(i));
    BOOST_TEST(program.report() == "20 served");
}

// An acceptor owns the descriptor; the socket behind it is the manager's too, and goes on.
BOOST_AUTO_TEST_CASE(the_socket_outlives_the_acceptor_in_the_hands_of_the_manager)
{
    raw_listener listener;
    auto const body = []
    {
        asio::io_context context;
        {
            duet::acceptor listening{context, named("web")};
            listening.close();
            if (is_open(3))
                return std::string{"still open after close()"};
        }
        return std::string{"closed"};
    };
    activated_program program{{.handed = {listener.fd()}, .names = "web"}, body};
    BOOST_TEST(program.report() == "closed");
    auto client = raw_socket::connect(listener.address());
    client.send_all("next, please");
    client.close();
    BOOST_TEST(listener.accept().recv_all().data == "next, please");
}

BOOST_AUTO_TEST_CASE(the_file_of_an_inherited_unix_domain_socket_stays)
{
    auto const path = std::filesystem::temp_directory_path() / ("duet-inherited-" + std::to_string(::getpid()));
    raw_listener const listener{raw_address::local(path.string())};
    auto const body = []
    {
        asio::io_context context;
        duet::unix_acceptor listening{context, named("local")};
        listening.close();
        return std::string{"closed"};
    };
    activated_program program{{.handed = {listener.fd()}, .names = "local"}, body};
    BOOST_TEST(program.report() == "closed");
    BOOST_TEST(std::filesystem::remove(path));
}

BOOST_AUTO_TEST_CASE(what_is_no_socket_is_refused_and_stays_the_callers)
{
    std::array<int, 2> ends{};
    checked(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
    descriptor const one{ends[0]};
    descriptor const other{ends[1]};
    BOOST_TEST(refusal_of<duet::acceptor>(one.get()) == refused_with(ENOTSOCK));
    BOOST_TEST(refusal_of<duet::unix_acceptor>(one.get()) == refused_with(ENOTSOCK));
}

BOOST_AUTO_TEST_CASE(a_datagram_socket_is_refused_and_stays_the_callers)
{
    auto const udp = make_socket(AF_INET, SOCK_DGRAM);
    auto const address = raw_address::v4(0);
    checked(::bind(udp.get(), address.data(), address.size()), "bind");
    BOOST_TEST(refusal_of<duet::acceptor>(udp.get()) == refused_with(EPROTOTYPE));
    auto const local = make_socket(AF_UNIX, SOCK_DGRAM);
    BOOST_TEST(refusal_of<duet::unix_acceptor>(local.get()) == refused_with(EPROTOTYPE));
}

BOOST_AUTO_TEST_CASE(a_socket_that_does_not_listen_is_refused_and_stays_the_callers)
{
    auto const idle = make_socket(AF_INET, SOCK_STREAM);
    BOOST_TEST(refusal_of<duet::acceptor>(idle.get()) == refused_with(EINVAL));
    auto const pair = connected_pair();
    BOOST_TEST(refusal_of<duet::acceptor>(pair.server.fd()) == refused_with(EINVAL));
}

BOOST_AUTO_TEST_CASE(a_listener_of_another_protocol_is_refused_and_stays_the_callers)
{
    raw_listener const local{abstract_address("other")};
    BOOST_TEST(refusal_of<duet::acceptor>(local.fd()) == refused_with(EAFNOSUPPORT));
    raw_listener const tcp;
    BOOST_TEST(refusal_of<duet::unix_acceptor>(tcp.fd()) == refused_with(EAFNOSUPPORT));
}

// ListenSequentialPacket= of systemd: it keeps the boundaries of messages, which a session knows nothing of.
BOOST_AUTO_TEST_CASE(a_listener_for_packets_is_refused_and_stays_the_callers)
{
    auto const packets = make_socket(AF_UNIX, SOCK_SEQPACKET);
    auto const address = abstract_address("packets");
    checked(::bind(packets.get(), address.data(), address.size()), "bind");
    checked(::listen(packets.get(), 1), "listen");
    BOOST_TEST(refusal_of<duet::unix_acceptor>(packets.get()) == refused_with(EPROTOTYPE));
    BOOST_TEST(refusal_of<duet::acceptor>(packets.get()) == refused_with(EPROTOTYPE));
}
