// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "lifecycle_watched.hpp"

#include <fmt/format.h>

#include <exception>
#include <iterator>
#include <string_view>
#include <utility>

namespace asio = boost::asio;

namespace example {
namespace {

/// Fit for a terminal, whoever has sent it.
std::string in_quotes(std::string_view data)
{
    constexpr std::size_t most = 24;
    std::string result = "\"";
    for (char const c : data.substr(0, most))
    {
        if (c == '\n')
            result += "\\n";
        else if (c == '"' || c == '\\')
            result += {'\\', c};
        else if (c >= ' ' && c <= '~')
            result += c;
        else
            fmt::format_to(std::back_inserter(result), "\\x{:02x}", static_cast<unsigned char>(c));
    }
    return result + (data.size() > most ? "\"..." : "\"");
}

/// What a call returned, in words, and the segments that are inferred from that.
struct outcome
{
    std::string text;
    display::segments wire{};
};

/// Make a call of a session, and show it.
template <class Result, class Call, class Describe>
asio::awaitable<Result> shown(
    end_point& end, display& out, std::string name, display::segments wire, Call call, Describe describe)
{
    out.calls(end, name, wire);
    try
    {
        Result result = co_await call(end.session);
        outcome const told = describe(result);
        out.returns(end, name, told.text, told.wire);
        co_return result;
    }
    catch (std::exception const& error)
    {
        out.throws(end, name, error);
        throw;
    }
}

}  // namespace

watched_session::watched_session(std::unique_ptr<end_point> end, display& out) : end_{std::move(end)}, out_{&out} {}

asio::awaitable<std::size_t> watched_session::read_until(std::string& buffer, std::string delimiter, std::size_t limit)
{
    auto name = fmt::format("read_until({})", in_quotes(delimiter));
    auto call = [&buffer, limit, until = std::move(delimiter)](duet::session& session)
    { return session.read_until(buffer, until, limit); };
    auto const describe = [&buffer](std::size_t size)
    { return outcome{fmt::format("{}: {}", size, size == 0 ? "the peer's FIN" : in_quotes(buffer.substr(0, size)))}; };
    return shown<std::size_t>(*end_, *out_, std::move(name), {}, std::move(call), describe);
}

asio::awaitable<std::string> watched_session::read_all(std::size_t limit)
{
    auto const call = [limit](duet::session& session) { return session.read_all(limit); };
    auto const describe = [](std::string const& data) { return outcome{fmt::format("{} and FIN", in_quotes(data))}; };
    return shown<std::string>(*end_, *out_, "read_all()", {}, call, describe);
}

asio::awaitable<std::size_t> watched_session::write(asio::const_buffer buffer)
{
    std::string_view const data{static_cast<char const*>(buffer.data()), buffer.size()};
    auto const call = [buffer](duet::session& session) { return session.write(buffer); };
    auto const describe = [who = end_->who](std::size_t size) {
        return outcome{fmt::format("{}", size), {{bytes(size), who}}};
    };
    return shown<std::size_t>(*end_, *out_, fmt::format("write({})", in_quotes(data)), {}, call, describe);
}

/// Our FIN is about to be sent, unless it was before or the connection is broken.
display::segments watched_session::begin_fin()
{
    duet::error_code error;
    bool const broken = end_->session.tcp_info(error).state == duet::tcp_state::closed;
    if (broken || end_->session.send_state() != duet::send_state::open ||
        end_->session.state() == duet::session_state::closed)
        return {};
    bool const first = end_->session.receive_state() == duet::receive_state::open;
    end_->line->fin_order[end_->who] = first ? "before it read the peer's" : "after it read the peer's";
    end_->line->fin[end_->who] = true;
    return {{"FIN", end_->who}};
}

asio::awaitable<void> watched_session::shutdown_send()
{
    std::string const name = "shutdown_send()";
    out_->calls(*end_, name, begin_fin());
    try
    {
        co_await end_->session.shutdown_send();
        out_->returns(*end_, name, "the kernel has the FIN", {});
    }
    catch (std::exception const& error)
    {
        out_->throws(*end_, name, error);
        throw;
    }
}

asio::awaitable<duet::close_report> watched_session::close()
{
    auto const describe = [&end = *end_](duet::close_report const& report)
    {
        outcome result{to_string(report)};
        bool const sent = end.line->fin[end.who];
        if (report.clean() && sent && !std::exchange(end.line->fin_acknowledged[end.who], true))
            result.wire.push_back({"ACK of FIN", other(end.who)});
        if (report.reason == duet::close_reason::peer_reset)
            display::reset(*end.line, end.who, result.wire);
        if (reset_by_us(report))
            result.wire.push_back({"RST", end.who});
        return result;
    };
    auto const call = [](duet::session& session) { return session.close(); };
    auto operation = shown<duet::close_report>(*end_, *out_, "close()", begin_fin(), call, describe);
    duet::close_report const report = co_await std::move(operation);
    if (end_->who == client_side)  // a server is told of the end by itself
        out_->report(*end_->line, client_side, report);
    co_return report;
}

asio::awaitable<std::vector<duet::session::endpoint_type>> watched_resolver::resolve(
    std::string host, std::string service)
{
    auto const name = fmt::format("resolve({}, {})", in_quotes(host), in_quotes(service));
    out->calls(this, name);
    try
    {
        auto found = co_await resolver.resolve(host, service);
        std::string list;
        for (auto const& endpoint : found)
            list += (list.empty() ? "" : ", ") + text(endpoint);
        out->returns(this, name, list);
        co_return found;
    }
    catch (duet::system_error const& error)
    {
        out->returns(this, name, fmt::format("throws: {}", error.code().message()));
        throw;
    }
}

watched_connector::watched_connector(
    asio::any_io_executor const& executor, duet::connector_options const& options, display& out)
    : connector_{executor, options, watched_resolver{&out}}, out_{out}
{
}

asio::awaitable<watched_session> watched_connector::connect(std::string host, std::string service)
{
    auto const name = fmt::format("connect({}, {})", in_quotes(host), in_quotes(service));
    out_.calls(this, name);
    try
    {
        duet::session session = co_await connector_.connect(host, service);
        watched_session result{out_.meet(std::move(session), client_side), out_};
        auto const told = fmt::format("a session from {}", text(result.end_->session.local_endpoint()));
        out_.returns(*result.end_, name, told, {});
        co_return result;
    }
    catch (duet::system_error const& error)
    {
        out_.returns(this, name, fmt::format("throws: {}", error.code().message()));
        throw;
    }
}

watched_server::watched_server(asio::io_context& context, std::uint16_t port, handler serve, display& out)
    : duet::server{context, {.port = port, .on_session_end = [&out](duet::session_end const& end) { out.ended(end); }},
          [&out, serve](duet::session peer) { return serve(accepted(std::move(peer), out)); }}
{
    out.listening(local_endpoint());
}

watched_session watched_server::accepted(duet::session peer, display& out)
{
    watched_session result{out.meet(std::move(peer), server_side), out};
    auto const told = fmt::format("a session with {}", text(result.end_->session.remote_endpoint()));
    out.returns(*result.end_, "accept()", told, {});
    return result;
}

}  // namespace example
