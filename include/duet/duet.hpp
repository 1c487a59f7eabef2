// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DUET_HPP
#define DUET_DUET_HPP

// Includes all headers except those that need another library: duet/format.hpp (fmt), duet/beast.hpp (Boost.Beast),
// duet/trace_reader.hpp (Boost.JSON), duet/tls.hpp and those that it includes (OpenSSL), and those for tools that look
// at traces and at the wire: duet/trace_segments.hpp, duet/diagram.hpp, duet/diagram_options.hpp,
// duet/live_diagram.hpp, duet/captured_segment.hpp, duet/merge.hpp, duet/pcapng.hpp, duet/tap.hpp and
// duet/tap_options.hpp.

#include <duet/acceptor.hpp>
#include <duet/acceptor_options.hpp>
#include <duet/backoff.hpp>
#include <duet/canceller.hpp>
#include <duet/close_report.hpp>
#include <duet/connect_error.hpp>
#include <duet/connection_pool.hpp>
#include <duet/connector.hpp>
#include <duet/connector_options.hpp>
#include <duet/endpoint.hpp>
#include <duet/error.hpp>
#include <duet/frame_layout.hpp>
#include <duet/framing.hpp>
#include <duet/hand_over.hpp>
#include <duet/histogram.hpp>
#include <duet/inherited.hpp>
#include <duet/kept_connection.hpp>
#include <duet/lifecycle.hpp>
#include <duet/line_reader.hpp>
#include <duet/pool_options.hpp>
#include <duet/post_mortem.hpp>
#include <duet/prometheus.hpp>
#include <duet/proxy_header.hpp>
#include <duet/proxy_options.hpp>
#include <duet/proxy_protocol.hpp>
#include <duet/relay.hpp>
#include <duet/relay_options.hpp>
#include <duet/release.hpp>
#include <duet/remote.hpp>
#include <duet/request_codec.hpp>
#include <duet/request_options.hpp>
#include <duet/request_stream.hpp>
#include <duet/resolver.hpp>
#include <duet/run.hpp>
#include <duet/serve_requests.hpp>
#include <duet/server.hpp>
#include <duet/server_metrics.hpp>
#include <duet/server_options.hpp>
#include <duet/service_manager.hpp>
#include <duet/session.hpp>
#include <duet/session_handler.hpp>
#include <duet/session_options.hpp>
#include <duet/session_state.hpp>
#include <duet/session_stream.hpp>
#include <duet/stream_traits.hpp>
#include <duet/tasks.hpp>
#include <duet/tcp_info.hpp>
#include <duet/trace.hpp>
#include <duet/trace_file.hpp>
#include <duet/trace_log.hpp>
#include <duet/trace_options.hpp>
#include <duet/version.hpp>
#include <duet/whole_or_end.hpp>

#endif
