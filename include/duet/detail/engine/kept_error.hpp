// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_KEPT_ERROR_HPP
#define DUET_DETAIL_ENGINE_KEPT_ERROR_HPP

#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// An error_code that is kept for long, in two thirds of its memory.
class kept_error
{
public:
    kept_error& operator=(error_code const& error) noexcept
    {
        value_ = error.failed() ? error.value() : 0;
        category_ = &error.category();
        return *this;
    }

    void clear() noexcept { value_ = 0; }

    /// True if there is an error.
    explicit operator bool() const noexcept { return value_ != 0; }

    operator error_code() const noexcept { return value_ == 0 ? error_code{} : error_code{value_, *category_}; }

private:
    boost::system::error_category const* category_ = nullptr;
    int value_ = 0;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
