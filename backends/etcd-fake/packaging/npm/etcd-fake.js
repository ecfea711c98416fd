#!/usr/bin/env node
"use strict";

// The command etcd-fake. It passes signals on, so that who ends it ends the program.
const { spawn } = require("node:child_process");
const { constants } = require("node:os");

let program;
try {
  program = require("./index.js");
} catch (error) {
  console.error(error.message);
  process.exit(1);
}

const running = spawn(program, process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => running.kill(signal));
}
running.on("error", (error) => {
  console.error(`etcd-fake: ${error.message}`);
  process.exit(1);
});
running.on("exit", (code, signal) => {
  process.exit(code ?? 128 + constants.signals[signal]);
});
