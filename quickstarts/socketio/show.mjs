// What `run` asks the echo server.
//
//   node show.mjs wait URL    returns once the server answers, or fails after ten seconds
//   node show.mjs check URL   prints what arrived, and fails unless it is what should have

import { setTimeout as pause } from "node:timers/promises";

const READY_WITHIN_MS = 10_000;
const EXPECTED = {
  "keycloak-login": 3,
  "keycloak-login-error": 1,
  "keycloak-register": 1,
  "keycloak-user-create": 2,
  "keycloak-client-update": 1,
  "keycloak-logout": 1,
};
const SECRET = "carols-first-password";

const [task, url] = process.argv.slice(2);
if (task === "wait") await wait();
else if (task === "check") await check();
else throw new Error(`unknown task ${task}`);

async function wait() {
  const deadline = Date.now() + READY_WITHIN_MS;
  for (;;) {
    const answer = await fetch(`${url}/health`).catch(() => null);
    if (answer?.ok) return;
    if (Date.now() > deadline) fail(`the echo server did not answer at ${url}/health`);
    await pause(50);
  }
}

async function check() {
  const events = await (await fetch(`${url}/events`)).json();
  for (const { name, event } of events) console.log(`  ${name.padEnd(24)}${describe(event)}`);
  const created = events.find(({ event }) => event.representation?.includes("carol"));
  if (created) console.log(`\n  carol as she was created: ${created.event.representation}`);

  const counts = {};
  for (const { name } of events) counts[name] = (counts[name] ?? 0) + 1;
  for (const name of new Set([...Object.keys(EXPECTED), ...Object.keys(counts)])) {
    const [got, wanted] = [counts[name] ?? 0, EXPECTED[name] ?? 0];
    if (got !== wanted) fail(`${name}: ${got} arrived, ${wanted} should have`);
  }
  if (JSON.stringify(events).includes(SECRET)) fail("carol's password arrived; it must not");
}

function describe(event) {
  const who = event.details?.username ?? event.resourcePath ?? event.userId ?? "";
  const error = event.error ? `  (${event.error})` : "";
  return `realm ${event.realmName}  ${who}${error}`;
}

function fail(message) {
  console.error(`\n  ${message}`);
  process.exit(1);
}
