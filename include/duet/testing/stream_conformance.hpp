// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TESTING_STREAM_CONFORMANCE_HPP
#define DUET_TESTING_STREAM_CONFORMANCE_HPP

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <string>
#include <type_traits>
#include <vector>

#include <duet/detail/channel/stream_requirements.hpp>
#include <duet/detail/testing/stream_rules.hpp>
#include <duet/detail/testing/stream_trial.hpp>
#include <duet/session_stream.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace testing {

/// A rule that a stream breaks.
struct broken_rule
{
    std::string rule;  ///< its name, as `bytes_arrive_in_order`
    std::string what;  ///< what happened
};

/// A line for each. Empty: the stream conforms.
inline std::string to_string(std::vector<broken_rule> const& broken)
{
    std::string text;
    for (auto const& each : broken)
        text += each.rule + ": " + each.what + '\n';
    return text;
}

/// Ask a stream for everything that session_stream says, and return the rules that it breaks; none: a session works on
/// it. It belongs to no test framework:
///
/// ```cpp
/// auto const make_pair = [](asio::any_io_executor executor) { return my_stream::connected_pair(executor); };
/// auto const broken = duet::testing::check_stream(make_pair);
/// BOOST_TEST(to_string(broken) == "");
/// ```
///
/// `make_pair` is called with the executor of an io_context and returns a std::pair of two connected streams, with
/// nothing on its way between them. It is called several times for each rule, as each rule is asked of both ends. If
/// they have to talk first, it may run the io_context: its argument may be an io_context::executor_type, whose
/// context() that is. The stream takes at least 16 bytes before its peer reads.
///
/// The streams are used as a session does, after apply() and prepare(). What a stream cannot do is said by its
/// stream_traits (half_close, tells_hang_up, tells_reset, close_says_fin), and is not asked then, or the contrary is.
///
/// It runs the io_context in the calling thread, and returns when the last rule was asked. Nothing depends on speed:
/// `guard` ends the waiting for what a broken stream never tells, once for each rule. A call of the stream that waits
/// is not ended. What the stream or make_pair throws is a broken rule, with its what().
///
/// Several threads may call it at the same time, if they may call make_pair.
template <class MakePair>
std::vector<broken_rule> check_stream(
    MakePair make_pair, std::chrono::steady_clock::duration guard = std::chrono::seconds{10})
{
    using pair = std::invoke_result_t<MakePair&, boost::asio::io_context::executor_type>;
    using stream = typename pair::first_type;
    static_assert(std::is_same_v<stream, typename pair::second_type>, "duet: both ends are to be of one type");
    static_assert(detail::stream_requirements<stream>::checked);

    std::vector<broken_rule> broken;
    auto const ask = [&](char const* name, auto const& rule)
    {
        try
        {
            rule();
        }
        catch (detail::stream_complaint const& complaint)
        {
            broken.push_back({name, complaint.what});
        }
        catch (std::exception const& thrown)
        {
            broken.push_back({name, std::string{"threw: "} + thrown.what()});
        }
    };
    auto const ask_both_ends = [&](char const* name, auto rule)
    {
        ask(name,
            [&]
            {
                for (bool const swapped : {false, true})
                {
                    detail::stream_trial<stream> trial{make_pair, swapped, guard};
                    rule(trial);
                }
            });
    };

    using rules = detail::stream_rules<stream>;
    ask_both_ends("executor", rules::executor);
    ask_both_ends("nothing_is_there", rules::nothing_is_there);
    ask_both_ends("bytes_arrive_in_order", rules::bytes_arrive_in_order);
    ask_both_ends("a_write_gathers", rules::a_write_gathers);
    ask_both_ends("a_write_takes_a_part", rules::a_write_takes_a_part);
    ask_both_ends("the_fin_is_behind_all_bytes", rules::the_fin_is_behind_all_bytes);
    ask_both_ends("one_direction_ends_and_the_other_goes_on", rules::one_direction_ends_and_the_other_goes_on);
    ask_both_ends("shutdown_send_is_refused", rules::shutdown_send_is_refused);
    ask_both_ends("a_reset_is_told_to_the_peer", rules::a_reset_is_told_to_the_peer);
    ask_both_ends("a_failure_is_told", rules::a_failure_is_told);
    ask_both_ends("a_hang_up_is_told_and_a_fin_is_none", rules::a_hang_up_is_told_and_a_fin_is_none);
    ask_both_ends("close_ends_what_waits", rules::close_ends_what_waits);
    ask_both_ends("cancel_ends_what_waits_and_nothing_else", rules::cancel_ends_what_waits_and_nothing_else);
    ask_both_ends("discard_heeds_its_limit", rules::discard_heeds_its_limit);
    ask_both_ends("bytes_that_are_held_are_told", rules::bytes_that_are_held_are_told);
    ask_both_ends("what_is_read_is_acknowledged", rules::what_is_read_is_acknowledged);
    ask_both_ends("nothing_is_called_within_a_function", rules::nothing_is_called_within_a_function);
    ask_both_ends("a_session_closes_cleanly", rules::a_session_closes_cleanly);
    ask("handlers_go_with_the_context", [&] { detail::handlers_go_with_the_context<stream>(make_pair); });
    return broken;
}

}  // namespace testing
}  // namespace DUET_ABI
}  // namespace duet

#endif
