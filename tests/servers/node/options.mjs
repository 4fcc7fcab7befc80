// The command line of the recorder. Every option can also be given in the environment, as
// RECORDER_<OPTION> with `_` for `-`, so that a compose file can use it as well as a test.
// A wrong option ends the process with status 2 and one line that says what is wrong.

import { parseArgs } from "node:util";

const ACK_MODES = ["none", "after-write", "refuse-matching", "never"];

// name -> [default, what it means]
const TEXT_OPTIONS = {
  port: ["0", "port on 127.0.0.1; 0 takes a free one and says which"],
  record: ["", "file that gets one JSON line per event; it is appended to"],
  keep: ["20000", "how many recent events GET /events can show"],
  "ping-interval": ["25000", "milliseconds"],
  "ping-timeout": ["20000", "milliseconds"],
  "max-http-buffer-size": ["1000000", "bytes; advertised to clients as maxPayload"],
  path: ["/socket.io/", "Engine.IO path"],
  namespaces: ["/", "comma list; every other namespace is refused"],
  token: ["", "required in auth.token or as `Authorization: Bearer`; empty: none"],
  "token-check": ["connect-error", "connect-error, or the HTTP status to refuse with: 401, 403"],
  ack: ["none", ACK_MODES.join(" | ")],
  refuse: ["", "refuse-matching: events whose body contains this are refused"],
  "drop-on": ["", "an event whose body contains this costs its connection, unrecorded"],
};

export function readOptions(argv, environment) {
  const { values } = parseArgsOrExit(argv);
  if (values.help) {
    process.stdout.write(usage());
    process.exit(0);
  }
  const text = (name) =>
    values[name] ??
    environment[`RECORDER_${name.toUpperCase().replaceAll("-", "_")}`] ??
    TEXT_OPTIONS[name][0];
  return {
    port: wholeNumber("port", text("port")),
    record: text("record"),
    keep: wholeNumber("keep", text("keep")),
    pingInterval: wholeNumber("ping-interval", text("ping-interval")),
    pingTimeout: wholeNumber("ping-timeout", text("ping-timeout")),
    maxHttpBufferSize: wholeNumber("max-http-buffer-size", text("max-http-buffer-size")),
    path: text("path"),
    namespaces: text("namespaces").split(",").map((name) => name.trim()),
    noPong: values["no-pong"] ?? environment.RECORDER_NO_PONG === "true",
    ...checkMode({
      token: text("token"),
      tokenCheck: text("token-check"),
      ack: text("ack"),
      refuse: text("refuse"),
      dropOn: text("drop-on"),
    }),
  };
}

// The part of the options that POST /mode can change while the server runs.
export function checkMode(mode) {
  if (!ACK_MODES.includes(mode.ack)) {
    fail(`--ack ${mode.ack}: must be one of ${ACK_MODES.join(", ")}`);
  }
  if (!["connect-error", "401", "403"].includes(mode.tokenCheck)) {
    fail(`--token-check ${mode.tokenCheck}: must be connect-error, 401 or 403`);
  }
  return mode;
}

export class WrongOption extends Error {}

function fail(message) {
  throw new WrongOption(message);
}

function parseArgsOrExit(argv) {
  const options = { help: { type: "boolean" }, "no-pong": { type: "boolean" } };
  for (const name of Object.keys(TEXT_OPTIONS)) options[name] = { type: "string" };
  try {
    return parseArgs({ args: argv, options });
  } catch (error) {
    return fail(error.message);
  }
}

function wholeNumber(name, text) {
  if (!/^\d+$/.test(text)) fail(`--${name} ${text}: must be a whole number`);
  return Number(text);
}

function usage() {
  const lines = Object.entries(TEXT_OPTIONS).map(
    ([name, [value, meaning]]) => `  --${name} (${value || "not set"})  ${meaning}\n`,
  );
  return (
    `A Socket.IO server that records what it receives.\n\n${lines.join("")}` +
    "  --no-pong  WebSocket pings stay unanswered, as some servers have it\n"
  );
}
