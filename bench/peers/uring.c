// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// io_uring through liburing: accept and recv with many completions each ("multishot"), buffers that the kernel picks
// from a ring. One send per connection at a time; of one that lags, no more than a few buffers are held.

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum
{
    buffers = 2048,
    buffer_size = 4096,
    most_waiting = 4
};

// What a completion is for: the low bits of its user data, above which is the connection.
enum operation
{
    accepted,
    received,
    sent,
    cancelled,
    operations
};

struct connection
{
    int descriptor;
    int receiving;     // a recv is there
    int cancelling;    // ... and shall end, until what waits is sent
    int ended;         // nothing more comes
    unsigned waiting;  // buffers to send, the first of them under way
    unsigned first;    // of them, and so on by after[]
    unsigned last;
    unsigned done;  // bytes of the first
};

static struct io_uring ring;
static struct io_uring_buf_ring* pool;
static char* memory;
static unsigned after[buffers];
static unsigned sizes[buffers];

static void fail(char const* what)
{
    perror(what);
    exit(1);
}

static struct io_uring_sqe* next(void)
{
    struct io_uring_sqe* entry = io_uring_get_sqe(&ring);
    if (!entry)
    {
        io_uring_submit(&ring);
        entry = io_uring_get_sqe(&ring);
    }
    return entry;
}

static void tag(struct io_uring_sqe* entry, struct connection* c, enum operation what)
{
    io_uring_sqe_set_data64(entry, (uintptr_t)c | what);
}

static void give_back(unsigned id)
{
    io_uring_buf_ring_add(
        pool, memory + id * buffer_size, buffer_size, (unsigned short)id, io_uring_buf_ring_mask(buffers), 0);
    io_uring_buf_ring_advance(pool, 1);
}

static void receive(struct connection* c)
{
    struct io_uring_sqe* const entry = next();
    io_uring_prep_recv_multishot(entry, c->descriptor, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = 0;
    tag(entry, c, received);
    c->receiving = 1;
    c->cancelling = 0;
}

static void send_first(struct connection* c)
{
    struct io_uring_sqe* const entry = next();
    char const* const data = memory + c->first * buffer_size;
    io_uring_prep_send(entry, c->descriptor, data + c->done, sizes[c->first] - c->done, MSG_NOSIGNAL);
    tag(entry, c, sent);
}

static void drop_first(struct connection* c)
{
    unsigned const id = c->first;
    c->first = after[id];
    c->done = 0;
    --c->waiting;
    give_back(id);
}

static void stop_receiving(struct connection* c)
{
    struct io_uring_sqe* const entry = next();
    io_uring_prep_cancel64(entry, (uintptr_t)c | received, 0);
    tag(entry, NULL, cancelled);
    c->cancelling = 1;
}

static void go_on(struct connection* c)
{
    if (c->receiving || c->waiting > 0)
        return;
    if (!c->ended)
    {
        receive(c);
        return;
    }
    close(c->descriptor);
    free(c);
}

static void on_accepted(int descriptor)
{
    int const on = 1;
    struct connection* c;
    if (descriptor < 0 || !(c = calloc(1, sizeof *c)))
        return;
    c->descriptor = descriptor;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    receive(c);
}

static void on_received(struct connection* c, int size, unsigned flags)
{
    if (!(flags & IORING_CQE_F_MORE))
        c->receiving = 0;
    if (size > 0)
    {
        unsigned const id = flags >> IORING_CQE_BUFFER_SHIFT;
        sizes[id] = (unsigned)size;
        if (c->waiting > 0)
            after[c->last] = id;
        else
            c->first = id;
        c->last = id;
        if (c->waiting++ == 0)
            send_first(c);
        if (c->waiting >= most_waiting && c->receiving && !c->cancelling)
            stop_receiving(c);
    }
    else if (size != -ENOBUFS && size != -ECANCELED)
        c->ended = 1;
    go_on(c);
}

static void on_sent(struct connection* c, int size)
{
    if (size <= 0)
    {
        c->ended = 1;
        while (c->waiting > 0)
            drop_first(c);
        if (c->receiving && !c->cancelling)
            stop_receiving(c);
    }
    else
    {
        c->done += (unsigned)size;
        if (c->done == sizes[c->first])
            drop_first(c);
    }
    if (c->waiting > 0)
        send_first(c);
    else
        go_on(c);
}

static void accept_all(int listener)
{
    struct io_uring_sqe* const entry = next();
    io_uring_prep_multishot_accept(entry, listener, NULL, NULL, SOCK_CLOEXEC);
    tag(entry, NULL, accepted);
}

static int listen_on(unsigned short port)
{
    int const on = 1;
    int const descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(descriptor, (struct sockaddr*)&address, size) != 0 || listen(descriptor, 4096) != 0)
        fail("listen");
    getsockname(descriptor, (struct sockaddr*)&address, &size);
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return descriptor;
}

static void set_up(void)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE, .cq_entries = 16384};
    if (io_uring_queue_init_params(1024, &ring, &parameters) != 0)
        fail("io_uring_queue_init_params");
    if (posix_memalign((void**)&memory, 4096, buffers * buffer_size) != 0 ||
        posix_memalign((void**)&pool, 4096, buffers * sizeof(struct io_uring_buf)) != 0)
        fail("posix_memalign");
    struct io_uring_buf_reg registration = {.ring_addr = (uintptr_t)pool, .ring_entries = buffers, .bgid = 0};
    if (io_uring_register_buf_ring(&ring, &registration, 0) != 0)
        fail("io_uring_register_buf_ring");
    io_uring_buf_ring_init(pool);
    for (unsigned id = 0; id < buffers; ++id)
        give_back(id);
}

static void on_completion(struct io_uring_cqe const* completion, int listener)
{
    enum operation const what = completion->user_data % operations;
    struct connection* const c = (struct connection*)(uintptr_t)(completion->user_data - what);
    if (what == accepted)
    {
        on_accepted(completion->res);
        if (!(completion->flags & IORING_CQE_F_MORE))
            accept_all(listener);
    }
    else if (what == received)
        on_received(c, completion->res, completion->flags);
    else if (what == sent)
        on_sent(c, completion->res);
}

int main(int argc, char** argv)
{
    set_up();
    int const listener = listen_on((unsigned short)(argc > 1 ? atoi(argv[1]) : 0));
    accept_all(listener);
    for (;;)
    {
        struct io_uring_cqe* completion;
        unsigned head;
        unsigned count = 0;
        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, completion)
        {
            on_completion(completion, listener);
            ++count;
        }
        io_uring_cq_advance(&ring, count);
    }
}
