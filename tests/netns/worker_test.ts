import { assertEquals, assertRejects } from "@std/assert";
import { Link, NetNs } from "../../mod.ts";
import { test } from "../leaks.ts";
import { script } from "../script.ts";

const MODULE = new URL("worker.ts", import.meta.url);

function next(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
  });
}

const landed = (netns: NetNs) => ({
  pool: `net:[${netns.inode}]`,
  "readFile of node:fs": 1,
  child: `net:[${netns.inode}]`,
  tcp: "over node:net",
  udp: "over node:dgram",
  fetch: "over fetch",
  threads: true,
});

/** A namespace, and what its worker answers. */
async function work(): Promise<[NetNs, unknown]> {
  const netns = NetNs.create();
  Link.get("lo", { netns }).addresses.add("10.9.8.7/32");
  const worker = netns.worker(MODULE);
  assertEquals(await next(worker), "ready");
  const answer = next(worker);
  worker.postMessage("all");
  const result = await answer;
  worker.terminate();
  return [netns, result];
}

test("Everything in a worker lands in its namespace: sockets, files, programs, node:net", async () => {
  const [netns, answer] = await work();
  assertEquals(answer, landed(netns));
  netns[Symbol.dispose]();
});

test("Workers in two namespaces use the same addresses and ports without meeting", async () => {
  for (const [netns, answer] of await Promise.all([work(), work()])) {
    assertEquals(answer, landed(netns));
    netns[Symbol.dispose]();
  }
  // Deno may keep what it waits with of both, until another worker ends.
  const [netns] = await work();
  netns[Symbol.dispose]();
});

test("netloom in a worker works in the worker's namespace", async () => {
  // In a process of its own: Deno closes nothing that a terminated worker has opened through FFI.
  const { stdout, stderr } = await script(`
    import { Link, NetNs } from "./mod.ts";
    using netns = NetNs.create();
    Link.get("lo", { netns }).addresses.add("10.9.8.7/32");
    const worker = netns.worker(import.meta.resolve("./tests/netns/worker.ts"));
    await new Promise((resolve) => worker.onmessage = resolve);
    worker.postMessage("netloom");
    const { data } = await new Promise((resolve) => worker.onmessage = resolve);
    worker.terminate();
    const { own, links, bridge } = data.netloom;
    console.log(own === netns.inode, links, bridge, netns.links.list().length);
  `);
  assertEquals([stdout, stderr], ["true 2 true 1\n", ""]);
});

test("A worker's namespace goes when the worker ends, though the handle went before", async () => {
  const netns = NetNs.create();
  const worker = netns.worker(MODULE);
  await next(worker);
  netns[Symbol.dispose]();
  worker.terminate();
});

test("A module that does not load is the worker's error, not the program's", async () => {
  using netns = NetNs.create();
  const worker = netns.worker(new URL("no_such_module.ts", import.meta.url));
  // Which words it has depends on whether modules are type-checked.
  await assertRejects(() => next(worker), Error);
});
