// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// libuv: a 4096-byte buffer per connection; uv_try_write first, a request only for what the socket does not take.

#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

struct connection
{
    uv_tcp_t socket;
    uv_write_t request;
    uv_shutdown_t end;
    char buffer[4096];
};

static void on_read(uv_stream_t* stream, ssize_t size, uv_buf_t const* buffer);

static void on_closed(uv_handle_t* handle)
{
    free(handle->data);
}

static void on_shut_down(uv_shutdown_t* end, int status)
{
    (void)status;
    uv_close((uv_handle_t*)end->handle, on_closed);
}

static void give_buffer(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer)
{
    struct connection* const c = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(c->buffer, sizeof c->buffer);
}

static void on_written(uv_write_t* request, int status)
{
    if (status < 0)
        uv_close((uv_handle_t*)request->handle, on_closed);
    else
        uv_read_start(request->handle, give_buffer, on_read);
}

static void on_read(uv_stream_t* stream, ssize_t size, uv_buf_t const* buffer)
{
    struct connection* const c = stream->data;
    if (size == UV_EOF && uv_shutdown(&c->end, stream, on_shut_down) == 0)
        return;
    if (size < 0)
    {
        uv_close((uv_handle_t*)stream, on_closed);
        return;
    }
    if (size == 0)
        return;
    uv_buf_t answer = uv_buf_init(buffer->base, (unsigned)size);
    int const sent = uv_try_write(stream, &answer, 1);
    if (sent == size)
        return;
    if (sent < 0 && sent != UV_EAGAIN)
    {
        uv_close((uv_handle_t*)stream, on_closed);
        return;
    }
    int const skip = sent < 0 ? 0 : sent;
    answer = uv_buf_init(buffer->base + skip, (unsigned)(size - skip));
    uv_read_stop(stream);
    if (uv_write(&c->request, stream, &answer, 1, on_written) != 0)
        uv_close((uv_handle_t*)stream, on_closed);
}

static void on_connection(uv_stream_t* server, int status)
{
    if (status < 0)
        return;
    struct connection* const c = malloc(sizeof *c);
    if (!c)
        abort();
    uv_tcp_init(server->loop, &c->socket);
    c->socket.data = c;
    if (uv_accept(server, (uv_stream_t*)&c->socket) != 0)
    {
        uv_close((uv_handle_t*)&c->socket, on_closed);
        return;
    }
    uv_tcp_nodelay(&c->socket, 1);
    uv_read_start((uv_stream_t*)&c->socket, give_buffer, on_read);
}

int main(int argc, char** argv)
{
    uv_loop_t* const loop = uv_default_loop();
    uv_tcp_t server;
    struct sockaddr_in address;
    int size = sizeof address;
    uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 0, &address);
    uv_tcp_init(loop, &server);
    if (uv_tcp_bind(&server, (struct sockaddr*)&address, 0) != 0 ||
        uv_listen((uv_stream_t*)&server, 4096, on_connection) != 0)
        return 1;
    uv_tcp_getsockname(&server, (struct sockaddr*)&address, &size);
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
