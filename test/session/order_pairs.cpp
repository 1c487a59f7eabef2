// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Every ordered pair of {write, shutdown_send, close, abort, cancel, destroy} against a peer that reads, stalls, is
// gone (RST) or has half-closed: each operation completes exactly once, with what the rules below say; nothing is left
// over; and the peer never sees a clean end behind anything but whole writes (P04, P05, P12, P13, P39, P41).

#define BOOST_TEST_MODULE session.order_pairs
#include <duet/session.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::errc;

namespace {

enum class act
{
    write,
    shutdown_send,
    close,
    abort,
    cancel,
    destroy,
};

enum class peer_kind
{
    reading,
    stalled,
    gone,
    half_closed,
};

constexpr act acts[] = {act::write, act::shutdown_send, act::close, act::abort, act::cancel, act::destroy};
constexpr peer_kind peers[] = {peer_kind::reading, peer_kind::stalled, peer_kind::gone, peer_kind::half_closed};

char const* name(act value)
{
    constexpr char const* names[] = {"write", "shutdown_send", "close", "abort", "cancel", "destroy"};
    return names[static_cast<int>(value)];
}

char const* name(peer_kind value)
{
    constexpr char const* names[] = {"reading", "stalled", "gone", "half-closed"};
    return names[static_cast<int>(value)];
}

// How an operation ended, in a word. close() ends with its report, and an error only if it was cancelled.
std::string word_of(boost::system::error_code code)
{
    if (!code)
        return "ok";
    if (code == errc::closed)
        return "closed";
    if (code == errc::aborted)
        return "aborted";
    if (code == errc::send_finished)
        return "send_finished";
    if (code == errc::close_timed_out)
        return "close_timed_out";
    if (code == error::operation_aborted)
        return "cancelled";
    if (code == error::connection_reset)
        return "reset";
    return code.message();
}

struct ending
{
    int times = 0;
    std::string word = "-";
};

using words = std::vector<std::string>;

// ---- The rules. An operation whose outcome the network's timing decides has several. --------------------------------

// What an operation comes to when nothing is before it; it ends by the time everything is over. The test's last act is
// to destroy the session, which ends with "closed" what a stalled peer kept waiting.
words alone(act what, peer_kind peer)
{
    switch (what)
    {
    case act::write:
        return peer == peer_kind::gone ? words{"reset"} : peer == peer_kind::stalled ? words{"closed"} : words{"ok"};
    case act::shutdown_send:  // P12: also when the peer is gone
        return {"ok"};
    case act::close:
        return peer == peer_kind::gone      ? words{"peer_reset"}
               : peer == peer_kind::stalled ? words{"timed_out"}
                                            : words{"clean"};
    default:
        return {"-"};
    }
}

words first_ends(act first, act second, peer_kind peer)
{
    bool const waits =
        (first == act::write && peer != peer_kind::gone) || (first == act::close && peer != peer_kind::gone);
    if (!waits)
        return first == act::destroy ? words{"-"} : alone(first, peer);
    bool const closing = first == act::close;
    // A close whose peer has finished may be over within the call.
    auto with_clean = [&](char const* word) {
        return closing && peer == peer_kind::half_closed ? words{word, "clean"} : words{word};
    };
    switch (second)
    {
    case act::abort:
        return with_clean("aborted");
    case act::destroy:
        return with_clean(closing ? "dropped" : "closed");
    case act::cancel:
        return with_clean("cancelled");
    case act::close:
        if (first == act::write && peer == peer_kind::stalled)
            return {"close_timed_out"};
        return alone(first, peer);
    case act::write:
    case act::shutdown_send:
        return alone(first, peer);
    }
    return {};
}

words second_ends(act first, act second, peer_kind peer)
{
    bool const gone = peer == peer_kind::gone;
    if (second == act::abort || second == act::cancel || second == act::destroy)
        return {"-"};
    switch (first)
    {
    case act::cancel:  // there was nothing to cancel
        return alone(second, peer);
    case act::write:
        if (second == act::shutdown_send && peer == peer_kind::stalled)
            return {"closed"};  // the FIN never went, and the session was destroyed
        return alone(second, peer);
    case act::shutdown_send:
        return second == act::write ? words{"send_finished"} : alone(second, peer);
    case act::close:
        if (second == act::write)
            return gone                         ? words{"reset"}
                   : peer == peer_kind::stalled ? words{"closed", "close_timed_out"}
                                                : words{"closed"};
        return alone(second, peer);
    case act::abort:
        return {"aborted"};
    case act::destroy:  // begun by an operation object that was made before
        return second == act::close ? words{"dropped"} : words{"closed"};
    }
    return {};
}

// With a read pending, it is the read that meets the reset, a turn later or a turn earlier than the pair alone would.
words when_a_read_meets_the_reset(act first, act second, bool of_first)
{
    if (of_first && first == act::close)
        return second == act::abort     ? words{"aborted"}
               : second == act::cancel  ? words{"cancelled"}
               : second == act::destroy ? words{"dropped"}
                                        : words{};
    if (!of_first && second == act::write)
        return first == act::close ? words{"closed"} : first == act::shutdown_send ? words{"reset"} : words{};
    return {};
}

// ---- One play
// ----------------------------------------------------------------------------------------------------------

class play
{
public:
    play(act first, act second, peer_kind peer, bool turn_between, bool with_read)
        : first_{first}, second_{second}, peer_kind_{peer}, turn_between_{turn_between},
          with_read_{with_read}, talk_{small_capacity}
    {
    }

    void run()
    {
        session_.emplace(talk_.make(with({.close = 5s})));
        canceller_ = session_->canceller();
        prepare_peer();

        ending read;
        std::string read_buffer(100, '\0');
        if (with_read_)
            session_->read_some(asio::buffer(read_buffer))(
                [&](boost::system::error_code code, std::size_t) { note(read, word_of(code)); });

        ending one;
        ending two;
        std::optional<decltype(session_->write(asio::buffer(data_)))> write;
        std::optional<decltype(session_->shutdown_send())> shutdown;
        std::optional<decltype(session_->close())> close;
        auto const prepare = [&](act what)
        {
            if (what == act::write)
                write.emplace(session_->write(asio::buffer(data_)));
            if (what == act::shutdown_send)
                shutdown.emplace(session_->shutdown_send());
            if (what == act::close)
                close.emplace(session_->close());
        };
        auto const begin = [&](act what, ending& end)
        {
            switch (what)
            {
            case act::write:
                (*write)([&](boost::system::error_code code, std::size_t) { note(end, word_of(code)); });
                break;
            case act::shutdown_send:
                (*shutdown)([&](boost::system::error_code code) { note(end, word_of(code)); });
                break;
            case act::close:
                (*close)(
                    [&](boost::system::error_code code, duet::close_report const& report)
                    {
                        auto const reason = std::string{duet::to_string(report.reason)};
                        note(end, code ? word_of(code) : reason == "discarded_input" ? "clean" : reason);
                    });
                break;
            case act::abort:
                if (session_)
                    session_->abort();
                else
                    canceller_.abort();
                break;
            case act::cancel:
                if (session_)
                    session_->cancel();
                else
                    canceller_.cancel();
                break;
            case act::destroy:
                session_.reset();
                break;
            }
        };
        prepare(first_);
        begin(first_, one);
        BOOST_TEST(one.times == 0);  // never from within the call that begins it
        if (turn_between_)
            talk_.context.poll();
        if (session_)
            prepare(second_);
        else
        {
            // The session is gone; an operation object made before still holds on to the connection.
            if (second_ == act::write)
                write.emplace(std::move(*late_write_));
            if (second_ == act::shutdown_send)
                shutdown.emplace(std::move(*late_shutdown_));
            if (second_ == act::close)
                close.emplace(std::move(*late_close_));
        }
        begin(second_, two);

        received seen;
        bool heard = peer_kind_ == peer_kind::gone;
        auto const hear = [&]() -> asio::awaitable<void>
        {
            seen = co_await talk_.peer.receive_all_and_close();
            heard = true;
        };
        if (peer_kind_ == peer_kind::reading || peer_kind_ == peer_kind::half_closed)
            asio::co_spawn(talk_.context, hear(), asio::detached);
        auto const pending = [&](act what, ending const& end)
        { return what <= act::close && end.times == 0 && what != act::destroy; };
        auto const waits_forever = [&](act what) { return peer_kind_ == peer_kind::stalled && what != act::close; };
        auto const over = [&]
        {
            return (!pending(first_, one) || (waits_forever(first_) && second_ != act::close)) &&
                   (!pending(second_, two) || (waits_forever(second_) && first_ != act::close));
        };
        talk_.time.run_until(over, "the end of an operation");
        session_.reset();
        write.reset();
        shutdown.reset();
        close.reset();
        late_write_.reset();
        late_shutdown_.reset();
        late_close_.reset();
        talk_.time.run_leftover();
        if (peer_kind_ == peer_kind::stalled)
        {
            seen = talk_.peer.recv_all();
            heard = true;
        }
        BOOST_TEST(heard);

        auto one_ends = first_ends(first_, second_, peer_kind_);
        auto two_ends = second_ends(first_, second_, peer_kind_);
        if (with_read_ && peer_kind_ == peer_kind::gone)
        {
            auto const add = [](words& to, words const& more) { to.insert(to.end(), more.begin(), more.end()); };
            add(one_ends, when_a_read_meets_the_reset(first_, second_, true));
            add(two_ends, when_a_read_meets_the_reset(first_, second_, false));
        }
        check("first", one, one_ends, first_);
        check("second", two, two_ends, second_);
        if (with_read_)
            BOOST_TEST(read.times == 1);
        check_peer(seen, one, two);
    }

private:
    static void note(ending& end, std::string word)
    {
        ++end.times;
        end.word = std::move(word);
    }

    void prepare_peer()
    {
        late_write_.emplace(session_->write(asio::buffer(data_)));
        late_shutdown_.emplace(session_->shutdown_send());
        late_close_.emplace(session_->close());
        if (peer_kind_ == peer_kind::gone)
            talk_.peer.reset();
        if (peer_kind_ == peer_kind::half_closed)
            talk_.peer.shutdown_write();
    }

    static void check(char const* which, ending const& end, words const& expected, act what)
    {
        BOOST_TEST_CONTEXT(which << " (" << name(what) << ") ended with " << end.word)
        {
            if (expected == words{"-"})
                BOOST_TEST(end.times == 0);
            else
            {
                BOOST_TEST(end.times == 1);
                auto const found = std::find(expected.begin(), expected.end(), end.word);
                BOOST_TEST_INFO("expected " << expected.front());
                BOOST_TEST((found != expected.end()));
            }
        }
    }

    // A clean end tells the peer that it has everything.
    void check_peer(received const& seen, ending const& one, ending const& two) const
    {
        if (peer_kind_ == peer_kind::gone)
            return;
        std::size_t whole = 0;
        for (auto const& [what, end] : {std::pair{first_, one}, std::pair{second_, two}})
            if (what == act::write && end.word == "ok")
                whole += data_.size();
        if (seen.error == 0)
        {
            BOOST_TEST_INFO("a clean end behind " << seen.data.size() << " of " << whole << " bytes");
            BOOST_TEST(seen.data.size() == whole);
        }
        if (first_ == act::abort || second_ == act::abort)
        {
            bool const ended_before = one.word == "clean";
            BOOST_TEST_INFO("abort() must reset");
            BOOST_TEST((seen.error == ECONNRESET || ended_before || first_ == act::shutdown_send ||
                        first_ == act::close || first_ == act::destroy));
        }
    }

    act first_;
    act second_;
    peer_kind peer_kind_;
    bool turn_between_;
    bool with_read_;
    std::string data_ = pattern(stalling_size);
    memory_talk talk_;
    std::optional<memory_session> session_;
    duet::canceller canceller_;
    std::optional<decltype(session_->write(asio::buffer(data_)))> late_write_;
    std::optional<decltype(session_->shutdown_send())> late_shutdown_;
    std::optional<decltype(session_->close())> late_close_;
};

void play_all(bool turn_between, bool with_read)
{
    for (auto const peer : peers)
        for (auto const first : acts)
            for (auto const second : acts)
            {
                if (first == act::destroy && second == act::destroy)
                    continue;  // there is nothing left to destroy
                BOOST_TEST_CONTEXT(
                    name(first) << " then " << name(second) << ", peer " << name(peer) << ", turn " << turn_between)
                {
                    play{first, second, peer, turn_between, with_read}.run();
                }
            }
}

}  // namespace

BOOST_AUTO_TEST_CASE(at_once)
{
    play_all(false, false);
}

BOOST_AUTO_TEST_CASE(one_turn_apart)
{
    play_all(true, false);
}

BOOST_AUTO_TEST_CASE(at_once_with_a_pending_read)
{
    play_all(false, true);
}

BOOST_AUTO_TEST_CASE(one_turn_apart_with_a_pending_read)
{
    play_all(true, true);
}
