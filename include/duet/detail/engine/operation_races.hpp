// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_OPERATION_RACES_HPP
#define DUET_DETAIL_ENGINE_OPERATION_RACES_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>
#include <variant>

#include <duet/detail/engine/completion_result.hpp>
#include <duet/detail/engine/connection.hpp>
#include <duet/detail/engine/operation.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

// || and && of asio::experimental::awaitable_operators, for operations of a session.
//
// With Asio's ||, the result of an operation is lost that completes while the other one wins. So what races for a read
// of some bytes is the wait for them: the session reads when that has won, and only then.

template <class Operand>
struct race_operand;

template <class Result, class Executor>
struct race_operand<boost::asio::awaitable<Result, Executor>>
{
    static constexpr bool reads_last = false;

    template <class>
    static auto begin(boost::asio::awaitable<Result, Executor>& operand)
    {
        return std::move(operand);
    }
};

template <class Result, class Start>
struct race_operand<operation<Result, Start>>
{
    static constexpr bool reads_last = std::is_same_v<Result, bytes_or_end>;

    template <class Executor>
    static auto begin(operation<Result, Start>& operand)
    {
        boost::asio::use_awaitable_t<Executor> const token;
        if constexpr (reads_last)
            return operand.wait_for_input()(token);
        else
            return std::move(operand)(token);
    }
};

/// The result of a race: where a wait may have won, the size of what was read.
template <class Variant>
struct race_result;

template <class... Results>
struct race_result<std::variant<Results...>>
{
    using type = std::variant<std::conditional_t<std::is_same_v<Results, io_result>, std::size_t, Results>...>;
};

/// What has won, unless it is a wait.
template <class Result, std::size_t Index = 0, class Winner>
Result result_of_race(Winner& winner)
{
    if constexpr (Index + 1 < std::variant_size_v<Winner>)
    {
        if (winner.index() != Index)
            return result_of_race<Result, Index + 1>(winner);
    }
    if constexpr (std::is_same_v<std::variant_alternative_t<Index, Winner>, io_result>)
        return Result{std::in_place_index<Index>, std::size_t{0}};
    else
        return Result{std::in_place_index<Index>, std::move(std::get<Index>(winner))};
}

template <class Executor, class Left, class Right>
auto begin_race(Left& left, Right& right)
{
    using boost::asio::experimental::awaitable_operators::operator||;
    return race_operand<Left>::template begin<Executor>(left) || race_operand<Right>::template begin<Executor>(right);
}

template <class Executor, class Left, class Right>
using result_of_operands = typename race_result<typename decltype(begin_race<Executor>(
    std::declval<Left&>(), std::declval<Right&>()))::value_type>::type;

template <class Executor, class Left, class Right>
boost::asio::awaitable<result_of_operands<Executor, Left, Right>, Executor> race(Left left, Right right)
{
    using result_type = result_of_operands<Executor, Left, Right>;
    constexpr auto last = std::variant_size_v<result_type> - 1;
    // An empty session fails at once, too.
    if constexpr (race_operand<Left>::reads_last)
    {
        if (left.will_be_refused())
            co_await std::move(left);
    }
    if constexpr (race_operand<Right>::reads_last)
    {
        if (right.will_be_refused())
            co_await std::move(right);
    }
    auto racing = begin_race<Executor>(left, right);
    auto winner = co_await std::move(racing);
    if constexpr (race_operand<Left>::reads_last)
    {
        if (winner.index() == 0)
        {
            left.throw_if_failed(std::get<0>(winner).error);
            auto const size = co_await std::move(left);
            co_return result_type{std::in_place_index<0>, size};
        }
    }
    if constexpr (race_operand<Right>::reads_last)
    {
        if (winner.index() == last)
        {
            right.throw_if_failed(std::get<last>(winner).error);
            auto const size = co_await std::move(right);
            co_return result_type{std::in_place_index<last>, size};
        }
    }
    co_return result_of_race<result_type>(winner);
}

template <class Result, class Start, class Other, class Executor>
auto operator||(operation<Result, Start> left, boost::asio::awaitable<Other, Executor> right)
{
    return race<Executor>(std::move(left), std::move(right));
}

template <class Other, class Executor, class Result, class Start>
auto operator||(boost::asio::awaitable<Other, Executor> left, operation<Result, Start> right)
{
    return race<Executor>(std::move(left), std::move(right));
}

template <class Result, class Start, class OtherResult, class OtherStart>
auto operator||(operation<Result, Start> left, operation<OtherResult, OtherStart> right)
{
    return race<boost::asio::any_io_executor>(std::move(left), std::move(right));
}

template <class Result, class Start, class Other, class Executor>
auto operator&&(operation<Result, Start> left, boost::asio::awaitable<Other, Executor> right)
{
    using boost::asio::experimental::awaitable_operators::operator&&;
    return std::move(left)(boost::asio::use_awaitable_t<Executor>{}) && std::move(right);
}

template <class Other, class Executor, class Result, class Start>
auto operator&&(boost::asio::awaitable<Other, Executor> left, operation<Result, Start> right)
{
    using boost::asio::experimental::awaitable_operators::operator&&;
    return std::move(left) && std::move(right)(boost::asio::use_awaitable_t<Executor>{});
}

template <class Result, class Start, class OtherResult, class OtherStart>
auto operator&&(operation<Result, Start> left, operation<OtherResult, OtherStart> right)
{
    using boost::asio::experimental::awaitable_operators::operator&&;
    return std::move(left)(boost::asio::use_awaitable_t<>{}) && std::move(right)(boost::asio::use_awaitable_t<>{});
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
