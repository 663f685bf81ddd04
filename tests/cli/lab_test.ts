import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { NetNs } from "../../mod.ts";
import { checked, CLI, json, jsonEvents, netloom } from "./command.ts";

const FILE = `name: verbs
addressing: { ipv4: 10.0.0.0/16 }
nodes:
  r1: { kind: router }
  h[1-2]:
links:
  - h1 -- r1
  - h2 -- r1
`;

/** A lab file in a folder of its own. */
async function labFile(text = FILE): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/verbs.lab.yml`;
  await Deno.writeTextFile(path, text);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await netloom("down", "verbs");
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("Verbs for labs print both forms while a lab comes up, is used, and goes", async (t) => {
  await using file = await labFile();
  await t.step("check, plan and a dry run change nothing", async () => {
    assertStringIncludes((await netloom("check", file.path)).stderr, "3 nodes, 2 wires");
    assertEquals((await json("check", file.path)).result.nodes, 3);
    const people = await netloom("plan", file.path);
    assertStringIncludes(people.stdout, "ip netns add verbs.h1");
    assert(/\d+ to create/.test(people.stderr), people.stderr);
    const { result } = await json("up", "--dry-run", file.path);
    assert(result.steps.some(({ object }: { object: string }) => object === "node r1"));
    const commands = await netloom("plan", file.path, "--commands");
    assert(commands.stdout.split("\n").filter(Boolean).every((line) => line.startsWith("ip ")));
    assertEquals(NetNs.list(), []);
  });
  await t.step("up brings it up; a second one changes nothing", async () => {
    const { code, stdout, stderr } = await netloom("up", file.path);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout, "to-r1");
    assertStringIncludes(stderr, "Lab verbs is up");
    assertEquals(NetNs.list().sort(), ["verbs.h1", "verbs.h2", "verbs.r1"]);
    assertStringIncludes((await netloom("plan", file.path)).stderr, "Nothing changes");
    assertEquals((await json("up", file.path)).result.name, "verbs");
  });
  await t.step("ps and show", async () => {
    assertStringIncludes((await netloom("ps")).stdout, "verbs  up");
    assertEquals((await json("ps")).result[0].state, "up");
    assertStringIncludes((await netloom("show")).stdout, "h1    host");
    assertStringIncludes((await netloom("show", "r1")).stdout, "to-h1");
    assertEquals((await json("show", "h1")).result.node, "h1");
  });
  await t.step("exec gives the exit code and the output of its command", async () => {
    const { code, stdout } = await netloom("exec", "h1", "--", "ip", "-br", "address");
    assertEquals(code, 0);
    assertStringIncludes(stdout, "to-r1");
    const failing = await json("exec", "h1", "h2", "--", "sh", "-c", "echo out; exit 3");
    assertEquals(failing.code, 3);
    assertEquals(
      failing.result.map(({ node, code, stdout }: Record<string, unknown>) => [node, code, stdout]),
      [["h1", 3, "out\n"], ["h2", 3, "out\n"]],
    );
    assertEquals((await netloom("exec", "h1")).code, 2);
  });
  await t.step("ping", async () => {
    assertStringIncludes((await netloom("ping", "h1", "h2", "-c", "1")).stdout, "h1    h2");
    assertStringIncludes((await netloom("ping")).stderr, "6 of 6 pairs reach each other");
    assertEquals((await json("ping", "h1", "r1")).result.received, 3);
  });
  await t.step("cut, partition and heal", async () => {
    assertStringIncludes((await netloom("cut", "h1", "r1")).stderr, "h1 -- r1 is cut");
    const cut = await json("ping");
    assertEquals([cut.code, cut.result.missing.length], [1, 4]);
    assertEquals((await json("heal", "h1", "r1")).result.cut, false);
    assertEquals((await netloom("ping")).code, 0);
    assertEquals((await json("partition", "h1", "h2,r1")).result.groups, [["h1"], ["h2", "r1"]]);
    assertEquals((await json("ping")).result.missing.length, 4);
    assertStringIncludes((await netloom("heal")).stderr, "All cuts and partitions are healed");
    assertEquals((await netloom("ping")).code, 0);
  });
  await t.step("impair sets, shows and clears values", async () => {
    assertStringIncludes((await netloom("impair", "show")).stderr, "No wire is impaired");
    const { result } = await json("impair", "h1", "r1", "rate=8mbit");
    assertEquals([result.engine, result.values.out.rate], ["kernel", 8_000_000]);
    assertStringIncludes((await netloom("impair", "show")).stdout, "8000000");
    assertEquals((await json("impair", "r1", "h1")).result.length, 1);
    assertEquals((await json("impair", "clear")).result.cleared, 1);
    assertEquals((await json("impair", "show")).result, []);
    // By the kernel, or by the keeper of the lab where the kernel has no netem.
    assertEquals((await netloom("impair", "h1", "r1", "delay=20ms")).code, 0);
    assert((await json("ping", "h1", "r1", "-c", "1")).result.min >= 40);
    const drawn = (await json("draw", "--lab", "verbs")).result.edges;
    assertEquals(drawn.map(({ label }: { label?: string[] }) => label), [
      ["delay 20ms"],
      undefined,
    ]);
    assertEquals((await json("impair", "clear")).result.cleared, 1);
    const { code, stderr } = await netloom("impair", "h1", "r1", "dely=20ms");
    assertEquals(code, 1);
    assertStringIncludes(stderr, "delay");
  });
  await t.step("draw", async () => {
    const drawn = await netloom("draw", "--lab", "verbs", "--format", "mermaid");
    assertStringIncludes(drawn.stdout, "to-r1 – to-h1");
    const svg = await netloom("draw", file.path);
    assert(svg.stdout.startsWith("<svg"));
  });
  await t.step("capture prints packets and writes a file", async () => {
    const watching = jsonEvents("capture", "h1:to-r1", "--seconds", "3");
    const writing = netloom("capture", "-w", `${file.path}.pcapng`, "--seconds", "3");
    const done = Promise.all([watching, writing]);
    let ended = false;
    done.then(() => ended = true);
    while (!ended) {
      await netloom("ping", "h1", "h2", "-c", "1");
    }
    const [lines, written] = await done;
    assert(lines.some(({ packet }) => packet.includes("ICMP echo request")));
    assertEquals(lines[0]!.interface, "h1:to-r1");
    assert(lines.some(({ time }) => !Number.isInteger(time)), "no fraction of a second");
    assertEquals(written.code, 0);
    assert((await Deno.stat(`${file.path}.pcapng`)).size > 500);
  });
  await t.step("watch prints each change", async () => {
    let ended = false;
    const watching = netloom("watch", "--count", "1");
    const reading = jsonEvents("watch", "--count", "1");
    Promise.all([watching, reading]).finally(() => ended = true);
    while (!ended) {
      await netloom("exec", "h1", "--", "ip", "link", "set", "lo", "mtu", "65000");
      await netloom("exec", "h1", "--", "ip", "link", "set", "lo", "mtu", "65536");
    }
    assert(/^\w+: /.test((await watching).stdout));
    const [event] = await reading;
    assertEquals([event.node, event.type], ["h1", "link"]);
  });
  await t.step("view serves the lab's page", async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--quiet",
        new URL("../../cli.ts", import.meta.url).pathname,
        "view",
        "--json",
      ],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.trimEnd().endsWith("}")) text += (await reader.read()).value;
    const { url } = checked(text).result;
    const graph = new URL(url);
    graph.pathname = "/graph";
    const answer = await (await fetch(graph)).json();
    assertEquals(answer.graph.nodes.map(({ name }: { name: string }) => name), ["h1", "h2", "r1"]);
    assertEquals(answer.ping, true);
    child.kill("SIGINT");
    await reader.cancel();
    assertEquals((await child.status).code, 130);
  });
  await t.step("capture completes its file when it is terminated", async () => {
    const path = `${file.path}.terminated.pcapng`;
    await using child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", CLI, "capture", "-w", path],
      stderr: "piped",
    }).spawn();
    const reader = child.stderr.getReader();
    const { value } = await reader.read();
    assertStringIncludes(new TextDecoder().decode(value), "Writing");
    await netloom("ping", "h1", "h2", "-c", "1");
    child.kill("SIGTERM");
    await reader.cancel();
    assertEquals((await child.status).code, 0);
    assert((await Deno.stat(path)).size > 500);
    await Deno.remove(path);
  });
  await t.step("a changed file converges; down removes everything", async () => {
    await Deno.writeTextFile(file.path, FILE.replace("h[1-2]", "h[1-3]") + "  - h3 -- r1\n");
    assertEquals((await json("up", file.path)).result.nodes, ["h1", "h2", "h3", "r1"]);
    assertStringIncludes((await netloom("ping")).stderr, "12 of 12");
    assertEquals((await json("down")).result, { name: "verbs", removed: true });
    assertEquals(NetNs.list(), []);
    assertStringIncludes((await netloom("down", "verbs")).stderr, "There is no lab verbs");
    await netloom("up", file.path);
    assertStringIncludes((await netloom("down", "verb")).stderr, 'did you mean "verbs"?');
    await netloom("down");
    assertEquals((await netloom("ping")).code, 2);
  });
});

Deno.test("A wrong file is an error with line and column, and nothing is created", async () => {
  await using file = await labFile(FILE.replace("router", "ruter"));
  const { code, stderr } = await netloom("up", file.path);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `${file.path}:4:15`);
  assertStringIncludes(stderr, 'did you mean "router"?');
  assertEquals(NetNs.list(), []);
});

Deno.test("netloom schema prints the schema of lab files", async () => {
  const { code, stdout } = await netloom("schema");
  assertEquals([code, typeof JSON.parse(stdout).$schema], [0, "string"]);
});

Deno.test("Completion knows labs and nodes", async () => {
  await using file = await labFile();
  await netloom("up", file.path);
  const words = async (...typed: string[]) =>
    (await netloom("__complete", ...typed)).stdout.trim().split("\n");
  assertEquals(await words("ping", "h"), ["h1", "h2"]);
  assertEquals(await words("down", ""), ["verbs"]);
  assertEquals(await words("draw", "--lab", ""), ["verbs"]);
  assertEquals(await words("capture", "h1:"), ["h1:lo", "h1:to-r1"]);
  assertEquals(await words("addresses", "-n", "verbs.r1", "--dev", "to"), ["to-h1", "to-h2"]);
});

Deno.test("netloom init writes files that check accepts, and no file twice", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const forms = ["--clos=3,2,1", "--ring=4", "--star=3", "--tree=2,2", "--grid=2,3"];
    await Promise.all([...forms, "--name=plain"].map(async (form, i) => {
      const file = `${folder}/${i}.lab.yml`;
      const { code, stderr } = await netloom("init", form, "-o", file);
      assertEquals(code, 0, stderr);
      assertEquals((await netloom("check", file)).code, 0);
    }));
    const again = await netloom("init", "--ring", "4", "-o", `${folder}/0.lab.yml`);
    assertEquals(again.code, 2);
    assertStringIncludes(again.stderr, "exists already");
    assertEquals((await netloom("init", "--ring", "x", "-o", "-")).code, 2);
    assertStringIncludes((await netloom("init", "--ring", "3", "-o", "-")).stdout, "n1 -- n2");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
