// Runs in a namespace as a worker: tells where each of its parts lands.
/// <reference lib="deno.worker" />
import { connect, createServer } from "node:net";
import { createSocket } from "node:dgram";
import { readFile, readlink } from "node:fs/promises";
import { Bridge, NetNs } from "../../mod.ts";

/** The namespaces of the process's threads that are this worker's. */
async function threads(): Promise<string[]> {
  const own = await Deno.readLink("/proc/thread-self/ns/net");
  const all = [...Deno.readDirSync("/proc/self/task")].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/task/${name}/ns/net`);
    } catch {
      return "";
    }
  });
  return all.filter((netns) => netns === own);
}

/** Sends a line through a TCP connection made by `node:net`. */
function nodeTcp(): Promise<string> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.end("over node:net"));
    server.listen(7001, "10.9.8.7", () => {
      const client = connect(7001, "10.9.8.7");
      client.on("error", reject);
      client.on("data", (data) => {
        resolve(data.toString());
        server.close();
      });
    });
    server.on("error", reject);
  });
}

/** Sends a datagram by `node:dgram`. */
function nodeUdp(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.on("error", reject);
    socket.on("message", (message) => {
      resolve(message.toString());
      socket.close();
    });
    socket.bind(7002, "10.9.8.7", () => socket.send("over node:dgram", 7002, "10.9.8.7"));
  });
}

async function deno(): Promise<string> {
  await using server = Deno.serve(
    { hostname: "10.9.8.7", port: 7003, onListen() {} },
    () => new Response("over fetch"),
  );
  return await (await fetch(`http://10.9.8.7:${server.addr.port}/`)).text();
}

async function child(): Promise<string> {
  const { stdout } = await new Deno.Command("readlink", { args: ["/proc/self/ns/net"] }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** Deno closes nothing of this when the worker is terminated. */
function netloom(): unknown {
  using bridge = Bridge.create({ name: "worker0" });
  using own = NetNs.current();
  return { own: own.inode, links: own.links.list().length, bridge: bridge.index > 0 };
}

self.onmessage = async ({ data: uses }) => {
  const node = "readFile of node:fs";
  self.postMessage({
    // Of another thread: asynchronous file operations run in a pool.
    pool: await readlink("/proc/thread-self/ns/net"),
    [node]: (await readFile("/proc/thread-self/net/dev", "utf8")).trim().split("\n").length - 2,
    child: await child(),
    tcp: await nodeTcp(),
    udp: await nodeUdp(),
    fetch: await deno(),
    threads: (await threads()).length > 1,
    ...(uses === "netloom" ? { netloom: netloom() } : {}),
  });
};
self.postMessage("ready");
