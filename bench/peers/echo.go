// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Go: a goroutine per connection. TCP_NODELAY is Go's default; GOMAXPROCS is the number of threads.
package main

import (
    "fmt"
    "io"
    "log"
    "net"
    "os"
)

func echo(connection net.Conn) {
    defer connection.Close()
    buffer := make([]byte, 4096)
    // io.Copy would splice from socket to socket, through a pipe: no program that looks at its bytes can do that.
    io.CopyBuffer(struct{ io.Writer }{connection}, struct{ io.Reader }{connection}, buffer)
}

func main() {
    port := "0"
    if len(os.Args) > 1 {
        port = os.Args[1]
    }
    listener, err := net.Listen("tcp", "127.0.0.1:"+port)
    if err != nil {
        log.Fatal(err)
    }
    fmt.Println("listening on", listener.Addr())
    for {
        connection, err := listener.Accept()
        if err != nil {
            log.Print(err)
            continue
        }
        go echo(connection)
    }
}
