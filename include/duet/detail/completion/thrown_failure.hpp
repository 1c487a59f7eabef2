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
inline namespace DUET_ABI {
namespace detail {

// g++ warns about every class derived from error_category, whose destructor is protected and not virtual: because the
// class has friends, g++ treats the destructor as accessible. Boost uses the same pragma around error_category itself.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

/// Makes an awaiting coroutine throw a session_error, which names the operation and the peer. When a coroutine awaits
/// an operation directly, Asio turns the operation's error_code into a plain system_error. So the coroutine gets a code
/// of this category: the constructor of system_error asks the category for a message, and the category throws the
/// session_error instead.
///
/// Alternatives are worse. An operation that completes with an exception_ptr and a value does not compile in Boost 1.81
/// when it is awaited directly, and newer versions would show the exception_ptr to every other completion token, too,
/// because an operation has one signature. A child coroutine for each operation costs a coroutine frame and about 400
/// instructions. Only handlers that throw (throws_failure) get such a code, and it does not outlive their call.
class thrown_failure final : public boost::system::error_category
{
public:
    /// Returns a code that makes the coroutine throw `failure` when it is resumed with that code.
    static error_code carry(std::exception_ptr failure) noexcept
    {
        pending() = std::move(failure);
        static thrown_failure const category;
        return {1, category};
    }

    /// The exception that such a code carries; of any other code, a system_error.
    static std::exception_ptr exception_of(error_code const& error) noexcept
    {
        try
        {
            throw system_error{error};
        }
        catch (...)
        {
            return std::current_exception();
        }
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
}  // namespace DUET_ABI
}  // namespace duet

#endif
