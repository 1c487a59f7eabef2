// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_TOLD_RESULT_HPP
#define DUET_TEST_TOLD_RESULT_HPP

#include <duet/error.hpp>

#include <optional>
#include <utility>

namespace duet_test {

/// An operation under way that completes with an error code and a result, and what its handler was told.
template <class Result>
struct told_result
{
    std::optional<duet::error_code> error;
    Result result;
    int calls = 0;

    auto handler()
    {
        return [this](duet::error_code told, Result completed)
        {
            error = told;
            result = std::move(completed);
            ++calls;
        };
    }
};

}  // namespace duet_test

#endif
