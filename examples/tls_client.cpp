// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Sends its input to a server over TLS, ends its direction with close_notify, and prints what comes until the server
// ends, too. It says whom it has talked to, or why it has not.
// Try: printf 'GET / HTTP/1.0\r\nHost: example.com\r\n\r\n' | tls_client --host example.com --port 443 --no-half-close

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include <duet/tls_connector.hpp>

#include "options.hpp"

namespace asio = boost::asio;

asio::awaitable<void> converse(
    duet::tls_connector& connector, example::options const& options, std::string const& input)
{
    duet::tls_session peer = co_await connector.connect(options.text("host"), options.text("port"));
    auto const facts = duet::facts_of(peer);
    fmt::print(stderr, "{} {}, {}{}\n", facts.version, facts.cipher, facts.subject,
        facts.verified ? ", verified" : ", not verified");
    co_await peer.write(input);
    if (!options.flag("no-half-close"))
        co_await peer.shutdown_send();
    std::array<char, 4096> buffer;
    for (;;)
    {
        std::size_t const size = co_await peer.read_some(asio::buffer(buffer));
        if (size == 0)  // close_notify. A bare FIN throws: was that all?
            break;
        std::fwrite(buffer.data(), 1, size, stdout);
    }
    co_await peer.close();
}

std::string all_of_stdin()
{
    std::string result;
    std::array<char, 4096> buffer;
    while (auto const size = std::fread(buffer.data(), 1, buffer.size(), stdin))
        result.append(buffer.data(), size);
    return result;
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Sends its input over TLS and prints the answer.",
        {{"host", "localhost", "whom to talk to, and whose certificate to expect"}, {"port", "7778", "its port"},
            {"authorities", "system", "a file with authorities to trust instead of the system's"},
            {"no-half-close", "", "leave the direction to the server open until the answer has ended"},
            {"no-verify", "", "talk to whoever is there"}}};
    duet::tls_client_options trust;
    if (auto const& authorities = options.text("authorities"); authorities != "system")
        trust.authorities.file = authorities;
    trust.verify = !options.flag("no-verify");

    asio::io_context context;
    duet::tls_connector connector{context, duet::tls_context::client(trust), {.timeout = std::chrono::seconds{5}}};
    auto const input = all_of_stdin();
    std::exception_ptr failure;
    auto ended = [&](std::exception_ptr const& thrown) { failure = thrown; };
    asio::co_spawn(context, converse(connector, options, input), ended);
    context.run();
    if (failure)
        std::rethrow_exception(failure);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "tls_client: {}\n", error.what());
    return 1;
}
