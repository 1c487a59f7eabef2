// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Where a trace keeps its records in memory: in pieces, of which any number of the last records can be asked for.

#define BOOST_TEST_MODULE trace.record_list
#include <duet/detail/recording/record_list.hpp>
#include <duet/detail/recording/trace_record.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

namespace {

std::vector<std::int64_t> times_of_last(duet::detail::record_list const& list, std::size_t count)
{
    std::vector<std::int64_t> result;
    list.visit_last(
        [&](duet::detail::trace_record const&)
        {
            bool const wanted = count != 0;
            count -= wanted ? 1 : 0;
            return wanted;
        },
        [&](duet::detail::trace_record const& one) { result.push_back(one.time); });
    return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_empty_list_has_no_last_records)
{
    BOOST_TEST(times_of_last({}, 3).empty());
}

BOOST_AUTO_TEST_CASE(the_last_records_come_in_their_order_whatever_pieces_they_are_in)
{
    constexpr std::int64_t first_piece = (1 << 16) / sizeof(duet::detail::trace_record);
    constexpr std::int64_t second_piece = (1 << 21) / sizeof(duet::detail::trace_record);
    duet::detail::record_list list;
    std::int64_t kept = 0;
    for (auto const size : {std::int64_t{1}, first_piece - 1, first_piece, first_piece + 1, first_piece + second_piece,
             first_piece + second_piece + 1})
    {
        while (kept != size)
        {
            duet::detail::trace_record one;
            one.time = kept++;
            list.push_back(one);
        }
        for (auto const count : {std::int64_t{0}, std::int64_t{1}, std::int64_t{2}, second_piece, second_piece + 1,
                 second_piece + 2, size - 1, size, size + 1})
        {
            auto const expected = std::min(count, size);
            auto const times = times_of_last(list, static_cast<std::size_t>(count));
            BOOST_TEST_CONTEXT("the last " << count << " of " << size)
            {
                BOOST_REQUIRE(std::ssize(times) == expected);
                bool in_order = true;
                for (std::int64_t at = 0; at != expected; ++at)
                    in_order = in_order && times[static_cast<std::size_t>(at)] == size - expected + at;
                BOOST_TEST(in_order);
            }
        }
    }
}
