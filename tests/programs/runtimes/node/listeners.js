// Adds a listener for each order, which holds the order; `fixed` removes it when the order is done.
"use strict";

const { EventEmitter } = require("events");

const leaky = process.argv[2] === "leaky";
const shutdown = new EventEmitter();
shutdown.setMaxListeners(0);

function cancelOrder(lines) {
  return lines.length;
}

function takeOrder(number) {
  const lines = new Array(64).fill(number);
  const onShutdown = () => cancelOrder(lines);
  shutdown.on("shutdown", onShutdown);
  if (!leaky) {
    shutdown.off("shutdown", onShutdown);
  }
}

let orders = 0;
setInterval(() => {
  for (let i = 0; i < 200; i++) {
    takeOrder(orders++);
  }
}, 100);
setTimeout(() => process.exit(), 20 * 60 * 1000);
