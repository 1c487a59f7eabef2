// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// TLS on each of the channels, held to the same table.

#define BOOST_TEST_MODULE tls.channel
#include "channel/channel_fixture.hpp"
#include "tls/tls_fixture.hpp"

#include <duet/detail/tls/tls_channel.hpp>

#include <boost/mp11/algorithm.hpp>
#include <boost/mp11/list.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace duet_test::channels {

/// OpenSSL as a client at the far end, with the functions of a socket that the tests call. While it waits, the near end
/// goes on.
template <class Stream>
class tls_far
{
public:
    tls_far(Stream stream, duet::tls_context const& context) : peer{std::move(stream), context} {}

    template <class Buffers>
    std::size_t read_some(Buffers const& buffers, error_code& error)
    {
        if (asio::buffer_size(buffers) == 0)
            return 0;
        // No number of turns: the kernel may need 200 ms, until it asks anew whether a closed window is open.
        auto const too_late = std::chrono::steady_clock::now() + std::chrono::minutes{1};
        do
        {
            peer.hear();
            auto const size = asio::buffer_copy(buffers, asio::buffer(peer.heard));
            peer.heard.erase(0, size);
            error = size > 0 ? error_code{} : why_nothing();
            if (error != asio::error::would_block)
                return size;
            meanwhile();
        }
        while (std::chrono::steady_clock::now() < too_late);
        throw std::runtime_error{"nothing comes"};
    }

    template <class Buffers>
    std::size_t write_some(Buffers const& buffers, error_code& error)
    {
        error.clear();
        std::string text(asio::buffer_size(buffers), ' ');
        asio::buffer_copy(asio::buffer(text), buffers);
        peer.say(text);
        return text.size();
    }

    template <class Buffers>
    std::size_t write_some(Buffers const& buffers)
    {
        error_code error;
        return write_some(buffers, error);
    }

    template <class Buffers>
    std::size_t read_some(Buffers const& buffers)
    {
        error_code error;
        auto const size = read_some(buffers, error);
        if (error)
            throw boost::system::system_error{error};
        return size;
    }

    void shutdown(asio::socket_base::shutdown_type what)
    {
        peer.close_notify();
        peer.stream().shutdown(what);
    }

    void set_option(asio::socket_base::linger const& option) { peer.stream().set_option(option); }

    void close() { peer.stream().close(); }

    basic_openssl_peer<Stream> peer;
    std::function<void()> meanwhile;

private:
    error_code why_nothing()
    {
        if (peer.reset)
            return asio::error::connection_reset;
        return peer.ended() ? error_code{asio::error::eof} : error_code{asio::error::would_block};
    }
};

/// One of the fixtures of channels, with TLS on top.
template <class Below, class Stream>
struct over_tls
{
    static constexpr bool never_knows = true;

    struct pair
    {
        tls_far<Stream> far;
    };

    over_tls() : ends{{std::move(below.ends.far), client}}
    {
        if constexpr (requires { ends.far.peer.stream().non_blocking(true); })
            ends.far.peer.stream().non_blocking(true);
        below.channel.set_user(channel.as_user());
        channel.use(below.channel);
        channel.use(std::make_unique<tls_engine>(server.settings(), std::string{}));
        ends.far.meanwhile = [this]
        {
            context.restart();
            context.poll();
        };
        for (int i = 0; !ends.far.peer.shakes_hands() || channel.engine()->handshaking(); ++i)
        {
            BOOST_REQUIRE(i < 10'000);
            channel.has_input();
        }
    }

    ~over_tls()
    {
        channel.close();
        context.restart();
        context.poll();
    }

    // Without tickets: bytes that no read gets.
    static duet::tls_context make_server()
    {
        auto options = tls_world::get().server_options();
        options.resume = false;
        return duet::tls_context::server(options);
    }

    Below below;
    asio::io_context& context = below.context;
    duet::tls_context server = make_server();
    duet::tls_context client = duet::tls_context::client(tls_world::get().client_options());
    recorder user;
    pair ends;
    tls_channel channel{user};
};

using all_channels =
    boost::mp11::mp_list<talk<over_tls<over_asio<tcp>, tcp::socket>>, talk<over_tls<over_memory, memory_far>>
#if defined(__linux__)
        ,
        talk<over_tls<over_epoll, tcp::socket>>
#endif
        >;
using reset_channels = all_channels;

}  // namespace duet_test::channels

#include "channel/channel_table.hpp"
