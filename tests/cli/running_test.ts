// Verbs that go on for some time in a running lab.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { checked, json, jsonEvents, netloom, netloomWith } from "./command.ts";

const FILE = `name: running
nodes:
  r1: { kind: router }
  h1:
  h2: { run: [{ command: "echo ready; exec sleep 1000", ready: { log: ready } }] }
links:
  - h1 -- r1
  - h2 -- r1
schedule:
  - { at: 3600s, cut: h1 -- r1, for: 50ms }
`;

/** A folder with a lab file; the lab goes with it. */
async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir();
  await Deno.writeTextFile(`${path}/running.lab.yml`, FILE);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await netloom("down", "running");
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** Pings until a job has ended. */
async function whilePinging<T>(job: Promise<T>): Promise<T> {
  let ended = false;
  job.finally(() => ended = true);
  while (!ended) await netloom("ping", "h1", "h2", "-c", "1");
  return await job;
}

Deno.test("Verbs that go on print events, files and errors", async (t) => {
  await using here = await folder();
  const events = `${here.path}/events.yml`;
  assertEquals((await netloom("up", `${here.path}/running.lab.yml`)).code, 0);

  await t.step("fault run takes a list of events", async () => {
    await Deno.writeTextFile(
      events,
      "- { at: 0, cut: h1 -- r1, for: 30ms }\n- { at: 60ms, impair: { rate: 8mbit }, link: h2 -- r1 }\n",
    );
    const people = await netloom("fault", "run", events);
    assertEquals(people.code, 0, people.stderr);
    assert(
      /^0\.000 s begin cut .*\n0\.030 s end cut .*\n0\.060 s begin impair/.test(people.stdout),
    );
    const programs = await jsonEvents("fault", "run", events);
    assertEquals(programs.map(({ action, fault }) => [action, fault.kind]), [
      ["begin", "cut"],
      ["end", "cut"],
      ["begin", "impair"],
    ]);
    const [shown] = (await json("impair", "show")).result;
    assertEquals(shown.values.out.rate, 8_000_000);
    assertEquals((await json("impair", "clear")).result.cleared, 1);
  });
  await t.step("fault run takes the schedule of a lab file, and names what is wrong", async () => {
    await Deno.writeTextFile(`${here.path}/now.lab.yml`, FILE.replace("3600s", "0"));
    const found = await jsonEvents("fault", "run", `${here.path}/now.lab.yml`);
    assertEquals(found.map(({ action }) => action), ["begin", "end"]);
    await Deno.writeTextFile(events, "- { at: 0, cut: h1 -- h2 }\n");
    const wrong = await json("fault", "run", events);
    assertEquals(wrong.code, 1);
    assertStringIncludes(wrong.error.message, "h1 -- h2");
    assertEquals((await netloom("fault", "stop")).code, 2);
    await Deno.writeTextFile(events, "at: 0\n");
    assertStringIncludes((await netloom("fault", "run", events)).stderr, "has no schedule");
  });
  await t.step("logs prints the output of a node's commands, and follows it", async () => {
    assertEquals((await netloom("logs", "h2")).stdout, "ready\n");
    assertEquals((await json("logs", "h2")).result, { node: "h2", output: "ready\n" });
    assertEquals((await json("logs", "h1")).result.output, "");
    assertStringIncludes((await json("logs", "h3")).error.message, 'did you mean "h');
  });
  await t.step("capture writes the interfaces that it is told", async () => {
    const file = `${here.path}/some.pcapng`;
    const { stdout, code } = await whilePinging(
      netloom("capture", "h1", "r1:to-h2", "-w", file, "--seconds", "3", "--json"),
    );
    assertEquals([code, checked(stdout).result.file], [0, file]);
    assertEquals(await interfaces(file), ["h1:to-r1", "r1:to-h2"]);
  });
  await t.step("capture --all prints each packet of each wire once", async () => {
    const found = await whilePinging(jsonEvents("capture", "--all", "--seconds", "3"));
    assertEquals([...new Set(found.map((it) => it.interface))].sort(), ["h1:to-r1", "h2:to-r1"]);
    assertEquals((await netloom("capture", "--all", "h1")).code, 2);
  });
  await t.step(
    "capture --wireshark gives Wireshark the packets, or says that it is absent",
    async () => {
      const bin = `${here.path}/bin`;
      const file = `${here.path}/shown.pcapng`;
      const absent = await netloomWith({ PATH: bin }, "capture", "--wireshark", "--seconds", "1");
      assertEquals(absent.code, 1);
      assertStringIncludes(absent.stderr, "Wireshark is not installed: apt-get install");
      await Deno.mkdir(bin);
      const script = `#!/bin/sh\n[ "$*" = "-k -i -" ] && exec cat > ${file}\n`;
      await Deno.writeTextFile(`${bin}/wireshark`, script, { mode: 0o755 });
      const path = `${bin}:${Deno.env.get("PATH")}`;
      const { code, stderr } = await whilePinging(
        netloomWith({ PATH: path }, "capture", "h1:to-r1", "--wireshark", "--seconds", "3"),
      );
      assertEquals(code, 0, stderr);
      assertEquals(await interfaces(file), ["h1:to-r1"]);
    },
  );
});

/** The names of the interfaces in a pcapng file, without those that saw nothing. */
async function interfaces(file: string): Promise<string[]> {
  const { readCapture } = await import("../../src/capture/mod.ts");
  const names = new Set<string>();
  for await (const frame of readCapture(file)) names.add(frame.interface.name);
  return [...names].sort();
}

Deno.test("netloom test runs tests of labs apart from the machine", async () => {
  await using here = await folder();
  const file = `${here.path}/lab_test.ts`;
  const mod = new URL("../../src/lab/mod.ts", import.meta.url).href;
  await Deno.writeTextFile(
    file,
    `import { up } from "${mod}";
Deno.test("a lab with a name", async () => {
  await using lab = await up({ nodes: { a: {}, b: {} }, links: ["a -- b"] }, { name: "apart" });
  const { received } = await lab.node("a").ping("b");
  if (received !== 1) throw new Error("no reply");
  using _listener = Deno.listen({ port: 0 });
  const links = new TextDecoder().decode(
    new Deno.Command("ip", { args: ["-br", "link"] }).outputSync().stdout,
  );
  if (links.trim().split("\\n").length !== 1) throw new Error(links);
});
Deno.test("fails", () => { throw new Error("it fails"); });
`,
  );
  const good = await netloom("test", file, "--", "--filter=lab");
  assertEquals(good.code, 0, good.stdout + good.stderr);
  assertStringIncludes(good.stdout, "1 passed");
  const bad = await json("test", file);
  assertEquals([bad.code, bad.result.code], [1, 1]);
  const absent = await netloom("test", `${here.path}/absent.ts`);
  assertEquals(absent.code, 2);
});

Deno.test("netloom test finds imports by the configuration after --", async () => {
  await using here = await folder();
  await Deno.mkdir(`${here.path}/elsewhere`);
  const config = `${here.path}/elsewhere/deno.json`;
  await Deno.writeTextFile(config, JSON.stringify({ imports: { "mapped": "./mapped.ts" } }));
  await Deno.writeTextFile(`${here.path}/elsewhere/mapped.ts`, "export const mapped = 1;");
  const file = `${here.path}/mapped_test.ts`;
  await Deno.writeTextFile(
    file,
    'import { mapped } from "mapped";\nDeno.test("mapped", () => { if (mapped !== 1) throw 0; });',
  );
  for (const flags of [["--config", config], [`--config=${config}`]]) {
    const { code, stdout, stderr } = await netloom("test", file, "--", ...flags);
    assertEquals(code, 0, stdout + stderr);
  }
  assertEquals((await netloom("test", file)).code, 2);
});
