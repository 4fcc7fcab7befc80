// The official Node client, as a row of the benchmark: sends events to the sink and prints one
// JSON line {peer, events, seconds, cpu_us_per_event, peak_rss_kb}.
//
//   node socketio-client-peer.mjs --url http://127.0.0.1:PORT --events FILE --count N
//
// The first `--distinct` events of the file are parsed before the clock starts and sent in turn,
// so the row shows the client at its best. It ends when the sink has acknowledged the last event,
// which the sink does in order.

import { once } from "node:events";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { io } from "socket.io-client";

const BURST = 512;
const ACKNOWLEDGE_WITHIN_MS = 60_000;

const { values: options } = parseArgs({
  options: {
    url: { type: "string" },
    events: { type: "string" },
    count: { type: "string", default: "1000000" },
    distinct: { type: "string", default: "10000" },
    name: { type: "string", default: "keycloak-event" },
  },
});
if (!options.url || !options.events) {
  process.stderr.write("socketio-client-peer: --url and --events are needed\n");
  process.exit(2);
}

const events = await firstEvents(options.events, Number(options.distinct));
const count = Number(options.count);
const socket = io(options.url, { transports: ["websocket"], reconnection: false });
await connected(socket);

const cpuBefore = process.cpuUsage();
const started = process.hrtime.bigint();
await sendAll(socket);
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
const cpu = process.cpuUsage(cpuBefore);
socket.disconnect();

process.stdout.write(
  `${JSON.stringify({
    peer: "socket.io-client",
    events: count,
    seconds: Number(seconds.toFixed(4)),
    cpu_us_per_event: Number(((cpu.user + cpu.system) / count).toFixed(3)),
    peak_rss_kb: process.resourceUsage().maxRSS,
  })}\n`,
);

async function firstEvents(path, limit) {
  const parsed = [];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (line !== "") parsed.push(JSON.parse(line));
    if (parsed.length === limit) break;
  }
  if (parsed.length === 0) throw new Error(`${path} has no events`);
  return parsed;
}

function connected(client) {
  return new Promise((resolve, reject) => {
    client.once("connect", resolve);
    client.once("connect_error", reject);
  });
}

async function sendAll(client) {
  const { engine } = client.io;
  for (let sent = 0; sent < count - 1; ) {
    const end = Math.min(sent + BURST, count - 1);
    for (; sent < end; sent += 1) client.emit(options.name, events[sent % events.length]);
    // Without this the client would hold all events in memory at once.
    if (engine.writeBuffer.length > 0) await once(engine, "drain");
  }
  const last = events[(count - 1) % events.length];
  await client.timeout(ACKNOWLEDGE_WITHIN_MS).emitWithAck(options.name, last);
}
