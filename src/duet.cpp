// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The compiled variant: the whole library, and Asio, in one translation unit. Link duet::compiled, which defines
// DUET_SEPARATE_COMPILATION and BOOST_ASIO_SEPARATE_COMPILATION for everybody.

#include <boost/asio/impl/src.hpp>

#include <duet/duet.hpp>

#include <duet/impl/connect_schedule.ipp>
#include <duet/impl/connect_socket.ipp>
#include <duet/impl/error.ipp>
#include <duet/impl/inherited.ipp>
#include <duet/impl/listener.ipp>
#include <duet/impl/resolve_lookup.ipp>
#include <duet/impl/stream_traits.ipp>
#include <duet/impl/tcp_info.ipp>

namespace duet {
inline namespace v0 {
namespace detail {

template class connection<session::stream_type>;
template class connection<unix_session::stream_type>;

}  // namespace detail
}  // namespace v0
}  // namespace duet
