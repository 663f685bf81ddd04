import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Bridge, Link, NetNs, Scope, Veth } from "../../mod.ts";
import "../../src/nftables/mod.ts";
import "../../src/traffic/mod.ts";
import { checked, CLI, json, jsonEvents, netloom, netloomWith } from "./command.ts";

/** A namespace with a name and a bridge with one port; the other end of the port is in `host`. */
function network(scope: Scope): void {
  const lan = NetNs.create({ name: "lan", scope });
  const host = NetNs.create({ name: "host", scope });
  const bridge = Bridge.create({ name: "br0", netns: lan, up: true });
  Veth.create({
    name: "port1",
    netns: lan,
    master: bridge,
    up: true,
    peer: { name: "eth0", netns: host, up: true, addresses: ["192.0.2.1/24"] },
  });
  host.routes.add({ destination: "198.51.100.0/24", gateway: "192.0.2.9" });
  host.neighbors.add({ dev: "eth0", address: "192.0.2.7", lladdr: "02:00:00:00:00:07" });
  Link.get("eth0", { netns: host }).qdiscs.add({ kind: "pfifo", options: { limit: 10 } });
}

/** The first line of a table and those with a word. */
function lines(stdout: string, word: string): string[] {
  return stdout.split("\n").filter((line, i) => i === 0 || line.includes(word))
    .map((line) => line.replace(/ +/g, " ").trim());
}

Deno.test("Verbs for the machine print tables and JSON", async (t) => {
  await using scope = Scope.open();
  network(scope);
  const cases: readonly {
    readonly args: string[];
    readonly word: string;
    readonly table: readonly RegExp[];
    readonly first: Record<string, unknown>;
  }[] = [
    {
      args: ["links", "-n", "lan"],
      word: "port1",
      table: [
        /^INDEX NAME KIND STATE MTU MAC MASTER/,
        /^\d+ port1 veth up 1500 [0-9a-f:]{17} br0 fe80:/,
      ],
      first: { name: "lo" },
    },
    {
      args: ["addresses", "--netns=host", "--dev", "eth0"],
      word: "192.0.2.1",
      table: [/^LINK ADDRESS SCOPE FLAGS$/, /^eth0 192\.0\.2\.1\/24 global permanent$/],
      first: { address: "192.0.2.1/24" },
    },
    {
      args: ["routes", "-n", "host"],
      word: "198.51",
      table: [/^DESTINATION GATEWAY LINK/, /^198\.51\.100\.0\/24 192\.0\.2\.9 eth0 boot global$/],
      first: { destination: "192.0.2.0/24" },
    },
    {
      args: ["neighbors", "-n", "host"],
      word: "192.0.2.7",
      table: [/^LINK ADDRESS MAC STATE$/, /^eth0 192\.0\.2\.7 02:00:00:00:00:07 permanent$/],
      first: { address: "192.0.2.7" },
    },
    {
      args: ["qdiscs", "-n", "host"],
      word: "pfifo",
      table: [/^LINK KIND HANDLE PARENT/, /^eth0 pfifo \w+: root \d+ \d+ \d+ \d+$/],
      first: { link: "lo", kernelKind: "noqueue" },
    },
    {
      args: ["bridge", "fdb", "-n", "lan"],
      word: "port1",
      table: [/^BRIDGE PORT MAC/, /^br0 port1 /],
      first: { bridge: "br0" },
    },
  ];
  for (const { args, word, table, first } of cases) {
    await t.step(`netloom ${args.join(" ")}`, async () => {
      const people = await netloom(...args);
      assertEquals({ code: people.code, stderr: people.stderr }, { code: 0, stderr: "" });
      const [heading, ...rows] = lines(people.stdout, word);
      assert(table[0]!.test(heading!), heading);
      assert(rows.some((row) => table[1]!.test(row)), people.stdout);
      const { netloom: version, verb, result, stderr } = await json(...args);
      assertEquals({ version, verb, stderr }, { version: 1, verb: args[0], stderr: "" });
      const found = result[0];
      assertEquals(Object.fromEntries(Object.keys(first).map((key) => [key, found[key]])), first);
    });
  }
});

Deno.test("netloom draw finds the pair between two namespaces", async () => {
  await using scope = Scope.open();
  network(scope);
  const { code, stdout } = await netloom("draw", "lan", "host", "--format", "dot");
  assertEquals(code, 0);
  assertStringIncludes(stdout, 'n0 -- n1 [taillabel="port1", headlabel="eth0"]');
  assertEquals((await json("draw", "lan", "host")).result.edges.length, 1);
  const file = await Deno.makeTempFile({ suffix: ".svg" });
  try {
    const drawn = await netloom("draw", "lan", "host", "-o", file);
    assertEquals([drawn.code, drawn.stdout], [0, ""]);
    assertStringIncludes(await Deno.readTextFile(file), "192.0.2.1/24");
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("netloom draw takes the format from the file's ending", async () => {
  await using scope = Scope.open();
  network(scope);
  const folder = await Deno.makeTempDir();
  try {
    const begins = { dot: "graph ", mmd: "flowchart", json: "{" };
    for (const [ending, word] of Object.entries(begins)) {
      const file = `${folder}/x.${ending}`;
      assertEquals((await json("draw", "lan", "-o", file)).result.file, file);
      assert((await Deno.readTextFile(file)).startsWith(word), ending);
    }
    assertEquals((await netloom("draw", "lan", "--format", "png")).code, 2);
    const none = await netloomWith({ PATH: folder }, "draw", "lan", "-o", `${folder}/x.png`);
    assertEquals(none.code, 1);
    assertStringIncludes(none.stderr, "apt-get install -y librsvg2-bin");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("netloom monitor prints each change as a line or as JSON", async () => {
  await using scope = Scope.open();
  const netns = NetNs.create({ name: "watched", scope });
  let ended = false;
  const change = (async () => {
    for (let i = 0;; i++) {
      // The monitor starts at some time: changes go on until it has seen two.
      Link.get("lo", { netns }).set({ mtu: 65_000 + i % 2 });
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (ended) return;
    }
  })();
  const { code, stdout } = await netloom("monitor", "links", "-n", "watched", "--count", "2");
  const [event] = await jsonEvents("monitor", "links", "-n", "watched", "--count=1");
  ended = true;
  await change;
  assertEquals(code, 0);
  assert(/^link change lo mtu 6500\d\n/.test(stdout), stdout);
  assertEquals(event.link.name, "lo");
});

Deno.test("netloom clean removes what a killed program has left behind", async () => {
  const source = `
    import { NetNs, Scope } from "@netloom/netloom";
    const scope = Scope.open({ name: "dead" });
    NetNs.create({ name: "leftover", scope });
    Deno.kill(Deno.pid, "SIGKILL");`;
  const { script } = await import("../script.ts");
  await script(source);
  assertEquals((await json("clean", "--dry-run")).result[0].name, "dead");
  const dry = await netloom("clean", "--dry-run");
  assertStringIncludes(dry.stdout, "dead");
  assert(NetNs.exists("leftover"));
  assertStringIncludes((await netloom("clean")).stdout, "dead");
  assert(!NetNs.exists("leftover"));
  assertStringIncludes((await netloom("clean")).stderr, "Nothing is left");
});

Deno.test("netloom doctor tells the state of each check", async () => {
  const { code, result } = await json("doctor");
  assertEquals(code, 0);
  assert(result.some(({ check }: { check: string }) => check === "link kinds"));
  for (const { state, mend } of result) {
    assert(["ok", "warn", "fail"].includes(state));
    if (state !== "ok") assertEquals(typeof mend, "string");
  }
});

/** The findings of doctor by their checks. */
async function findings(): Promise<Map<string, { state: string; found: string; mend: string }>> {
  const { result } = await json("doctor");
  return new Map(result.map((it: { check: string }) => [it.check, it]));
}

Deno.test("netloom doctor finds settings that drop packets, and its commands mend them", async () => {
  const { nftables } = NetNs.current();
  const table = { family: "ip", name: "filter" } as const;
  nftables.add({
    ...table,
    chains: [{ name: "FORWARD", type: "filter", hook: "forward", priority: 0, policy: "drop" }],
  });
  await Deno.writeTextFile("/proc/sys/net/ipv4/conf/all/rp_filter", "1");
  const before = await findings();
  for (const check of ["forward policy", "rp_filter"]) {
    const { state, mend } = before.get(check)!;
    assertEquals(state, "warn");
    const { success } = await new Deno.Command("sh", { args: ["-c", mend] }).output();
    assert(success, mend);
  }
  const after = await findings();
  assertEquals([after.has("forward policy"), after.has("rp_filter")], [false, false]);
  nftables.flush({ family: "ip", table: "filter" });
});

Deno.test("netloom doctor names limits that are too low", async () => {
  const script = 'echo 5 > /proc/sys/user/max_net_namespaces && ulimit -n 512 && exec "$@"';
  const { stdout } = await new Deno.Command("unshare", {
    args: [
      ...["--user", "--map-root-user", "--net", "sh", "-c", script, "sh"],
      ...[Deno.execPath(), "run", "-A", "--quiet", CLI, "doctor", "--json"],
    ],
  }).output();
  const { result } = checked(new TextDecoder().decode(stdout));
  const found = (check: string) => result.find((it: { check: string }) => it.check === check);
  assertEquals(found("max net namespaces").found, "5");
  assertEquals(found("max net namespaces").mend, "sysctl user.max_net_namespaces=10000");
  assertEquals(found("descriptors").mend, "ulimit -n 65536");
});

Deno.test("netloom doctor names a lab whose keeper was killed, and netloom down removes it", async () => {
  const file = await Deno.makeTempFile({ suffix: ".lab.yml" });
  try {
    await Deno.writeTextFile(
      file,
      "name: kept\nnodes: { a: { run: [sleep 1000] }, b: }\nlinks: [a -- b]\n",
    );
    assertEquals((await netloom("up", file)).code, 0);
    const [{ keeper }] = (await json("ps")).result;
    Deno.kill(keeper.pid, "SIGKILL");
    while ((await json("ps")).result[0].keeper.state !== "gone");
    assertStringIncludes((await findings()).get("lab kept")!.found, "its keeper is gone");
    assertEquals((await netloom("down", "kept")).code, 0);
    assertEquals((await findings()).has("lab kept"), false);
  } finally {
    await Deno.remove(file);
  }
});
