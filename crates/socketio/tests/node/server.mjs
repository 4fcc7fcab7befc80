// A socket.io server that counts what its handlers were called for and tells when asked.
//
// Usage: node server.mjs '{"pingInterval":300}' [regular expression of more namespaces], the first
// being options of socket.io. Prints its port on one line and ends when its standard input does, so
// that no test leaves it behind.

import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer((_request, response) => response.writeHead(404).end("no such page"));
const io = new Server(http, JSON.parse(process.argv[2] ?? "{}"));
let handled = 0;

io.of("/guarded").use((socket, next) => {
  if (socket.handshake.auth.token === "right") return next();
  next(Object.assign(new Error("wrong token"), { data: { code: 7 } }));
});

const namespaces = ["/", "/guarded"];
if (process.argv[3]) namespaces.push(new RegExp(process.argv[3]));
for (const namespace of namespaces) io.of(namespace).on("connection", serve);

function serve(socket) {
  socket.on("event", (...values) => {
    handled += 1;
    const last = values.at(-1);
    if (typeof last === "function") last({ handled });
  });
  socket.on("report", (_nothing, answer) => answer({ handled }));
  socket.on("handshake", (_nothing, answer) => {
    const { auth, headers, query } = socket.handshake;
    answer({ auth, query, key: headers["x-api-key"], origin: headers.origin ?? null });
  });
  socket.on("ask me", async (_nothing, answer) => {
    answer({ client: await socket.timeout(5000).emitWithAck("question", 1) });
  });
  socket.on("after three pongs", (_nothing, answer) => {
    let pongs = 0;
    socket.conn.on("packet", ({ type }) => {
      if (type === "pong" && ++pongs === 3) answer("three pongs came");
    });
  });
  socket.on("kick", () => socket.disconnect());
  socket.on("stop", () => io.close());
}

process.stdin.resume().on("end", () => process.exit(0));
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
