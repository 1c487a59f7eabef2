// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The load generator for servers that speak TLS 1.3: as ../load, with OpenSSL. It verifies nobody and resumes nothing.
// Modes: echo, idle, up, down as there; connect: a handshake, one echo and the end, one connection after another.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include <openssl/ssl.h>

#include <unistd.h>

#include "../load/options.hpp"
#include "../load/pattern.hpp"
#include "../load/report.hpp"
#include "../load/system.hpp"

namespace load {
namespace {

constexpr std::size_t chunk = 65536;

/// A connection, after its handshake.
class channel
{
public:
    channel(std::uint16_t port, std::size_t serial)
        : descriptor_{connect_to(port, serial)}, ssl_{::SSL_new(context()), ::SSL_free}
    {
        ::SSL_set_fd(ssl_.get(), descriptor_);
        if (::SSL_connect(ssl_.get()) != 1)
            wrong("the handshake has failed");
    }

    channel(channel const&) = delete;
    channel& operator=(channel const&) = delete;

    ~channel() { ::close(descriptor_); }

    int descriptor() const noexcept { return descriptor_; }

    /// 0: nothing at present.
    std::size_t read_some(char* data, std::size_t size)
    {
        std::size_t taken = 0;
        if (::SSL_read_ex(ssl_.get(), data, size, &taken) == 1)
            return taken;
        if (::SSL_get_error(ssl_.get(), 0) != SSL_ERROR_WANT_READ)
            wrong("the server ended a connection");
        return 0;
    }

    void read(void* data, std::size_t size)
    {
        for (std::size_t taken = 0; taken < size;)
            taken += read_some(static_cast<char*>(data) + taken, size - taken);
    }

    void write(void const* data, std::size_t size)
    {
        std::size_t taken = 0;
        if (::SSL_write_ex(ssl_.get(), data, size, &taken) != 1)
            wrong("a write has failed");
    }

    void close_notify() { ::SSL_shutdown(ssl_.get()); }

    /// One message there and back.
    void echo(pattern const& bytes, std::size_t size)
    {
        std::vector<char> answer(size);
        write(bytes.at(0), size);
        read(answer.data(), size);
        if (!bytes.matches(0, answer.data(), size))
            wrong("what came back is not what was sent");
    }

private:
    static ::SSL_CTX* context()
    {
        static ::SSL_CTX* const one = make_context();
        return one;
    }

    static ::SSL_CTX* make_context()
    {
        auto* const made = ::SSL_CTX_new(::TLS_client_method());
        SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION);
        SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
        return made;
    }

    int descriptor_;
    std::unique_ptr<::SSL, decltype(&::SSL_free)> ssl_;
};

std::vector<std::unique_ptr<channel>> open_all(options const& o, pattern const& bytes)
{
    std::vector<std::unique_ptr<channel>> result;
    while (result.size() < o.connections)
    {
        result.push_back(std::make_unique<channel>(o.port, result.size()));
        result.back()->echo(bytes, o.size);
    }
    return result;
}

class echo_load
{
public:
    explicit echo_load(options const& o)
        : options_{o}, bytes_{o.size}, channels_{open_all(o, bytes_)}, received_(o.connections),
          asked_at_(o.connections), buffer_(o.size)
    {
    }

    report run()
    {
        for (std::size_t i = 0; i < channels_.size(); ++i)
        {
            set_non_blocking(channels_[i]->descriptor());
            epoll_.add(channels_[i]->descriptor(), i);
            ask(i);
        }
        run_until(now() + static_cast<std::uint64_t>(options_.warmup * 1e9));
        result_ = {};
        result_.begin = usage::of(options_.server);
        run_until(result_.begin.time + static_cast<std::uint64_t>(options_.seconds * 1e9));
        result_.end = usage::of(options_.server);
        return std::move(result_);
    }

private:
    void ask(std::size_t i)
    {
        received_[i] = 0;
        asked_at_[i] = now();
        channels_[i]->write(bytes_.at(0), options_.size);
    }

    void run_until(std::uint64_t time)
    {
        while (now() < time)
        {
            for (auto const& event : epoll_.wait(100))
                on_readable(event.data.u64);
        }
    }

    void on_readable(std::size_t i)
    {
        std::size_t size = 0;
        do
        {
            size = channels_[i]->read_some(buffer_.data(), options_.size - received_[i]);
            if (!bytes_.matches(received_[i], buffer_.data(), size))
                wrong("what came back is not what was sent");
            received_[i] += size;
        }
        while (size > 0 && received_[i] < options_.size);
        if (received_[i] < options_.size)
            return;
        ++result_.requests;
        result_.latency.add(now() - asked_at_[i]);
        ask(i);
    }

    options const& options_;
    pattern bytes_;
    std::vector<std::unique_ptr<channel>> channels_;
    std::vector<std::size_t> received_;
    std::vector<std::uint64_t> asked_at_;
    std::vector<char> buffer_;
    epoll epoll_;
    report result_;
};

report run_connect(options const& o)
{
    report result;
    pattern const bytes{o.size};
    std::size_t serial = 0;
    auto const run_until = [&](std::uint64_t time)
    {
        while (now() < time)
        {
            auto const begun = now();
            channel one{o.port, serial++};
            one.echo(bytes, o.size);
            one.close_notify();
            ++result.requests;
            result.latency.add(now() - begun);
        }
    };
    run_until(now() + static_cast<std::uint64_t>(o.warmup * 1e9));
    result = {};
    result.begin = usage::of(o.server);
    run_until(result.begin.time + static_cast<std::uint64_t>(o.seconds * 1e9));
    result.end = usage::of(o.server);
    return result;
}

report run_bulk(options const& o)
{
    report result;
    pattern const data{chunk};
    std::vector<char> buffer(chunk);
    channel one{o.port, 0};
    std::uint64_t const down = o.mode == "down" ? o.bytes : 0;
    std::uint64_t const up = o.mode == "up" ? o.bytes : 0;

    result.begin = usage::of(o.server);
    one.write(&down, sizeof down);
    for (std::uint64_t received = 0; received < down;)
        received += one.read_some(buffer.data(), buffer.size());
    for (std::uint64_t sent = 0; sent < up;)
    {
        auto const size = static_cast<std::size_t>(std::min<std::uint64_t>(chunk, up - sent));
        one.write(data.at(sent), size);
        sent += size;
    }
    one.close_notify();
    std::uint64_t taken = 0;
    one.read(&taken, sizeof taken);
    result.end = usage::of(o.server);
    if (taken != up)
        wrong("the server got another number of bytes than we sent");
    result.bytes = o.bytes;
    result.requests = 1;
    return result;
}

report run_idle(options const& o)
{
    report result;
    result.begin = usage::of(o.server);
    auto const channels = open_all(o, pattern{o.size});
    result.end = usage::of(o.server);
    result.requests = channels.size();
    std::puts("ready");
    std::fflush(stdout);
    char byte;
    while (::read(STDIN_FILENO, &byte, 1) > 0)
    {
    }
    for (auto const& one : channels)
        one->close_notify();
    return result;
}

}  // namespace
}  // namespace load

int main(int argc, char** argv)
{
    auto const o = load::parse(argc, argv);
    load::raise_descriptor_limit(o.connections + 32);
    load::report result;
    if (o.mode == "echo")
        result = load::echo_load{o}.run();
    else if (o.mode == "connect")
        result = load::run_connect(o);
    else if (o.mode == "up" || o.mode == "down")
        result = load::run_bulk(o);
    else if (o.mode == "idle")
        result = load::run_idle(o);
    else
        load::wrong("no such mode");
    result.print(o);
}
