// The handle of a running lab: names, reachability, captures, events, pictures, commands.
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { readCapture } from "../../src/capture/mod.ts";
import { resolve, up } from "../../src/lab/mod.ts";
import type { TopologySpec } from "../../src/lab/mod.ts";
import { test } from "../leaks.ts";

const spec = {
  addressing: { ipv4: "10.0.0.0/16" },
  nodes: { h1: {}, h2: {}, h3: {}, r: { kind: "router" } },
  links: [{ segment: ["r", "h1", "h2"], name: "lan" }, "h3 -- r"],
} as const satisfies TopologySpec;

test("Names of nodes stand for addresses in ping, connect and fetch", async () => {
  await using lab = await up(spec);
  const [h1, h3] = [lab.node("h1"), lab.node("h3")];
  assertEquals((await h1.ping("h3")).received, 1);
  await using server = h3.serve(
    { hostname: "h3", port: 80, onListen() {} },
    (request) => new Response(new URL(request.url).pathname),
  );
  const response = await h1.fetch("http://h3/hello");
  assertEquals(await response.text(), "/hello");
  using connection = await h1.connect({ hostname: "h3", port: 80 });
  assertEquals((connection.remoteAddr as Deno.NetAddr).hostname, h1.addressOf("h3"));
  assertThrows(() => h1.ping("h33"), TypeError, 'No node has the name "h33"');
  assertThrows(() => h1.fetch("https://h3/"), TypeError, "TLS checks the certificate");
  await server.shutdown();
});

test("lab.node() and lab.link() name the nearest node for an unknown one", async () => {
  await using lab = await up({ nodes: { host1: {}, host2: {} }, links: ["host1 -- host2"] });
  // @ts-expect-error: the compiler knows the names of the nodes
  assertThrows(() => lab.node("host3"), TypeError, 'The lab has no node "host3"; did you mean');
  assertEquals(lab.link("host1", "host2").ends, ["host1:to-host2", "host2:to-host1"]);
  assertEquals(lab.link("host2", "host1").link.name, "to-host1");
  assertThrows(() => lab.link("host1", "host1"), TypeError, "No wire joins host1 and host1: ");
});

test("lab.reachability() has a time for each pair that reaches each other", async () => {
  await using lab = await up({
    ...spec,
    nodes: {
      ...spec.nodes,
      alone: {
        interfaces: {
          d0: {
            kind: "bridge",
            addresses: ["192.168.9.1/24"],
          },
        },
      },
    },
  });
  const { nodes, times, missing } = await lab.reachability({ timeout: 300 });
  assertEquals(nodes, ["alone", "h1", "h2", "h3", "r"]);
  assert(times.get("h1")!.get("h3")! > 0);
  assertEquals(times.get("h1")!.get("alone"), undefined);
  assertEquals(missing.length, 8);
});

test("lab.capture() writes the frames of all wires into one file", async () => {
  const path = await Deno.makeTempFile();
  try {
    {
      await using lab = await up(spec);
      await using capture = lab.capture(path, { filter: { protocol: "icmp" } });
      await lab.node("h1").ping("h3");
      await capture.stop();
    }
    const names: string[] = [];
    for await (const frame of readCapture(path)) names.push(frame.interface.name);
    const { wires } = resolve(spec);
    const passed = wires.filter(({ ends }) => !ends.join().includes("h2")).map(({ ends }) =>
      ends[0]
    );
    assertEquals(new Set(names), new Set<string>(passed));
    assertEquals(names.length, 6);
  } finally {
    await Deno.remove(path);
  }
});

test("lab.events() has the events of all nodes with the name of the node", async () => {
  await using lab = await up(spec);
  using events = lab.events({ links: true });
  const seen: string[] = [];
  let snapshots = 0;
  for await (const { node, event } of events) {
    if (event.type === "snapshot") {
      if (++snapshots === lab.nodes.length) lab.link("h3", "r").link.set({ alias: "here" });
      continue;
    }
    seen.push(`${node} ${event.type}`);
    break;
  }
  assertEquals(seen.length, 1);
  assertStringIncludes(seen[0]!, "h3 ");
});

test("Commands see the names of the lab in /etc/hosts, and their own host name", async () => {
  await using lab = await up({
    ...spec,
    nodes: {
      ...spec.nodes,
      h2: { env: { COLOR: "blue" }, files: { "/etc/motd": "hello" } },
    },
  });
  const before = Deno.readTextFileSync("/etc/hosts");
  const script =
    "getent hosts h3; hostname; cat /etc/hostname; echo $COLOR; cat /etc/motd; grep -c nameserver /etc/resolv.conf || :";
  const { stdout, stderr, code } = await lab.node("h2").command("sh", { args: ["-c", script] })
    .output();
  const text = new TextDecoder().decode(stdout);
  assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
  const [host, ...rest] = text.split("\n");
  assertEquals(host!.split(/\s+/), [lab.node("h2").addressOf("h3"), "h3"]);
  assertEquals(rest, ["h2", "h2", "blue", "hello0", ""]);
  assertEquals(Deno.readTextFileSync("/etc/hosts"), before);
});

test("lab.draw() shows nodes and wires", async () => {
  await using lab = await up(spec);
  const text = await lab.draw({ format: "dot" });
  for (const name of ["h1", "h2", "h3", "r", "lan"]) assertStringIncludes(text, name);
  assertStringIncludes(await lab.draw(), "<svg");
});

test("A lab without a name cannot be persisted", async () => {
  await using lab = await up(spec);
  assertThrows(() => lab.persist(), TypeError, "bring it up with a name");
  await assertRejects(() => up({ nodes: { h1: {} }, links: ["h1 -- h2"] }));
});
