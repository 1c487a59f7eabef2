// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Asio with callbacks, as in its example (example/cpp11/echo/async_tcp_echo_server.cpp), with TCP_NODELAY and a
// 4096-byte buffer.

#include <cstdlib>
#include <iostream>
#include <memory>
#include <utility>

#include <boost/asio.hpp>

using boost::asio::ip::tcp;

class session : public std::enable_shared_from_this<session>
{
public:
    explicit session(tcp::socket socket) : socket_{std::move(socket)} {}

    void start() { read(); }

private:
    void read()
    {
        auto self(shared_from_this());
        socket_.async_read_some(boost::asio::buffer(data_, sizeof data_),
            [this, self](boost::system::error_code error, std::size_t length)
            {
                if (!error)
                    write(length);
            });
    }

    void write(std::size_t length)
    {
        auto self(shared_from_this());
        boost::asio::async_write(socket_, boost::asio::buffer(data_, length),
            [this, self](boost::system::error_code error, std::size_t)
            {
                if (!error)
                    read();
            });
    }

    tcp::socket socket_;
    char data_[4096];
};

class server
{
public:
    server(boost::asio::io_context& context, unsigned short port)
        : acceptor_{context, {boost::asio::ip::address_v4::loopback(), port}}
    {
        std::cout << "listening on " << acceptor_.local_endpoint() << std::endl;
        accept();
    }

private:
    void accept()
    {
        acceptor_.async_accept(
            [this](boost::system::error_code error, tcp::socket socket)
            {
                if (!error)
                {
                    socket.set_option(tcp::no_delay{true});
                    std::make_shared<session>(std::move(socket))->start();
                }
                accept();
            });
    }

    tcp::acceptor acceptor_;
};

int main(int argc, char** argv)
{
    boost::asio::io_context context{1};
    server const served{context, static_cast<unsigned short>(argc > 1 ? std::atoi(argv[1]) : 0)};
    context.run();
}
