// Compiles and serves requests from a cache that fills to its cap within minutes and stays there: nothing leaks.
"use strict";

const CAP = 20000;
const cache = new Map();
let requests = 0;

function answer(key) {
  let page = cache.get(key);
  if (page === undefined) {
    page = { key, body: `page ${key} `.repeat(40) };
    cache.set(key, page);
    if (cache.size > CAP) {
      cache.delete(cache.keys().next().value);
    }
  }
  return JSON.stringify(page);
}

setInterval(() => {
  for (let i = 0; i < 10; i++) {
    answer((requests++ * 7919) % (2 * CAP));
  }
}, 50);
setTimeout(() => process.exit(), 20 * 60 * 1000);
