// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "member.hpp"

#include <cstddef>
#include <utility>

#include <duet/error.hpp>

namespace chat {

namespace {

void write(duet::session& peer, shared_line const& line)
{
    peer.write (*line)(
        [line, link = peer.canceller()](duet::error_code error, std::size_t)
        {
            if (error == duet::errc::write_timed_out)
                link.abort();
        });
}

}  // namespace

shared_line make_line(std::string text)
{
    return std::make_shared<std::string const>(std::move(text));
}

void member::hear(shared_line const& lines) const
{
    std::lock_guard const lock{inbox_->mutex};
    inbox_->lines.push_back(lines);
    if (!inbox_->announced)
        inbox_->announced = peer_.post([from = inbox_](duet::session& peer) { give(*from, peer); });
}

void member::give(inbox& from, duet::session& peer)
{
    std::vector<shared_line> lines;
    {
        std::lock_guard const lock{from.mutex};
        lines.swap(from.lines);
        from.announced = false;
    }
    for (auto const& line : lines)
        write(peer, line);
}

}  // namespace chat
