// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "backend.hpp"

#include "log.hpp"

namespace example {

std::string_view backend::state() const noexcept
{
    if (!listed_)
        return "removed";
    if (!health_.up())
        return "down";
    return at_.drain ? "drain" : "up";
}

traffic backend::bytes() const
{
    traffic result = ended_;
    for (auto const* each : connections_)
        if (each->session)
            result.add(*each->session);
    return result;
}

void backend::connected()
{
    if (health_.succeeded())
        log("{} is up", name());
}

void backend::not_connected(std::string_view why)
{
    if (health_.failed())
        log("{} is down: {}", name(), why);
}

}  // namespace example
