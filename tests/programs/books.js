// Holds a known number of things, and answers questions on standard input, one a line: `books` with what its own heap
// snapshot and heap spaces say, `latency` with how long requests took in a second, `stop` by ending.
"use strict";

const readline = require("readline");
const v8 = require("v8");
const vm = require("vm");

v8.setFlagsFromString("--expose-gc");
const collect = vm.runInNewContext("gc");

class Session {
  constructor(user) {
    this.user = user;
    this.started = user * 0.5;
  }
}

class Order {
  constructor(number) {
    this.number = number;
    this.lines = [number];
  }
}

function makeListener(number) {
  return function onShutdown() {
    return number;
  };
}

const count = Number(process.argv[2]);
const sessions = new Map();
const orders = [];
const listeners = [];
for (let i = 0; i < count; i++) {
  sessions.set(i, new Session(i));
  listeners.push(makeListener(i));
  if (i % 2 === 0) {
    orders.push(new Order(i));
  }
}

// A request for the latency: what it makes is garbage at once.
function handle(user) {
  return JSON.stringify(sessions.get(user % count)).length;
}

function latency() {
  const took = [];
  const until = process.hrtime.bigint() + 1000000000n;
  let now = process.hrtime.bigint();
  for (let user = 0; now < until; user++) {
    for (let i = 0; i < 100; i++) {
      handle(user + i);
    }
    const then = process.hrtime.bigint();
    took.push(Number(then - now) / 1000);
    now = then;
  }
  took.sort((a, b) => a - b);
  return { requests: took.length, p99_us: took[Math.floor(took.length * 0.99)] };
}

// Objects by class, and closures by function, as V8 itself counts them.
async function books() {
  // Its end, not its iterator's: node 18 never closes this stream.
  const pieces = [];
  const written = v8.getHeapSnapshot().on("data", (piece) => pieces.push(piece));
  await new Promise((resolve) => written.on("end", resolve));
  const { snapshot, nodes, strings } = JSON.parse(pieces.join(""));
  const fields = snapshot.meta.node_fields;
  const types = snapshot.meta.node_types[0];
  const classes = {};
  for (let at = 0; at < nodes.length; at += fields.length) {
    const type = types[nodes[at + fields.indexOf("type")]];
    const name = strings[nodes[at + fields.indexOf("name")]];
    if ((type === "object" && ["Session", "Order"].includes(name)) || (type === "closure" && name === "onShutdown")) {
      classes[name] = (classes[name] || 0) + 1;
    }
  }
  return classes;
}

async function answer(question) {
  if (question === "stop") {
    process.exit();
  }
  if (question === "latency") {
    return latency();
  }
  const classes = await books();
  // What survives two collections is old.
  collect();
  collect();
  const spaces = v8.getHeapSpaceStatistics().map((space) => [space.space_name, space.space_size]);
  const held = sessions.size + orders.length + listeners.length;
  return { held, classes, spaces: Object.fromEntries(spaces), version: process.versions.node };
}

readline.createInterface({ input: process.stdin }).on("line", async (question) => {
  console.log(JSON.stringify(await answer(question)));
});
console.log("ready");
