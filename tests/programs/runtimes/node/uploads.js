// Opens a file for each upload; `fixed` closes it again.
"use strict";

const fs = require("fs");

const leaky = process.argv[2] === "leaky";

function handleUpload(path) {
  const file = fs.openSync(path, "r");
  if (!leaky) {
    fs.closeSync(file);
  }
}

setInterval(() => handleUpload(__filename), 100);
setTimeout(() => process.exit(), 20 * 60 * 1000);
