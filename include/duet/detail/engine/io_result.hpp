// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_IO_RESULT_HPP
#define DUET_DETAIL_ENGINE_IO_RESULT_HPP

#include <cstddef>

#include <duet/detail/time/coarse_clock.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// How an operation ended.
struct io_result
{
    error_code error{};
    std::size_t size = 0;
};

/// When a read has to end: by the session's read deadline, and by its own.
struct read_deadlines
{
    coarse_clock::time_point session = coarse_clock::time_point::max();
    coarse_clock::time_point call = coarse_clock::time_point::max();
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
