// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The reference: an echo server on epoll, as little as is right. One read buffer per thread; what a socket does not
// take is kept for it, and then nothing more is read from it. epoll [<port> [<threads> [<size of the buffer> [pin]]]]:
// with "pin" each thread stays on a core of its own, and takes the connections whose packets that handles.

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum
{
    events_at_once = 256
};

static size_t buffer_size = 4096;
static bool pinned = false;
static cpu_set_t cores;

struct connection
{
    int descriptor;
    char* rest;  // not yet sent; 0 most of the time
    size_t rest_begin;
    size_t rest_end;
};

static void fail(char const* what)
{
    perror(what);
    exit(1);
}

static int listen_on(unsigned short port)
{
    int const on = 1;
    int const descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
        bind(descriptor, (struct sockaddr*)&address, sizeof address) != 0 || listen(descriptor, 4096) != 0)
        fail("listen");
    return descriptor;
}

static unsigned short port_of(int descriptor)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    getsockname(descriptor, (struct sockaddr*)&address, &size);
    return ntohs(address.sin_port);
}

static void watch(int epoll, int operation, struct connection* c, unsigned events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = c}};
    epoll_ctl(epoll, operation, c->descriptor, &event);
}

static void accept_all(int epoll, int listener)
{
    int const on = 1;
    int descriptor;
    while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
    {
        struct connection* const c = calloc(1, sizeof *c);
        if (!c)
            fail("calloc");
        c->descriptor = descriptor;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(epoll, EPOLL_CTL_ADD, c, EPOLLIN);
    }
}

static void end(struct connection* c)
{
    close(c->descriptor);
    free(c->rest);
    free(c);
}

static void on_readable(int epoll, struct connection* c, char* buffer)
{
    ssize_t const size = recv(c->descriptor, buffer, buffer_size, 0);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0)
    {
        end(c);
        return;
    }
    ssize_t sent = send(c->descriptor, buffer, (size_t)size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
    {
        end(c);
        return;
    }
    if (sent < size)
    {
        sent = sent < 0 ? 0 : sent;
        c->rest_begin = 0;
        c->rest_end = (size_t)(size - sent);
        c->rest = malloc(c->rest_end);
        if (!c->rest)
            fail("malloc");
        memcpy(c->rest, buffer + sent, c->rest_end);
        watch(epoll, EPOLL_CTL_MOD, c, EPOLLOUT);
    }
}

static void on_writable(int epoll, struct connection* c)
{
    ssize_t const sent = send(c->descriptor, c->rest + c->rest_begin, c->rest_end - c->rest_begin, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        return;
    if (sent < 0)
    {
        end(c);
        return;
    }
    c->rest_begin += (size_t)sent;
    if (c->rest_begin == c->rest_end)
    {
        free(c->rest);
        c->rest = NULL;
        watch(epoll, EPOLL_CTL_MOD, c, EPOLLIN);
    }
}

// The first of the cores for the first thread, and so on.
static void stay_on_core(int number, int listener)
{
    size_t core = 0;
    for (int before = number % CPU_COUNT(&cores); before > 0 || !CPU_ISSET(core, &cores); ++core)
        before -= CPU_ISSET(core, &cores) ? 1 : 0;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    int const handled_by = (int)core;
    if (sched_setaffinity(0, sizeof one, &one) != 0 ||
        setsockopt(listener, SOL_SOCKET, SO_INCOMING_CPU, &handled_by, sizeof handled_by) != 0)
        fail("pin");
}

struct thread
{
    int number;
    int listener;
};

static void* serve(void* argument)
{
    struct thread const* const self = argument;
    struct connection listener = {.descriptor = self->listener};
    struct epoll_event events[events_at_once];
    char* const buffer = malloc(buffer_size);
    int const epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!buffer)
        fail("malloc");
    if (pinned)
        stay_on_core(self->number, self->listener);
    watch(epoll, EPOLL_CTL_ADD, &listener, EPOLLIN);
    for (;;)
    {
        int const count = epoll_wait(epoll, events, events_at_once, -1);
        for (int i = 0; i < count; ++i)
        {
            struct connection* const c = events[i].data.ptr;
            if (c == &listener)
                accept_all(epoll, c->descriptor);
            else if (c->rest)
                on_writable(epoll, c);
            else
                on_readable(epoll, c, buffer);
        }
    }
    return NULL;
}

int main(int argc, char** argv)
{
    int const count = argc > 2 ? atoi(argv[2]) : 1;
    struct thread threads[16];
    if (argc > 3)
        buffer_size = (size_t)atol(argv[3]);
    pinned = argc > 4 && strcmp(argv[4], "pin") == 0;
    sched_getaffinity(0, sizeof cores, &cores);
    threads[0] = (struct thread){0, listen_on((unsigned short)(argc > 1 ? atoi(argv[1]) : 0))};
    unsigned short const port = port_of(threads[0].listener);
    for (int i = 1; i < count && i < 16; ++i)
    {
        pthread_t thread;
        threads[i] = (struct thread){i, listen_on(port)};
        if (pthread_create(&thread, NULL, serve, &threads[i]) != 0)
            fail("pthread_create");
    }
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    serve(&threads[0]);
}
