// An echo server: shows every event that arrives, whatever its name, and acknowledges it.
//
//   PORT (3000; 0 takes a free one) and HOST (127.0.0.1) say where it listens.
//   GET /health   answers 200 once it is up
//   GET /events   the last 1,000 events as a JSON array of {"name":…,"event":…}
//
// Each event is also one line on standard output: EVENT-RECEIVED <name> <json>

import { createServer } from "node:http";
import { Server } from "socket.io";

const MOST_EVENTS = 1_000;
const host = process.env.HOST ?? "127.0.0.1";
const port = Number(process.env.PORT ?? 3000);

const received = [];
const http = createServer(answer);
const io = new Server(http, { serveClient: false });

io.on("connection", (socket) => {
  socket.onAny((name, event, acknowledge) => {
    console.log(`EVENT-RECEIVED ${name} ${JSON.stringify(event)}`);
    received.push({ name, event });
    if (received.length > MOST_EVENTS) received.shift();
    // The sender asked to be told that its event was handled: here it was.
    if (typeof acknowledge === "function") acknowledge({ ok: true });
  });
});

http.on("error", (error) => {
  console.error(`the echo server cannot listen: ${error.message}`);
  process.exit(1);
});
http.listen(port, host, () => {
  console.log(`LISTENING http://${host}:${http.address().port}`);
});
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => io.close(() => process.exit(0)));
}

function answer(request, response) {
  const pages = { "/health": { status: "up" }, "/events": received };
  const page = request.method === "GET" ? pages[request.url] : undefined;
  response.writeHead(page ? 200 : 404, { "content-type": "application/json" });
  response.end(JSON.stringify(page ?? { error: "there are only GET /health and GET /events" }));
}
