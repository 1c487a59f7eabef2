// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The reference for bulk transfer: one connection after another, blocking calls. The client sends 8 bytes, the number
// of bytes that it wants; we send those, read to its FIN, and answer with the number of bytes that we got.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[65536];

static int send_all(int descriptor, uint64_t bytes)
{
    while (bytes > 0)
    {
        ssize_t const sent =
            send(descriptor, buffer, bytes < sizeof buffer ? (size_t)bytes : sizeof buffer, MSG_NOSIGNAL);
        if (sent < 0)
            return -1;
        bytes -= (uint64_t)sent;
    }
    return 0;
}

static void serve(int descriptor)
{
    uint64_t bytes = 0;
    uint64_t taken = 0;
    ssize_t size;
    if (recv(descriptor, &bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes || send_all(descriptor, bytes) != 0)
        return;
    while ((size = recv(descriptor, buffer, sizeof buffer, 0)) > 0)
        taken += (uint64_t)size;
    if (size == 0)
        send(descriptor, &taken, sizeof taken, MSG_NOSIGNAL);
}

int main(int argc, char** argv)
{
    int const on = 1;
    int const listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 0));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr*)&address, length) != 0 || listen(listener, 64) != 0)
        return 1;
    getsockname(listener, (struct sockaddr*)&address, &length);
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;)
    {
        int const descriptor = accept(listener, NULL, NULL);
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        serve(descriptor);
        close(descriptor);
    }
}
