// Limits of the machine are checked before a lab is created.
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { existsSync } from "node:fs";
import { NetNs } from "../../mod.ts";
import { grid, LabError, up } from "../../src/lab/mod.ts";
import { test } from "../leaks.ts";

const TABLE = "/proc/sys/net/ipv4/neigh/default/gc_thresh3";
const most = existsSync(TABLE) ? Number(Deno.readTextFileSync(TABLE)) : undefined;
const visible = {
  lacks: most === undefined
    ? "only the machine's own namespace shows its limits"
    : most > 3000
    ? "this machine has more neighbors than the test's lab"
    : undefined,
};

test("up() says which setting gives a lab more neighbors", visible, async () => {
  const error = await assertRejects(() => up(grid(30, 30)), LabError);
  assertStringIncludes(error.message, `needs 3480 entries`);
  assertStringIncludes(error.message, `and the kernel has ${most} for all namespaces together`);
  assertStringIncludes(error.message, "sysctl -w net.ipv4.neigh.default.gc_thresh3=");
});

test("up() says which limit gives a lab more descriptors", async () => {
  const before = NetNs.list();
  const code =
    `import { star, up } from "./src/lab/mod.ts"; await up(star(200), { name: "many" });`;
  const { code: status, stderr } = await new Deno.Command("prlimit", {
    args: ["--nofile=256:256", Deno.execPath(), "eval", code],
    cwd: new URL("../../", import.meta.url),
  }).output();
  const text = new TextDecoder().decode(stderr);
  assertEquals(status, 1);
  assertStringIncludes(text, "and this process may have 256: raise it with ulimit -n 1024");
  assertEquals(NetNs.list(), before);
});
