// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_OBSERVED_HANDLER_HPP
#define DUET_DETAIL_ENGINE_OBSERVED_HANDLER_HPP

#include <boost/asio/associator.hpp>

#include <cstddef>
#include <utility>

#include <duet/detail/engine/connection.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Reports the result of an operation of the Asio interface to the connection's observer, and calls the handler.
template <class Handler>
class observed_handler
{
public:
    observed_handler(Handler handler, connection* target, char const* name)
        : handler_(std::move(handler)), connection_{target}, name_{name}
    {
    }

    void operator()(error_code error, std::size_t size)
    {
        connection_->tell_result(name_, error, size);
        std::move(handler_)(error, size);
    }

    /// As operator(), in two steps: see result_handler::settle().
    auto settle(error_code error, std::size_t size)
    {
        connection_->tell_result(name_, error, size);
        return [handler = std::move(handler_), error, size]() mutable { std::move(handler)(error, size); };
    }

    Handler const& inner() const noexcept { return handler_; }

private:
    Handler handler_;
    connection* connection_;
    char const* name_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

/// The wrapped handler's executor, allocator and cancellation slot are the handler's own.
template <template <class, class> class Associator, class Handler, class Default>
struct boost::asio::associator<Associator, duet::detail::observed_handler<Handler>, Default>
    : Associator<Handler, Default>
{
    using wrapped = duet::detail::observed_handler<Handler>;

    static auto get(wrapped const& handler) noexcept { return Associator<Handler, Default>::get(handler.inner()); }

    static auto get(wrapped const& handler, Default const& fallback) noexcept
    {
        return Associator<Handler, Default>::get(handler.inner(), fallback);
    }
};

#endif
