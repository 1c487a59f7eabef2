// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_REQUESTS_REQUEST_CORE_HPP
#define DUET_DETAIL_REQUESTS_REQUEST_CORE_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/list_hook.hpp>
#include <boost/intrusive/options.hpp>
#include <boost/intrusive/set.hpp>
#include <boost/intrusive/set_hook.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <duet/detail/requests/silence.hpp>
#include <duet/detail/time/context_clock.hpp>
#include <duet/detail/time/place_queue.hpp>
#include <duet/detail/time/told_wait.hpp>
#include <duet/error.hpp>
#include <duet/framing.hpp>
#include <duet/request_codec.hpp>
#include <duet/request_options.hpp>
#include <duet/stream_traits.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The implementation of a request_stream. Each request under way keeps it alive, and so do the reader and a write.
///
/// A coroutine reads the answers, from the first request to the end of the connection. Requests that are begun in one
/// turn of the executor, or while a write waits for the peer, go out with one write.
template <class Session, class Framing, class Codec>
class request_core : public std::enable_shared_from_this<request_core<Session, Framing, Codec>>
{
public:
    using executor_type = typename Session::executor_type;
    using places_type = place_queue<executor_type>;
    using time_point = coarse_clock::time_point;
    using self = std::shared_ptr<request_core>;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    /// RAII: a request that is known by its id.
    struct request
    {
        explicit request(self to) : core{std::move(to)}, id{core->next_id_++}, wait{core->executor_}
        {
            if (core->under_way_.empty())
                core->busy_since_ = core->clock_.now();
            core->under_way_.push_back(*this);  // its id is the largest
        }

        request(request const&) = delete;
        request& operator=(request const&) = delete;

        ~request()
        {
            core->under_way_.erase(core->under_way_.iterator_to(*this));
            if (queued.is_linked())
                core->unsent_.erase(core->unsent_.iterator_to(*this));
        }

        self const core;
        std::uint64_t const id;
        told_wait<executor_type> wait;
        std::string text;  // its message, and then its answer
        bool sent = false;
        bool answered = false;
        boost::intrusive::set_member_hook<> known;
        boost::intrusive::list_member_hook<> queued;
    };

    request_core(Session with, Framing how, std::size_t limit, request_options const& o, Codec c)
        : options{o}, codec{std::move(c)}, executor_{with.get_executor()}, clock_{executor_},
          places_{executor_, o.max_under_way, o.max_waiting}, session_{std::move(with)}, framing_{how},
          peer_{stream_traits<typename Session::stream_type>::describe(session_.remote_endpoint())}, answers_{session_,
                                                                                                         std::move(how),
                                                                                                         limit}
    {
        if (options.max_under_way == 0)
            throw system_error{boost::asio::error::invalid_argument, "request_stream"};
    }

    executor_type const& get_executor() const noexcept { return executor_; }

    std::shared_ptr<places_type> places() { return {this->shared_from_this(), &places_}; }

    time_point after(request_options::duration within) const noexcept
    {
        return coarse_clock::after(clock_.now(), within);
    }

    std::string const& peer() const noexcept { return peer_; }

    /// The first error; none while further requests may begin.
    error_code error() const noexcept { return error_; }

    Session& session() noexcept { return session_; }

    error_code code_of(place_end how) noexcept
    {
        if (how == place_end::refused)
            return errc::too_many_waiting;
        if (how == place_end::cancelled)
            return boost::asio::error::operation_aborted;
        if (how == place_end::closed)
            return error_;
        ++counted.timed_out;
        return errc::call_timed_out;
    }

    error_code code_of(wait_end how) noexcept
    {
        if (how == wait_end::told)
            return end_;
        return code_of(how == wait_end::late ? place_end::late : place_end::cancelled);
    }

    /// Queue a request. Throws what the codec throws, session_error (invalid_argument) if the framing cannot carry the
    /// message, and std::bad_alloc.
    void begin(request& one, std::string_view body)
    {
        one.text = codec.encode(one.id, body);
        if (!framing_.accepts(one.text))
            throw session_error{boost::asio::error::invalid_argument, "request", peer_, 0};
        unsent_.push_back(one);
        start_reader();
        if (!writing_ && !flush_posted_)
        {
            boost::asio::post(executor_, [core = this->shared_from_this()] { core->flush_posted(); });
            flush_posted_ = true;
        }
    }

    /// Nothing may begin any more.
    void refuse(error_code why) noexcept
    {
        if (!error_)
            error_ = why;
        places_.close();
    }

    /// The connection has ended: all requests fail, the first one first.
    void end(error_code why) noexcept
    {
        if (!end_)
            end_ = why;
        if (!error_)
            error_ = why;
        for (auto& each : under_way_)
            each.wait.tell();
        places_.close();
    }

    /// The stream was destroyed.
    void drop() noexcept
    {
        end(errc::closed);
        Session const dropped{std::move(session_)};
    }

    request_counters counters() const noexcept
    {
        auto result = counted;
        result.under_way = under_way_.size();
        result.waiting = places_.waiting();
        return result;
    }

    request_options const options;
    Codec const codec;
    request_counters counted;  // except for those that counters() fills in

private:
    struct id_of_request
    {
        using type = std::uint64_t;

        type operator()(request const& one) const noexcept { return one.id; }
    };

    using under_way_set = boost::intrusive::set<request, boost::intrusive::key_of_value<id_of_request>,
        boost::intrusive::member_hook<request, boost::intrusive::set_member_hook<>, &request::known>>;
    using unsent_list = boost::intrusive::list<request,
        boost::intrusive::member_hook<request, boost::intrusive::list_member_hook<>, &request::queued>>;

    static constexpr std::size_t most_per_write = std::size_t{64} * 1024;

    void start_reader()
    {
        if (reading_)
            return;
        // The reader ends by itself, so an exception in its handler is one of memory: the requests then fail.
        boost::asio::co_spawn(executor_, read(this->shared_from_this()),
            [core = this->shared_from_this()](std::exception_ptr const& failure)
            {
                if (failure)
                    core->fail(boost::asio::error::no_memory);
            });
        reading_ = true;
    }

    static awaitable<void> read(self core)
    {
        error_code why;
        silence silent;
        while (!why)
        {
            try
            {
                auto const message = co_await core->answers_.next().within(silent.left());
                silent.broken();
                why = message ? core->take(*message) : error_code{errc::ended};
            }
            catch (session_error const& error)
            {
                if (!core->waits_on(silent, error.code()))
                    why = silent.error();
            }
        }
        core->stop(why);
    }

    bool waits_on(silence& silent, error_code const& error) const noexcept
    {
        auto const from = under_way_.empty() ? time_point::max() : busy_since_;
        return silent.goes_on(error, session_.deadlines(), from, clock_.now());
    }

    /// An answer has come.
    error_code take(std::string_view message)
    {
        auto const tagged = codec.decode(message);
        if (!tagged)
            return errc::malformed_frame;
        auto const found = under_way_.find(tagged->id);
        if (found == under_way_.end())
        {
            if (tagged->id >= next_id_)
                return errc::unexpected_answer;
            ++counted.late;
            return {};
        }
        auto& one = *found;
        if (!one.sent)
            return errc::unexpected_answer;
        if (one.answered)
            return {};
        one.text.assign(tagged->body);
        one.answered = true;
        ++counted.answered;
        one.wait.tell();
        return {};
    }

    /// The connection has ended, or is of no use any more: after that a message cannot be read, or written.
    void stop(error_code why) noexcept
    {
        if (why == condition::invalid_message || why == condition::timed_out)
            fail(why);
        else
            end(why);
    }

    /// Nothing that is on the connection can be trusted any more.
    void fail(error_code why) noexcept
    {
        end(why);
        session_.abort();
    }

    void flush_posted() noexcept
    {
        flush_posted_ = false;
        if (!writing_)
            flush();
    }

    /// Write what is queued.
    void flush() noexcept
    {
        try
        {
            gather();
            if (output_.empty())
                return;
            writing_ = true;
            ++counted.writes;
            session_.write(boost::asio::buffer(output_))(
                [core = this->shared_from_this()](error_code error, std::size_t) { core->written(error); });
        }
        catch (std::exception const&)
        {
            fail(boost::asio::error::no_memory);
        }
    }

    void gather()
    {
        output_.clear();
        while (!end_ && !unsent_.empty() && output_.size() < most_per_write)
        {
            auto& one = unsent_.front();
            output_ += std::string_view{framing_.head(one.text)};
            output_ += one.text;
            output_ += std::string_view{framing_.tail()};
            unsent_.pop_front();
            one.sent = true;
        }
    }

    void written(error_code error) noexcept
    {
        writing_ = false;
        if (error)
            stop(error);
        else
            flush();
    }

    executor_type executor_;
    context_clock clock_;
    places_type places_;
    Session session_;
    Framing framing_;
    std::string peer_;
    frame_reader<Framing> answers_;
    under_way_set under_way_;
    unsent_list unsent_;       // in the order of their begin
    std::string output_;       // what is being written
    time_point busy_since_{};  // since when requests are under way, if there are any
    std::uint64_t next_id_ = 1;
    error_code error_;  // why no request may begin
    error_code end_;    // why those under way get no answer
    bool reading_ = false;
    bool writing_ = false;
    bool flush_posted_ = false;  // or it is on its way
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
