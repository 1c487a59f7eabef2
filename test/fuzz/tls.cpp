// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A TLS engine takes anything from its peer: it reads a beginning of what an honest peer has said, and nothing before
// the handshake; what it keeps is bounded; it ends.
//
// The input: '0' or '1', a server or a client; '0' or '1', the bytes are all that the peer sends, or what happens to
// the records of an honest peer; the size of the parts in which they arrive; the bytes. What happens to the next
// record: 'd' dropped, 't' sent twice, 's' sent behind the next one, 'x' and two bytes: changed there, 'i' and a byte:
// so many bytes of the input before it, 'c' cut, and the end behind it, 'e' the end before it; anything else: nothing.
// A backslash begins two hexadecimal digits.

#define OPENSSL_SUPPRESS_DEPRECATED  // random numbers that are the same each time
#include "fuzz/input.hpp"
#include "tls/certificates.hpp"

#include <duet/detail/tls/tls_engine.hpp>
#include <duet/tls_context.hpp>

#include <boost/asio/error.hpp>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <malloc.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

namespace asio = boost::asio;
using duet::detail::tls_engine;
using duet_test::fuzz_input;
using duet_test::require;

namespace {

// ---- OpenSSL's memory and random numbers ---------------------------------------------------------------------------

std::size_t live = 0;  // bytes that OpenSSL has

void* counted(void* memory)
{
    live += ::malloc_usable_size(memory);
    return memory;
}

void* allocate(std::size_t size, char const*, int)
{
    return counted(std::malloc(size));
}

void give_back(void* memory, char const*, int)
{
    live -= ::malloc_usable_size(memory);
    std::free(memory);
}

void* resize(void* memory, std::size_t size, char const*, int)
{
    live -= ::malloc_usable_size(memory);
    return counted(std::realloc(memory, size));
}

std::mt19937 numbers;

int draw(unsigned char* data, int size)
{
    std::generate_n(data, size, [] { return static_cast<unsigned char>(numbers()); });
    return 1;
}

int is_seeded()
{
    return 1;
}

// ---- The peer ------------------------------------------------------------------------------------------------------

struct plan
{
    explicit plan(fuzz_input input)
    {
        of_client = input.number() % 2 == 1;
        honest = input.number() % 2 == 1;
        part = 1 + input.number() % 64;
        for (std::string const from = input.rest(); read_ < from.size();)
            text += next(from);
    }

    bool of_client;
    bool honest;
    std::size_t part;
    std::string text;

private:
    char next(std::string const& from)
    {
        int byte = 0;
        auto const* const digits = from.data() + read_ + 1;
        if (from[read_] == '\\' && from.size() - read_ > 2 &&
            std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2)
        {
            read_ += 3;
            return static_cast<char>(byte);
        }
        return from[read_++];
    }

    std::size_t read_ = 0;
};

/// What arrives, in parts, with nothing at present between them.
class wire final : public duet::detail::tls_source
{
public:
    explicit wire(std::size_t part) noexcept : part_{part} {}

    std::size_t take(asio::mutable_buffer buffer, duet::error_code& error) noexcept override
    {
        pause_ = !pause_;
        auto const size = pause_ ? 0 : std::min({buffer.size(), bytes.size(), part_});
        std::memcpy(buffer.data(), bytes.data(), size);
        bytes.erase(0, size);
        if (size > 0)
            return size;
        error = asio::error::would_block;
        if (bytes.empty() && ended && !pause_)
            error = asio::error::eof;
        return 0;
    }

    std::string bytes;
    bool ended = false;

private:
    std::size_t part_;
    bool pause_ = false;
};

struct contexts
{
    duet_test::certificate_maker authority;
    duet::tls_context server = make_server(authority);
    duet::tls_context client = make_client(authority);

    static duet::tls_context make_server(duet_test::certificate_maker const& authority)
    {
        duet::tls_server_options options;
        options.identity = authority.issue({.subject = "server", .names = "DNS:server.test"}).identity();
        return duet::tls_context::server(options);
    }

    static duet::tls_context make_client(duet_test::certificate_maker const& authority)
    {
        duet::tls_client_options options;
        options.authorities.text = authority.pem();
        options.resume = false;  // each run for itself
        return duet::tls_context::client(options);
    }

    static contexts const& get()
    {
        static contexts const one;
        return one;
    }
};

/// An engine, and what it has read.
class end
{
public:
    end(bool of_client, std::size_t part)
        : engine{(of_client ? contexts::get().client : contexts::get().server).settings(),
              of_client ? "server.test" : ""},
          in{part}
    {
    }

    void go_on()
    {
        engine.shake_hands(in);
        check();
        require(
            engine.handshaking() || engine.failure() || ::SSL_is_init_finished(engine.native()) == 1, "open is open");
        if (engine.handshaking())
            return;  // as the channel: read() would shake hands, too
        auto const opened = engine.open();
        char room[300];
        duet::error_code error;
        auto const size = engine.read(in, asio::buffer(room), error);
        heard.append(room, size);
        require(size == 0 || opened, "plaintext before the handshake has ended");
        require((size == 0) == static_cast<bool>(error), "bytes, or why not");
        check();
    }

    void say(std::string_view text)
    {
        asio::const_buffer const buffer = asio::buffer(text);
        duet::error_code error;
        said += text.substr(0, engine.write({&buffer, 1}, error));
        check();
    }

    std::string take_output()
    {
        auto const output = engine.output();
        std::string result{static_cast<char const*>(output.data()), output.size()};
        engine.sent(output.size());
        return result;
    }

    tls_engine engine;
    wire in;
    std::string said;
    std::string heard;

private:
    void check() const
    {
        require(engine.unsent() < tls_engine::most_unsent + 2 * tls_engine::record, "the output is bounded");
        require(::ERR_peek_error() == 0, "no error is left");
    }
};

/// What happens to the records on the way.
class attacker
{
public:
    explicit attacker(std::string_view script) noexcept : script_{script} {}

    void carry(std::string_view records, wire& to)
    {
        while (!records.empty() && !to.ended)
        {
            auto const body = records.size() < 5 ? 0U
                                                 : static_cast<unsigned char>(records[3]) * 256U +
                                                       static_cast<unsigned char>(records[4]);
            std::string one{records.substr(0, 5 + body)};
            records.remove_prefix(one.size());
            deliver(std::move(one), to);
        }
    }

    bool has_changed = false;

private:
    char next()
    {
        auto const result = script_.empty() ? 'k' : script_.front();
        script_.remove_prefix(std::min<std::size_t>(1, script_.size()));
        return result;
    }

    void deliver(std::string one, wire& to)
    {
        auto const what = next();
        auto const at = [&] { return static_cast<std::size_t>(static_cast<unsigned char>(next())) % one.size(); };
        has_changed = has_changed || std::string_view{"dtsxice"}.find(what) != std::string_view::npos;
        if (what == 's')
        {
            held_ += one;
            return;
        }
        if (what == 'x')
        {
            auto const where = at();
            one[where] = static_cast<char>(one[where] ^ next());
        }
        else if (what == 'i')
            to.bytes += script_.substr(0, at());
        else if (what == 'c')
            one.resize(at());
        if (what != 'd' && what != 'e')
            to.bytes += one;
        if (what == 't')
            to.bytes += one;
        to.bytes += held_;
        held_.clear();
        to.ended = what == 'c' || what == 'e';
    }

    std::string_view script_;
    std::string held_;
};

void begins(std::string_view heard, std::string_view said)
{
    require(said.substr(0, heard.size()) == heard, "what is read is a beginning of what was said");
}

void play_bytes(plan const& play)
{
    end victim{play.of_client, play.part};
    // Again and again: what it keeps shows.
    auto const total = std::min<std::size_t>(200'000, 4'000 * play.part);
    for (std::size_t size = 0; size < total; size += play.text.size() + 1)
        victim.in.bytes += play.text;
    victim.in.ended = true;
    auto const before = live;
    while (victim.engine.handshaking())
    {
        victim.go_on();
        require(live < before + 400'000, "what it keeps of the input is bounded");
        victim.take_output();
    }
    require(!victim.engine.open() && victim.heard.empty(), "nobody without a key shakes hands");
}

void play_records(plan const& play)
{
    end victim{play.of_client, play.part};
    end honest{!play.of_client, 100'000};
    attacker on_the_way{play.text};
    for (std::size_t round = 0; round < 40; ++round)
    {
        honest.go_on();
        if (honest.engine.open() && honest.said.size() < 500)
            honest.say("question " + std::to_string(round));
        on_the_way.carry(honest.take_output(), victim.in);
        // As long as something is left of it.
        auto left = victim.in.bytes.size() * 2 + 4;
        for (; left > 0 && (!victim.in.bytes.empty() || left > 1) && !victim.engine.failure(); --left)
            victim.go_on();
        if (victim.engine.open())
            victim.say("answer");
        honest.in.bytes += victim.take_output();
    }
    victim.go_on();
    begins(victim.heard, honest.said);
    begins(honest.heard, victim.said);
    if (!on_the_way.has_changed)
        require(victim.heard == honest.said && !victim.heard.empty(), "without an attacker everything arrives");
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***)
{
    static ::RAND_METHOD const same{nullptr, draw, nullptr, nullptr, draw, is_seeded};
    require(::CRYPTO_set_mem_functions(allocate, resize, give_back) == 1, "OpenSSL's memory");
    require(::RAND_set_rand_method(&same) == 1, "OpenSSL's random numbers");
    contexts::get();
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    plan const play{fuzz_input{data, size}};
    numbers.seed(1);
    (play.honest ? play_records : play_bytes)(play);
    return 0;
}
