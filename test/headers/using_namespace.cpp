// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// No public name is one of the system's headers: a program may name both without saying whose. Building this is the
// test.

#include <duet/duet.hpp>

#include <cstddef>
#include <type_traits>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

using namespace duet;

namespace {

template <class... Types>
constexpr std::size_t named = sizeof...(Types);

static_assert(
    named<accept_failure, acceptor, acceptor_counters, acceptor_options, backoff, backoff_options, canceller,
        close_reason, close_report, condition, connect_attempt<boost::asio::ip::tcp>, connect_error, connect_retry,
        connector, connector_options, deadlines, drain_report, errc, error_code, error_condition, handed_listeners,
        inherited_descriptor, lifecycle, lifecycle_action, lifecycle_event, limit_policy, listen_queue, receive_state,
        relay_direction, relay_options, relay_report, remote<session>, retry_options, run_end, run_options, run_report,
        send_state, server, server_counters, server_options, session, session_end, session_error, session_options,
        session_state, stream_traits<session::stream_type>, system_error, system_resolver, tasks, tasks_end,
        tcp_snapshot, tcp_state, unix_acceptor, unix_connector, unix_connect_error, unix_server, unix_session> != 0);

}  // namespace

// The names may also be brought into the global namespace, one by one.
using duet::acceptor;
using duet::backoff;
using duet::canceller;
using duet::close_reason;
using duet::close_report;
using duet::condition;
using duet::connector;
using duet::deadlines;
using duet::errc;
using duet::inherited_descriptors;
using duet::lifecycle;
using duet::query_tcp_info;
using duet::relay;
using duet::release;
using duet::remote;
using duet::run;
using duet::server;
using duet::session;
using duet::session_error;
using duet::session_options;
using duet::tasks;
using duet::tcp_snapshot;
using duet::tcp_state;
using duet::to_string;
using duet::with_tasks;

// The member and the system's type have the same name, and do not meet.
tcp_snapshot ask(session const& peer, tcp_info& raw);

tcp_snapshot ask(session const& peer, tcp_info& raw)
{
    raw = {};
    error_code ignored;
    return peer.tcp_info(ignored);
}
