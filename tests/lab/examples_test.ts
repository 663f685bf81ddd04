// Each lab in examples/labs comes up as its comment says.
import { assert, assertEquals } from "@std/assert";
import { load, up } from "../../src/lab/mod.ts";
import { test } from "../leaks.ts";

const FOLDER = new URL("../../examples/labs/", import.meta.url);

const read = (name: string) => load(new URL(`${name}.lab.yml`, FOLDER).pathname);

test("three-tier.lab.yml: the client reaches the web servers by name", async () => {
  await using lab = await up(await read("three-tier"));
  for (const name of ["web1", "web2"]) {
    const response = await lab.node("client").fetch(`http://${name}/`);
    assertEquals(response.status, 200);
    await response.body?.cancel();
  }
  assertEquals((await lab.node("app").ping("client")).received, 1);
});

test("clos.lab.yml: every host reaches every other one", async () => {
  await using lab = await up(await read("clos"));
  const hosts = Array.from({ length: 8 }, (_, i) => `host${i + 1}`);
  const pings = await Promise.all(
    hosts.map((from, i) => lab.node(from).ping(hosts[(i + 5) % 8]!)),
  );
  assertEquals(pings.map(({ received }) => received), hosts.map(() => 1));
});

test("wan.lab.yml: each direction of the line has its own rate", async () => {
  await using lab = await up(await read("wan"));
  assertEquals(lab.link("hq", "branch").impairment()?.values, {
    out: { rate: 4e6 },
    in: { rate: 1e6 },
  });
  assertEquals((await lab.node("desk1").ping("server")).received, 1);
});

test("quorum.lab.yml: the schedule splits the quorum, and heals it", async () => {
  await using lab = await up(await read("quorum"));
  const seen: number[] = [];
  let over = false;
  void lab.schedule!.done.then(() => over = true);
  while (!over) {
    const { missing } = await lab.reachability({ timeout: 60 });
    if (missing.length !== seen.at(-1)) seen.push(missing.length);
  }
  assert(seen.includes(8), `n5 is alone: ${seen}`);
  assert(seen.includes(12), `two and three: ${seen}`);
  assertEquals((await lab.reachability()).missing, []);
  assertEquals(lab.schedule!.log.map(({ action }) => action), ["begin", "end", "begin", "end"]);
});

test("far.lab.yml: with a name, its keeper has the delay, the server and the schedule", async () => {
  await using lab = await up(await read("far"), { name: "far" });
  const schedule = lab.schedule!;
  const seen: number[] = [];
  let over = false;
  void schedule.done.then(() => over = true);
  while (!over) seen.push((await lab.node("shop").ping("store", { timeout: 5000 })).min!);
  assert(Math.min(...seen) >= 39.9, `the delay: ${Math.min(...seen)}`);
  assert(Math.max(...seen) >= 199.9, `the slow line: ${Math.max(...seen)}`);
  const response = await lab.node("shop").fetch("http://store/");
  assertEquals([response.status, await response.text().then((it) => it.length > 0)], [200, true]);
  assertEquals(
    schedule.log.map(({ action, fault, error }) => [action, fault.kind, error]),
    ["impair", "impair", "hold", "hold"].map((
      kind,
      i,
    ) => [i % 2 ? "end" : "begin", kind, undefined]),
  );
});

test("Every file in examples/labs has a test here", async () => {
  const names = Array.from(Deno.readDirSync(FOLDER), ({ name }) => name);
  const text = await Deno.readTextFile(new URL(import.meta.url));
  assertEquals(names.filter((name) => !text.includes(`"${name}: `)), []);
});
