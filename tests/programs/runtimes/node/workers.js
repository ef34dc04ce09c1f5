// Starts a worker for each report; `fixed` ends it when the report is written.
"use strict";

const { Worker } = require("worker_threads");

const leaky = process.argv[2] === "leaky";
const WORKER = `
  const { parentPort } = require("worker_threads");
  parentPort.on("message", (report) => parentPort.postMessage(report.length));
`;
let workers = 0;

function writeReport() {
  const worker = new Worker(WORKER, { eval: true });
  worker.on("message", () => leaky || worker.terminate());
  worker.postMessage("report");
}

setInterval(() => {
  if (workers++ < 400) {
    writeReport();
  }
}, 1000);
setTimeout(() => process.exit(), 20 * 60 * 1000);
