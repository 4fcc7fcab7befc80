// A configurable Socket.IO 4 server for the whole-system tests. It records every event of every
// name, can demand a token or a client certificate, acknowledge in four ways, and drop connections
// on purpose.
//
// It prints one line, {"port":N}, once it listens, and answers on the same port over HTTP:
//   GET /health   GET /events?limit=N   GET /count   GET /summary   POST /reset   POST /mode
// With TLS the line is {"port":N,"control":M}, and port M answers the same without TLS.
// POST /mode takes JSON with any of token, tokenCheck, ack, refuse, dropOn, tlsCert, tlsKey and
// changes the running server. SIGTERM closes every connection properly and ends with status 0.
//
// An event with several arguments has `more`, a list of those after the first.
// With TLS an arrival has `client` (tls.mjs), with verified tokens it has `token` (tokens.mjs).
//
// Acknowledgements (`--ack`):
//   none             as stock servers: events are recorded, never acknowledged
//   after-write      an event is written and synced to the disk before it is acknowledged
//   refuse-matching  events that contain `--refuse` get {"error":…}, the others as after-write
//   never            nothing that could pass for a confirmation is ever sent: no acknowledgement,
//                    no pong, no answer for an unknown namespace

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { Server } from "socket.io";
import { checkMode, readOptions, WrongOption } from "./options.mjs";
import { Record } from "./record.mjs";
import { changeCertificates, clientOf, createHttp } from "./tls.mjs";
import { Tokens } from "./tokens.mjs";

const CLOSE_DEADLINE_MS = 5_000;
const MAX_CONTROL_BODY = 64 * 1024;

let options;
let http;
try {
  options = readOptions(process.argv.slice(2), process.env);
  http = createHttp(options, control);
} catch (error) {
  if (!(error instanceof WrongOption)) throw error;
  process.stderr.write(`recorder: ${error.message}\n`);
  process.exit(2);
}

const record = new Record(options.record, options.keep, options.brief);
const tokens = new Tokens(options);
const io = new Server(http, engineOptions());
for (const name of options.namespaces) serve(io.of(name));
if (!options.namespaces.includes("/")) io.of("/").use((_, next) => next(new Error("not here")));
// A namespace that nobody serves: socket.io answers "Invalid namespace" by itself, except here.
if (options.ack === "never") io.of((_name, _auth, _next) => {});
guardHttp();

// Whoever controls a server with TLS needs no certificate for that.
const plain = options.tlsCert === "" ? null : createServer(control);
const ports = { port: await listen(http, options.port) };
if (plain !== null) ports.control = await listen(plain, 0);
process.stdout.write(`${JSON.stringify(ports)}\n`);
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, stop);

function listen(server, port) {
  server.on("error", (error) => {
    process.stderr.write(`recorder: ${error.message}\n`);
    process.exit(1);
  });
  return new Promise((resolve) => {
    server.listen(port, "127.0.0.1", () => resolve(server.address().port));
  });
}

function engineOptions() {
  const engine = {
    path: options.path,
    pingInterval: options.pingInterval,
    pingTimeout: options.pingTimeout,
    maxHttpBufferSize: options.maxHttpBufferSize,
    serveClient: false,
  };
  if (options.noPong || options.ack === "never") engine.wsEngine = silentWebSockets();
  return engine;
}

// The WebSocket library that socket.io itself uses, told not to answer pings.
function silentWebSockets() {
  const require = createRequire(import.meta.resolve("engine.io"));
  const { WebSocketServer } = require("ws");
  return class extends WebSocketServer {
    constructor(settings) {
      super({ ...settings, autoPong: false });
    }
  };
}

function serve(namespace) {
  namespace.use(async (socket, next) => {
    const { allowed, token } = await tokens.judge(socket.request, socket.handshake);
    if (!allowed) {
      const error = new Error("unauthorized");
      error.data = { code: "token" };
      return next(error);
    }
    socket.data.token = token;
    return next();
  });
  namespace.on("connection", (socket) => {
    const { token } = socket.data;
    const client = clientOf(socket.request.socket);
    const origin = { socket: socket.id, namespace: namespace.name };
    if (client !== null) origin.client = client;
    if (token !== null) origin.token = token;
    tokens.watch(socket, token);
    socket.onAny((event, body, ...rest) => {
      const ack = rest.findLast((argument) => typeof argument === "function");
      const only = typeof body === "function" ? undefined : body;
      const more = rest.filter((argument) => typeof argument !== "function");
      const arrival = { event, body: only, ...(more.length > 0 && { more }), ...origin };
      if (options.handleDelay === 0) arrived(socket, arrival, ack);
      else setTimeout(() => arrived(socket, arrival, ack), options.handleDelay).unref();
    });
  });
}

function arrived(socket, arrival, ack) {
  const holds = (text) => text !== "" && JSON.stringify(arrival.body ?? null).includes(text);
  if (holds(options.dropOn)) {
    // Terminated rather than closed: what a handler that crashes looks like from outside.
    const { transport } = socket.conn;
    if (transport.name === "websocket") transport.socket.terminate();
    else socket.conn.close(true);
    return;
  }
  if (options.ack === "none" || options.ack === "never") {
    record.add([arrival], false);
  } else if (options.ack === "refuse-matching" && holds(options.refuse)) {
    ack?.({ error: "refused by the test", id: arrival.body?.id ?? null });
  } else {
    writeThenAcknowledge(arrival, ack);
  }
}

// One sync for everything that arrived in the same turn of the event loop.
let unwritten = [];

function writeThenAcknowledge(arrival, ack) {
  if (unwritten.length === 0) setImmediate(flush);
  unwritten.push({ arrival, ack });
}

function flush() {
  const batch = unwritten;
  unwritten = [];
  record.add(batch.map(({ arrival }) => arrival), true);
  const acknowledge = () => {
    for (const { ack } of batch) ack?.({ ok: true });
  };
  if (options.ackDelay === 0) acknowledge();
  else setTimeout(acknowledge, options.ackDelay).unref();
}

// `--token-check 401|403` is answered before socket.io sees the request, as a proxy would.
function guardHttp() {
  const message = '{"message":"the token is missing or wrong"}';
  takeOver("request", (_request, response) => {
    response.writeHead(Number(options.tokenCheck), { "content-type": "application/json" });
    response.end(message);
  });
  takeOver("upgrade", (_request, socket) => {
    const reason = options.tokenCheck === "401" ? "Unauthorized" : "Forbidden";
    socket.end(
      `HTTP/1.1 ${options.tokenCheck} ${reason}\r\nContent-Type: application/json\r\n` +
        `Connection: close\r\nContent-Length: ${message.length}\r\n\r\n${message}`,
    );
  });
}

function takeOver(name, refuse) {
  const listeners = http.listeners(name);
  http.removeAllListeners(name);
  http.on(name, async (...parameters) => {
    const [request] = parameters;
    if (options.tokenCheck !== "connect-error" && request.url.startsWith(options.path)) {
      // A client that leaves meanwhile must not end the process.
      const ignore = () => {};
      request.socket.on("error", ignore);
      const { allowed } = await tokens.judge(request);
      request.socket.off("error", ignore);
      if (!allowed) return refuse(...parameters);
    }
    for (const listener of listeners) listener.apply(http, parameters);
    return undefined;
  });
}

function control(request, response) {
  const url = new URL(request.url, "http://localhost");
  switch (`${request.method} ${url.pathname}`) {
    case "GET /health":
      return answer(response, 200, { status: "up" });
    case "GET /events":
      return answer(response, 200, record.recent(Number(url.searchParams.get("limit") ?? 1000)));
    case "GET /count":
      return answer(response, 200, { count: record.count });
    case "GET /summary":
      return answer(response, 200, { ...record.summary(), ...tokens.summary(), ...usage() });
    case "POST /reset":
      record.reset();
      return answer(response, 200, { count: 0 });
    case "POST /mode":
      return changeMode(request, response);
    default:
      return answer(response, 404, { error: `nothing at ${request.method} ${url.pathname}` });
  }
}

function usage() {
  const { user, system } = process.cpuUsage();
  const connections = io.engine.clientsCount;
  return { connections, cpuMicroseconds: user + system, rssBytes: process.memoryUsage.rss() };
}

function changeMode(request, response) {
  let text = "";
  request.on("data", (chunk) => {
    text += chunk;
    if (text.length > MAX_CONTROL_BODY) request.destroy();
  });
  request.on("end", () => {
    const { token, tokenCheck, ack, refuse, dropOn, tlsCert, tlsKey } = options;
    const mode = { token, tokenCheck, ack, refuse, dropOn, tlsCert, tlsKey };
    try {
      const wanted = JSON.parse(text);
      const unknown = Object.keys(wanted).find((name) => !(name in mode));
      if (unknown) throw new WrongOption(`${unknown}: cannot be changed`);
      if ((wanted.ack === "never") !== (ack === "never") && "ack" in wanted) {
        throw new WrongOption("ack=never cannot be changed while the server runs");
      }
      const changed = checkMode({ ...mode, ...wanted });
      if (plain !== null) changeCertificates(http, { ...options, ...changed });
      Object.assign(options, changed);
      answer(response, 200, changed);
    } catch (error) {
      answer(response, 400, { error: error.message });
    }
  });
}

function answer(response, status, value) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

function stop() {
  // A client that never closes must not keep the process; the timer alone does not either.
  setTimeout(() => process.exit(1), CLOSE_DEADLINE_MS).unref();
  plain?.close();
  plain?.closeIdleConnections();
  http.closeIdleConnections();
  io.close(() => {
    if (unwritten.length > 0) flush();
    record.close();
    process.exit(0);
  });
  http.closeIdleConnections();
}
