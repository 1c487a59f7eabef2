// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The compiled variant: all of the library and Asio in one translation unit. Link duet::compiled, which defines
// DUET_SEPARATE_COMPILATION and BOOST_ASIO_SEPARATE_COMPILATION for its users.

#include <boost/asio/impl/src.hpp>

#include <duet/duet.hpp>
#include <duet/merge.hpp>
#include <duet/pcapng.hpp>
#include <duet/tap.hpp>

#include <duet/detail/accept/hand_over.ipp>
#include <duet/detail/accept/handshakes.ipp>
#include <duet/detail/accept/inherited.ipp>
#include <duet/detail/accept/listener.ipp>
#include <duet/detail/accept/socket_file.ipp>
#include <duet/detail/completion/error.ipp>
#include <duet/detail/connect/connect_schedule.ipp>
#include <duet/detail/connect/connect_socket.ipp>
#include <duet/detail/engine/connection.ipp>
#include <duet/detail/engine/connection_close.ipp>
#include <duet/detail/engine/connection_input.ipp>
#include <duet/detail/engine/connection_read.ipp>
#include <duet/detail/engine/connection_time.ipp>
#include <duet/detail/engine/connection_write.ipp>
#include <duet/detail/engine/observed_channel.ipp>
#include <duet/detail/metrics/histogram.ipp>
#include <duet/detail/metrics/prometheus.ipp>
#include <duet/detail/metrics/server_metrics.ipp>
#include <duet/detail/proxy/encode.ipp>
#include <duet/detail/proxy/networks.ipp>
#include <duet/detail/proxy/parse.ipp>
#include <duet/detail/recording/adopted.ipp>
#include <duet/detail/recording/recording.ipp>
#include <duet/detail/recording/recording_watcher.ipp>
#include <duet/detail/recording/session_recorder.ipp>
#include <duet/detail/relay/relay_pump.ipp>
#include <duet/detail/relay/relay_run.ipp>
#include <duet/detail/resolve/address_text.ipp>
#include <duet/detail/resolve/lookup_queue.ipp>
#include <duet/detail/serve/run.ipp>
#include <duet/detail/serve/runner.ipp>
#include <duet/detail/serve/server_setup.ipp>
#include <duet/detail/socket/cpu_affinity.ipp>
#include <duet/detail/socket/endpoint.ipp>
#include <duet/detail/socket/fork_watch.ipp>
#include <duet/detail/socket/service_manager.ipp>
#include <duet/detail/socket/socket_calls.ipp>
#include <duet/detail/socket/splice_pipe.ipp>
#include <duet/detail/socket/tcp_info.ipp>
#include <duet/detail/time/backoff.ipp>
#include <duet/detail/time/wakeup_queue.ipp>
#include <duet/detail/trace/conversation.ipp>
#include <duet/detail/trace/conversation_order.ipp>
#include <duet/detail/trace/conversation_parts.ipp>
#include <duet/detail/trace/diagram_entries.ipp>
#include <duet/detail/trace/diagram_html.ipp>
#include <duet/detail/trace/diagram_markdown.ipp>
#include <duet/detail/trace/diagram_mermaid.ipp>
#include <duet/detail/trace/diagram_svg.ipp>
#include <duet/detail/trace/diagram_text.ipp>
#include <duet/detail/trace/diagram_words.ipp>
#include <duet/detail/trace/lay_out.ipp>
#include <duet/detail/trace/live_diagram.ipp>
#include <duet/detail/trace/post_mortem.ipp>
#include <duet/detail/trace/printable.ipp>
#include <duet/detail/trace/segment_inference.ipp>
#include <duet/detail/trace/segment_labels.ipp>
#include <duet/detail/trace/segment_links.ipp>
#include <duet/detail/trace/svg_legend.ipp>
#include <duet/detail/trace/tcp_states.ipp>
#include <duet/detail/trace/trace_facts.ipp>
#include <duet/detail/trace/trace_file.ipp>
#include <duet/detail/trace/trace_log.ipp>
#include <duet/detail/trace/trace_segments.ipp>
#include <duet/detail/wire/captured_segment.ipp>
#include <duet/detail/wire/merge.ipp>
#include <duet/detail/wire/pcapng.ipp>
#include <duet/detail/wire/tap.ipp>

#if defined(__linux__)
#include <duet/detail/channel/connecting_socket.ipp>
#include <duet/detail/channel/epoll_channel.ipp>
#include <duet/detail/channel/reactor.ipp>
#endif

namespace duet {
inline namespace DUET_ABI {
namespace detail {

using boost::asio::any_io_executor;
using boost::asio::ip::tcp;
using boost::asio::local::stream_protocol;

template class stream_connection<session::stream_type>;
template class stream_connection<unix_session::stream_type>;

template <class T>
using awaitable = boost::asio::awaitable<T, any_io_executor>;

template awaitable<std::size_t> read_until_delimiter(
    connection::ref, std::string&, std::string, std::size_t, deadlines::duration);
template awaitable<std::size_t> append_all(connection::ref, std::string&, std::size_t, deadlines::duration);
template awaitable<std::string> collect_all(connection::ref, std::size_t, deadlines::duration);
template awaitable<proxy_header> read_proxy_header(connection::ref, proxy_options const&);

template class accept_queue<tcp, any_io_executor>;
template class accept_queue<stream_protocol, any_io_executor>;
template awaitable<session> tcp_accept_queue::accept(
    tcp_accept_queue::self, any_io_executor, tcp_accept_queue::session_maker);
template awaitable<unix_session> unix_accept_queue::accept(
    unix_accept_queue::self, any_io_executor, unix_accept_queue::session_maker);

template class connect_core<tcp, any_io_executor, system_resolver>;
template class connect_core<stream_protocol, any_io_executor, no_resolver>;

template class server_core<tcp>;
template class server_core<stream_protocol>;

template class served_server_of<tcp>;
template class served_server_of<stream_protocol>;

}  // namespace detail

template class basic_session<session::stream_type>;
template class basic_session<unix_session::stream_type>;

template class basic_acceptor<detail::tcp>;
template class basic_acceptor<detail::stream_protocol>;

template boost::asio::awaitable<relay_report> relay(session& first, session& second, relay_options options);

}  // namespace DUET_ABI
}  // namespace duet
