// The record of a lab with a name: on a full disk, and between processes that do not see each other.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { NetNs } from "../../mod.ts";
import { down, list, type TopologySpec, up } from "../../src/lab/mod.ts";
import { LabRecord } from "../../src/lab/record.ts";
import { test } from "../leaks.ts";
import { dump } from "./dump.ts";
import { ALL_STEPS } from "./steps.ts";

const RECORDS = "/run/netloom";
const PAGE = 4096;

const spec = (hosts: number): TopologySpec => {
  const names = Array.from({ length: hosts }, (_, i) => `h${i}`);
  return {
    nodes: Object.fromEntries([["sw", { kind: "switch" }], ...names.map((name) => [name, {}])]),
    links: names.map((name) => ({ endpoints: [name, "sw"] })),
  };
};

async function start(spec: TopologySpec, name = "lab"): Promise<void> {
  await using lab = await up(spec, { name });
  lab.persist();
}

const state = () => dump(NetNs.list().filter((name) => name.startsWith("lab.")).sort());

function shell(command: string): void {
  const { success, stderr } = new Deno.Command("sh", { args: ["-c", command] }).outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

test("A full disk for the record rolls a change back, or the next command goes on", async () => {
  shell(`mkdir -p ${RECORDS} && mount -t tmpfs -o size=4m netloom-test ${RECORDS}`);
  const filler = `${RECORDS}/filler`;
  try {
    await start(spec(4));
    const goal = state();
    await down("lab");
    await start(spec(2));
    const before = state();
    const outcomes = { "rolled back": 0, "gone on": 0, done: 0 };
    for (let pages = 0; outcomes.done === 0; pages++) {
      shell(`head -c 8M /dev/zero >${filler} 2>/dev/null || true`);
      const { size } = Deno.statSync(filler);
      Deno.truncateSync(filler, size - pages * PAGE);
      const error = await start(spec(4)).then(() => undefined, (reason: Error) => reason);
      Deno.removeSync(filler);
      if (!error) {
        assertEquals(state(), goal, `${pages} pages`);
        outcomes.done++;
      } else {
        assertStringIncludes(error.message, "ENOSPC");
        if (state() === before) outcomes["rolled back"]++;
        else outcomes["gone on"]++;
        await start(spec(4));
        assertEquals(state(), goal, `${pages} pages: the command after it`);
      }
      await start(spec(2));
      assertEquals(state(), before, `${pages} pages: back`);
    }
    if (ALL_STEPS) console.log("full disk, a page more each time:", outcomes);
    assert(outcomes["rolled back"] > 0, JSON.stringify(outcomes));
    await down("lab");
    assertEquals([NetNs.list(), list()], [[], []]);
  } finally {
    shell(`umount ${RECORDS}`);
  }
});

test("A lab comes down while the disk for its record is full", async () => {
  shell(`mkdir -p ${RECORDS} && mount -t tmpfs -o size=1m netloom-test ${RECORDS}`);
  try {
    await start(spec(2));
    shell(`head -c 2M /dev/zero >${RECORDS}/filler 2>/dev/null || true`);
    assertEquals(await down("lab"), true);
    assertEquals([NetNs.list(), list()], [[], []]);
  } finally {
    shell(`umount ${RECORDS}`);
  }
});

/** Runs a command of labs in a pid namespace of its own, which shares /run. */
async function elsewhere(code: string): Promise<string> {
  const { stdout, stderr } = await new Deno.Command("unshare", {
    args: [
      ...["--fork", "--pid", "--mount-proc", Deno.execPath(), "eval"],
      `import { down, list, up } from "./src/lab/mod.ts"; ${code}`,
    ],
    cwd: new URL("../../", import.meta.url),
  }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

test("Commands of two pid namespaces exclude each other, and continue each other's labs", async () => {
  const job = `await (await up(${JSON.stringify(spec(2))}, { name: "lab" })).persist()` +
    "[Symbol.asyncDispose]();";
  await start(spec(4));
  const goal = state();
  await down("lab");
  {
    using _record = LabRecord.open("lab", { create: true });
    const output = await elsewhere(job);
    assertStringIncludes(
      output,
      'Lab "lab" is being changed by a process of another pid namespace',
    );
  }
  assertEquals(await elsewhere(job), "");
  await start(spec(4));
  assertEquals(state(), goal);
  assertEquals(await elsewhere(`console.log(await down("lab"));`), "true\n");
  assertEquals([NetNs.list(), list()], [[], []]);
});

test("down() during up() says who changes the lab, and the lab is up then", async () => {
  const starting = start(spec(4));
  await assertRejects(() => down("lab"), Error, "is being changed by process");
  await starting;
  assertEquals(await down("lab"), true);
  assertEquals([NetNs.list(), list()], [[], []]);
});
