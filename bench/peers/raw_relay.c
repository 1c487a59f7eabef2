// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The reference for a relay: epoll and nothing else. raw_relay <port> <target port> [splice]
// A direction has a buffer of 64 KiB, or, with "splice", a pipe: then no byte passes through the program.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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
    capacity = 65536,
    events_at_once = 256
};

struct direction
{
    struct pair* pair;
    int from;
    int to;
    int ended;  // the FIN was passed on
    size_t begin;
    size_t end;
    int pipe[2];
    char buffer[];
};

struct pair
{
    struct direction* way[2];
    int broken;
    struct pair* next;  // of those to be destroyed after this batch of events
};

static int spliced;
static struct pair* doomed;

static void fail(char const* what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int listen_on(int port)
{
    int const on = 1;
    int const descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in const address = loopback(port);
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(descriptor, (struct sockaddr const*)&address, sizeof address) != 0 || listen(descriptor, 4096) != 0)
        fail("listen");
    return descriptor;
}

static struct direction* make_direction(struct pair* pair, int from, int to)
{
    // Not calloc(3): a short connection would pay for a buffer of zeros.
    struct direction* const d = malloc(sizeof *d + (spliced ? 0 : capacity));
    if (!d)
        fail("malloc");
    *d = (struct direction){.pair = pair, .from = from, .to = to};
    if (spliced && pipe2(d->pipe, O_NONBLOCK | O_CLOEXEC) != 0)
        fail("pipe");
    return d;
}

static void accept_all(int epoll, int listener, struct sockaddr_in const* target)
{
    int const on = 1;
    int client;
    while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
    {
        int const server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct pair* const p = calloc(1, sizeof *p);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
        if (server < 0 || !p ||
            (connect(server, (struct sockaddr const*)target, sizeof *target) != 0 && errno != EINPROGRESS))
            fail("connect");
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        p->way[0] = make_direction(p, client, server);
        p->way[1] = make_direction(p, server, client);
        for (int i = 0; i < 2; ++i)
        {
            event.data.ptr = p->way[i];
            epoll_ctl(epoll, EPOLL_CTL_ADD, p->way[i]->from, &event);
        }
    }
}

static ssize_t take_in(struct direction* d)
{
    if (spliced)
        return splice(d->from, NULL, d->pipe[1], NULL, capacity, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    return recv(d->from, d->buffer, capacity, 0);
}

static ssize_t pass_on(struct direction* d)
{
    size_t const size = d->end - d->begin;
    if (spliced)
        return splice(d->pipe[0], NULL, d->to, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    return send(d->to, d->buffer + d->begin, size, MSG_NOSIGNAL);
}

/// Carry what there is. 0: the connection is broken.
static int carry(struct direction* d)
{
    int emptied = 0;
    while (!d->ended)
    {
        if (d->begin == d->end)
        {
            if (emptied)
                return 1;
            ssize_t const size = take_in(d);
            if (size < 0)
                return errno == EAGAIN || errno == ENOTCONN;
            if (size == 0)
            {
                d->ended = 1;
                shutdown(d->to, SHUT_WR);
                return 1;
            }
            d->begin = 0;
            d->end = (size_t)size;
            emptied = !spliced && size < capacity;  // a short read has emptied the socket: see epoll(7)
        }
        ssize_t const size = pass_on(d);
        if (size < 0)
            return errno == EAGAIN || errno == ENOTCONN;
        d->begin += (size_t)size;
    }
    return 1;
}

static void end(struct pair* p)
{
    close(p->way[0]->from);
    close(p->way[0]->to);
    for (int i = 0; i < 2; ++i)
    {
        if (spliced)
        {
            close(p->way[i]->pipe[0]);
            close(p->way[i]->pipe[1]);
        }
        free(p->way[i]);
    }
    free(p);
}

/// Of the descriptor that `d` reads from, and the other direction writes to.
static void on_event(struct direction* d, unsigned events)
{
    struct pair* const p = d->pair;
    struct direction* const other = p->way[d == p->way[0]];
    if (p->broken)
        return;
    int whole = 1;
    if ((events & ~(unsigned)EPOLLOUT) != 0)
        whole = carry(d);
    if (whole && (events & EPOLLRDHUP) != 0)
        whole = carry(d);  // a short read does not tell of the FIN behind it
    if (whole && other->begin != other->end)
        whole = carry(other);
    if (whole && !(p->way[0]->ended && p->way[1]->ended))
        return;
    p->broken = 1;
    p->next = doomed;
    doomed = p;
}

int main(int argc, char** argv)
{
    if (argc < 3)
        return 2;
    spliced = argc > 3 && strcmp(argv[3], "splice") == 0;
    int const listener = listen_on(atoi(argv[1]));
    struct sockaddr_in const target = loopback(atoi(argv[2]));
    struct epoll_event events[events_at_once] = {{.events = EPOLLIN}};
    int const epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &events[0]);
    for (;;)
    {
        int const count = epoll_wait(epoll, events, events_at_once, -1);
        for (int i = 0; i < count; ++i)
        {
            if (events[i].data.ptr)
                on_event(events[i].data.ptr, events[i].events);
            else
                accept_all(epoll, listener, &target);
        }
        while (doomed)
        {
            struct pair* const p = doomed;
            doomed = p->next;
            end(p);
        }
    }
}
