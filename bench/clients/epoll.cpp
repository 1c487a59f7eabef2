// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The reference for a client: epoll and nothing else. Connect, ask, read the answer, FIN, read to the server's, close.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "asking.hpp"

namespace {

class client
{
public:
    explicit client(load::options const& o) : options_{o}, all_{o}, buffer_(o.size + 1), calls_(o.connections) {}

    load::report const& run()
    {
        for (std::size_t i = 0; i < calls_.size(); ++i)
            begin(i);
        while (open_ > 0)
            for (auto const& event : epoll_.wait(-1))
                on_event(event.data.u64, event.events);
        return all_.finish();
    }

private:
    struct call
    {
        int descriptor = -1;
        bool asked = false;
        std::vector<char> answer{};
        std::uint64_t begun = 0;
    };

    void begin(std::size_t i)
    {
        if (!all_.next())
            return;
        auto& c = calls_[i];
        c.answer.clear();
        c.asked = false;
        c.begun = load::now();
        c.descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int const on = 1;
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(options_.port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (c.descriptor < 0 || setsockopt(c.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
            (connect(c.descriptor, reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0 &&
                errno != EINPROGRESS))
            load::fail("connect");
        epoll_.add(c.descriptor, i, EPOLLIN | EPOLLOUT | EPOLLET);
        ++open_;
    }

    void on_event(std::size_t i, std::uint32_t events)
    {
        auto& c = calls_[i];
        if (!c.asked && (events & EPOLLOUT) != 0)
        {
            auto const question = all_.question();
            if (send(c.descriptor, question.data(), question.size(), MSG_NOSIGNAL) !=
                static_cast<ssize_t>(question.size()))
                load::fail("send");
            c.asked = true;
        }
        if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0)
            on_readable(i, c);
    }

    void on_readable(std::size_t i, call& c)
    {
        // A read that leaves room in the buffer has emptied the socket: see epoll(7).
        ssize_t const size = recv(c.descriptor, buffer_.data(), buffer_.size(), 0);
        if (size < 0 && errno == EAGAIN)
            return;
        if (size > 0)
        {
            c.answer.insert(c.answer.end(), buffer_.data(), buffer_.data() + size);
            if (c.answer.size() >= options_.size)
                load::half_close(c.descriptor);
            return;
        }
        close(c.descriptor);
        --open_;
        all_.ended(c.begun, c.answer, size == 0);
        begin(i);
    }

    load::options const& options_;
    load::asking all_;
    load::epoll epoll_;
    std::vector<char> buffer_;
    std::vector<call> calls_;
    std::size_t open_ = 0;
};

}  // namespace

int main(int argc, char** argv)
{
    auto const o = load::parse(argc, argv);
    client all{o};
    all.run().print(o);
}
