"use strict";

// The path of the program for this machine.
const { existsSync } = require("node:fs");
const { join } = require("node:path");

const machine = `${process.platform}-${process.arch}`;
const program = join(__dirname, "programs", machine, "etcd-fake");

if (!existsSync(program)) {
  throw new Error(
    `etcd-fake: this package has no program for ${machine}; ` +
      "`cargo install etcd-fake` builds one",
  );
}

module.exports = program;
