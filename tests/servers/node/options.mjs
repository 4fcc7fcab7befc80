// The command line of the recorder. Every option can also be given in the environment, as
// RECORDER_<OPTION> with `_` for `-`, so that a compose file can use it as well as a test.
// A wrong option ends the process with status 2 and one line that says what is wrong.

import { parseArgs } from "node:util";

const ACK_MODES = ["none", "after-write", "refuse-matching", "never"];
const TLS_VERSIONS = ["TLSv1.2", "TLSv1.3"];

// name -> [default, what it means]
const TEXT_OPTIONS = {
  port: ["0", "port on 127.0.0.1; 0 takes a free one and says which"],
  record: ["", "file that gets one JSON line per event; it is appended to"],
  brief: ["no", "yes: the file has only [id, user, sequence] of each event"],
  keep: ["20000", "how many recent events GET /events can show"],
  "ping-interval": ["25000", "milliseconds"],
  "ping-timeout": ["20000", "milliseconds"],
  "max-http-buffer-size": ["1000000", "bytes; advertised to clients as maxPayload"],
  path: ["/socket.io/", "Engine.IO path"],
  namespaces: ["/", "comma list; every other namespace is refused"],
  token: ["", "required in auth.token or as `Authorization: Bearer`; empty: none"],
  "token-check": ["connect-error", "connect-error, or the HTTP status to refuse with: 401, 403"],
  ack: ["none", ACK_MODES.join(" | ")],
  "ack-delay": ["0", "milliseconds between the writing of events and their acknowledgement"],
  "handle-delay": ["0", "milliseconds between the reading of an event and its handling"],
  refuse: ["", "refuse-matching: events whose body contains this are refused"],
  "drop-on": ["", "an event whose body contains this costs its connection, unrecorded"],
  "tls-cert": ["", "PEM file with the server's certificate and its chain; makes it https"],
  "tls-key": ["", "PEM file with the private key of that certificate"],
  "tls-client-ca": ["", "PEM file of the authority of client certificates; empty: none asked"],
  "tls-client": ["required", "required | optional: whether a client without a good one gets in"],
  "tls-min": ["TLSv1.2", TLS_VERSIONS.join(" | ")],
  "tls-max": ["TLSv1.3", TLS_VERSIONS.join(" | ")],
  "jwt-jwks": ["", "address of the keys that tokens are verified with, instead of --token"],
  "jwt-issuer": ["", "the issuer that a token must name"],
  "jwt-audience": ["", "the audience that a token must name; empty: any"],
  "jwt-expired": ["keep", "keep | disconnect: what happens to a connection whose token ends"],
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
    brief: oneOf("brief", text("brief"), ["yes", "no"]) === "yes",
    keep: wholeNumber("keep", text("keep")),
    pingInterval: wholeNumber("ping-interval", text("ping-interval")),
    pingTimeout: wholeNumber("ping-timeout", text("ping-timeout")),
    maxHttpBufferSize: wholeNumber("max-http-buffer-size", text("max-http-buffer-size")),
    path: text("path"),
    namespaces: text("namespaces").split(",").map((name) => name.trim()),
    ackDelay: wholeNumber("ack-delay", text("ack-delay")),
    handleDelay: wholeNumber("handle-delay", text("handle-delay")),
    noPong: values["no-pong"] ?? environment.RECORDER_NO_PONG === "true",
    ...tlsOptions(text),
    jwtJwks: text("jwt-jwks"),
    jwtIssuer: text("jwt-issuer"),
    jwtAudience: text("jwt-audience"),
    jwtExpired: oneOf("jwt-expired", text("jwt-expired"), ["keep", "disconnect"]),
    ...checkMode({
      token: text("token"),
      tokenCheck: text("token-check"),
      ack: text("ack"),
      refuse: text("refuse"),
      dropOn: text("drop-on"),
      tlsCert: text("tls-cert"),
      tlsKey: text("tls-key"),
    }),
  };
}

function tlsOptions(text) {
  if ((text("tls-cert") === "") !== (text("tls-key") === "")) {
    fail("--tls-cert and --tls-key: one needs the other");
  }
  if (text("tls-client-ca") !== "" && text("tls-cert") === "") {
    fail("--tls-client-ca: needs --tls-cert");
  }
  return {
    tlsClientCa: text("tls-client-ca"),
    tlsClient: oneOf("tls-client", text("tls-client"), ["required", "optional"]),
    tlsMin: oneOf("tls-min", text("tls-min"), TLS_VERSIONS),
    tlsMax: oneOf("tls-max", text("tls-max"), TLS_VERSIONS),
  };
}

// The part of the options that POST /mode can change while the server runs.
export function checkMode(mode) {
  oneOf("ack", mode.ack, ACK_MODES);
  oneOf("token-check", mode.tokenCheck, ["connect-error", "401", "403"]);
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

function oneOf(name, text, allowed) {
  if (!allowed.includes(text)) fail(`--${name} ${text}: must be one of ${allowed.join(", ")}`);
  return text;
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
