// What a recorder remembers: a file of one JSON line per event, the most recent events, and per
// user whether first arrivals came in order.
//
// A line is handed to the kernel before the call that added it returns: it survives `kill -9`.
// A line cut short by a crash is removed at the next start. Memory is bounded: the counters grow
// with the number of distinct event ids and users, the bodies kept are at most twice `keep`. A brief
// record has of each event what is counted only, for millions of them.

import * as fs from "node:fs";

export class Record {
  #file = null;
  #keep;
  #brief;
  #recent = [];
  #tally = new Tally();

  constructor(path, keep, brief) {
    this.#keep = keep;
    this.#brief = brief;
    if (path) this.#file = this.#open(path);
  }

  get count() {
    return this.#tally.events;
  }

  // `arrivals` are objects {event, body, socket, namespace}; they are written in one go.
  add(arrivals, sync) {
    let lines = "";
    for (const arrival of arrivals) {
      const line = { ...arrival, n: this.#tally.events + 1 };
      this.#remember(line);
      if (this.#file !== null) lines += `${JSON.stringify(this.#brief ? inBrief(line.body) : line)}\n`;
    }
    if (this.#file === null) return;
    writeWhole(this.#file, Buffer.from(lines));
    if (sync) fs.fdatasyncSync(this.#file);
  }

  recent(limit) {
    return this.#recent.slice(-limit);
  }

  summary() {
    return this.#tally.summary();
  }

  reset() {
    this.#recent = [];
    this.#tally = new Tally();
    if (this.#file !== null) fs.ftruncateSync(this.#file, 0);
  }

  close() {
    if (this.#file !== null) fs.closeSync(this.#file);
    this.#file = null;
  }

  #remember(line) {
    this.#tally.add(line.body);
    if (this.#keep === 0) return;
    this.#recent.push(line);
    // Cut rarely: shifting one by one would cost a copy of the array per event.
    if (this.#recent.length >= 2 * this.#keep) this.#recent = this.#recent.slice(-this.#keep);
  }

  #open(path) {
    const file = fs.openSync(path, "a+");
    const text = fs.readFileSync(file, "utf8");
    const whole = text.lastIndexOf("\n") + 1;
    if (whole < text.length) fs.ftruncateSync(file, Buffer.byteLength(text.slice(0, whole)));
    for (const line of text.slice(0, whole).split("\n")) {
      if (line !== "") this.#remember(this.#brief ? inFull(JSON.parse(line)) : JSON.parse(line));
    }
    return file;
  }
}

function inBrief(body) {
  return [body?.id, body?.userId, Number(body?.details?.sequence)];
}

function inFull([id, userId, sequence]) {
  return { body: { id, userId, details: { sequence } } };
}

// Counts, repeats and order. The order within a user is read from `details.sequence`, which the
// generated test events carry; events without it are counted only.
class Tally {
  events = 0;
  #repeats = 0;
  #outOfOrder = 0;
  #ids = new Set();
  #keys = new Map();

  add(body) {
    this.events += 1;
    const id = body?.id;
    if (typeof id === "string") {
      if (this.#ids.has(id)) {
        this.#repeats += 1;
        return;
      }
      this.#ids.add(id);
    }
    this.#order(keyOf(body), Number(body?.details?.sequence));
  }

  #order(key, sequence) {
    const seen = this.#keys.get(key) ?? { first: 0, last: -1, outOfOrder: 0 };
    seen.first += 1;
    if (sequence < seen.last) {
      seen.outOfOrder += 1;
      this.#outOfOrder += 1;
    }
    if (sequence > seen.last) seen.last = sequence;
    this.#keys.set(key, seen);
  }

  summary() {
    return {
      count: this.events,
      distinct: this.#ids.size,
      repeats: this.#repeats,
      outOfOrder: this.#outOfOrder,
      keys: Object.fromEntries(this.#keys),
    };
  }
}

// The user an event is about, within its realm.
function keyOf(body) {
  const path = body?.resourcePath ?? "";
  const user = body?.userId ?? /^users\/([^/]+)/.exec(path)?.[1] ?? "";
  return `${body?.realmName ?? body?.realmId ?? ""}/${user}`;
}

function writeWhole(file, bytes) {
  for (let written = 0; written < bytes.length; ) {
    written += fs.writeSync(file, bytes, written);
  }
}
