// Keeps a session for each login; `fixed` ends the oldest one when there are a thousand.
"use strict";

const leaky = process.argv[2] === "leaky";

class Session {
  constructor(user) {
    this.user = user;
    this.started = Date.now();
    this.history = new Array(16).fill(user);
    this.token = `${user}-${this.started}`.repeat(8);
  }
}

const sessions = new Map();

function login(user) {
  sessions.set(user, new Session(user));
  if (!leaky && sessions.size > 1000) {
    sessions.delete(sessions.keys().next().value);
  }
}

let users = 0;
setInterval(() => {
  for (let i = 0; i < 200; i++) {
    login(users++);
  }
}, 100);
setTimeout(() => process.exit(), 20 * 60 * 1000);
