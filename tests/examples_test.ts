// Every script in examples/: its verdict, its exit code, its options, and that it leaves nothing.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { supports } from "@netloom/netloom";
import { homeNetNs } from "../ffi/namespace.ts";
import { ip } from "./helpers.ts";
import { test } from "./leaks.ts";
import { machine } from "./machine.ts";
import { tcpdumpCommand } from "./tcpdump.ts";
import { type Ended, ROOT, run, script } from "./script.ts";

const files = Array.from(Deno.readDirSync(`${ROOT}examples`), ({ name }) => name)
  .filter((name) => /^[a-z]\w*\.ts$/.test(name)).sort();

/** Arguments that make a run shorter. */
const QUICK: Readonly<Record<string, string[]>> = {
  "connect_compare.ts": ["--seconds", "0.05", "--rounds", "1"],
};
/** And those for a second run. */
const SHORT: Readonly<Record<string, string[]>> = { ...QUICK, "macvlan.ts": ["--mode", "bridge"] };

const helps = new Map<string, Promise<Ended>>();

/** What an example says of itself; asked once. */
function help(file: string): Promise<Ended> {
  const asked = helps.get(file) ?? run([file, "--help"]).end();
  helps.set(file, asked);
  return asked;
}

/** What the running kernel lacks of what an example says it needs. */
async function lacks(file: string): Promise<string | undefined> {
  const [, needs] = /^Needs of the kernel: (.+)$/m.exec((await help(file)).stdout)!;
  return needs!.split(", ").find((need) => !has(need));
}

function has(need: string): boolean {
  if (need === "device nodes") return hasDeviceNodes();
  return need === "bridge vlan_filtering" ? filtersVlans() : supports(need);
}

/** Whether this is no user namespace but the first one. */
function hasDeviceNodes(): boolean {
  return /^\s*0\s+0\s+4294967295$/m.test(Deno.readTextFileSync("/proc/self/uid_map"));
}

/** As iproute2 finds it: such a bridge has an attribute that others have not. */
function filtersVlans(): boolean {
  ip(homeNetNs(), "link add probe type bridge");
  try {
    return JSON.stringify(ip(homeNetNs(), "-d -j link show probe")).includes("vlan_protocol");
  } finally {
    ip(homeNetNs(), "link delete probe");
  }
}

for (const name of files) {
  const file = `examples/${name}`;

  test(`${file} comes to a good verdict, or names what the kernel lacks; and leaves nothing`, async () => {
    const before = machine();
    const lack = await lacks(file);
    const { code, stdout, stderr } = await run([file, ...QUICK[name] ?? []]).end();
    if (lack === undefined) {
      assertEquals([code, stderr], [0, ""], stdout);
      assertMatch(stdout, /^yes {2}\S.*\n\nVerdict: good\n$/m);
    } else {
      assertEquals([code, stdout], [77, ""]);
      assertStringIncludes(stderr, ` lacks ${lack}: `);
    }
    assertEquals(machine(), before);
  });

  // How they start and end depends on no kernel; that of each is tested on the machine's own.
  if (Deno.env.has("NETLOOM_GUEST")) continue;

  test(`${file} --keep holds the network up until Ctrl-C`, async () => {
    const before = machine();
    if (await lacks(file) !== undefined) {
      assertEquals((await run([file, "--keep"]).end()).code, 77);
      return;
    }
    await using kept = run([file, "--keep", ...SHORT[name] ?? []]);
    await kept.writes("Ctrl-C removes it");
    assert(machine() !== before);
    kept.kill("SIGINT");
    assertEquals((await kept.end()).code, 130);
    assertEquals(machine(), before);
  });

  test(`${file} tells its options`, async () => {
    const { code, stdout, stderr } = await help(file);
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(stdout, `Usage: deno run -A ${file} [OPTION]...\n`);
    assertStringIncludes(stdout, "--keep");
  });
}

test("Examples refuse arguments they do not have, and words that an option does not take", async () => {
  const unknown = await run(["examples/veth.ts", "--kep"]).end();
  assertEquals([unknown.code, unknown.stdout], [2, ""]);
  assertStringIncludes(unknown.stderr, "Unknown argument --kep");
  const word = await run(["examples/macvlan.ts", "--mode", "vep"]).end();
  assertEquals([word.code, word.stdout], [2, ""]);
  assertStringIncludes(word.stderr, 'it was given "vep"');
});

test("examples/local_breakout.ts lends a card it is given, and brings it home on Ctrl-C", async () => {
  const spare = Deno.env.get("NETLOOM_SPARE_NIC");
  const nic = spare ?? "card";
  if (!spare) ip(homeNetNs(), `link add ${nic} type veth peer name plug`);
  try {
    ip(homeNetNs(), `address add 192.0.2.1/24 dev ${nic}`);
    if (!spare) ip(homeNetNs(), "link set plug addrgenmode none up");
    const before = machine();
    await using kept = run(["examples/local_breakout.ts", "--nic", nic, "--keep"]);
    await kept.writes("Ctrl-C removes it");
    assertEquals(ip(homeNetNs(), `-j -n breakout link show ${nic}`).length, 1);
    kept.kill("SIGINT");
    const { code, stdout } = await kept.end();
    assertEquals(code, 130);
    assertStringIncludes(stdout, "Verdict: good");
    assertEquals(machine(), before);
  } finally {
    ip(homeNetNs(), spare ? `address flush dev ${nic}` : `link delete ${nic}`);
  }
});

test("examples/capture.ts --write writes what tcpdump reads", async () => {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    const { code, stdout } = await run(["examples/capture.ts", "--write", path]).end();
    assertEquals(code, 0);
    const tcpdump = await tcpdumpCommand("-nn", "-r", path, "icmp").output();
    const lines = (text: string) => text.match(/ICMP echo .*$/gm);
    assertEquals(lines(new TextDecoder().decode(tcpdump.stdout)), lines(stdout));
    assertEquals(lines(stdout)!.length, 12);
  } finally {
    await Deno.remove(path);
  }
});

test("An example that is interrupted in the middle leaves nothing", async () => {
  const before = machine();
  await using running = run(["examples/bridge_stp.ts"]);
  await running.writes("seconds"); // while the bridges make up their minds
  running.kill("SIGINT");
  assertEquals((await running.end()).code, 130);
  assertEquals(machine(), before);
});

test("An example clears up what a killed run left", async () => {
  const before = machine();
  await using killed = run(["examples/bridge.ts", "--keep"]);
  await killed.writes("Ctrl-C removes it");
  killed.kill("SIGKILL");
  await killed.end();
  assertStringIncludes(machine(), "netns ns1:");
  assertEquals((await run(["examples/bridge.ts"]).end()).code, 0);
  assertEquals(machine(), before);
});

test("An example that does not come to what it shows says so and ends with 1", async () => {
  const source = Deno.readTextFileSync(`${ROOT}examples/veth.ts`)
    .replace("./_recipe.ts", "./examples/_recipe.ts")
    .replace("await lab.ready();", 'Veth.get("tap2", { netns: ns2 }).down();');
  const { code, stdout } = await script(source);
  assertEquals(code, 1);
  assertMatch(stdout, /^NO {3}ns1 reaches ns2.*\n\nVerdict: bad\n$/m);
});

test("Examples import the library and @std only", () => {
  const allowed = /^@netloom\/netloom(\/\w+)?$|^@std\/(cli|assert)|^\.\.?\/\w*\/?\w+\.ts$/;
  for (const folder of ["examples", "examples/_compare"]) {
    for (const { name, isFile } of Deno.readDirSync(`${ROOT}${folder}`)) {
      const source = isFile ? Deno.readTextFileSync(`${ROOT}${folder}/${name}`) : "";
      for (const [, specifier] of source.matchAll(/^(?:import|export|\}).* from "(.+)";$/gm)) {
        assertMatch(specifier!, allowed);
      }
    }
  }
});

test("Examples are short enough to be read", () => {
  for (const name of files) {
    const lines = Deno.readTextFileSync(`${ROOT}examples/${name}`).split("\n");
    const code = lines.filter((line) => !/^ *(\/\/|\/?\*|$)/.test(line));
    assert(code.length <= 70, `examples/${name} has ${code.length} lines of code`);
  }
});
