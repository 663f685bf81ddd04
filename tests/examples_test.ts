// Every script in examples/: its verdict, its exit code, and that it leaves nothing.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { supports } from "@netloom/netloom";
import "@netloom/netloom/tc";
import { homeNetNs } from "../ffi/namespace.ts";
import { exampleFiles } from "./files.ts";
import { ip } from "./helpers.ts";
import { type Needs, test } from "./leaks.ts";
import { machine } from "./machine.ts";
import { tcpdumpCommand } from "./tcpdump.ts";
import { type Ended, ROOT, run, script } from "./script.ts";

const files = exampleFiles();

/** Examples that stand alone: a copy of the file in another folder runs. */
const RECIPES = "veth bridge macvlan ipvlan macvtap ipvtap tun_icmp_echo".split(" ");

/** Arguments that make a run shorter. */
const QUICK: Readonly<Record<string, string[]>> = {
  "connect_compare.ts": ["--seconds", "0.05", "--rounds", "1"],
};

/** Character devices cannot be opened in a user namespace other than the first one. */
const DEVICE_NODES = {
  lacks: /^\s*0\s+0\s+4294967295$/m.test(Deno.readTextFileSync("/proc/self/uid_map"))
    ? undefined
    : "a user namespace has no device nodes",
};
const NEEDS: Readonly<Record<string, Needs>> = {
  "macvtap.ts": DEVICE_NODES,
  "ipvtap.ts": DEVICE_NODES,
};

/** Whether an example said that this kernel lacks a need of it, which must be true then. */
function skipped({ code, stdout, stderr }: Ended): boolean {
  if (code !== 77) return false;
  const [, need] = /^This kernel lacks (.+?):/.exec(stderr)!;
  assertEquals([stdout, has(need!)], ["", false], stderr);
  return true;
}

function has(need: string): boolean {
  if (need.startsWith("qdisc ")) return supports({ qdisc: need.slice("qdisc ".length) });
  return need === "bridge vlan_filtering" ? filtersVlans() : supports(need);
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

/** Runs a copy of a file in a folder that has nothing else. */
async function runCopy(file: string): Promise<Ended> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.copyFile(ROOT + file, `${folder}/copy.ts`);
    return await run([`${folder}/copy.ts`], { flags: ["-A", `--config=${ROOT}deno.json`] }).end();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const name of files) {
  const file = `examples/${name}`;
  const needs = NEEDS[name] ?? { lacks: undefined };
  const recipe = RECIPES.includes(name.replace(".ts", ""));

  const where = recipe ? `A copy of ${file} alone` : file;
  test(
    `${where} comes to a good verdict, or names a need that the kernel lacks; and leaves nothing`,
    needs,
    async () => {
      const before = machine();
      const ended = recipe ? await runCopy(file) : await run([file, ...QUICK[name] ?? []]).end();
      if (!skipped(ended)) {
        assertEquals([ended.code, ended.stderr], [0, ""], ended.stdout);
        assertMatch(ended.stdout, /^yes {2}\S.*\n\nVerdict: good\n$/m);
      }
      assertEquals(machine(), before);
    },
  );

  // How they start and end depends on no kernel; that of each is tested on the machine's own.
  if (Deno.env.has("NETLOOM_GUEST")) continue;

  test(`${file} --keep holds the network up until Ctrl-C`, needs, async () => {
    const before = machine();
    await using kept = run([file, "--keep", ...QUICK[name] ?? []]);
    if (await kept.writes("Ctrl-C removes it").then(() => true, () => false)) {
      assert(machine() !== before);
      kept.kill("SIGINT");
      assertEquals((await kept.end()).code, 130);
    } else assert(skipped(await kept.end()));
    assertEquals(machine(), before);
  });
}

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

test("examples/capture.ts prints packets in the order of time; --write writes a file for tcpdump", async () => {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    const { code, stdout } = await run(["examples/capture.ts", "--write", path]).end();
    assertEquals(code, 0);
    const tcpdump = await tcpdumpCommand("-nn", "-r", path, "icmp").output();
    const lines = (text: string) => text.match(/ICMP echo .*$/gm);
    assertEquals(lines(new TextDecoder().decode(tcpdump.stdout)), lines(stdout));
    assertEquals(lines(stdout)!.length, 12);
    const times = stdout.match(/^\d\d:\d\d:\d\d\.\d{9}/gm)!;
    assertEquals(times, times.toSorted());
  } finally {
    await Deno.remove(path);
  }
});

test("examples/connect_compare.ts --json gives medians with their ranges, and says how long it takes", async () => {
  const args = ["--json", "--seconds", "0.02", "--rounds", "2"];
  const { code, stdout, stderr } = await run(["examples/connect_compare.ts", ...args]).end();
  assertEquals(code, 0);
  assertMatch(stderr, /^Measures \d+ ways, each 2 times: about \d+ s\n/);
  for (const { way, lowest, highest, ...figures } of JSON.parse(stdout)) {
    for (const [name, value] of Object.entries<number>(figures)) {
      assert(lowest[name] <= value && value <= highest[name], `${way}: ${name}`);
    }
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
    assert(code.length <= 80, `examples/${name} has ${code.length} lines of code`);
  }
});
