// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_EMPTY_SESSION_HPP
#define DUET_DETAIL_ENGINE_EMPTY_SESSION_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/system_executor.hpp>

#include <exception>
#include <type_traits>
#include <utility>

#include <duet/detail/completion/operation_owner.hpp>
#include <duet/detail/completion/thrown_failure.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What the operations of a session without a connection refer to instead: the executor that a moved-from session has
/// kept, or none.
class empty_session final : public operation_owner
{
public:
    explicit empty_session(boost::asio::any_io_executor executor) noexcept
        : operation_owner{stand_in{}}, executor_{std::move(executor)}
    {
    }

    boost::asio::any_io_executor const& executor() const noexcept { return executor_; }

    void abandon() noexcept override {}

private:
    void dispose() noexcept override { delete this; }

    boost::asio::any_io_executor executor_;
};

/// A connection, or an empty_session.
using operation_target = owner_ref<operation_owner>;

inline session_error error_of_empty_session(char const* operation)
{
    return session_error{errc::closed, operation, "an empty session", 0};
}

/// Fail an operation of an empty session, with errc::closed and a default-constructed result. The handler is called
/// later: on its own executor, or else on that of the session. If there is neither, the handler may not run anywhere,
/// and this throws the session_error. `Throws`: the handler gets it as its exception.
template <bool Throws, class... Result, class Handler>
[[gnu::cold, gnu::noinline]] void refuse_empty(operation_owner const& target, char const* operation, Handler handler)
{
    std::exception_ptr failure;
    if constexpr (Throws)
        failure = std::make_exception_ptr(error_of_empty_session(operation));
    auto const allocator = boost::asio::get_associated_allocator(handler);
    auto const own_executor = boost::asio::get_associated_executor(handler);
    auto call = [handler = std::move(handler), failure = std::move(failure)]() mutable
    { std::move(handler)(Throws ? thrown_failure::carry(std::move(failure)) : error_code{errc::closed}, Result{}...); };
    if constexpr (!std::is_same_v<std::decay_t<decltype(own_executor)>, boost::asio::system_executor>)
        boost::asio::post(own_executor, boost::asio::bind_allocator(allocator, std::move(call)));
    else if (auto const& kept = static_cast<empty_session const&>(target).executor())
        boost::asio::post(kept, boost::asio::bind_allocator(allocator, std::move(call)));
    else if constexpr (Throws)
        call();  // a promise, which is kept on any thread
    else
        throw error_of_empty_session(operation);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
