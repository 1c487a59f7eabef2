// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_THROWN_FAILURE_HPP
#define DUET_DETAIL_COMPLETION_THROWN_FAILURE_HPP

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>

#include <exception>
#include <string>
#include <utility>

#include <duet/error.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

// g++ warns of every class that derives from error_category, whose destructor is protected and not virtual: the class
// has friends, so g++ takes the destructor for accessible. Boost has the same pragma around error_category itself.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

/// An awaiting coroutine turns the error_code of an operation that it awaits directly into a bare system_error. To let
/// it throw a session_error, which names the operation and the peer, the code handed to it is one of this category:
/// system_error asks it for a message, and is answered by the exception itself.
///
/// The other way, an operation that completes with an exception_ptr and a value, does not compile when awaited
/// directly in Boost 1.81; and a child coroutine for each operation costs a frame and some 400 instructions. Only
/// handlers that are the awaiting coroutine itself are given such a code; it is gone before they return.
class thrown_failure final : public boost::system::error_category
{
public:
    /// The code that makes the coroutine which is resumed with it throw `failure`.
    static error_code carry(std::exception_ptr failure) noexcept
    {
        pending() = std::move(failure);
        static thrown_failure const category;
        return {1, category};
    }

    char const* name() const noexcept override { return "duet"; }

    std::string message(int) const override
    {
        if (auto const failure = std::exchange(pending(), nullptr))
            std::rethrow_exception(failure);
        return "duet session error";
    }

private:
    static std::exception_ptr& pending() noexcept
    {
        static thread_local std::exception_ptr failure;
        return failure;
    }
};

#pragma GCC diagnostic pop

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
