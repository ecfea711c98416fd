const assert = require("node:assert");
const { spawn } = require("node:child_process");
const { createInterface } = require("node:readline");
const test = require("node:test");

const { Etcd3 } = require("etcd3");
const program = require("etcd-fake");

test("a session ends with its lease", async () => {
  const anyPort = "http://127.0.0.1:0";
  const server = spawn(program, [
    "--listen-client-urls", anyPort, "--listen-control-url", anyPort,
  ]);
  const urls = {};
  for await (const line of createInterface(server.stdout)) {
    const [, what, url] = /^etcd-fake: (.*) (.*)$/.exec(line);
    urls[what] = url;
    if (what === "controlled at") break;
  }
  const client = new Etcd3({ hosts: urls.serving });
  try {
    const lease = client.lease(3600, { autoKeepAlive: false });
    await lease.put("session").value("me");
    assert.strictEqual(await client.get("session"), "me");

    // An hour passes at once.
    const body = JSON.stringify({ seconds: 3601 });
    await fetch(urls["controlled at"] + "/advance", { method: "POST", body });
    assert.strictEqual(await client.get("session"), null);
  } finally {
    client.close();
    server.kill();
  }
});
