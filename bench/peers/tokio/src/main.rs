// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Tokio's own example (examples/echo.rs), with TCP_NODELAY and a 4096-byte buffer. The second argument is the number of
// threads; with one it is the current-thread runtime.

use std::env;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo(mut socket: TcpStream) {
    let mut buffer = vec![0; 4096];
    loop {
        let size = match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(size) => size,
        };
        if socket.write_all(&buffer[0..size]).await.is_err() {
            return;
        }
    }
}

async fn serve(port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(echo(socket));
    }
}

fn argument(index: usize, fallback: u16) -> u16 {
    env::args().nth(index).and_then(|text| text.parse().ok()).unwrap_or(fallback)
}

fn main() -> std::io::Result<()> {
    let threads = argument(2, 1);
    let runtime = if threads == 1 {
        tokio::runtime::Builder::new_current_thread().enable_io().build()?
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads.into()).enable_io().build()?
    };
    runtime.block_on(serve(argument(1, 0)))
}
