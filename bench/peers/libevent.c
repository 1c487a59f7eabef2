// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// libevent: a bufferevent per connection, as in its book. Reading stops while more than 64 KiB wait to be sent.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static size_t const most_waiting = 65536;

static void on_drained(struct bufferevent* event, void* unused);
static void on_event(struct bufferevent* event, short what, void* unused);

static void on_read(struct bufferevent* event, void* unused)
{
    struct evbuffer* const output = bufferevent_get_output(event);
    (void)unused;
    evbuffer_add_buffer(output, bufferevent_get_input(event));
    if (evbuffer_get_length(output) > most_waiting)
    {
        bufferevent_disable(event, EV_READ);
        bufferevent_setcb(event, on_read, on_drained, on_event, NULL);
    }
}

static void on_drained(struct bufferevent* event, void* unused)
{
    (void)unused;
    bufferevent_setcb(event, on_read, NULL, on_event, NULL);
    bufferevent_enable(event, EV_READ);
}

static void on_last_written(struct bufferevent* event, void* unused)
{
    (void)unused;
    bufferevent_free(event);
}

static void on_event(struct bufferevent* event, short what, void* unused)
{
    int const ended = (what & BEV_EVENT_EOF) && evbuffer_get_length(bufferevent_get_output(event)) > 0;
    (void)unused;
    if (ended)
        bufferevent_setcb(event, NULL, on_last_written, on_event, NULL);
    else
        bufferevent_free(event);
}

static void on_connection(
    struct evconnlistener* listener, evutil_socket_t descriptor, struct sockaddr* address, int size, void* unused)
{
    int const on = 1;
    struct bufferevent* const event =
        bufferevent_socket_new(evconnlistener_get_base(listener), descriptor, BEV_OPT_CLOSE_ON_FREE);
    (void)address;
    (void)size;
    (void)unused;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bufferevent_setcb(event, on_read, NULL, on_event, NULL);
    bufferevent_enable(event, EV_READ | EV_WRITE);
}

int main(int argc, char** argv)
{
    struct event_base* const base = event_base_new();
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 0));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct evconnlistener* const listener = evconnlistener_new_bind(base, on_connection, NULL,
        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 4096, (struct sockaddr*)&address, (int)size);
    if (!listener)
        return 1;
    getsockname(evconnlistener_get_fd(listener), (struct sockaddr*)&address, &size);
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return event_base_dispatch(base);
}
