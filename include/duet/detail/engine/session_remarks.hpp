// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_SESSION_REMARKS_HPP
#define DUET_DETAIL_ENGINE_SESSION_REMARKS_HPP

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What is to be told of a session at its end besides its report. It takes memory only while there is something.
class session_remarks
{
public:
    struct content
    {
        std::string note{};                 ///< what the program has to say
        std::optional<tcp_snapshot> tcp{};  ///< what the kernel knew before the close
    };

    /// Throws std::bad_alloc.
    void set_note(std::string const& text)
    {
        if (content_ || !text.empty())
            make().note = text;
    }

    /// Throws std::bad_alloc.
    void set_tcp(tcp_snapshot const& known) { make().tcp = known; }

    content take() noexcept { return content_ ? std::move(*std::exchange(content_, nullptr)) : content{}; }

private:
    content& make()
    {
        if (!content_)
            content_ = std::make_unique<content>();
        return *content_;
    }

    std::unique_ptr<content> content_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
