// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Node: pipe() minds a slow reader, and allowHalfOpen lets the answer out before the end.
'use strict';
const net = require('net');

const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});
server.listen({ port: Number(process.argv[2] || 0), host: '127.0.0.1', backlog: 4096 }, () => {
  const { address, port } = server.address();
  console.log(`listening on ${address}:${port}`);
});
